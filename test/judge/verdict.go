package judge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// verdict is what kube-scheduler's plugins say of one decision.
type verdict struct {
	decision plan.Decision
	refused  []string // placements that kube-scheduler does not accept
	missed   []miss   // pods held for a constraint that have a place
}

// spoil changes what was gathered before it is planned with: a planted bug.
type spoil func(*plan.View)

// judge gathers the world, plans, and asks kube-scheduler about every answer.
func judge(ctx context.Context, w *world, seed uint64, bug spoil) (verdict, error) {
	view, err := w.view(ctx)
	if err != nil {
		return verdict{}, fmt.Errorf("gathering: %w", err)
	}
	if bug != nil {
		bug(&view)
	}
	decision, err := plan.Grow(view, plan.Policy{Steps: 300})
	if err != nil {
		return verdict{}, fmt.Errorf("planning: %w", err)
	}
	v := verdict{decision: decision}
	random := rand.New(rand.NewPCG(seed, 0x0b))
	for turn := range 3 {
		if err := v.turn(ctx, w, turn, random); err != nil || len(v.refused) > 0 {
			return v, err
		}
	}
	return v, nil
}

// turn asks about the decision when its claims have turned out to be what the turn makes of them.
func (v *verdict) turn(ctx context.Context, w *world, turn int, random *rand.Rand) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	b, err := newBinding(ctx, w, v.decision, choose(turn, random))
	if err != nil {
		return err
	}
	if v.refused, err = b.run(ctx, random); err != nil || len(v.refused) > 0 || turn > 0 {
		return err
	}
	v.missed, err = b.missed(ctx, w, v.decision)
	return err
}

// choose says which of its choices a claim turns out to be: the first, the last, any.
func choose(turn int, random *rand.Rand) func(n int) int {
	return func(n int) int {
		switch turn {
		case 0:
			return 0
		case 1:
			return n - 1
		}
		return random.IntN(n)
	}
}

// binding is the cluster after a decision was carried out, while kube-scheduler binds the pods.
type binding struct {
	*scheduler
	placed []placed
	chosen []string // what each claim turned out to be
}

// placed is a pod that waits and the node that it is to go to.
type placed struct {
	pod  *corev1.Pod
	node string
}

// newBinding materialises the decision: a node for each claim, with the pods of its DaemonSets on it.
func newBinding(ctx context.Context, w *world, decision plan.Decision, choose func(int) int) (*binding, error) {
	b := &binding{}
	objects := asObjects(slices.Concat(w.objects, ephemeralClaims(w)))
	nodeOf := map[string]string{} // by claim
	join := func(c *v1alpha1.NodeClaim) {
		if c.Status.NodeName != "" {
			nodeOf[c.Name] = c.Status.NodeName // and among the objects
			return
		}
		choice := c.Spec.Choices[choose(len(c.Spec.Choices))]
		if c.Status.InstanceType != "" {
			choice = v1alpha1.InstanceChoice{InstanceType: c.Status.InstanceType, Zone: c.Status.Zone}
		}
		n, driver := w.nodeOf(&c.Spec, choice, fresh+c.Name)
		nodeOf[c.Name] = n.Name
		b.chosen = append(b.chosen, fmt.Sprintf("%s is %s in %s", n.Name, choice.InstanceType, choice.Zone))
		objects = append(objects, n, driver)
	}
	each(w, join)
	for i := range decision.Create {
		join(&decision.Create[i])
	}
	var err error
	if b.scheduler, err = newScheduler(ctx, objects); err != nil {
		return nil, err
	}
	b.place(w, decision, nodeOf)
	return b, b.daemons(ctx, w, nodeOf)
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

// daemons come first: until a node shows its GPUs it is closed to everybody else. One that does not fit stays away.
func (b *binding) daemons(ctx context.Context, w *world, nodeOf map[string]string) error {
	for _, name := range slices.Sorted(maps.Values(nodeOf)) {
		if !strings.HasPrefix(name, fresh) {
			continue
		}
		if err := b.daemonsOn(ctx, w, name); err != nil {
			return err
		}
	}
	return nil
}

func (b *binding) daemonsOn(ctx context.Context, w *world, name string) error {
	for _, p := range daemonPods(w, b.node(name)) {
		switch err := b.fits(ctx, p, name); {
		case errors.Is(err, errPlugin):
			return err
		case err == nil:
			if err := b.bind(p, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *binding) place(w *world, decision plan.Decision, nodeOf map[string]string) {
	pods := map[types.UID]*corev1.Pod{}
	each(w, func(p *corev1.Pod) { pods[p.UID] = p })
	for _, p := range decision.Placed {
		node := p.Node
		if p.Claim != "" {
			node = nodeOf[p.Claim]
		}
		b.placed = append(b.placed, placed{pods[p.Pod], node})
	}
	for _, c := range decision.Create {
		for _, ref := range c.Spec.Pods {
			b.placed = append(b.placed, placed{pods[ref.UID], nodeOf[c.Name]})
		}
	}
}

// orders is how many orders are tried before a placement counts as refused. Most decisions are accepted in the first; where pods that one
// counts for a spread have none of their own, they can come too early.
const orders = 12

// run binds the placed pods one after another, each to its node, in whatever order is accepted. It answers what is refused in every order
// that was tried.
func (b *binding) run(ctx context.Context, random *rand.Rand) ([]string, error) {
	before := b.save()
	var refused []string
	for range orders {
		stuck, err := b.bindAll(ctx)
		if err != nil || len(stuck) == 0 {
			return nil, err
		}
		refused = nil
		for _, p := range stuck {
			refused = append(refused, fmt.Sprintf("pod %s/%s on %s: %s", p.pod.Namespace, p.pod.Name, p.node, b.why(ctx, p)))
		}
		if len(b.placed) > 1 {
			b.restore(before)
			random.Shuffle(len(b.placed), func(i, j int) { b.placed[i], b.placed[j] = b.placed[j], b.placed[i] })
		}
	}
	slices.Sort(refused)
	return append(refused, "where "+strings.Join(b.chosen, ", ")), nil
}

func (b *binding) why(ctx context.Context, p placed) string {
	if err := b.fits(ctx, p.pod, p.node); err != nil {
		return err.Error()
	}
	return "accepted"
}

// bindAll binds until nothing more is accepted, and answers the rest.
func (b *binding) bindAll(ctx context.Context) ([]placed, error) {
	rest := b.placed
	for progress := true; progress && len(rest) > 0; {
		progress = false
		var next []placed
		for _, p := range rest {
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
