package nominate

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/act"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

const (
	// dropsMost is how often a scheduler may drop the nomination of a pod to one open node. It does so after an attempt that fails, which may
	// have been made before it saw the node open; more often means that it sees something that Slipway does not.
	dropsMost = 5
	// dropsWaiting bounds the dropped nominations that wait to be written again; the next decision finds what is above.
	dropsWaiting = 1000
	// memoryLasts is how long the place of a pod is remembered that is not in the decisions any more: the news of its binding comes late.
	memoryLasts = time.Minute
)

// Writer writes nominations; act.Nominations is one.
type Writer interface {
	Nominate(ctx context.Context, list []act.Nomination) (int, error)
}

// Meter counts what becomes of plans. It does not block. telemetry.Metrics is one.
type Meter interface {
	// Nominated: so many nominations were written, or taken back.
	Nominated(written, withdrawn int)
	// PodBound: a pod for which there was a plan was bound.
	PodBound(outcome string)
}

// Events tells users about their Provisioners. telemetry.Events is one.
type Events interface {
	PlanNotFollowed(provisioner client.Object, message string)
}

// Config is what a Nominator needs; everything but Off is required.
type Config struct {
	// Cache reads pods, nodes, claims and Provisioners from memory.
	Cache  client.Reader
	Writer Writer
	Meter  Meter
	Events Events
	Log    logr.Logger
	Now    func() time.Time
	// Off: nothing is nominated, and what was is taken back; whether pods are bound as planned is still counted.
	Off bool
}

// Validate tells what is missing.
func (c Config) Validate() error {
	if c.Cache == nil || c.Writer == nil || c.Meter == nil || c.Events == nil || c.Now == nil {
		return errors.New("nominate.Config: Cache, Writer, Meter, Events and Now are required")
	}
	return nil
}

// place is where the latest decision that knew a pod expects it.
type place struct {
	plan.Placed
	ref v1alpha1.PodRef
	at  time.Time // of that decision's View
}

// drops counts how often a pod's nomination to a node was dropped.
type drops struct {
	node  string
	times int
}

// Nominator nominates pods. Its methods may be called from many goroutines. What it keeps in memory only saves requests, but for the
// counts.
type Nominator struct {
	Config
	news     chan struct{}
	again    chan act.Nomination
	openings openings

	// lock guards what follows, but for the queue.
	lock    sync.Mutex
	latest  []change // of the latest decision, until they are written
	places  map[types.UID]place
	drops   map[types.UID]drops
	nodes   map[string]string // by claim: those that are opening or open, which a claim in the cache may not tell yet
	opened  map[string]bool   // those of them that this process has opened, which the cache may not show yet
	free    map[string]int64  // milli-GPUs that the latest View shows free on each node
	tallies tallies
	queue   *queue
}

// New answers a Nominator.
func New(c Config) (*Nominator, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Nominator{
		Config: c, news: make(chan struct{}, 1), again: make(chan act.Nomination, dropsWaiting),
		openings: openings{wait: make(chan struct{}, openingWait), turn: make(chan struct{}, openingAtOnce)},
		places:   map[types.UID]place{}, drops: map[types.UID]drops{}, nodes: map[string]string{}, opened: map[string]bool{},
		tallies: newTallies(c.Now), queue: newQueue(c.Now),
	}, nil
}

// Saw takes note of a pod that the cache shows, as it was before and as it is; before is nil for a new one, pod for one that is gone. It
// does not block.
func (n *Nominator) Saw(ctx context.Context, before, pod *corev1.Pod) {
	if pod == nil {
		n.queue.forget(before.UID, false)
		return
	}
	bound := before != nil && before.Spec.NodeName == "" && pod.Spec.NodeName != ""
	if bound {
		n.bound(ctx, before, pod)
	}
	if demand.Classify(pod) != demand.Ours {
		n.queue.forget(pod.UID, bound && demand.Classify(before) == demand.Ours)
		return
	}
	if before == nil {
		n.queue.see(pod, true)
		return
	}
	from := demand.Expected(before)
	// The condition goes with the field where it is Slipway that takes the nomination back.
	dropped := from != "" && demand.Expected(pod) == "" && demand.Marked(pod) == from
	n.queue.see(pod, dropped || demand.LastJudged(before) != demand.LastJudged(pod))
	if dropped {
		n.dropped(ctx, pod, from)
	}
}

// NeedLeaderElection is true: the leader decides.
func (n *Nominator) NeedLeaderElection() bool { return true }

// Follow takes note of a decision and the View that it was made for. It does not block: Start writes.
func (n *Nominator) Follow(v plan.View, d plan.Decision) {
	list := withdrawn(v)
	if !n.Off {
		list = changes(v, d)
	}
	n.lock.Lock()
	n.latest = list
	n.remember(v, d)
	n.lock.Unlock()
	select {
	case n.news <- struct{}{}:
	default:
	}
}

// remember notes where each pod is expected.
func (n *Nominator) remember(v plan.View, d plan.Decision) {
	for i := range d.Create {
		for _, ref := range d.Create[i].Spec.Pods {
			n.places[ref.UID] = place{plan.Placed{Pod: ref.UID, Claim: d.Create[i].Name}, ref, v.Now}
		}
	}
	placed := make(map[types.UID]plan.Placed, len(d.Placed))
	for _, p := range d.Placed {
		placed[p.Pod] = p
	}
	for i := range v.Demands {
		for _, pod := range v.Demands[i].Pods {
			if p, ok := placed[pod.UID]; ok && !pod.Moving {
				n.places[pod.UID] = place{p, v1alpha1.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}, v.Now}
			} else if n.places[pod.UID].at.Before(v.Now) {
				delete(n.places, pod.UID) // it is held
			}
		}
	}
	maps.DeleteFunc(n.places, func(_ types.UID, p place) bool { return v.Now.Sub(p.at) > memoryLasts })
	maps.DeleteFunc(n.drops, func(uid types.UID, _ drops) bool { _, waits := n.places[uid]; return !waits })
	claims := make(map[string]bool, len(v.Claims))
	for i := range v.Claims {
		claims[v.Claims[i].Object.Name] = true
	}
	maps.DeleteFunc(n.nodes, func(claim, node string) bool {
		if !claims[claim] {
			delete(n.opened, node)
		}
		return !claims[claim]
	})
	n.free = make(map[string]int64, len(v.Nodes))
	for i := range v.Nodes {
		n.free[v.Nodes[i].Name] = v.Nodes[i].Free[v1alpha1.ResourceGPU] + v.Nodes[i].Free[v1alpha1.ResourceAMDGPU]
	}
}

