package plan

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// Grow decides which claims to create for the View's demands, and which demands are held and why.
//
// An error is an internal fault (the solver's plan failed its own check): nothing may be acted upon.
func Grow(v View, policy Policy) (Decision, error) {
	g := newGrowth(canonical(v), policy.Foresight.withDefaults())
	g.setAside()
	problem := g.problem()
	g.expect(&problem)
	solved := binpack.Solve(problem, binpack.Policy{
		ToleranceMilli: cmp.Or(policy.ToleranceMilli, 100),
		MaxChoices:     min(cmp.Or(policy.MaxChoices, 20), 60),
		Steps:          policy.Steps,
	})
	if err := binpack.Check(problem, solved); err != nil {
		return Decision{}, fmt.Errorf("checking the plan for %d demands: %w", len(problem.Demands), err)
	}
	g.take(problem, solved)
	return g.decision, nil
}

// growth is one run of Grow.
type growth struct {
	view     *View
	limits   []limit
	pools    []pool
	offers   []offer
	daemons  []daemon
	bins     []bin
	waiting  []waiting
	learned  map[shapeKey]demand.Resources
	attached []corev1.ResourceName // in which demands count volumes
	// discouraged: taints of effect PreferNoSchedule are about.
	discouraged bool
	foresight   Foresight
	life        int64 // of a pod, in seconds; 0: not known
	decision    Decision
}

// waiting is a demand with those of its pods that still need a place.
type waiting struct {
	demand *demand.Demand
	pods   []demand.Pod
	levels []*demand.Matcher
}

func newGrowth(v *View, f Foresight) *growth {
	g := &growth{view: v, limits: ledger(v), learned: learned(v.Learned), attached: attachable(v.Demands), foresight: f, life: lifeSeconds(v)}
	g.pools = pools(v, referencedValues(v.Demands))
	g.offers = offers(v, g.pools)
	for _, d := range v.Daemons {
		g.daemons = append(g.daemons, daemon{requests: d.Requests, match: d.Select.Matcher(nil)})
	}
	g.bins = g.findBins()
	g.discouraged = g.discourages()
	return g
}

// setAside takes out the pods that the solver has no say in: those that ask for what is not understood, those that their scheduler
// refused to bind to the node that was bought for them, those that have been nominated to a node, and those that a claim on its way was
// bought for.
func (g *growth) setAside() {
	promised, nominated := g.promises(), g.nodeBins()
	for i := range g.view.Demands {
		d := &g.view.Demands[i]
		if because := notUnderstood(d); because != "" {
			g.hold(d, d.Pods, v1alpha1.HeldUnsupported, because)
			continue
		}
		w := waiting{demand: d, levels: g.levelsOf(&d.Select)}
		for _, pod := range d.Pods {
			refusal, refused := g.view.Refused[pod.UID]
			switch {
			case refused && refusal.Until.After(g.view.Now):
				g.hold(d, []demand.Pod{pod}, v1alpha1.HeldNotBound, fmt.Sprintf(
					"node %s was launched for this pod, and its scheduler did not bind it there: %s. See what keeps the pod off that node; "+
						"the next try is after %s", refusal.Node, refusal.Message, clock(refusal.Until)))
			case g.keep(accepting(nominated[pod.Nominated], w.levels), d, pod):
			case slices.ContainsFunc(promised[pod.UID], func(b *bin) bool { return g.keep(b, d, pod) }):
			default:
				w.pods = append(w.pods, pod)
			}
		}
		if len(w.pods) > 0 {
			g.waiting = append(g.waiting, w)
		}
	}
}

// promises maps each pod that a claim was bought for to the claim's bin. A pod may have been bought for twice (a node that its scheduler
// refused, and the next try): the claims on their way come first.
func (g *growth) promises() map[types.UID][]*bin {
	promised := map[types.UID][]*bin{}
	for i := range g.bins {
		b := &g.bins[i]
		if b.claim == nil {
			continue
		}
		for _, ref := range b.claim.Object.Spec.Pods {
			promised[ref.UID] = append(promised[ref.UID], b)
		}
	}
	return promised
}

