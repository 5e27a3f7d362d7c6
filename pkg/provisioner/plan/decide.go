package plan

import (
	"fmt"
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// answer is a packing, and what it is about.
type answer struct {
	problem binpack.Problem
	solved  binpack.Plan
	waiting []waiting // by demand of the problem
	left    []leftover
	// narrowed: the problem forbids what a legal decision may do, so that the solver's bound is one for it alone.
	narrowed bool
	bound    int64
}

// patientRounds is how many rounds try to deal anew what the solver could not place where it was dealt. After them such items are held.
const patientRounds = 6

// decide packs. Who had to be near pods on the same node that got no place themselves is packed once more without looking at those.
func (g *growth) decide(policy binpack.Policy) (answer, error) {
	best, err := g.gather(nil, policy)
	if err != nil {
		return answer{}, err
	}
	if absent := g.stranding(&best); len(absent) > 0 {
		other, err := g.gather(absent, policy)
		if err != nil {
			return answer{}, err
		}
		served := other.served()
		came := slices.ContainsFunc(g.asked, func(a asked) bool { return absent[a.demand] && served[a.demand] > 0 })
		if !came && other.unserved() < best.unserved() {
			best = other
		}
	}
	g.waiting = best.waiting
	return best, nil
}

// gather packs without preferences among pods, and then with those that cost nothing.
func (g *growth) gather(absent map[*demand.Demand]bool, policy binpack.Policy) (answer, error) {
	p := &packing{growth: g, base: g.base(), absent: absent, policy: policy, aims: map[string]string{}}
	best, err := p.cheapest()
	if err != nil {
		return answer{}, err
	}
	if best, err = p.aiming(best); err != nil {
		return answer{}, err
	}
	if len(best.solved.Nodes)+len(best.solved.Fills) > 0 {
		if best, err = p.pleasing(best); err != nil {
			return answer{}, err
		}
	}
	best.bound = g.bound(&best, p.base, policy)
	return best, nil
}

func (a *answer) unserved() int {
	n := 0
	for _, h := range a.solved.Held {
		n += h.Count * a.waiting[h.Demand].unit
	}
	for _, l := range a.left {
		n += len(l.pods)
	}
	return n
}

// packing is what one answer after the other is made from.
type packing struct {
	*growth
	base   binpack.Problem
	absent map[*demand.Demand]bool
	policy binpack.Policy
	few    bool // pods are dealt to few domains: see topology.DealFew
	// aims are the cells to which items go first, by the items' names: see topology.Class.
	aims map[string]string
}

// mostDealtTwice is how many items, in kinds, are dealt in a second way if that makes a difference: more of them fill domains evenly or not.
const mostDealtTwice = 256

// cheapest packs what is dealt evenly and, where a skew leaves a choice, what is dealt to few domains, and answers which serves more or is cheaper.
func (p *packing) cheapest() (answer, error) {
	items, lonely := p.items(&p.base, p.absent, nil)
	even, err := p.rounds(items, lonely)
	if err != nil || len(even.solved.Nodes) == 0 || !p.dealsOtherwise(items) {
		return even, err
	}
	p.few = true
	few, err := p.rounds(items, lonely)
	if err != nil {
		return answer{}, err
	}
	if few.better(&even) {
		return few, nil
	}
	p.few = false
	return even, nil
}

// dealsOtherwise tells whether the two ways of dealing differ.
func (p *packing) dealsOtherwise(items []item) bool {
	if !p.neighbourly || len(items) > mostDealtTwice {
		return false
	}
	classes := p.unlearnt(items)
	p.places.world.Open(binpack.NewSet(len(p.offers)))
	same := func(a, b topology.Part) bool {
		return a.Class == b.Class && a.Count == b.Count && (a.Cell == nil) == (b.Cell == nil) && (a.Cell == nil || a.Cell.Name == b.Cell.Name)
	}
	return !slices.EqualFunc(topology.Deal(p.places.world, classes, true).Parts, topology.DealFew(p.places.world, classes, true).Parts, same)
}

func classesOf(items []item) []topology.Class {
	classes := make([]topology.Class, len(items))
	for i := range items {
		classes[i] = items[i].class
	}
	return classes
}

// rounds deals and packs until what was packed is what was dealt.
func (p *packing) rounds(items []item, lonely []topology.Lonely) (answer, error) {
	l := lessons{
		caps: map[string]map[string]int{}, most: map[string]int{}, short: map[string]binpack.Reason{}, gaveUp: map[string]bool{},
		opened: binpack.NewSet(len(p.offers)), fresh: map[demand.SelectorKey]bool{},
	}
	for round := 0; ; round++ {
		s := p.stage(items, &l)
		solved := binpack.Solve(s.problem, p.policy)
		if err := binpack.Check(s.problem, solved); err != nil {
			return answer{}, fmt.Errorf("checking the plan for %d demands: %w", len(s.problem.Demands), err)
		}
		if !s.learn(solved, &l, round < patientRounds) {
			a := answer{problem: s.problem, solved: solved, waiting: s.waiting, left: s.left, narrowed: s.narrowed(p.growth)}
			for _, l := range lonely {
				from := &p.asked[l.Member]
				a.left = append(a.left, leftover{demand: from.demand, pods: from.pods[len(from.pods)-l.Count:], near: topology.NearHost(&from.demand.Neighbours), full: l.Full})
			}
			return a, nil
		}
	}
}

// stage is one round: the items as they were dealt, and the problem that comes of it.
type stage struct {
	problem  binpack.Problem
	waiting  []waiting
	portions []portion // by demand of the problem
	left     []leftover
	dealt    *topology.Dealt
	counters []counter
}

// portion is the items of one kind that go to one cell; nil: anywhere.
type portion struct {
	item *item
	cell *topology.Cell
	n    int
}

func (p *packing) stage(items []item, l *lessons) *stage {
	s, g := &stage{problem: p.base}, p.growth
	for i := range items {
		g.confine(&items[i], &p.base, l)
		items[i].class.Aim = p.aims[items[i].name]
	}
	if g.neighbourly {
		g.places.world.Open(l.opened)
		deal := topology.Deal
		if p.few {
			deal = topology.DealFew
		}
		s.dealt = deal(g.places.world, classesOf(items), true) // the classes have those preferences only that are granted
		for _, p := range s.dealt.Parts {
			s.add(portion{&items[p.Class], p.Cell, p.Count}, l)
		}
	} else {
		for i := range items {
			s.add(portion{item: &items[i], n: items[i].count}, l)
		}
	}
	g.hand(s, items, l)
	for i, p := range s.portions {
		s.problem.Demands = append(s.problem.Demands, g.ask(p, &s.waiting[i]))
	}
	if g.neighbourly {
		s.keepApart()
		g.count(s, l)
	}
	g.expect(&s.problem, s.waiting)
	return s
}

func (s *stage) add(p portion, l *lessons) {
	if p.n > 0 && !p.item.barred && !l.gaveUp[p.item.name] {
		s.portions = append(s.portions, p)
	}
}

// confine tells the item's class where it may go, and what earlier rounds say.
func (g *growth) confine(it *item, base *binpack.Problem, l *lessons) {
	if !g.neighbourly {
		return
	}
	if it.class.Allowed == nil {
		g.allow(it, base)
	}
	it.class.Caps, it.class.Most = l.caps[it.name], -1
	if n, told := l.most[it.name]; told {
		it.class.Most = n
	}
}

// hand gives each portion its pods, and what is left over its reason.
func (g *growth) hand(s *stage, items []item, l *lessons) {
	next := make([]int, len(g.asked))
	take := func(it *item, n int) waiting { return g.draw(it, n, next) }
	for _, p := range s.portions {
		w := take(p.item, p.n)
		w.item = p.item
		s.waiting = append(s.waiting, w)
	}
	if s.dealt == nil {
		return
	}
	leave := func(it *item, n int, why topology.Left) {
		w := take(it, n)
		for _, part := range w.byOwner(w.pods) {
			s.left = append(s.left, leftover{demand: part.demand, pods: part.pods, item: it, why: why, short: l.short[it.name], gaveUp: l.gaveUp[it.name]})
		}
	}
	for _, left := range s.dealt.Left {
		if it := &items[left.Class]; !it.barred && !l.gaveUp[it.name] {
			leave(it, left.Count, left)
		}
	}
	for i := range items {
		if it := &items[i]; it.barred || l.gaveUp[it.name] {
			leave(it, it.count, topology.Left{})
		}
	}
}

// draw takes the pods of the next n items; next counts for each asked demand those that have been taken.
func (g *growth) draw(it *item, n int, next []int) waiting {
	first := it.shares[0]
	w := waiting{demand: g.asked[first.Member].demand}
	if len(it.shares) == 1 {
		from := next[first.Member]
		next[first.Member] += n * first.Pods
		w.unit, w.pods = first.Pods, slices.Clip(g.asked[first.Member].pods[from:next[first.Member]])
		return w
	}
	for range n {
		w.unit = 0
		for _, share := range it.shares {
			from := next[share.Member]
			next[share.Member] += share.Pods
			w.unit += share.Pods
			w.pods = append(w.pods, g.asked[share.Member].pods[from:next[share.Member]]...)
		}
	}
	for _, share := range it.shares {
		for range share.Pods {
			w.owners = append(w.owners, g.asked[share.Member].demand)
		}
	}
	return w
}

// ask states a portion as a demand of the problem.
func (g *growth) ask(p portion, w *waiting) binpack.Demand {
	d := binpack.Demand{Name: p.item.name, Count: p.n, Size: p.item.size, Priority: p.item.class.Priority, Levels: p.item.levels}
	if !g.neighbourly {
		return d
	}
	allowed := p.item.class.Allowed
	if p.cell != nil {
		d.Name += " in " + p.cell.Name
		allowed = within(allowed, p.cell.Places)
	}
	d.Levels = nil
	for _, level := range p.item.levels {
		next := g.restrict(level, allowed)
		same := func(have binpack.Level) bool {
			return slices.Equal(have.Offerings, next.Offerings) && slices.Equal(have.Bins, next.Bins)
		}
		d.Levels = append(slices.DeleteFunc(d.Levels, same), next)
	}
	return d
}

func (g *growth) restrict(level binpack.Level, allowed binpack.Set) binpack.Level {
	next := binpack.Level{Offerings: binpack.NewSet(len(g.offers)), Bins: binpack.NewSet(len(g.bins))}
	for i := range level.Offerings {
		next.Offerings[i] = level.Offerings[i] & allowed[i]
	}
	for b := range g.bins {
		if level.Bins.Has(b) && allowed.Has(g.binAt(b)) {
			next.Bins.Add(b)
		}
	}
	return next
}
