package plan

import (
	"fmt"
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// item is what goes onto a node as a whole: one pod of a demand, or pods of several demands that have to share a node.
type item struct {
	name    string
	shares  []topology.Share // of the asked demands
	count   int
	size    binpack.Vector
	levels  []binpack.Level // without what neighbours forbid
	class   topology.Class
	asks    []*demand.Neighbours // of its members
	holding demand.SelectorKey   // only bins that hold such a pod
	// barred: node selection leaves it places, the rules about neighbours none.
	barred bool
	least  map[demand.Spread]int // of its spreads over nodes: see topology.World.LeastPerNode
}

// items makes the items of the asked demands. What cannot be brought together is answered, too. Nobody is brought together with the absent.
func (g *growth) items(base *binpack.Problem, absent map[*demand.Demand]bool) ([]item, []topology.Lonely) {
	members := make([]topology.Member, len(g.asked))
	for i := range g.asked {
		n := &g.asked[i].demand.Neighbours
		members[i] = topology.Member{Count: len(g.asked[i].pods), Near: topology.NearHost(n), Chosen: n.Chosen, Absent: absent[g.asked[i].demand]}
	}
	h := &hosts{growth: g, base: base, levels: make([][]binpack.Level, len(g.asked)), sizes: make([]binpack.Vector, len(g.asked)),
		atMost: map[memberSpread]int{}}
	for i := range g.asked {
		h.levels[i], h.sizes[i] = g.levels(&g.asked[i]), vector(g.asked[i].demand.Requests, g.names)
	}
	companies, lonely := topology.Together(members, h)
	list := make([]item, 0, len(companies))
	byName := map[string]int{} // companies may have become equal on different ways
	for _, c := range companies {
		it := g.item(c, h)
		if same, known := byName[it.name]; known {
			list[same].count += it.count
			list[same].class.Count += it.count
			continue
		}
		byName[it.name] = len(list)
		list = append(list, it)
	}
	return list, lonely
}

func (g *growth) item(c topology.Company, h *hosts) item {
	it := item{shares: c.Shares, count: c.Count, size: h.size(c.Shares), holding: c.Holding, levels: h.levelsOf(c.Shares)}
	for _, s := range c.Shares {
		d := g.asked[s.Member].demand
		it.asks = append(it.asks, &d.Neighbours)
	}
	first := g.asked[c.Shares[0].Member].demand
	it.name = first.Key
	it.class = g.class(first)
	if len(c.Shares) > 1 || c.Shares[0].Pods > 1 {
		it.name, it.class = g.together(c.Shares)
	}
	if c.Holding != "" {
		it.name += " beside " + string(c.Holding)
	}
	it.class.Count = c.Count
	return it
}

// together is the class of pods that share a node: what any of them asks, all do.
func (g *growth) together(shares []topology.Share) (string, topology.Class) {
	name := ""
	var all topology.Class
	for i, s := range shares {
		d := g.asked[s.Member].demand
		c := g.class(d)
		if i == 0 {
			all = c
			all.Chosen = map[demand.SelectorKey]int{}
			name = fmt.Sprintf("%d of %s", s.Pods, d.Key)
		} else {
			name += fmt.Sprintf(" with %d of %s", s.Pods, d.Key)
			all.Spread = union(all.Spread, c.Spread)
			all.Near, all.Apart = union(all.Near, c.Near), union(all.Apart, c.Apart)
			all.Preferred = union(all.Preferred, c.Preferred)
			all.Priority = max(all.Priority, c.Priority)
			all.Selected, all.Tolerated = both(all.Selected, c.Selected), both(all.Tolerated, c.Tolerated)
		}
		for selector := range c.Chosen {
			all.Chosen[selector] += s.Pods
		}
	}
	return name, all
}

func union[T comparable](a, b []T) []T {
	list := slices.Clip(a)
	for _, x := range b {
		if !slices.Contains(a, x) {
			list = append(list, x)
		}
	}
	return list
}

func both(a, b func() binpack.Set) func() binpack.Set {
	return func() binpack.Set { return within(a(), b()) }
}

// within answers what is in both sets.
func within(a, b binpack.Set) binpack.Set {
	s := slices.Clone(a)
	for i := range s {
		if i < len(b) {
			s[i] &= b[i]
		} else {
			s[i] = 0
		}
	}
	return s
}
