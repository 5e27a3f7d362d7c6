package plan

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// asked is a demand with those of its pods that still need a place.
type asked struct {
	demand *demand.Demand
	pods   []demand.Pod
	sel    *nodeChoice
	levels []binpack.Level // found once, see growth.levels; nil: not yet
}

// promise is a pod that has been meant for a place.
type promise struct {
	asked, at int    // its demand and which of that demand's pods it is
	bins      []*bin // in the order in which they are tried
	placed    bool
}

// setAside takes out the pods that the solver has no say in: those that ask for what is not understood, those that their scheduler
// refused to bind to the node that was bought for them, those that have been nominated to a node, and those that a claim on its way was
// bought for.
func (g *growth) setAside() {
	promised, nominated := g.promises(), g.nodeBins()
	var all []asked
	var promises []promise
	for i := range g.view.Demands {
		d := &g.view.Demands[i]
		if because := d.Unsupported; because != "" {
			g.hold(d, d.Pods, v1alpha1.HeldUnsupported, because)
			continue
		}
		a := asked{demand: d, pods: g.bindable(d), sel: g.compiled(&d.Select)}
		for at := range a.pods {
			meant := promised[a.pods[at].UID]
			if b := accepting(nominated[a.pods[at].Nominated], a.sel); b != nil {
				meant = append([]*bin{b}, slices.DeleteFunc(slices.Clone(meant), func(m *bin) bool { return m == b })...)
			}
			if len(meant) > 0 {
				promises = append(promises, promise{asked: len(all), at: at, bins: meant})
			}
		}
		all = append(all, a)
	}
	g.keepAll(all, promises)
	if g.neighbourly {
		g.places.world = topology.NewWorld(g.places.list) // with those who were kept
	}
	for i, placed := range placedOf(promises) {
		all[i].pods = without(all[i].pods, placed)
	}
	for _, a := range all {
		if len(a.pods) > 0 {
			g.asked = append(g.asked, a)
		}
	}
}

// bindable answers the pods of a demand but those that their scheduler refused, which it holds. Nobody may change them.
func (g *growth) bindable(d *demand.Demand) []demand.Pod {
	if len(g.view.Refused) == 0 {
		return slices.Clip(d.Pods)
	}
	var list []demand.Pod
	for _, pod := range d.Pods {
		refusal, refused := g.view.Refused[pod.UID]
		if !refused || !refusal.Until.After(g.view.Now) {
			list = append(list, pod)
			continue
		}
		g.hold(d, []demand.Pod{pod}, v1alpha1.HeldNotBound, fmt.Sprintf(
			"node %s was launched for this pod, and its scheduler did not bind it there: %s. See what keeps the pod off that node; "+
				"the next try is after %s", refusal.Node, refusal.Message, clock(refusal.Until)))
	}
	return list
}

// placedOf answers which pods of each demand went where they were meant to go.
func placedOf(promises []promise) map[int]map[int]bool {
	placed := map[int]map[int]bool{}
	for _, p := range promises {
		if p.placed {
			if placed[p.asked] == nil {
				placed[p.asked] = map[int]bool{}
			}
			placed[p.asked][p.at] = true
		}
	}
	return placed
}

func without(pods []demand.Pod, placed map[int]bool) []demand.Pod {
	list := make([]demand.Pod, 0, len(pods)-len(placed))
	for at := range pods {
		if !placed[at] {
			list = append(list, pods[at])
		}
	}
	return list
}

// queue is promises of one demand that are for bins in the same domains: what keeps one of them off these keeps all.
type queue struct {
	asked    int
	promises []*promise
}

// queues puts promises into queues, in the order in which these begin. A promise for several bins is one by itself.
func (g *growth) queues(keeper *topology.Keeper, promises []promise) []queue {
	type key struct {
		asked   int
		domains string
	}
	var list []queue
	at := map[key]int{}
	for i := range promises {
		p := &promises[i]
		k := key{asked: p.asked}
		if keeper != nil && len(p.bins) == 1 {
			k.domains = keeper.Domains(p.asked, g.binAt(p.bins[0].index))
		}
		q, known := at[k]
		if !known || keeper != nil && len(p.bins) > 1 {
			q = len(list)
			list = append(list, queue{asked: p.asked})
			at[k] = q
		}
		list[q].promises = append(list[q].promises, p)
	}
	return list
}

