package plan

import (
	"cmp"
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// bound answers what no decision can cost less than that serves as many pods of each demand at the same preferences. The solver's own bound is
// about the domains that were dealt and the pods that were brought together; where that made a difference, the bound is one for the undealt packing.
func (g *growth) bound(a *answer, base binpack.Problem, policy binpack.Policy) int64 {
	if !a.narrowed || len(a.solved.Nodes) == 0 {
		return a.solved.LowerBoundMicroUSDPerHour
	}
	return binpack.LowerBound(g.undealt(base), g.plain(a), policy)
}

// undealt is the packing with those rules about neighbours only that bind every decision: whom the pods on a node keep off, and who shares no node
// with whom. Its demands are the asked ones.
func (g *growth) undealt(base binpack.Problem) binpack.Problem {
	s := &stage{problem: base}
	h := g.hosts(&base, nil)
	items := make([]item, len(g.asked))
	for i := range items {
		it := &items[i]
		*it = g.item(topology.Company{Shares: []topology.Share{{Member: i, Pods: 1}}, Count: len(g.asked[i].pods)}, h)
		it.class.Allowed = g.selectable(it, it.levels[len(it.levels)-1])
		s.portions = append(s.portions, portion{item: it, n: it.count})
		s.problem.Demands = append(s.problem.Demands, g.ask(s.portions[i], &waiting{}))
	}
	s.keepApart()
	return s.problem
}

// plain says of an answer what of each asked demand is where.
func (g *growth) plain(a *answer) binpack.Plan {
	index := make(map[*demand.Demand]int, len(g.asked))
	for i := range g.asked {
		index[g.asked[i].demand] = i
	}
	contents := func(list []binpack.Content) []binpack.Content {
		count := map[int]int{}
		for _, c := range list {
			w := &a.waiting[c.Demand]
			if len(w.owners) == 0 {
				count[index[w.demand]] += c.Count * w.unit
			}
			for _, owner := range w.owners {
				count[index[owner]] += c.Count
			}
		}
		all := make([]binpack.Content, 0, len(count))
		for d, n := range count {
			all = append(all, binpack.Content{Demand: d, Count: n})
		}
		slices.SortFunc(all, func(a, b binpack.Content) int { return cmp.Compare(a.Demand, b.Demand) })
		return all
	}
	var p binpack.Plan
	for _, f := range a.solved.Fills {
		p.Fills = append(p.Fills, binpack.Fill{Bin: f.Bin, Contents: contents(f.Contents)})
	}
	for _, n := range a.solved.Nodes {
		p.Nodes = append(p.Nodes, binpack.Node{Copies: n.Copies, Offerings: n.Offerings[:1], Contents: contents(n.Contents)})
	}
	return p
}

// narrowed tells whether the problem forbids what kube-scheduler may allow: another deal, other company, more pods on a node. What anti-affinity of
// pods that run keeps off is measured with care where a domain is not certain.
func (s *stage) narrowed(g *growth) bool {
	if s.dealt == nil {
		return false
	}
	away := func(t demand.Term) bool { return t.TopologyKey != topology.Hostname }
	return len(s.counters) > 0 || slices.ContainsFunc(g.places.list, func(p topology.Place) bool { return slices.ContainsFunc(p.Apart, away) }) ||
		slices.ContainsFunc(s.portions, func(p portion) bool {
			it := p.item
			return p.cell != nil || len(it.shares) > 1 || it.shares[0].Pods > 1 || it.holding != "" || len(it.class.Preferred) > 0
		})
}
