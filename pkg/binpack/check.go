package binpack

import (
	"errors"
	"fmt"
	"slices"
)

// Check verifies a plan against its problem without the solver's code: it counts every pod, every resource of every node and bin, every
// limit and all stock anew. It answers nil, or everything that is wrong, joined. A plan that passes keeps every promise of Plan,
// Node and Held; that it is cheap is not checked. O(plan x offerings).
func Check(p Problem, plan Plan) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("checking a malformed problem: %w", err)
	}
	c := &checker{p: p, plan: plan, placed: make([]int, len(p.Demands)), held: make([]int, len(p.Demands)), expected: make([]int, len(p.Demands))}
	c.fills()
	c.nodes()
	c.limits()
	if len(c.errs) == 0 { // what follows takes indices and counts for granted
		c.conservation()
		c.gangs()
		c.heldOnes()
	}
	return errors.Join(c.errs...)
}

// place is somewhere with room: a bin, or a new node.
type place struct {
	free     Vector
	contents []Content
	usable   func(l Level) bool
}

type checker struct {
	p        Problem
	plan     Plan
	placed   []int // by Demand
	held     []int // by Demand
	expected []int // by Demand: places left for them
	room     []int64
	stock    []int
	places   []place
	errs     []error
}

func (c *checker) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// load checks that the contents are well-formed, allowed and within the capacity, and notes the place.
func (c *checker) load(where string, copies int, capacity Vector, contents []Content, usable func(Level) bool) {
	free := slices.Clone(capacity)
	for i, content := range contents {
		if content.Demand < 0 || content.Demand >= len(c.p.Demands) || content.Count < 1 || i > 0 && contents[i-1].Demand >= content.Demand {
			c.fail("%s: content %d is not a demand with a count, in order", where, i)
			return
		}
		d := &c.p.Demands[content.Demand]
		if !slices.ContainsFunc(d.Levels, usable) {
			c.fail("%s: %s may not be there at any level", where, d.Name)
		}
		for _, other := range contents[:i] {
			if c.apart(content.Demand, other.Demand) {
				c.fail("%s: %s and %s must not share it", where, d.Name, c.p.Demands[other.Demand].Name)
			}
		}
		if d.expected() {
			c.fail("%s: nobody waits for %s", where, d.Name)
		}
		if d.MaxPerNode > 0 && content.Count > d.MaxPerNode {
			c.fail("%s: %d of %s share a node, at most %d may", where, content.Count, d.Name, d.MaxPerNode)
		}
		for r := range free {
			free[r] -= d.Size[r] * int64(content.Count)
		}
		c.placed[content.Demand] += content.Count * copies
	}
	for r, q := range free {
		if q < 0 {
			c.fail("%s: %d %s too much", where, -q, c.p.Resources[r])
		}
	}
	c.places = append(c.places, place{free: free, contents: contents, usable: usable})
}

// apart tells whether one of two demands keeps away from the other.
func (c *checker) apart(a, b int) bool {
	return c.p.Demands[a].Apart.Has(b) || c.p.Demands[b].Apart.Has(a)
}

func (c *checker) fills() {
	seen := map[int]bool{}
	for i, f := range c.plan.Fills {
		if f.Bin < 0 || f.Bin >= len(c.p.Bins) || seen[f.Bin] || i > 0 && c.plan.Fills[i-1].Bin >= f.Bin || len(f.Contents) == 0 {
			c.fail("fill %d: bin %d does not exist, comes again or out of order, or gets nothing", i, f.Bin)
			return
		}
		seen[f.Bin] = true
		c.load("bin "+c.p.Bins[f.Bin].Name, 1, c.p.Bins[f.Bin].Free, f.Contents, func(l Level) bool { return l.Bins.Has(f.Bin) })
	}
	for b := range c.p.Bins {
		if !seen[b] {
			c.load("", 1, c.p.Bins[b].Free, nil, func(l Level) bool { return l.Bins.Has(b) })
		}
	}
}

func (c *checker) nodes() {
	var cost, worth int64
	for i, n := range c.plan.Nodes {
		if n.Copies < 1 || len(n.Offerings) == 0 || len(n.Contents) == 0 ||
			slices.ContainsFunc(n.Offerings, func(o int) bool { return o < 0 || o >= len(c.p.Offerings) }) {
			c.fail("node %d: wants copies, contents and offerings that exist", i)
			return
		}
		first := c.p.Offerings[n.Offerings[0]]
		cost += first.PriceMicroUSDPerHour * int64(n.Copies)
		c.ranking(n)
		every := func(l Level) bool {
			return !slices.ContainsFunc(n.Offerings, func(o int) bool { return !l.Offerings.Has(o) })
		}
		smallest := slices.Clone(c.p.Shapes[first.Shape].Capacity)
		for _, o := range n.Offerings {
			for r, q := range c.p.Shapes[c.p.Offerings[o].Shape].Capacity {
				smallest[r] = min(smallest[r], q)
			}
		}
		c.load("node "+first.Name, n.Copies, smallest, n.Contents, every)
		worth += c.roomLeft("node "+first.Name, n, smallest, every)
		if at := len(c.places) - 1; at >= 0 {
			// Another pod would go with the first choice; only contents must fit all of them.
			for r := range smallest {
				c.places[at].free[r] += c.p.Shapes[first.Shape].Capacity[r] - smallest[r]
			}
			c.places[at].usable = func(l Level) bool { return l.Offerings.Has(n.Offerings[0]) }
		}
	}
	if cost != c.plan.CostMicroUSDPerHour {
		c.fail("the nodes cost %d, the plan says %d", cost, c.plan.CostMicroUSDPerHour)
	}
	if worth != c.plan.WorthMicroUSDPerHour {
		c.fail("the room left is worth %d, the plan says %d", worth, c.plan.WorthMicroUSDPerHour)
	}
}