// keepAll leaves pods where they were meant to go if there is room and their neighbours allow it. Who waits for another to come first (by
// affinity, or to keep a skew small) gets a further try when somebody was placed.
func (g *growth) keepAll(all []asked, promises []promise) {
	keeper := g.keeper(all)
	queues := g.queues(keeper, promises)
	for again := true; again; {
		again = false
		for i := range queues {
			q := &queues[i]
			before := len(q.promises)
			q.promises = g.keepSome(keeper, &all[q.asked], q.promises)
			again = again || keeper != nil && len(q.promises) < before
		}
	}
}

// keepSome places those promises of a queue that can be kept now, and answers those that may be later: room only gets less.
func (g *growth) keepSome(keeper *topology.Keeper, of *asked, promises []*promise) []*promise {
	var later []*promise
	for i, p := range promises {
		pod := of.pods[p.at]
		p.bins = slices.DeleteFunc(p.bins, func(b *bin) bool { return !g.keep(b, of.demand, pod) })
		joins := func(b *bin) bool { return keeper == nil || keeper.Join(p.asked, g.binAt(b.index)) }
		if at := slices.IndexFunc(p.bins, joins); at >= 0 {
			p.bins[at].free = p.bins[at].free.Sub(of.demand.Requests)
			g.place(p.bins[at], pod)
			p.placed = true
			continue
		}
		if len(p.bins) == 0 {
			continue
		}
		if later = append(later, p); len(p.bins) == 1 && keeper.Closed(p.asked, g.binAt(p.bins[0].index)) {
			return append(later, promises[i+1:]...) // nobody is tried who would fail alike
		}
	}
	return later
}

// keeper knows the rules about neighbours; nil if there are none.
func (g *growth) keeper(all []asked) *topology.Keeper {
	if !g.neighbourly {
		return nil
	}
	classes := make([]topology.Class, len(all))
	asks := make([]*demand.Neighbours, len(all))
	for i := range all {
		d := all[i].demand
		asks[i] = &d.Neighbours
		classes[i] = g.class(d)
	}
	return topology.NewKeeper(g.places.world, classes, asks)
}

// class says what a demand asks of its neighbours.
func (g *growth) class(d *demand.Demand) topology.Class {
	n := &d.Neighbours
	c := topology.Class{
		Count: 1, Priority: d.Priority, Most: -1, Spread: n.Spread, Near: n.Near, Apart: n.Apart, Preferred: n.Preferred,
		Chosen: make(map[demand.SelectorKey]int, len(n.Chosen)),
	}
	for _, selector := range n.Chosen {
		c.Chosen[selector] = 1
	}
	c.Selected = func() binpack.Set { return g.selecting(d) }
	c.Tolerated = func() binpack.Set { return g.tolerating(d) }
	c.SelectedAs = func(place, labels int) bool { return g.selectingAs(d, place, labels) }
	return c
}

// minds tells whether any rule about neighbours may matter to the View.
func minds(v *View) bool {
	for i := range v.Demands {
		n := &v.Demands[i].Neighbours
		if len(n.Chosen)+len(n.Spread)+len(n.Near)+len(n.Apart)+len(n.Preferred)+len(n.Ports) > 0 {
			return true
		}
	}
	return false
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

// accepting answers the bin if it takes a pod with what is required, and else nil.
func accepting(b *bin, sel *nodeChoice) *bin {
	if b == nil || !b.accepts(sel.required) {
		return nil
	}
	return b
}

// keep tells whether a pod may go to the bin that it was meant for, as far as room goes.
func (g *growth) keep(b *bin, d *demand.Demand, pod demand.Pod) bool {
	return d.Requests.Fits(b.free) && !b.neglected(g.view, []demand.Pod{pod})
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
