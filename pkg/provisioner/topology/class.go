package topology

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// Class is a number of equal items to be dealt: an item is a pod, or several that share a node.
type Class struct {
	Count    int
	Priority int32
	// First: others that count its pods, or that these count, are bound after it.
	First bool
	// Chosen is how many pods of one item each selector chooses.
	Chosen map[demand.SelectorKey]int
	// Spread, Near, Apart and Preferred are what its pods ask; those about single nodes are not looked at here.
	Spread    []demand.Spread
	Near      []demand.Term
	Apart     []demand.Term
	Preferred []demand.Preference
	// Allowed are the places that the pods accept; Usable those of them that an item would fit on now.
	Allowed, Usable binpack.Set
	// Selected are the places that node affinity accepts, Tolerated those whose taints are tolerated. Asked only if a spread looks at them.
	Selected, Tolerated func() binpack.Set
	// SelectedAs tells whether node affinity accepts a place of Selected if it turns out to have the label set of that index. Asked only of
	// places that have several.
	SelectedAs func(place, labels int) bool
	// Price of one item on what can be bought, at least; what stands costs nothing. Room is how many items a place takes; negative: any number.
	Price func(place int) int64
	Room  func(place int) int
	// Level is how far down the pods' preferences about nodes a place is, 0 the best; nil: all are alike.
	Level func(place int) int
	// Most bounds the items that are dealt in all, and Caps those dealt to a cell, by name: what the solver could place before. A negative
	// Most is no bound.
	Most int
	Caps map[string]int
	// Aim is the name of the cell to which items are dealt first, of those at the same Level, as far as the rules let them; empty: none.
	Aim string
}

// Cell is a choice of one domain for each key that matters to a class.
type Cell struct {
	Name    string // the domains, joined
	Values  []string
	Places  binpack.Set // the class's allowed places there
	at      []int       // by key of the class: index of the value; absent if its places have none
	room    int         // on what stands; negative: any number
	price   int64       // of an item on what can be bought, of that at the best level; 0: nothing can be
	level   int         // the best of what can be bought
	stands  int         // the best level of what stands
	cap     int         // negative: none
	dealt   int
	covered map[*tally]cover
}

type cover uint8

const (
	none cover = iota
	partly
	wholly
)

// kind of a rule.
type kind uint8

const (
	spread kind = iota
	near
	apart
)

// rule is a constraint of a class on domains.
type rule struct {
	kind       kind
	term       demand.Term
	key        int // index in the class's keys
	pods       *tally
	kin        []*tally // of affinity: see table.kin
	self       int      // pods of an item that the rule's selector chooses
	skew       int
	minDomains int
	weight     int // 0: required; else the lightest give way first, and soft spreads last
}

// player is a class in the course of dealing.
type player struct {
	*Class
	index   int
	keys    []string
	cells   []*Cell
	shut    []*Cell // see World.cells
	rules   []rule  // required first, then heaviest first
	hard    int     // how many rules are required
	depth   int     // of its dependencies
	total   int
	few     bool           // see DealFew
	crowd   map[string]int // items of all classes by name of their cell; kept if few
	counted []counting     // tallies that count its pods
	lookers []counting     // spread tallies on its keys, whose domains it brings about
	repels  []counting     // by own anti-affinity
	repeled []counting     // anti-affinity of others that is about its pods
	wishes  []counting     // spreads of others that count its pods: it had better be balanced
}

// counting is a tally, the key of the class that it is about, and how many pods of an item it counts.
type counting struct {
	pods *tally
	key  int
	n    int
}

// keysOf answers the keys whose domains matter to each class: those of its own rules, and those on which rules of others count its pods.
func keysOf(classes []Class, soft bool) [][]string {
	watched := map[demand.SelectorKey]map[string]bool{}
	watch := func(t demand.Term) {
		if t.TopologyKey == Hostname {
			return
		}
		if watched[t.Selector] == nil {
			watched[t.Selector] = map[string]bool{}
		}
		watched[t.Selector][t.TopologyKey] = true
	}
	for i := range classes {
		classes[i].terms(soft, watch)
	}
	keys := make([][]string, len(classes))
	for i := range classes {
		set := map[string]bool{}
		classes[i].terms(soft, func(t demand.Term) {
			if t.TopologyKey != Hostname {
				set[t.TopologyKey] = true
			}
		})
		for selector := range classes[i].Chosen {
			maps.Copy(set, watched[selector])
		}
		keys[i] = slices.Sorted(maps.Keys(set))
	}
	return keys
}

// terms calls f with each term of the class.
func (c *Class) terms(soft bool, f func(demand.Term)) {
	for _, s := range c.Spread {
		if soft || !s.Soft {
			f(s.Term)
		}
	}
	for _, t := range c.Near {
		f(t)
	}
	for _, t := range c.Apart {
		f(t)
	}
	if soft {
		for _, p := range c.Preferred {
			f(p.Term)
		}
	}
}

// required answers the keys that a place must have for the class: those of its required spreads and affinity.
func (c *Class) required() map[string]bool {
	set := map[string]bool{}
	for _, s := range c.Spread {
		if !s.Soft {
			set[s.TopologyKey] = true
		}
	}
	for _, t := range c.Near {
		set[t.TopologyKey] = true
	}
	return set
}

// Admits answers those of a set of places that have every label which the class's required rules need, and whose domains hold no pod that keeps
// these pods off by anti-affinity. Rules about single nodes are not looked at: see Place.Refuses.
func (w *World) Admits(c *Class, set binpack.Set) binpack.Set {
	var must []*column
	for _, key := range slices.Sorted(maps.Keys(c.required())) {
		if key != Hostname {
			must = append(must, w.column(key))
		}
	}
	if len(must) == 0 && len(w.repels) == 0 {
		return set
	}
	admitted := binpack.NewSet(len(w.places))
	for i := range w.places {
		lacks := func(col *column) bool { return col.at[i] < 0 }
		if set.Has(i) && !slices.ContainsFunc(must, lacks) && !w.repelled(c.Chosen, i) {
			admitted.Add(i)
		}
	}
	return admitted
}

