package topology

import (
	"cmp"
	"slices"
)

// Part is a number of items of a class that go to one cell. A nil cell: anywhere that is allowed.
type Part struct {
	Class int
	Cell  *Cell
	Count int
}

// Left is a number of items of a class that no domain takes.
type Left struct {
	Class int
	Count int
	// Full are the cells whose domains would take them, and where there is no more room: none is usable, or Class.Caps or Class.Most
	// stops them.
	Full []*Cell
	// Blame is the rule in the way in most other cells; empty if none is.
	Blame Blame
	// Takes tells whether the domains of a place with these labels would take one, a place that is not in the World. It looks at
	// all that was dealt.
	Takes func(labels map[string]string) bool
}

// Dealt is what Deal decides.
type Dealt struct {
	Parts []Part // by class, then cell
	Left  []Left // by class
	table *table
}

// Misses tells whether buying a node at a place that does not stand brings about a domain that a spread of the classes has not counted, or
// only after pods had been dealt that it would have kept off.
func (d *Dealt) Misses(place int) bool {
	return slices.ContainsFunc(d.table.order, func(t *tally) bool {
		v := t.at[place]
		return v >= 0 && t.eligible.Has(place) && (!t.stands[v] || slices.Contains(t.late, v))
	})
}

// Deal decides how many items of each class go to which domains. With soft, preferences and soft spreads are asked for as well, and given up
// item by item where nothing else is left, the lightest first. The same arguments give the same answer. O(items x cells x rules).
func Deal(w *World, classes []Class, soft bool) *Dealt { return newDealer(w, classes, soft).deal() }

// DealFew deals by the same rules, but first to the cheapest domains and then to as few as a skew allows. Domains where something can be bought
// count for a skew from the beginning, so that a spread stays one though nobody is anywhere yet.
func DealFew(w *World, classes []Class, soft bool) *Dealt {
	d := newDealer(w, classes, soft)
	crowd := map[string]int{}
	for _, p := range d.players {
		p.few, p.crowd = true, crowd
		p.foresee()
	}
	return d.deal()
}

// Cells answers the names of the cells between which items of each class can be dealt; none where no rule makes a difference.
func Cells(w *World, classes []Class, soft bool) [][]string {
	names := make([][]string, len(classes))
	for i, p := range newDealer(w, classes, soft).players {
		for _, c := range p.cells {
			names[i] = append(names[i], c.Name)
		}
	}
	return names
}

// foresee counts the domains that the class may yet bring about.
func (p *player) foresee() {
	for i := range p.rules {
		for _, c := range p.cells {
			if v := c.at[p.rules[i].key]; p.rules[i].kind == spread && v >= 0 && !c.full() {
				p.rules[i].pods.open(v)
			}
		}
	}
}

func (d *dealer) deal() *Dealt {
	var left []Left
	for _, p := range d.ordered() {
		if len(p.keys) == 0 {
			continue
		}
		for n := range p.Count {
			if !d.one(p) {
				left = append(left, d.left(p, p.Count-n))
				break
			}
		}
	}
	slices.SortFunc(left, func(a, b Left) int { return cmp.Compare(a.Class, b.Class) })
	return &Dealt{Parts: d.parts(), Left: left, table: d.table}
}

type dealer struct {
	table   *table
	players []*player
}

func newDealer(w *World, classes []Class, soft bool) *dealer {
	d := &dealer{table: newTable(w)}
	for i, keys := range keysOf(classes, soft) {
		p := &player{Class: &classes[i], index: i, keys: keys}
		d.players = append(d.players, p)
		if len(keys) > 0 {
			p.cells, p.shut = w.cells(p.Class, keys)
			d.table.rulesOf(p, soft)
		}
	}
	byKey := map[string][]spreadTally{}
	seen := map[*tally]bool{}
	for _, p := range d.players {
		for i := range p.rules {
			r := &p.rules[i]
			if r.kind == spread && i < p.hard {
				r.pods.skew = min(r.pods.skew, r.skew)
			}
			if r.kind == spread && !seen[r.pods] {
				seen[r.pods] = true
				byKey[r.term.TopologyKey] = append(byKey[r.term.TopologyKey], spreadTally{r.pods, r.term.Selector})
			}
		}
	}
	for _, p := range d.players {
		d.table.connect(p)
		d.table.connectSpreads(p, byKey)
		d.follow(p)
	}
	return d
}

// follow notes at the tallies of required affinity what the class would make of each domain.
func (d *dealer) follow(p *player) {
	for i := range p.rules[:p.hard] {
		r := &p.rules[i]
		if r.kind != near {
			continue
		}
		if r.pods.followers == nil {
			r.pods.followers = make([]following, len(r.pods.values))
		}
		best := map[int]*Cell{}
		for _, c := range p.cells {
			if v := c.at[r.key]; v >= 0 && (best[v] == nil || c.cap < 0 || best[v].cap >= 0 && c.cap > best[v].cap) {
				best[v] = c
			}
		}
		for v, c := range best {
			n := p.Count
			if c.cap >= 0 {
				n = min(n, c.cap)
			}
			bought := max(0, n-c.room)
			r.pods.followers[v].pods += n
			r.pods.followers[v].cost.add(cost{bought*c.level + (n-bought)*c.stands, int64(bought) * c.price})
		}
	}
}

