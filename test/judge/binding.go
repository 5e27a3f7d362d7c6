package judge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// binding is the cluster while a decision comes true: nodes join, and kube-scheduler binds the pods.
type binding struct {
	*scheduler
	world  *world
	nodeOf map[string]string // by claim
	placed []placed
	bought []machine // for this decision; they join last
	chosen []string  // what each claim turned out to be
}

// placed is a pod that waits and the node that it is to go to.
type placed struct {
	pod  *corev1.Pod
	node string
}

// machine is a node that joins, and its storage driver; in a catalogue, also what is bought for it and by which Provisioner.
type machine struct {
	node     *corev1.Node
	driver   *storagev1.CSINode
	offering cloud.OfferingKey
	pool     string
}

// newBinding answers the world with a node for each claim that was on its way before the decision. choose says which of its choices a
// claim turns out to be.
func newBinding(ctx context.Context, w *world, decision plan.Decision, choose func(int) int) (*binding, error) {
	b := &binding{world: w, nodeOf: map[string]string{}}
	var err error
	if b.scheduler, err = newScheduler(ctx, asObjects(slices.Concat(w.objects, ephemeralClaims(w))), w.defaults); err != nil {
		return nil, err
	}
	each(w, func(c *v1alpha1.NodeClaim) {
		if c.Status.NodeName != "" && b.node(c.Status.NodeName) != nil {
			b.nodeOf[c.Name] = c.Status.NodeName // and among the objects
		} else if err == nil {
			err = b.join(ctx, b.machine(c, choose))
		}
	})
	for i := range decision.Create {
		b.bought = append(b.bought, b.machine(&decision.Create[i], choose))
	}
	b.place(decision)
	return b, err
}

func asObjects(list []client.Object) []runtime.Object {
	objects := make([]runtime.Object, len(list))
	for i := range list {
		objects[i] = list[i]
	}
	return objects
}

// fresh begins the names of nodes that have joined since the decision.
const fresh = "of-"

// machine is what a claim turns out to be.
func (b *binding) machine(c *v1alpha1.NodeClaim, choose func(int) int) machine {
	choice := c.Spec.Choices[choose(len(c.Spec.Choices))]
	if c.Status.InstanceType != "" {
		choice = v1alpha1.InstanceChoice{InstanceType: c.Status.InstanceType, Zone: c.Status.Zone}
	}
	n, driver := b.world.nodeOf(&c.Spec, choice, fresh+c.Name)
	b.nodeOf[c.Name] = n.Name
	b.chosen = append(b.chosen, fmt.Sprintf("%s is %s in %s", n.Name, choice.InstanceType, choice.Zone))
	return machine{node: n, driver: driver}
}