// nodeBins are the bins that are nodes, by name. A pod whose scheduler was told to try one first is to be found there in the next decision,
// too: a nomination that wanders from node to node helps nobody.
func (g *growth) nodeBins() map[string]*bin {
	byName := make(map[string]*bin, len(g.bins))
	for i := range g.bins {
		if n := g.bins[i].node; n != nil {
			byName[n.Name] = &g.bins[i]
		}
	}
	return byName
}

// accepting answers the bin if it takes a pod with what is required of these levels, the last, and else nil.
func accepting(b *bin, levels []*demand.Matcher) *bin {
	if b == nil || !b.accepts(levels[len(levels)-1]) {
		return nil
	}
	return b
}

// keep places a pod on the bin that was promised to it, if it still has room. A nil bin has none.
func (g *growth) keep(b *bin, d *demand.Demand, pod demand.Pod) bool {
	if b == nil || !d.Requests.Fits(b.free) || b.neglected(g.view, []demand.Pod{pod}) {
		return false
	}
	b.free = b.free.Sub(d.Requests)
	g.place(b, pod)
	return true
}

func (g *growth) place(b *bin, pod demand.Pod) {
	p := Placed{Pod: pod.UID}
	if b.node != nil {
		p.Node = b.node.Name
	} else {
		p.Claim = b.claim.Object.Name
	}
	g.decision.Placed = append(g.decision.Placed, p)
}

// problem states the packing in numbers.
func (g *growth) problem() binpack.Problem {
	names := g.resourceNames()
	p := binpack.Problem{GPU: slices.Index(names, v1alpha1.ResourceGPU)}
	if p.GPU < 0 {
		p.GPU = slices.Index(names, v1alpha1.ResourceAMDGPU)
	}
	for _, n := range names {
		p.Resources = append(p.Resources, string(n))
	}
	for _, l := range g.limits {
		p.Limits = append(p.Limits, binpack.Limit{Name: l.provisioner + ": limits." + string(l.resource), Remaining: l.ceiling - l.used})
	}
	g.addOffers(&p, names)
	for i := range g.bins {
		p.Bins = append(p.Bins, binpack.Bin{Name: g.bins[i].name(), Free: vector(g.bins[i].free, names)})
	}
	for _, w := range g.waiting {
		p.Demands = append(p.Demands, binpack.Demand{
			Name: w.demand.Key, Count: len(w.pods), Size: vector(w.demand.Requests, names), Priority: w.demand.Priority,
			Levels: g.levels(w),
		})
	}
	return p
}

// addOffers lists the offers as shapes and offerings. Offers of one pool and type whose DaemonSets differ (by zone, say) are
// different shapes.
func (g *growth) addOffers(p *binpack.Problem, names []corev1.ResourceName) {
	type sizeKey struct {
		pool *pool
		kind string
		size string
	}
	shapes := map[sizeKey]int{}
	groups := map[string]int{}
	for i := range g.offers {
		o := &g.offers[i]
		size := vector(g.capacity(o), names)
		key := sizeKey{o.pool, o.kind.Name, fmt.Sprint(size)}
		shape, known := shapes[key]
		if !known {
			shape = len(p.Shapes)
			shapes[key] = shape
			p.Shapes = append(p.Shapes, binpack.Shape{Name: o.kind.Name, Capacity: size})
		}
		pool := fmt.Sprintf("%s/%02d", o.pool.provisioner.Object.Name, o.pool.variant)
		group := fmt.Sprintf("%s %s %s %d", pool, o.source.Market, o.kind.Architecture, o.kind.GPU.Count)
		if _, known := groups[group]; !known {
			groups[group] = len(groups)
		}
		price := o.source.PriceMicroUSDPerHour
		p.Offerings = append(p.Offerings, binpack.Offering{
			Name:                 pool + " " + o.source.OfferingKey.String(),
			Shape:                shape,
			PriceMicroUSDPerHour: price + price*(o.source.RiskMilli+g.overheadMilli(o.pool, o.kind.GPU.Count))/1000,
			Tier:                 o.pool.tier,
			Group:                groups[group],
			Stock:                o.source.Stock,
			Closed:               g.closed(o.source),
			Charges:              charges(g.limits, o.pool.provisioner.Object.Name, Usage(*o.kind, price)),
		})
	}
}