// Start writes what decisions ask for, and again what schedulers have dropped, until ctx ends. A decision that comes while another is being
// written waits for its turn, and the latest counts.
func (n *Nominator) Start(ctx context.Context) error {
	var both sync.WaitGroup
	both.Go(func() { n.followDecisions(ctx) })
	both.Go(func() { n.repeatDropped(ctx) })
	both.Wait()
	return nil
}

func (n *Nominator) followDecisions(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.news:
		}
		n.lock.Lock()
		list := n.latest
		n.latest = nil
		n.lock.Unlock()
		n.write(ctx, list)
	}
}

// repeatDropped writes dropped nominations again. The pod's place is free to all from when its scheduler has dropped it, so this does not
// wait for a decision.
func (n *Nominator) repeatDropped(ctx context.Context) {
	for {
		var list []act.Nomination
		select {
		case <-ctx.Done():
			return
		case one := <-n.again:
			list = append(list, one)
		}
		for more := true; more; {
			select {
			case one := <-n.again:
				list = append(list, one)
			default:
				more = false
			}
		}
		n.carryOut(ctx, list)
	}
}

// write carries changes out, those of pods that are still as the decision saw them.
func (n *Nominator) write(ctx context.Context, list []change) {
	var write []act.Nomination
	for _, c := range list {
		pod := n.pod(ctx, v1alpha1.PodRef{Namespace: c.pod.Namespace, Name: c.pod.Name, UID: c.pod.UID})
		if pod == nil || demand.Expected(pod) != c.pod.Nominated || c.to != "" && !n.worthwhile(pod, c.to) {
			continue
		}
		write = append(write, act.Nomination{Pod: pod, Node: c.to})
	}
	n.carryOut(ctx, write)
}

func (n *Nominator) carryOut(ctx context.Context, list []act.Nomination) {
	if len(list) == 0 {
		return
	}
	given := func(nomination act.Nomination) bool { return nomination.Node != "" }
	back := slices.DeleteFunc(slices.Clone(list), given)
	to := slices.DeleteFunc(slices.Clone(list), func(nomination act.Nomination) bool { return !given(nomination) })
	// What is taken back first may be room for what is given.
	withdrawn, err1 := n.Writer.Nominate(ctx, back)
	written, err2 := n.Writer.Nominate(ctx, to)
	n.Meter.Nominated(written, withdrawn)
	n.Log.V(1).Info("Nominated pods", "written", written, "withdrawn", withdrawn, "asked", len(list))
	if err := errors.Join(err1, err2); err != nil && ctx.Err() == nil {
		n.Log.Error(err, "Nominating pods; the next decision tries again", "failed", len(list)-written-withdrawn)
	}
}

// pod answers a pod that waits and is Slipway's, as the cache has it; nil: it is not there, bound, or another's business.
func (n *Nominator) pod(ctx context.Context, ref v1alpha1.PodRef) *corev1.Pod {
	pod := &corev1.Pod{}
	err := n.Cache.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, pod)
	if err != nil || pod.UID != ref.UID || demand.Classify(pod) != demand.Ours {
		return nil
	}
	return pod
}

// worthwhile tells whether a nomination of the pod has a chance: its scheduler heeds them, and has not dropped this one time and again.
func (n *Nominator) worthwhile(pod *corev1.Pod, node string) bool {
	n.lock.Lock()
	defer n.lock.Unlock()
	drop := n.drops[pod.UID]
	return !n.tallies.ignores(pod.Spec.SchedulerName) && (drop.node != node || drop.times < dropsMost)
}

// open tells whether a scheduler may put pods onto a node, as far as its gate goes.
func (n *Nominator) open(ctx context.Context, name string) bool {
	var node corev1.Node
	return n.Cache.Get(ctx, client.ObjectKey{Name: name}, &node) == nil && !node.Spec.Unschedulable
}

// dropped takes note of a pod whose nomination to a node has been taken away by somebody else, and has it written again if the pod is still
// expected there and the node is open: until then, Opening sees to it.
func (n *Nominator) dropped(ctx context.Context, pod *corev1.Pod, node string) {
	open := n.open(ctx, node)
	n.lock.Lock()
	expected, waits := n.places[pod.UID]
	if waits && open {
		drop := n.drops[pod.UID]
		if drop.node != node {
			drop = drops{node: node}
		}
		drop.times++
		n.drops[pod.UID] = drop
	}
	opened := open || n.opened[node]
	n.lock.Unlock()
	if !waits || !opened || n.Off || pod.Status.NominatedNodeName != "" || !n.worthwhile(pod, node) {
		return
	}
	if target, _ := n.target(ctx, expected); target == node {
		n.writeAgain(act.Nomination{Pod: pod, Node: node})
	}
}

// writeAgain has a nomination written. It does not block: there are decisions yet to come.
func (n *Nominator) writeAgain(lost act.Nomination) {
	select {
	case n.again <- lost:
	default:
	}
}
