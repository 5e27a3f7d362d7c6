package binpack

import (
	"encoding/binary"
	"slices"
)

// admission answers which items an offering may hold. Many items have the same size and the same places, and many offerings the same shape: it
// asks once for each such pair. O(offerings x distinct places + shapes x distinct sizes).
type admission struct {
	s      *solver
	n      int
	places []Set          // the distinct sets of offerings
	sizes  []Vector       // the distinct sizes
	kinds  map[[2]int]Set // items by places and size
	order  [][2]int       // of kinds
	fit    []Set          // by shape: the sizes that fit; nil: not looked at yet
	known  map[string]Set // by places that have the offering and sizes that fit
	print  []byte
	has    Set
}

func (s *solver) newAdmission(items []item) *admission {
	a := &admission{s: s, n: len(items), kinds: map[[2]int]Set{}, fit: make([]Set, len(s.p.Shapes)), known: map[string]Set{}}
	byPlaces, bySize := map[string]int{}, map[string]int{}
	for i := range items {
		offerings := s.p.Demands[items[i].demand].Levels[items[i].level].Offerings
		a.print = offerings.appendTo(a.print[:0])
		p, known := byPlaces[string(a.print)]
		if !known {
			p = len(a.places)
			byPlaces[string(a.print)], a.places = p, append(a.places, offerings)
		}
		a.print = items[i].size.appendTo(a.print[:0])
		v, known := bySize[string(a.print)]
		if !known {
			v = len(a.sizes)
			bySize[string(a.print)], a.sizes = v, append(a.sizes, items[i].size)
		}
		kind := [2]int{p, v}
		if a.kinds[kind] == nil {
			a.kinds[kind] = NewSet(len(items))
			a.order = append(a.order, kind)
		}
		a.kinds[kind].Add(i)
	}
	a.has = NewSet(len(a.places))
	return a
}

// to answers the items that are allowed on an offering and fit it at least once; nil: none. Equal answers are one set, which nobody may change.
func (a *admission) to(offering int) Set {
	fit := a.fits(a.s.p.Offerings[offering].Shape)
	clear(a.has)
	for p := range a.places {
		if a.places[p].Has(offering) {
			a.has.Add(p)
		}
	}
	a.print = fit.appendTo(a.has.appendTo(a.print[:0]))
	set, known := a.known[string(a.print)]
	if known {
		return set
	}
	for _, kind := range a.order {
		if !a.has.Has(kind[0]) || !fit.Has(kind[1]) {
			continue
		}
		if set == nil {
			set = NewSet(a.n)
		}
		for w, word := range a.kinds[kind] {
			set[w] |= word
		}
	}
	a.known[string(a.print)] = set
	return set
}

// fits answers the sizes that fit a shape.
func (a *admission) fits(shape int) Set {
	if a.fit[shape] == nil {
		a.fit[shape] = NewSet(len(a.sizes))
		for v, size := range a.sizes {
			if fits(size, a.s.p.Shapes[shape].Capacity) {
				a.fit[shape].Add(v)
			}
		}
	}
	return a.fit[shape]
}

func (s Set) appendTo(b []byte) []byte {
	b = slices.Grow(b, 8*len(s))
	for _, w := range s {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

func (v Vector) appendTo(b []byte) []byte {
	for _, q := range v {
		b = binary.LittleEndian.AppendUint64(b, uint64(q))
	}
	return b
}
