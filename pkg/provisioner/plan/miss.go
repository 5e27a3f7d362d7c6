package plan

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Miss is an offering that a held demand would get if all of the Changes were made; one more node of it would then be bought for one of
// its pods. The words for it are those of Held.Message.
type Miss struct {
	Provisioner          string
	Offering             cloud.OfferingKey
	PriceMicroUSDPerHour int64
	Changes              []Change // at least one
}

// lacking is what the machine has nothing of. To ask for none of it would be another pod, and is no remedy.
func (m Miss) lacking() []Change {
	return slices.DeleteFunc(slices.Clone(m.Changes), func(c Change) bool { return c.Kind != AskLess || c.Have > 0 })
}

// ChangeKind is what would have to be otherwise.
type ChangeKind string

// The kinds of Change. The fields that each fills in stand behind it.
const (
	RaiseLimit ChangeKind = "RaiseLimit" // Provisioner, Resource, Need, Have
	Leave      ChangeKind = "Leave"      // Provisioner, Resource, Need, Have, Claims, Until: what is leaving has to be gone
	AskLess    ChangeKind = "AskLess"    // Resource, Need, Have
	Reopen     ChangeKind = "Reopen"     // Reason, Until: EC2 has to have it again
	Drop       ChangeKind = "Drop"       // Field, and Requirement where the field has several
	Tolerate   ChangeKind = "Tolerate"   // Taint
	Allow      ChangeKind = "Allow"      // Provisioner, Requirement: what its requirements would have to allow as well
)

// Change is one thing that stands between a demand and an offering.
type Change struct {
	Kind ChangeKind
	// Provisioner whose limit on Resource is Have and would have to be Need; of AskLess the resource that the pod asks Need of where the
	// node leaves Have to pods. Units: micro-dollars, milli-cores, MiB, for AskLess milli-GPUs, else units.
	Provisioner string              `json:",omitempty"`
	Resource    corev1.ResourceName `json:",omitempty"`
	Need        int64               `json:",omitempty"`
	Have        int64               `json:",omitempty"`
	Used        int64               `json:",omitempty"` // of the limit: in use, launching or draining
	// Claims are leaving and hold what the limit lacks; sorted, and at most maxNamed. Until: the last of them is gone by then; zero: not known.
	Claims []string `json:",omitempty"`
	// Reason is HeldStockout, HeldQuota or HeldOutage, and Until the time of the next try; zero or past: one is under way.
	Reason v1alpha1.Reason `json:",omitempty"`
	Until  time.Time       `json:",omitzero"`
	// Field of the pod that asks for too much, as in the pod's spec, and of its requirements the one that does.
	Field string `json:",omitempty"`
	Term  int    `json:",omitempty"` // of the required node affinity's terms, from 0
	// Of Allow a key with one value that the Provisioner's requirements on it, or what it means where it is silent, exclude.
	Requirement *corev1.NodeSelectorRequirement `json:",omitempty"`
	// Taint of the node that the pod does not tolerate.
	Taint *corev1.Taint `json:",omitempty"`
}

// The fields of a pod that a Drop names.
const (
	FieldNodeSelector = "nodeSelector"
	FieldNodeAffinity = "required node affinity"
	FieldVolumes      = "the place of its volumes"
	FieldNeighbours   = "what it asks of other pods, or they of it"
)

// maxNamed bounds lists of names in a message.
const maxNamed = 3
