package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// ErrNotLoaded: nothing is known yet of what can be bought.
var ErrNotLoaded = errors.New("instance types and prices are not loaded yet")

// NodeClassFacts is what the planner needs of a resolved EC2NodeClass.
type NodeClassFacts struct {
	Zones         []string // sorted
	Architectures []string // sorted
	plan.Disk
}

// NodeClasses answers what an EC2NodeClass resolved to; an error says for people why it is not ready.
type NodeClasses interface {
	PlanningFacts(name string) (NodeClassFacts, error)
}

// OfferingState is what an offering has done lately, as pkg/cloud/health keeps it.
type OfferingState struct {
	Closed    v1alpha1.Reason
	Until     time.Time
	Stock     int
	RiskMilli int64
}

// Health answers the state of an offering at a time.
type Health interface {
	OfferingState(key cloud.OfferingKey, now time.Time) OfferingState
}

// Config is what a Mirror reads from.
type Config struct {
	Reader      client.Reader // the manager's cache
	Catalogue   *Catalogue
	NodeClasses NodeClasses
	Health      Health
	// Orphans answers machines of ours without a claim.
	Orphans func() []cloud.Instance
	Region  string
	Now     func() time.Time
	// DefaultSpread is what the cluster's scheduler is configured to spread pods by that do not say: see demand.Defaults. None: nothing.
	DefaultSpread []corev1.TopologySpreadConstraint
}

// Validate tells which field is missing.
func (c Config) Validate() error {
	switch {
	case c.Reader == nil, c.Catalogue == nil, c.NodeClasses == nil, c.Health == nil, c.Orphans == nil, c.Now == nil:
		return errors.New("inventory.Config: Reader, Catalogue, NodeClasses, Health, Orphans and Now are all required")
	case c.Region == "":
		return errors.New("inventory.Config: Region is required")
	}
	return nil
}

// Mirror answers Views. It is safe for concurrent use.
type Mirror struct {
	Config

	mu       sync.Mutex
	expected map[string]expectation // created, not seen in the cache yet, by name

	// viewing makes one View at a time: what is remembered of an older picture must not replace that of a newer one.
	viewing sync.Mutex
	memory  map[string]nodeMemory // by node name
	refused map[types.UID]plan.Refusal
	lessons map[shape]lesson
	// known are the GPU pods of the latest picture; what is not among them has come since.
	known    map[types.UID]struct{}
	arrivals Arrivals
}

// nodeMemory is what is remembered of a node between two Views.
type nodeMemory struct {
	signature string // of its free amounts and of what lets pods onto it
	quiet     time.Time
	idle      time.Time
}

// New answers a Mirror.
func New(c Config) (*Mirror, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Mirror{
		Config: c, expected: map[string]expectation{}, memory: map[string]nodeMemory{}, refused: map[types.UID]plan.Refusal{},
		lessons: map[shape]lesson{},
	}, nil
}

// lists is everything that one View is made of, read from the cache. Claims are read first and pods last: a pod that is bound between the
// two reads is missing from the demands, which costs a cycle; the other order would show neither the claim nor the binding and buy twice.
type lists struct {
	claims       v1alpha1.NodeClaimList
	provisioners v1alpha1.ProvisionerList
	daemonSets   appsv1.DaemonSetList
	namespaces   metav1.PartialObjectMetadataList
	nodes        corev1.NodeList
	pods         corev1.PodList
}

func (m *Mirror) read(ctx context.Context) (*lists, error) {
	var l lists
	l.namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	for what, list := range orderedLists(&l) {
		if err := m.Reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing %s: %w", what, err)
		}
	}
	return &l, nil
}

func orderedLists(l *lists) func(yield func(string, client.ObjectList) bool) {
	return func(yield func(string, client.ObjectList) bool) {
		_ = yield("NodeClaims", &l.claims) && yield("Provisioners", &l.provisioners) && yield("DaemonSets", &l.daemonSets) &&
			yield("Namespaces", &l.namespaces) && yield("Nodes", &l.nodes) && yield("Pods", &l.pods)
	}
}

