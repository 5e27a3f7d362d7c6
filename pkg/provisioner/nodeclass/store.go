package nodeclass

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/samber/lo"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// imageVolumeGiB is what is planned with where an image's own volumes are used and their size is not known: the size of the root volume
// of most images. Too small holds a pod, with a reason; too large has it evicted for disk pressure in the middle of its work.
const imageVolumeGiB = 20

// NotReadyError says why an EC2NodeClass cannot be used.
type NotReadyError struct {
	NodeClass string
	Reason    v1alpha1.Reason
	Message   string // what is wrong, and the remedy
}

func (e *NotReadyError) Error() string {
	return fmt.Sprintf("EC2NodeClass %s is not ready (%s): %s", e.NodeClass, e.Reason, e.Message)
}

// entry is what is known of one EC2NodeClass.
type entry struct {
	uid        types.UID
	generation int64
	// template is the last one that was resolved for this generation; nil: there is none.
	template *cloud.Template
	reason   v1alpha1.Reason // OK, or why template is nil or may be out of date
	message  string
	closed   bool      // being deleted: no new claims
	due      time.Time // when to ask again
}

func (e entry) of(nc *v1alpha1.EC2NodeClass) bool {
	return e.uid == nc.UID && e.generation == nc.Generation
}

// Store answers what EC2NodeClasses resolved to last. It never blocks on the cloud, and is safe for concurrent use.
type Store struct {
	mu      sync.RWMutex
	entries map[string]entry
}

// NewStore makes an empty Store. A Reconciler fills it.
func NewStore() *Store { return &Store{entries: map[string]entry{}} }

func (s *Store) entry(name string) entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[name]
}

func (s *Store) put(name string, e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries[name] = e
}

func (s *Store) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, name)
}

// Template answers a copy of what a class resolved to, also while the class is being deleted: claims that exist may be launched.
// The error is a *NotReadyError.
func (s *Store) Template(name string) (cloud.Template, error) {
	e := s.entry(name)
	if e.template == nil {
		return cloud.Template{}, e.notReady(name)
	}
	return cloneTemplate(*e.template), nil
}

// PlanningFacts answers what the planner needs of a class that claims may be made for. The error is a *NotReadyError.
func (s *Store) PlanningFacts(name string) (inventory.NodeClassFacts, error) {
	e := s.entry(name)
	if e.template == nil || e.closed {
		return inventory.NodeClassFacts{}, e.notReady(name)
	}
	return inventory.NodeClassFacts{
		Zones:         distinct(e.template.Subnets, func(n cloud.Subnet) string { return n.Zone }),
		Architectures: distinct(e.template.Images, func(i cloud.Image) string { return i.Architecture }),
		Disk:          plan.Disk{RootVolumeGiB: rootVolumeGiB(e.template.Spec.BlockDevices), InstanceStore: e.template.Spec.InstanceStore},
	}, nil
}

func (e entry) notReady(name string) error {
	return &NotReadyError{
		NodeClass: name,
		Reason:    cmp.Or(e.reason, v1alpha1.ReasonNodeClassNotReady),
		Message:   cmp.Or(e.message, "it does not exist, or has not been looked up yet"),
	}
}

// rootVolumeGiB is the size of the volume that is marked as the root, else of the first.
func rootVolumeGiB(devices []cloud.BlockDevice) int64 {
	for _, d := range devices {
		if d.Root {
			return d.SizeGiB
		}
	}
	if len(devices) > 0 && devices[0].SizeGiB > 0 {
		return devices[0].SizeGiB
	}
	return imageVolumeGiB
}

func distinct[T any](items []T, key func(T) string) []string {
	keys := lo.Map(items, func(item T, _ int) string { return key(item) })
	slices.Sort(keys)
	return slices.Compact(keys)
}

// cloneTemplate copies everything that a caller could change.
func cloneTemplate(t cloud.Template) cloud.Template {
	t.Images = slices.Clone(t.Images)
	t.Subnets = slices.Clone(t.Subnets)
	t.SecurityGroupIDs = slices.Clone(t.SecurityGroupIDs)
	t.Spec.Images = lo.Map(t.Spec.Images, func(i cloud.ImageTerm, _ int) cloud.ImageTerm {
		i.Tags = maps.Clone(i.Tags)
		return i
	})
	t.Spec.Subnets = cloneSelectors(t.Spec.Subnets)
	t.Spec.SecurityGroups = cloneSelectors(t.Spec.SecurityGroups)
	t.Spec.BlockDevices = slices.Clone(t.Spec.BlockDevices)
	t.Spec.Tags = maps.Clone(t.Spec.Tags)
	t.Spec.AssociatePublic = clonePointer(t.Spec.AssociatePublic)
	return t
}

func cloneSelectors(selectors []cloud.Selector) []cloud.Selector {
	return lo.Map(selectors, func(s cloud.Selector, _ int) cloud.Selector {
		s.Tags = maps.Clone(s.Tags)
		return s
	})
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}