// ordered answers the classes in the order in which they are dealt: who must be near others after them; then who is the first of a kind; then who
// keeps others out of whole domains, while there is a choice; then those whom nothing binds but whom others count, so that these find out; higher
// priority first.
func (d *dealer) ordered() []*player {
	for _, p := range d.players {
		d.depth(p, map[*player]bool{})
	}
	list := slices.Clone(d.players)
	turn := func(p *player) int {
		switch {
		case p.First:
			return -1
		case slices.ContainsFunc(p.rules[:p.hard], func(r rule) bool { return r.kind == apart }):
			return 0
		case p.hard == 0:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(a, b *player) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(turn(a), turn(b)), -cmp.Compare(a.Priority, b.Priority),
			cmp.Compare(a.index, b.index))
	})
	return list
}

// depth is one more than that of the classes that it must be near, itself and those that must be near it left out.
func (d *dealer) depth(p *player, above map[*player]bool) int {
	if p.depth > 0 || above[p] {
		return p.depth
	}
	above[p] = true
	deepest := 0
	for i := range p.rules[:p.hard] {
		r := &p.rules[i]
		if r.kind != near || r.self > 0 {
			continue
		}
		for _, o := range d.players {
			if o.Chosen[r.term.Selector] > 0 && o != p {
				deepest = max(deepest, d.depth(o, above))
			}
		}
	}
	delete(above, p)
	p.depth = deepest + 1
	return p.depth
}

// one deals one item; false if no cell takes it.
func (d *dealer) one(p *player) bool {
	if p.Most >= 0 && p.total >= p.Most {
		return false
	}
	for rules := len(p.rules); rules >= p.hard; rules-- {
		if c := p.best(rules); c != nil {
			p.put(c, 1)
			return true
		}
	}
	return false
}

// rank is what makes one cell better than another, the smaller the better.
type rank struct {
	astray    int  // where an aim is set, the level, and whether this is another cell
	followers int  // whose affinity would be served, negative
	following cost // what they would cost
	thrift    cost // where that comes before balance
	company   int  // items of the class that are there already, negative, where few domains are wanted
	crowd     int  // items of any class, likewise: they may share nodes
	balance   int  // pods there already, by the spreads that count this class
	cost      cost
}

func compareRank(a, b rank) int {
	return cmp.Or(cmp.Compare(a.astray, b.astray), cmp.Compare(a.followers, b.followers), compareCost(a.following, b.following), compareCost(a.thrift, b.thrift),
		cmp.Compare(a.company, b.company), cmp.Compare(a.crowd, b.crowd), cmp.Compare(a.balance, b.balance), compareCost(a.cost, b.cost))
}

// best answers the best cell of those that take an item under the first so many rules; nil: none does.
func (p *player) best(rules int) *Cell {
	var best *Cell
	var lowest rank
	for _, c := range p.cells {
		if c.full() || p.broken(c.at, rules) != passes {
			continue
		}
		if r := p.rank(c); best == nil || compareRank(r, lowest) < 0 {
			best, lowest = c, r
		}
	}
	return best
}

func (p *player) rank(c *Cell) rank {
	r := rank{cost: c.cost()}
	if p.Aim != "" {
		r.astray = 2 * r.cost.level
		if c.Name != p.Aim {
			r.astray++
		}
	}
	if p.few {
		r.thrift, r.company, r.crowd = r.cost, -c.dealt, -p.crowd[c.Name]
	}
	for _, count := range p.counted {
		v := c.at[count.key]
		if v < 0 || count.pods.followers == nil || count.pods.loAll > 0 {
			continue
		}
		r.followers -= count.pods.followers[v].pods
		r.following.add(count.pods.followers[v].cost)
	}
	for i := range p.rules {
		if rule := &p.rules[i]; rule.kind == spread {
			if v := c.at[rule.key]; v >= 0 {
				r.balance += rule.pods.hi[v]
			}
		}
	}
	for _, w := range p.wishes {
		if v := c.at[w.key]; v >= 0 {
			r.balance += w.pods.hi[v]
		}
	}
	return r
}

func (d *dealer) parts() []Part {
	var parts []Part
	for _, p := range d.players {
		if len(p.keys) == 0 {
			parts = append(parts, Part{Class: p.index, Count: p.Count})
			continue
		}
		for _, c := range p.cells {
			if c.dealt > 0 {
				parts = append(parts, Part{Class: p.index, Cell: c, Count: c.dealt})
			}
		}
	}
	return parts
}