// join adds a node. The pods of its DaemonSets come first: until a node shows its GPUs it is closed to everybody else. One that does not fit
// stays away.
func (b *binding) join(ctx context.Context, m machine) error {
	b.see(m.node)
	b.see(m.driver)
	b.look()
	for _, p := range daemonPods(b.world, m.node) {
		switch err := b.fits(ctx, p, m.node.Name); {
		case errors.Is(err, errPlugin):
			return err
		case err == nil:
			if err := b.bind(p, m.node.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *binding) place(decision plan.Decision) {
	pods := map[types.UID]*corev1.Pod{}
	each(b.world, func(p *corev1.Pod) { pods[p.UID] = p })
	for _, p := range decision.Placed {
		node := p.Node
		if p.Claim != "" {
			node = b.nodeOf[p.Claim]
		}
		b.placed = append(b.placed, placed{pods[p.Pod], node})
	}
	for _, c := range decision.Create {
		for _, ref := range c.Spec.Pods {
			b.placed = append(b.placed, placed{pods[ref.UID], b.nodeOf[c.Name]})
		}
	}
}

// orders is how many orders are tried before a placement counts as refused.
//
// Orders matter because kube-scheduler counts only pods that are bound. A pod that counts for another's spread, but has none of its own, can
// come to a domain before the other domains have theirs, and make a skew that the one who minds it cannot bear until they have. The first
// of its kind must be bound before those that must be near it, and a pod that must come with a node of its own after that has joined. Slipway
// promises that its plan is accepted in the order in which it was dealt; who is refused in another tries again, as an unschedulable pod does
// whenever a pod is bound or a node joins. So a placement is refused only if no order is accepted. That most need no other than the
// plan's own is what tally.check asserts, so that luck with orders hides no bug.
//
// The first few are the likely ones: who was refused comes first, who minds a spread comes before who is only counted. The others are drawn.
const (
	orders = 100
	likely = 12
)

// run binds the placed pods one after another, each to its node, in whatever order is accepted, and answers what is refused in every
// order that was tried, and how many were. What was on its way before the decision joins before what is bought by it, and has taken its pods by
// then or has not: both are tried; so are worlds in which pods that were nominated before are bound first.
func (b *binding) run(ctx context.Context, random *rand.Rand) ([]string, int, error) {
	before := b.save()
	var refused []string
	for i := range orders {
		if i > 0 {
			b.restore(before)
		}
		if i%8 >= 4 {
			if err := b.bindNominated(ctx); err != nil {
				return nil, i + 1, err
			}
		}
		stuck, err := b.order(ctx, i%4 < 2, i%2 == 1)
		if err != nil || len(stuck) == 0 {
			return nil, i + 1, err
		}
		refused = nil
		for _, p := range stuck {
			refused = append(refused, fmt.Sprintf("pod %s/%s on %s: %v", p.pod.Namespace, p.pod.Name, p.node, b.fits(ctx, p.pod, p.node)))
		}
		if i >= likely || i%4 == 3 {
			random.Shuffle(len(b.placed), func(i, j int) { b.placed[i], b.placed[j] = b.placed[j], b.placed[i] })
		} else { // who came too late comes first
			b.placed = slices.Concat(stuck, slices.DeleteFunc(b.placed, func(p placed) bool { return slices.Contains(stuck, p) }))
		}
	}
	slices.Sort(refused)
	return append(refused, "where "+strings.Join(b.chosen, ", ")), orders, nil
}

// order binds the pods in their order, as often as something is accepted. patient: those whose node is there are bound before more nodes
// join. careful: who is only counted waits as long as one who minds can be bound. It answers those that are left.
func (b *binding) order(ctx context.Context, patient, careful bool) ([]placed, error) {
	rest := b.placed
	if careful {
		rest = slices.Clone(rest)
		slices.SortStableFunc(rest, func(x, y placed) int { return cmp.Compare(b.world.minds(y.pod), b.world.minds(x.pod)) })
	}
	if patient {
		var err error
		if rest, err = b.bindAll(ctx, rest, careful); err != nil {
			return nil, err
		}
	}
	for _, m := range b.bought {
		if err := b.join(ctx, m); err != nil {
			return nil, err
		}
	}
	return b.bindAll(ctx, rest, careful)
}

// minds is how many spreads bind a pod.
func (w *world) minds(p *corev1.Pod) int {
	n := 0
	for _, c := range w.spreads(p) {
		if c.WhenUnsatisfiable == corev1.DoNotSchedule {
			n++
		}
	}
	return n
}

// bindAll binds until nothing more is accepted, and answers the rest. careful: it begins anew with the first whenever one is bound.
func (b *binding) bindAll(ctx context.Context, rest []placed, careful bool) ([]placed, error) {
	for progress := true; progress && len(rest) > 0; {
		progress = false
		var next []placed
		for i, p := range rest {
			if careful && progress {
				next = append(next, rest[i:]...)
				break
			}
			if b.node(p.node) == nil {
				next = append(next, p)
				continue
			}
			err := b.fits(ctx, p.pod, p.node)
			if errors.Is(err, errPlugin) {
				return nil, fmt.Errorf("asking about pod %s on %s: %w", p.pod.Name, p.node, err)
			}
			if err != nil {
				next = append(next, p)
				continue
			}
			progress = true
			if err := b.bind(p.pod, p.node); err != nil {
				return nil, err
			}
		}
		rest = next
	}
	return rest, nil
}