// ranking checks that the choices of a node may stand in for each other and are listed in order.
func (c *checker) ranking(n Node) {
	first := c.p.Offerings[n.Offerings[0]]
	for i, at := range n.Offerings {
		o := c.p.Offerings[at]
		if o.Group != first.Group || o.Tier != first.Tier {
			c.fail("node %s: %s is of another group or tier", first.Name, o.Name)
		}
		if o.Closed != Open || o.Stock == 0 {
			c.fail("node %s: %s is closed (%s) or sold out", first.Name, o.Name, o.Closed)
		}
		if slices.Contains(n.Offerings[:i], at) {
			c.fail("node %s: %s is listed twice", first.Name, o.Name)
		}
		if i < 2 {
			continue
		}
		before := c.p.Offerings[n.Offerings[i-1]]
		if before.PriceMicroUSDPerHour > o.PriceMicroUSDPerHour || before.PriceMicroUSDPerHour == o.PriceMicroUSDPerHour && before.Name > o.Name {
			c.fail("node %s: %s ranks before %s", first.Name, before.Name, o.Name)
		}
	}
}

// limits debits every node with the dearest charge among its choices, and, for what comes after, with the first choice's.
func (c *checker) limits() {
	c.room = make([]int64, len(c.p.Limits))
	c.stock = make([]int, len(c.p.Offerings))
	worst := make([]int64, len(c.p.Limits))
	for l := range c.p.Limits {
		c.room[l] = c.p.Limits[l].Remaining
		worst[l] = c.p.Limits[l].Remaining
	}
	for o := range c.p.Offerings {
		c.stock[o] = c.p.Offerings[o].Stock
	}
	charged := make([]bool, len(c.p.Limits))
	for _, n := range c.plan.Nodes {
		most := map[int]int64{}
		for i, at := range n.Offerings {
			if at < 0 || at >= len(c.p.Offerings) {
				return // nodes said so
			}
			for _, charge := range c.p.Offerings[at].Charges {
				most[charge.Limit] = max(most[charge.Limit], charge.Amount)
				if i == 0 {
					c.room[charge.Limit] -= charge.Amount * int64(n.Copies)
				}
			}
		}
		for l, amount := range most {
			worst[l] -= amount * int64(n.Copies)
			charged[l] = charged[l] || amount > 0
		}
		if first := n.Offerings[0]; c.p.Offerings[first].Stock >= 0 {
			if c.stock[first] -= n.Copies; c.stock[first] < 0 {
				c.fail("%d more of %s than there are", -c.stock[first], c.p.Offerings[first].Name)
			}
			for _, other := range c.p.Offerings[first].Shares {
				c.stock[other] -= n.Copies
			}
		}
	}
	for l := range worst {
		if charged[l] && worst[l] < 0 {
			c.fail("limit %s is exceeded by %d", c.p.Limits[l].Name, -worst[l])
		}
	}
}

func (c *checker) conservation() {
	for i, h := range c.plan.Held {
		if h.Demand < 0 || h.Demand >= len(c.p.Demands) || h.Count < 1 || i > 0 && c.plan.Held[i-1].Demand >= h.Demand {
			c.fail("held %d: demand %d does not exist, or comes again or out of order", i, h.Demand)
			return
		}
		c.held[h.Demand] += h.Count
	}
	for d := range c.p.Demands {
		want := c.p.Demands[d].Count
		if c.p.Demands[d].expected() {
			if c.expected[d] > want {
				c.fail("%s: room is left for %d, %d are expected", c.p.Demands[d].Name, c.expected[d], want)
			}
			want = 0
		}
		if c.placed[d]+c.held[d] != want {
			c.fail("%s: %d placed and %d held of %d", c.p.Demands[d].Name, c.placed[d], c.held[d], want)
		}
	}
}

func (c *checker) gangs() {
	placed, held := map[int]bool{}, map[int]bool{}
	for d := range c.p.Demands {
		if g := c.p.Demands[d].Gang; g != 0 {
			placed[g] = placed[g] || c.placed[d] > 0
			held[g] = held[g] || c.held[d] > 0
			if placed[g] && held[g] {
				c.fail("gang %d is torn at %s", g, c.p.Demands[d].Name)
			}
		}
	}
}
