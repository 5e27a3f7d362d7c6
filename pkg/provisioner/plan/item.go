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

// items makes the items of the asked demands, with the preferences among pods that are granted. What cannot be brought together is answered,
// too. Nobody is brought together with the absent.
func (g *growth) items(base *binpack.Problem, absent map[*demand.Demand]bool, granted map[softRule]bool) ([]item, []topology.Lonely) {
	h := g.hosts(base, granted)
	members := make([]topology.Member, len(g.asked))
	for i := range g.asked {
		n := &g.asked[i].demand.Neighbours
		members[i] = topology.Member{Count: len(g.asked[i].pods), Near: h.near[i], Chosen: n.Chosen, Absent: absent[g.asked[i].demand]}
	}
	companies, lonely := topology.Together(members, h)
	lonely = slices.DeleteFunc(lonely, func(l topology.Lonely) bool {
		if topology.NearHost(&g.asked[l.Member].demand.Neighbours) != "" {
			return false
		}
		companies = append(companies, topology.Company{Shares: []topology.Share{{Member: l.Member, Pods: 1}}, Count: l.Count}) // it was a wish
		return true
	})
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
	first := c.Shares[0].Member
	it.name = g.asked[first].demand.Key
	it.class = h.classes[first]
	if len(c.Shares) > 1 || c.Shares[0].Pods > 1 {
		it.name, it.class = h.together(c.Shares)
	} else {
		it.levels = g.favouring(it.levels, it.class.Preferred)
	}
	if c.Holding != "" {
		it.name += " beside " + string(c.Holding)
	}
	it.class.Count, it.class.First = c.Count, c.First
	return it
}

// together is the class of pods that share a node: what any of them asks, all do.
func (h *hosts) together(shares []topology.Share) (string, topology.Class) {
	name := ""
	var all topology.Class
	for i, s := range shares {
		d := h.asked[s.Member].demand
		c := h.classes[s.Member]
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
			before := all.SelectedAs
			all.SelectedAs = func(place, labels int) bool { return before(place, labels) && c.SelectedAs(place, labels) }
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
