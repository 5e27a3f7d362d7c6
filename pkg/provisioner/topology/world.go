package topology

import (
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// Hostname is the key whose domains are single nodes.
const Hostname = corev1.LabelHostname

// Place is where pods can be: something that can be bought, or a node that stands or is on its way.
type Place struct {
	// Labels are all label sets that it may turn out to have; at least one. Of what is on its way the zone may be open, for instance.
	Labels []map[string]string
	// Stands: kube-scheduler sees a node, or will before any that is bought now.
	Stands bool
	// What is on it: see plan.Node.
	Chosen, Lasting map[demand.SelectorKey]int
	Apart           []demand.Term
	Ports           []demand.HostPort
}

// World is all places, by index.
type World struct {
	places  []Place
	columns map[string]*column
	repels  map[demand.Term]*tally
	opened  binpack.Set
	// standing are the places that stand; partitions are cells as they are for every class, by their keys.
	standing   binpack.Set
	partitions map[string][]*domains
	eligibles  map[classSpread]binpack.Set
}

// classSpread is a spread of one class.
type classSpread struct {
	class  *Class
	spread demand.Spread
}

// NewWorld takes the places; nobody changes them while the World is in use.
func NewWorld(places []Place) *World {
	w := &World{places: places, columns: map[string]*column{}, repels: map[demand.Term]*tally{}, partitions: map[string][]*domains{},
		eligibles: map[classSpread]binpack.Set{}, standing: binpack.NewSet(len(places))}
	for i := range places {
		if places[i].Stands {
			w.standing.Add(i)
		}
		for _, term := range places[i].Apart {
			if term.TopologyKey != Hostname && w.repels[term] == nil {
				w.repels[term] = w.repelling(term)
			}
		}
	}
	return w
}

// Open says which places that do not stand yet may come to stand by what is bought for pods that are not dealt, so that their domains count.
func (w *World) Open(places binpack.Set) { w.opened = places }

// Stands tells whether kube-scheduler sees the place, or may come to see it.
func (w *World) stands(place int) bool { return w.places[place].Stands || w.opened.Has(place) }

// repelling notes where pods with this term are.
func (w *World) repelling(term demand.Term) *tally {
	t := newTally(w.column(term.TopologyKey))
	for i := range w.places {
		for _, have := range w.places[i].Apart {
			if have == term {
				t.add(i, 1, 1)
			}
		}
	}
	return t
}

// repel counts a pod with these anti-affinity terms that has come to a place.
func (w *World) repel(terms []demand.Term, place int) {
	for _, term := range terms {
		switch t := w.repels[term]; {
		case term.TopologyKey == Hostname:
		case t == nil:
			w.repels[term] = w.repelling(term)
		default:
			t.add(place, 1, 1)
		}
	}
}

// repelled tells whether a pod that these selectors choose is kept off a place by the anti-affinity of a pod that is in its domain, or may be.
func (w *World) repelled(chosen map[demand.SelectorKey]int, place int) bool {
	for term, t := range w.repels {
		if chosen[term.Selector] > 0 && t.most(place) > 0 {
			return true
		}
	}
	return false
}

// Domain answers the value of a key that a place has in all of its label sets; false if it has none, or is not certain.
func (w *World) Domain(place int, key string) (string, bool) {
	c := w.column(key)
	if v := c.at[place]; v >= 0 {
		return c.values[v], true
	}
	return "", false
}

// column is the values of one label key: the domains of that topology.
type column struct {
	values []string
	index  map[string]int
	at     []int         // by place: index in values, absent, or unsure
	maybe  map[int][]int // by place that is unsure: the values that it may have
}

const (
	absent = -1 // the place does not have the key
	unsure = -2 // its label sets differ in the key
)

// column indexes a key once. O(places).
func (w *World) column(key string) *column {
	if c, known := w.columns[key]; known {
		return c
	}
	c := &column{index: map[string]int{}, at: make([]int, len(w.places)), maybe: map[int][]int{}}
	for i := range w.places {
		c.at[i] = absent
		for n, labels := range w.places[i].Labels {
			v := absent
			if value, has := labels[key]; has {
				v = c.value(value)
			}
			switch {
			case n == 0:
				c.at[i] = v
			case c.at[i] != v:
				c.doubt(i, v)
			}
		}
	}
	w.columns[key] = c
	return c
}

func (c *column) value(text string) int {
	v, known := c.index[text]
	if !known {
		v = len(c.values)
		c.values = append(c.values, text)
		c.index[text] = v
	}
	return v
}

func (c *column) doubt(place, v int) {
	if c.at[place] != unsure {
		if c.at[place] >= 0 {
			c.maybe[place] = []int{c.at[place]}
		}
		c.at[place] = unsure
	}
	for _, have := range c.maybe[place] {
		if have == v {
			return
		}
	}
	if v >= 0 {
		c.maybe[place] = append(c.maybe[place], v)
	}
}

// tally counts pods by domain. Where a pod's domain, or whether it counts, is not certain, it is in hi and not in lo.
type tally struct {
	*column
	lo, hi       []int
	loAll, hiAll int
	stands       []bool // which domains kube-scheduler sees
	late         []int  // domains that came to be seen when pods had been dealt that would not have been with them
	skew         int    // the smallest that is required of those counted
	bound        bool   // pods have been dealt by that
	known        bool   // seen and min, the fewest pods of those, are up to date
	seen, min    int
	eligible     binpack.Set   // the places that count; nil: all
	narrowed     map[int][]int // by place that is unsure: the values with which it counts; absent: all that it may have
	// followers is, for each domain, what the classes that must be near the pods counted here would make of it.
	followers []following
}

// following is how many pods could follow into a domain, and what all of them would cost there.
type following struct {
	pods int
	cost cost
}

func newTally(c *column) *tally {
	return &tally{column: c, lo: make([]int, len(c.values)), hi: make([]int, len(c.values)), stands: make([]bool, len(c.values)),
		skew: math.MaxInt}
}

// add counts pods on a place: at least lo, at most hi.
func (t *tally) add(place, lo, hi int) {
	switch v := t.at[place]; {
	case v >= 0:
		t.put(v, lo, hi)
	case v == unsure:
		for _, v := range t.may(place) {
			t.put(v, 0, hi)
		}
	}
}

// may answers the domains in which a place that is unsure may count.
func (t *tally) may(place int) []int {
	if values, narrowed := t.narrowed[place]; narrowed {
		return values
	}
	return t.maybe[place]
}

func (t *tally) put(v, lo, hi int) {
	t.lo[v] += lo
	t.hi[v] += hi
	t.loAll += lo
	t.hiAll += hi
	t.known = false
}

// stand notes that kube-scheduler sees the place's domain, or may.
func (t *tally) stand(place int) {
	t.known = false
	if v := t.at[place]; v >= 0 {
		t.stands[v] = true
	}
	for _, v := range t.may(place) {
		t.stands[v] = true
	}
}

// leastWith is least when a domain has more pods than are counted: those of an item come one by one, and the earlier ones count for the last.
func (t *tally) leastWith(v, more, minDomains int) int {
	if more <= 0 {
		return t.least(v, minDomains)
	}
	least, seen := t.lo[v]+more, 1
	for d, stands := range t.stands {
		if stands && d != v {
			least = min(least, t.lo[d])
			seen++
		}
	}
	if seen < minDomains {
		return 0
	}
	return least
}

// open notes that a pod which is dealt to a domain brings it about. It may be there before those that were dealt earlier are bound.
func (t *tally) open(v int) {
	if t.stands[v] {
		return
	}
	t.stands[v], t.known = true, false
	if t.bound && slices.ContainsFunc(t.hi, func(n int) bool { return n-t.lo[v] > t.skew }) {
		t.late = append(t.late, v)
	}
}

// most answers how many pods there may be in the place's domain.
func (t *tally) most(place int) int {
	if v := t.at[place]; v >= 0 {
		return t.hi[v]
	}
	n := 0
	for _, v := range t.maybe[place] {
		n = max(n, t.hi[v])
	}
	return n
}

// least is the global minimum that skew is measured from when a pod goes to domain v, which then is seen too: 0 while fewer domains than
// minDomains are seen.
func (t *tally) least(v, minDomains int) int {
	if !t.known {
		t.known, t.seen, t.min = true, 0, 0
		for d, stands := range t.stands {
			if stands {
				if t.seen == 0 || t.lo[d] < t.min {
					t.min = t.lo[d]
				}
				t.seen++
			}
		}
	}
	least, seen := t.min, t.seen
	if !t.stands[v] {
		if seen == 0 || t.lo[v] < least {
			least = t.lo[v]
		}
		seen++
	}
	if seen < minDomains {
		return 0
	}
	return least
}