// View answers the picture at this moment. ErrNotLoaded: the catalogue has not been loaded yet.
func (m *Mirror) View(ctx context.Context) (plan.View, error) {
	snapshot := m.Catalogue.Snapshot()
	if len(snapshot.Offerings) == 0 {
		return plan.View{}, ErrNotLoaded
	}
	m.viewing.Lock()
	defer m.viewing.Unlock()
	// Without its monotonic reading, which no file keeps: a recorded View is the same View.
	now := m.Now().Round(0).UTC()
	expected := m.expectations(now)
	l, err := m.read(ctx)
	if err != nil {
		return plan.View{}, err
	}
	v := plan.View{Now: now, Region: m.Region, Types: snapshot.Types, Orphans: m.Orphans()}
	for _, o := range snapshot.Offerings {
		s := m.Health.OfferingState(o.OfferingKey, now)
		v.Offerings = append(v.Offerings, plan.Offering{Offering: o, Closed: s.Closed, Until: s.Until.Round(0), Stock: s.Stock, RiskMilli: s.RiskMilli})
	}
	v.Provisioners = m.provisioners(l.provisioners.Items)
	v.Claims = m.claims(l.claims.Items, expected)
	pods := byNode(l.pods.Items)
	v.Nodes = m.nodes(l.nodes.Items, pods, v.Claims, now)
	v.Learned = m.learned()
	v.Arrivals = m.arrived(l.pods.Items, now)
	s, err := m.surroundings(ctx, l, pods, &v)
	if err != nil {
		return plan.View{}, err
	}
	around := demand.NewNeighbourhood(s)
	v.Demands, v.Daemons = around.Demands(), around.Daemons()
	m.noteRefusals(&v, keepCompany(v.Nodes, pods, around))
	v.Refused = m.refusalsOf(v.Demands)
	return v, nil
}

func (m *Mirror) provisioners(items []v1alpha1.Provisioner) []plan.Provisioner {
	list := make([]plan.Provisioner, 0, len(items))
	for _, item := range items {
		p := plan.Provisioner{Object: item}
		facts, err := m.NodeClasses.PlanningFacts(item.Spec.NodeClassRef.Name)
		switch {
		case item.DeletionTimestamp != nil:
			p.NotReady, p.NotReadyReason = "it is being deleted", v1alpha1.ReasonTerminating
		case err != nil:
			p.NotReady, p.NotReadyReason = err.Error(), v1alpha1.ReasonNodeClassNotReady
		default:
			p.Zones, p.Architectures, p.Disk = facts.Zones, facts.Architectures, facts.Disk
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b plan.Provisioner) int { return cmp.Compare(a.Object.Name, b.Object.Name) })
	return list
}

// claims merges what the cache shows with what was created a moment ago.
func (m *Mirror) claims(items []v1alpha1.NodeClaim, expected map[string]expectation) []plan.Claim {
	list := make([]plan.Claim, 0, len(items)+len(expected))
	for _, item := range items {
		if _, was := expected[item.Name]; was {
			delete(expected, item.Name)
			m.Seen(item.Name)
		}
		leaving := item.DeletionTimestamp != nil || item.Status.Retire != nil
		list = append(list, plan.Claim{Object: item, Leaving: leaving})
	}
	for _, e := range expected {
		list = append(list, plan.Claim{Object: e.claim})
	}
	slices.SortFunc(list, func(a, b plan.Claim) int { return cmp.Compare(a.Object.Name, b.Object.Name) })
	return list
}

// podsByNode are the pods that hold a place on a node.
type podsByNode struct {
	bound     map[string][]*corev1.Pod
	nominated map[string][]*corev1.Pod // others make room for them there
}

// of answers the pods that hold, or will at once hold, a place on a node.
func (p podsByNode) of(node string) []*corev1.Pod {
	return slices.Concat(p.bound[node], p.nominated[node])
}

func byNode(pods []corev1.Pod) podsByNode {
	m := podsByNode{map[string][]*corev1.Pod{}, map[string][]*corev1.Pod{}}
	var expected []*corev1.Pod
	for i := range pods {
		p := &pods[i]
		switch {
		case p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed:
		case p.Spec.NodeName != "":
			m.bound[p.Spec.NodeName] = append(m.bound[p.Spec.NodeName], p)
		case demand.Expected(p) != "":
			expected = append(expected, p)
		case p.Status.NominatedNodeName != "" && p.DeletionTimestamp == nil: // whether it asks for a GPU or not
			m.nominated[p.Status.NominatedNodeName] = append(m.nominated[p.Status.NominatedNodeName], p)
		}
	}
	for _, p := range expected {
		if node := p.Status.NominatedNodeName; makesRoom(m.bound[node], p) {
			m.nominated[node] = append(m.nominated[node], p)
		}
	}
	return m
}

// makesRoom tells whether a node's pods are being preempted for one that Slipway had nominated there: then it is a preemption's nomination,
// though it names the same node. Slipway's own are given only where there is room.
func makesRoom(bound []*corev1.Pod, pod *corev1.Pod) bool {
	return slices.ContainsFunc(bound, func(victim *corev1.Pod) bool {
		return victim.DeletionTimestamp != nil && schedulinghelper.PodPriority(victim) < schedulinghelper.PodPriority(pod) &&
			slices.ContainsFunc(victim.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason == corev1.PodReasonPreemptionByScheduler
			})
	})
}
