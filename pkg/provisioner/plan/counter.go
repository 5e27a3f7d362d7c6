package plan

import (
	"maps"
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// counter is a spread over nodes, of all items that ask for it: how many chosen pods a node may have.
type counter struct {
	selector demand.SelectorKey
	skew     int   // the smallest that is asked for
	least    int   // pods that every node has that counts; 0 on a new one, and with one
	askers   []int // portions that ask, by index
	// counts tells whether what is bought at an offer is a node whose emptiness the askers see.
	counts func(offer int) bool
}

// perNode finds the spreads over nodes of the portions.
func (g *growth) perNode(s *stage, l *lessons) []counter {
	bySelector := map[demand.SelectorKey]*counter{}
	for i, p := range s.portions {
		for _, sp := range p.item.class.Spread {
			if sp.TopologyKey != topology.Hostname {
				continue
			}
			least := g.leastPerNode(p.item, sp)
			c := bySelector[sp.Selector]
			if c == nil {
				c = &counter{selector: sp.Selector, skew: int(sp.MaxSkew), least: least}
				bySelector[sp.Selector] = c
			}
			c.skew, c.least = min(c.skew, int(sp.MaxSkew)), min(c.least, least)
			c.askers = append(c.askers, i)
			earlier, class := c.counts, &p.item.class
			c.counts = func(o int) bool {
				return earlier != nil && earlier(o) || g.places.world.Eligible(class, sp, o)
			}
		}
	}
	var list []counter
	for _, selector := range slices.Sorted(maps.Keys(bySelector)) {
		c := bySelector[selector]
		if l.fresh[selector] {
			c.least = 0
		}
		list = append(list, *c)
	}
	return list
}

// leastPerNode remembers the minimum of an item's spread over the nodes that stand.
func (g *growth) leastPerNode(it *item, s demand.Spread) int {
	if it.least == nil {
		it.least = map[demand.Spread]int{}
	}
	n, known := it.least[s]
	if !known {
		n = g.places.world.LeastPerNode(&it.class, s)
		it.least[s] = n
	}
	return n
}

// count puts the spreads over nodes into the problem: as a bound on equal pods where one item is alone with its spread, else as a resource
// of which a new node has as much as the skew, a bin what is left of it, and each chosen pod takes one. Items that are counted and do not
// ask themselves keep apart from those that do, so that these do not bind them.
func (g *growth) count(s *stage, l *lessons) {
	s.counters = g.perNode(s, l)
	for _, c := range s.counters {
		asks := binpack.NewSet(len(s.portions))
		for _, i := range c.askers {
			asks.Add(i)
		}
		for i, p := range s.portions {
			if counted := p.item.class.Chosen[c.selector] > 0; counted && !asks.Has(i) {
				s.apart(i, asks)
			}
		}
		if !s.boundAlone(g, &c) {
			s.addResource(g, &c, asks)
		}
	}
}

// boundAlone writes the spread as MaxPerNode if one item asks, and each bin has room for as many of it as a new node, or for none.
func (s *stage) boundAlone(g *growth, c *counter) bool {
	it := s.portions[c.askers[0]].item
	each := it.class.Chosen[c.selector]
	if each == 0 || c.least > 0 {
		return false
	}
	for _, i := range c.askers {
		if s.portions[i].item != it {
			return false
		}
	}
	most, full := max(1, c.skew/each), binpack.NewSet(len(g.bins))
	for b := range g.bins {
		at := g.binAt(b)
		there := g.places.list[at].Lasting[c.selector]
		if there == 0 || !it.class.Allowed.Has(at) {
			continue
		}
		if there+each <= c.skew {
			return false
		}
		full.Add(b)
	}
	for _, i := range c.askers {
		d := &s.problem.Demands[i]
		if d.MaxPerNode == 0 || most < d.MaxPerNode {
			d.MaxPerNode = most
		}
		s.keepOff(i, full)
	}
	return true
}

// addResource adds a dimension to the problem. An item that asks and is not counted itself takes nothing of it, and keeps apart from
// those that are counted.
func (s *stage) addResource(g *growth, c *counter, asks binpack.Set) {
	p := &s.problem
	p.Resources = append(slices.Clip(p.Resources), "pods per node of "+string(c.selector))
	p.Shapes, p.Bins = slices.Clone(p.Shapes), slices.Clone(p.Bins)
	for i := range p.Shapes {
		p.Shapes[i].Capacity = append(slices.Clip(p.Shapes[i].Capacity), int64(c.skew))
	}
	room := make([]int, len(p.Bins))
	for b := range p.Bins {
		room[b] = c.least + c.skew - g.places.list[g.binAt(b)].Lasting[c.selector]
		p.Bins[b].Free = append(slices.Clip(p.Bins[b].Free), int64(max(0, room[b])))
	}
	for i := range p.Demands {
		d, each := &p.Demands[i], 0
		if asks.Has(i) {
			each = s.portions[i].item.class.Chosen[c.selector]
			if each == 0 {
				s.keepFrom(i, c, room)
			}
		}
		d.Size = append(slices.Clip(d.Size), int64(each))
	}
}

// keepFrom keeps an item that asks without being counted from bins and items with more counted pods than it bears.
func (s *stage) keepFrom(i int, c *counter, room []int) {
	over := binpack.NewSet(len(room))
	for b, left := range room {
		if left < 0 {
			over.Add(b)
		}
	}
	s.keepOff(i, over)
	counted := binpack.NewSet(len(s.portions))
	for o, p := range s.portions {
		if p.item.class.Chosen[c.selector] > 0 {
			counted.Add(o)
		}
	}
	s.apart(i, counted)
}

// keepOff keeps a portion off bins.
func (s *stage) keepOff(i int, bins binpack.Set) {
	if empty(bins) {
		return
	}
	levels := s.problem.Demands[i].Levels
	for l := range levels {
		levels[l].Bins = slices.Clone(levels[l].Bins)
		for b := range bins.All() {
			if levels[l].Bins.Has(b) {
				levels[l].Bins[b/64] &^= 1 << (b % 64)
			}
		}
	}
}

// apart keeps a portion from sharing nodes with others; its own index in the set bounds it to one per node.
func (s *stage) apart(i int, others binpack.Set) {
	d := &s.problem.Demands[i]
	if d.Apart == nil {
		d.Apart = binpack.NewSet(len(s.portions))
	} else {
		d.Apart = slices.Clone(d.Apart)
	}
	for word := range d.Apart {
		d.Apart[word] |= others[word]
	}
	if d.Apart.Has(i) {
		d.MaxPerNode = 1
		d.Apart[i/64] &^= 1 << (i % 64)
	}
}

// keepApart writes anti-affinity on nodes, and ports that clash, into the problem.
func (s *stage) keepApart() {
	chosen := map[demand.SelectorKey]binpack.Set{}
	chosenBy := func(selector demand.SelectorKey) binpack.Set {
		if set, known := chosen[selector]; known {
			return set
		}
		set := binpack.NewSet(len(s.portions))
		for i, p := range s.portions {
			if p.item.class.Chosen[selector] > 0 {
				set.Add(i)
			}
		}
		chosen[selector] = set
		return set
	}
	var withPorts []int
	for i, p := range s.portions {
		for _, t := range p.item.class.Apart {
			if t.TopologyKey == topology.Hostname {
				s.apart(i, chosenBy(t.Selector))
			}
		}
		for _, w := range p.item.class.Preferred {
			if w.Weight < 0 && w.TopologyKey == topology.Hostname && len(p.item.shares) == 1 {
				s.apart(i, chosenBy(w.Selector))
			}
		}
		if slices.ContainsFunc(p.item.asks, func(n *demand.Neighbours) bool { return len(n.Ports) > 0 }) {
			withPorts = append(withPorts, i)
		}
	}
	for _, i := range withPorts {
		clash := binpack.NewSet(len(s.portions))
		for _, o := range withPorts {
			if s.portions[i].item.portsClash(s.portions[o].item) {
				clash.Add(o)
			}
		}
		s.apart(i, clash)
	}
}

func (it *item) portsClash(o *item) bool {
	return slices.ContainsFunc(it.asks, func(a *demand.Neighbours) bool {
		return slices.ContainsFunc(o.asks, func(b *demand.Neighbours) bool { return topology.PortsClash(a.Ports, b.Ports) })
	})
}

// learnFresh notes spreads over nodes whose minimum a bought node brings down to 0; false if that makes no difference.
func (s *stage) learnFresh(solved binpack.Plan, l *lessons) bool {
	again := false
	for _, c := range s.counters {
		if c.least == 0 {
			continue
		}
		if slices.ContainsFunc(solved.Nodes, func(n binpack.Node) bool { return slices.ContainsFunc(n.Offerings, c.counts) }) {
			l.fresh[c.selector], again = true, true
		}
	}
	return again
}