func (g *growth) closed(o *Offering) binpack.Reason {
	if o.Closed == "" || !o.Until.IsZero() && !o.Until.After(g.view.Now) {
		return binpack.Open
	}
	switch o.Closed {
	case v1alpha1.HeldQuota:
		return binpack.ReasonQuota
	case v1alpha1.HeldOutage:
		return binpack.ReasonOutage
	default:
		return binpack.ReasonStockout
	}
}

// levels computes which offers and bins each level of a demand accepts. Levels that accept the same are listed once.
func (g *growth) levels(w waiting) []binpack.Level {
	var list []binpack.Level
	var candidates []int
	for i := range g.offers {
		if g.offers[i].pool.suits(w.demand.Select.NodeSelector) {
			candidates = append(candidates, i)
		}
	}
	for _, l := range w.levels {
		next := binpack.Level{Offerings: binpack.NewSet(len(g.offers)), Bins: binpack.NewSet(len(g.bins))}
		for _, i := range candidates {
			if o := &g.offers[i]; l.Matches(o.labels, o.pool.taints) {
				next.Offerings.Add(i)
			}
		}
		for i := range g.bins {
			if g.bins[i].accepts(l) && !g.bins[i].neglected(g.view, w.pods) {
				next.Bins.Add(i)
			}
		}
		same := func(have binpack.Level) bool {
			return slices.Equal(have.Offerings, next.Offerings) && slices.Equal(have.Bins, next.Bins)
		}
		// The last level is what is required: it must stay last, so an equal earlier one gives way.
		list = append(slices.DeleteFunc(list, same), next)
	}
	return list
}

// resourceNames lists every resource that a demand asks for, sorted.
func (g *growth) resourceNames() []corev1.ResourceName {
	set := map[corev1.ResourceName]bool{}
	for _, w := range g.waiting {
		for name := range w.demand.Requests {
			set[name] = true
		}
	}
	return sortedKeys(set)
}

func vector(r demand.Resources, names []corev1.ResourceName) binpack.Vector {
	v := make(binpack.Vector, len(names))
	for i, n := range names {
		v[i] = max(0, r[n])
	}
	return v
}

// take turns the solver's plan into claims, places and held demands.
func (g *growth) take(p binpack.Problem, solved binpack.Plan) {
	next := make([]int, len(g.waiting)) // how many pods of each demand have been given a place
	pods := func(c binpack.Content) []demand.Pod {
		from := next[c.Demand]
		next[c.Demand] += c.Count
		return g.waiting[c.Demand].pods[from:next[c.Demand]]
	}
	for _, f := range solved.Fills {
		for _, c := range f.Contents {
			for _, pod := range pods(c) {
				g.place(&g.bins[f.Bin], pod)
			}
		}
	}
	specs := make([]v1alpha1.NodeClaimSpec, len(solved.Nodes))
	for i, n := range solved.Nodes {
		specs[i] = g.claimSpec(n.Offerings)
	}
	s := newSearch(g, &p, &solved, specs)
	for i, n := range solved.Nodes {
		s.rank(&n, &specs[i])
		for range n.Copies {
			var on []demand.Pod
			for _, c := range n.Contents {
				on = append(on, pods(c)...)
			}
			g.decision.Create = append(g.decision.Create, g.claim(specs[i], &g.offers[n.Offerings[0]], on, places(n.Expected)))
		}
		// Not what the solver answers: its prices are raised by what interruptions, starts and idling cost.
		g.decision.CostMicroUSDPerHour += int64(n.Copies) * g.offers[n.Offerings[0]].source.PriceMicroUSDPerHour
	}
	g.decision.ExpectedMicroUSDPerHour = solved.CostMicroUSDPerHour
	g.decision.LowerBoundMicroUSDPerHour = solved.LowerBoundMicroUSDPerHour
	for _, h := range solved.Held {
		s.holdSolved(g.waiting[h.Demand].demand, pods(binpack.Content{Demand: h.Demand, Count: h.Count}), h)
	}
	slices.SortFunc(g.decision.Placed, func(a, b Placed) int { return cmp.Compare(a.Pod, b.Pod) })
	slices.SortStableFunc(g.decision.Held, func(a, b Held) int {
		return cmp.Or(cmp.Compare(a.Demand, b.Demand), cmp.Compare(a.Reason, b.Reason))
	})
}