// cells divides the class's allowed places by the domains of its keys. A place whose domain is not certain is in none. Nobody is dealt to a
// shut cell: none of its places is usable. Both sorted by name. O(usable places + domains x words of a set).
func (w *World) cells(c *Class, keys []string) (open, shut []*Cell) {
	must := c.required()
	for _, domains := range w.partition(keys) {
		if slices.ContainsFunc(domains.absent, func(key string) bool { return must[key] }) {
			continue
		}
		cell := &Cell{Name: domains.name, Values: domains.values, Places: both(domains.places, c.Allowed), at: domains.at, covered: map[*tally]cover{}}
		switch usable := both(domains.places, c.Usable); {
		case usable.Any():
			cell.offer(c, both(usable, w.standing), usable)
			cell.cap = cell.bound(c)
			open = append(open, cell)
		case cell.Places.Any():
			shut = append(shut, cell)
		}
	}
	return open, shut
}

// domains is a choice of one domain for each of some keys, with all places there. Nobody changes it: cells of classes share what they can.
type domains struct {
	name   string
	values []string
	at     []int    // by key
	absent []string // the keys that its places do not have
	places binpack.Set
}

// partition divides all places by their domains of the keys, those that are not certain left out. Sorted by name. It is done once for each
// list of keys.
func (w *World) partition(keys []string) []*domains {
	print := strings.Join(keys, ",") // which no key has in it
	if known, ok := w.partitions[print]; ok {
		return known
	}
	columns := make([]*column, len(keys))
	for k, key := range keys {
		columns[k] = w.column(key)
	}
	byValue := map[string]*domains{}
	at, value := make([]int, len(keys)), []byte(nil)
	for place := range w.places {
		value = value[:0]
		for k := range keys {
			at[k] = columns[k].at[place]
			value = append(value, byte(at[k]), byte(at[k]>>8), byte(at[k]>>16))
		}
		if slices.Contains(at, unsure) {
			continue
		}
		d := byValue[string(value)]
		if d == nil {
			d = newDomains(columns, keys, at, len(w.places))
			byValue[string(value)] = d
		}
		d.places.Add(place)
	}
	list := slices.SortedFunc(maps.Values(byValue), func(a, b *domains) int { return cmp.Or(strings.Compare(a.name, b.name), slices.Compare(a.at, b.at)) })
	w.partitions[print] = list
	return list
}

func newDomains(columns []*column, keys []string, at []int, places int) *domains {
	d := &domains{at: slices.Clone(at), places: binpack.NewSet(places)}
	for k, v := range at {
		value := "-" // no label has that value
		if v >= 0 {
			value = columns[k].values[v]
		} else {
			d.absent = append(d.absent, keys[k])
		}
		d.values = append(d.values, value)
	}
	d.name = strings.Join(d.values, "/")
	return d
}

// both answers what is in both sets.
func both(a, b binpack.Set) binpack.Set {
	s := make(binpack.Set, len(a))
	for i := range min(len(a), len(b)) {
		s[i] = a[i] & b[i]
	}
	return s
}

// offer adds what the usable places offer, some of which stand.
func (c *Cell) offer(class *Class, standing, usable binpack.Set) {
	c.stands = math.MaxInt
	for place := range usable.All() {
		level := 0
		if class.Level != nil {
			level = class.Level(place)
		}
		if standing.Has(place) {
			if c.room >= 0 {
				c.room += class.Room(place)
			}
			c.stands = min(c.stands, level)
		} else if price := max(1, class.Price(place)); c.price == 0 || level < c.level || level == c.level && price < c.price {
			c.level, c.price = level, price
		}
	}
}

// bound answers how many items the cell may get: as many as fit where nothing can be bought, or as many as were placed before.
func (c *Cell) bound(class *Class) int {
	most := -1
	if c.price == 0 {
		most = c.room
	}
	if n, told := class.Caps[c.Name]; told && (most < 0 || n < most) {
		most = n
	}
	return most
}

func (c *Cell) full() bool { return c.cap >= 0 && c.dealt >= c.cap }

// cost is that of one item, or the sum of several's. What stands comes first, then what the pods prefer, then what is cheaper.
type cost struct {
	level int
	price int64 // 0: it stands
}

func (c *cost) add(o cost) { c.level, c.price = c.level+o.level, c.price+o.price }

func compareCost(a, b cost) int {
	return cmp.Or(cmp.Compare(min(1, a.price), min(1, b.price)), cmp.Compare(a.level, b.level), cmp.Compare(a.price, b.price))
}

// cost of the next item: what stands is free until it is full.
func (c *Cell) cost() cost {
	if c.dealt < c.room {
		return cost{level: c.stands}
	}
	return cost{c.level, c.price}
}

// cover tells how many of the cell's places a tally counts.
func (c *Cell) cover(t *tally) cover {
	if t.eligible == nil {
		return wholly
	}
	known, ok := c.covered[t]
	if !ok {
		known = covers(t.eligible, c.Places)
		c.covered[t] = known
	}
	return known
}

func covers(eligible, places binpack.Set) cover {
	some, all := false, true
	for i, word := range places {
		var in uint64
		if i < len(eligible) {
			in = word & eligible[i]
		}
		some = some || in != 0
		all = all && in == word
	}
	switch {
	case all:
		return wholly
	case some:
		return partly
	}
	return none
}
