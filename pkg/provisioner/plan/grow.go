package plan

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

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
	answer, err := g.decide(binpack.Policy{
		ToleranceMilli: cmp.Or(policy.ToleranceMilli, 100),
		MaxChoices:     min(cmp.Or(policy.MaxChoices, 20), 60),
		Steps:          policy.Steps,
	})
	if err != nil {
		return Decision{}, err
	}
	g.take(answer)
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
	learned  map[shapeKey]demand.Resources
	attached []corev1.ResourceName // in which demands count volumes
	// discouraged: taints of effect PreferNoSchedule are about.
	discouraged bool
	foresight   Foresight
	life        int64 // of a pod, in seconds; 0: not known
	// neighbourly: rules about neighbours may matter; else places stays empty.
	neighbourly bool
	places      landscape
	asked       []asked
	// Found once for all that have them in common: selections by their text; the offers that they accept; the offers that a size fits, by size.
	compiledBy map[string]*nodeChoice
	accepted   map[*nodeChoice]*accepted
	fitting    map[string]*fitting
	names      []corev1.ResourceName // what the first dimensions of the problem are
	waiting    []waiting             // by demand of the problem
	text       []byte                // scratch
	decision   Decision
}

// waiting is what one demand of the solver's problem stands for.
type waiting struct {
	item   *item
	demand *demand.Demand // of the first pod
	// pods in the order in which they get places. Unit of them share a place, and then owners are their demands, in their order.
	pods   []demand.Pod
	unit   int
	owners []*demand.Demand
}

func newGrowth(v *View, f Foresight) *growth {
	g := &growth{view: v, limits: ledger(v), learned: learned(v.Learned), attached: attachable(v.Demands), foresight: f, life: lifeSeconds(v),
		neighbourly: minds(v), compiledBy: map[string]*nodeChoice{}, accepted: map[*nodeChoice]*accepted{}, fitting: map[string]*fitting{}}
	g.pools = pools(v, referencedValues(v.Demands))
	g.offers = offers(v, g.pools)
	for _, d := range v.Daemons {
		g.daemons = append(g.daemons, daemon{requests: d.Requests, match: d.Select.Matcher(), about: d})
	}
	g.bins = g.findBins()
	g.discouraged = g.discourages()
	if g.neighbourly {
		g.findPlaces()
	}
	return g
}

// take turns the solver's plan into claims, places and held demands.
func (g *growth) take(a answer) {
	next := make([]int, len(g.waiting)) // how many pods of each demand have been given a place
	pods := func(c binpack.Content) []demand.Pod {
		w := &g.waiting[c.Demand]
		from := next[c.Demand]
		next[c.Demand] += c.Count * w.unit
		return w.pods[from:next[c.Demand]]
	}
	for _, f := range a.solved.Fills {
		for _, c := range f.Contents {
			for _, pod := range pods(c) {
				g.place(&g.bins[f.Bin], pod)
			}
		}
	}
	s := g.create(&a, pods)
	g.decision.ExpectedMicroUSDPerHour = a.solved.CostMicroUSDPerHour
	g.decision.LowerBoundMicroUSDPerHour = a.bound
	for _, h := range a.solved.Held {
		w := &g.waiting[h.Demand]
		for _, part := range w.byOwner(pods(binpack.Content{Demand: h.Demand, Count: h.Count})) {
			s.holdSolved(part.demand, part.pods, w.item, h)
		}
	}
	s.holdLeft(a.left)
	slices.SortFunc(g.decision.Placed, func(a, b Placed) int { return cmp.Compare(a.Pod, b.Pod) })
	slices.SortStableFunc(g.decision.Held, func(a, b Held) int {
		return cmp.Or(cmp.Compare(a.Demand, b.Demand), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
}

// create makes the claims of the new nodes, with pods for their contents, and answers a search of what they leave. What equal nodes have in
// common is found once for all of them.
func (g *growth) create(a *answer, pods func(binpack.Content) []demand.Pod) *search {
	specs := make([]v1alpha1.NodeClaimSpec, len(a.solved.Nodes))
	nodes := 0
	for i, n := range a.solved.Nodes {
		specs[i] = g.claimSpec(n.Offerings)
		nodes += n.Copies
	}
	s := newSearch(g, &a.problem, &a.solved, specs)
	g.decision.Create = slices.Grow(g.decision.Create, nodes)
	for i, n := range a.solved.Nodes {
		s.rank(&n, &specs[i])
		why := reasons(&specs[i], places(n.Expected))
		first := &g.offers[n.Offerings[0]]
		for range n.Copies {
			spec, moving := specs[i], false
			for _, c := range n.Contents {
				list := pods(c)
				moving = moving || len(spec.Pods) == 0 && list[0].Moving
				spec.Pods = appendRefs(spec.Pods, list)
			}
			spec.Why = why(len(spec.Pods), moving)
			g.decision.Create = append(g.decision.Create, g.claim(spec, first))
		}
		// Not what the solver answers: its prices are raised by what interruptions, starts and idling cost.
		g.decision.CostMicroUSDPerHour += int64(n.Copies) * first.source.PriceMicroUSDPerHour
	}
	return s
}

func appendRefs(refs []v1alpha1.PodRef, pods []demand.Pod) []v1alpha1.PodRef {
	refs = slices.Grow(refs, len(pods))
	for i := range pods {
		refs = append(refs, v1alpha1.PodRef{Namespace: pods[i].Namespace, Name: pods[i].Name, UID: pods[i].UID})
	}
	return refs
}

// byOwner divides pods of whole places by their demands, in the order of these.
func (w *waiting) byOwner(pods []demand.Pod) []asked {
	if len(w.owners) == 0 {
		return []asked{{demand: w.demand, pods: pods}}
	}
	var parts []asked
	for i, pod := range pods {
		owner := w.owners[i%w.unit]
		at := slices.IndexFunc(parts, func(a asked) bool { return a.demand == owner })
		if at < 0 {
			at = len(parts)
			parts = append(parts, asked{demand: owner})
		}
		parts[at].pods = append(parts[at].pods, pod)
	}
	return parts
}
