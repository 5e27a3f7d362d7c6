package topology

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// dealt is what was dealt, and by what it is judged: a planted bug makes the two differ.
type dealt struct {
	*Dealt
	places  []Place
	classes []Class
	spoilt  []Class // what was dealt
	deaf    bool    // a planted bug: nobody asks Misses
}

func drawTermOf(t *rapid.T) demand.Term {
	return at(rapid.SampledFrom([]string{zone, zone, "market"}).Draw(t, "key"), rapid.SampledFrom([]demand.SelectorKey{"a", "b"}).Draw(t, "selector"))
}

func drawPlaces(t *rapid.T) []Place {
	var places []Place
	for range rapid.IntRange(1, 5).Draw(t, "places") {
		labels := map[string]string{}
		if rapid.IntRange(0, 9).Draw(t, "in a zone") > 0 {
			labels[zone] = rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "zone")
		}
		if rapid.IntRange(0, 9).Draw(t, "in a market") > 0 {
			labels["market"] = rapid.SampledFrom([]string{"spot", "on-demand"}).Draw(t, "market")
		}
		p := Place{Labels: []map[string]string{labels}}
		if p.Stands = rapid.Bool().Draw(t, "stands"); p.Stands {
			p.Chosen, p.Lasting = holds{}, holds{}
			for _, s := range []demand.SelectorKey{"a", "b"} {
				n := max(0, rapid.IntRange(-2, 2).Draw(t, "holds"))
				p.Chosen[s], p.Lasting[s] = n, rapid.IntRange(0, n).Draw(t, "lasting")
			}
			if rapid.IntRange(0, 5).Draw(t, "repels") == 0 {
				p.Apart = []demand.Term{drawTermOf(t)}
			}
		}
		places = append(places, p)
	}
	return places
}

func drawClass(t *rapid.T, w *World) Class {
	var chosen []demand.SelectorKey
	for _, s := range []demand.SelectorKey{"a", "b"} {
		if rapid.Bool().Draw(t, "is "+string(s)) {
			chosen = append(chosen, s)
		}
	}
	selected := binpack.NewSet(len(w.places))
	for i := range w.places {
		if rapid.IntRange(0, 4).Draw(t, "selects") > 0 {
			selected.Add(i)
		}
	}
	ask := func(c *Class) {
		c.Selected = func() binpack.Set { return selected }
		for range rapid.IntRange(0, 2).Draw(t, "spreads") {
			s := demand.Spread{Term: drawTermOf(t), MaxSkew: int32(rapid.IntRange(1, 2).Draw(t, "skew")),
				MinDomains: int32(rapid.IntRange(0, 3).Draw(t, "minDomains")), AnyNode: rapid.Bool().Draw(t, "any")}
			if !slices.ContainsFunc(c.Spread, func(o demand.Spread) bool { return o.TopologyKey == s.TopologyKey }) {
				c.Spread = append(c.Spread, s)
			}
		}
		switch rapid.IntRange(0, 3).Draw(t, "asks") {
		case 0:
			c.Near = []demand.Term{drawTermOf(t)}
			if first := c.Near[0]; rapid.Bool().Draw(t, "in both") {
				c.Near = []demand.Term{at(zone, first.Selector), at("market", first.Selector)}
			}
		case 1:
			c.Apart = []demand.Term{drawTermOf(t)}
		}
	}
	c := class(w, rapid.IntRange(1, 4).Draw(t, "count"), chosenBy(chosen...), ask)
	c.Allowed = w.Admits(&c, selected)
	c.Usable = c.Allowed
	return c
}

// deal deals drawn classes, which the bug has spoilt before.
func deal(t *rapid.T, classes int, bug func([]Place, []Class)) *dealt {
	d := &dealt{places: drawPlaces(t)}
	world := NewWorld(d.places)
	for range classes {
		d.classes = append(d.classes, drawClass(t, world))
	}
	d.spoilt = slices.Clone(d.classes)
	if bug != nil {
		places := slices.Clone(d.places)
		bug(places, d.spoilt)
		world = NewWorld(places)
		for i := range d.spoilt {
			c := &d.spoilt[i]
			c.Allowed = world.Admits(c, d.classes[i].Selected())
			c.Usable = c.Allowed
		}
	}
	d.Dealt = rapid.SampledFrom([]func(*World, []Class, bool) *Dealt{Deal, DealFew}).Draw(t, "way")(world, d.spoilt, false)
	return d
}

// stuck binds what was dealt in every order until one gets all of it bound, and answers what is in the way if none does. With early, what is
// bought is there from the beginning, as far as the deal does not say that this would be news to it.
func (d *dealt) stuck(early bool) string {
	c := newCluster(d.places)
	var todo []bound
	for _, p := range d.Parts {
		if p.Cell == nil {
			continue
		}
		place := -1
		for i := range d.places {
			if p.Cell.Places.Has(i) && d.spoilt[p.Class].Usable.Has(i) && (place < 0 || !d.places[i].Stands) {
				place = i
			}
		}
		for range p.Count {
			todo = append(todo, bound{&d.classes[p.Class], place})
		}
		if !early || d.places[place].Stands {
			continue
		}
		if d.Misses(place) && !d.deaf {
			return ""
		}
		c.seen[place] = true
	}
	return c.bindAll(todo, map[string]string{})
}

// fault deals several classes and says what is wrong with it.
func fault(t *rapid.T, bug func([]Place, []Class), deaf bool) string {
	d := deal(t, rapid.IntRange(1, 3).Draw(t, "classes"), bug)
	d.deaf = deaf
	for i := range d.classes {
		n := 0
		for _, p := range d.Parts {
			if p.Class == i {
				n += p.Count
			}
		}
		for _, l := range d.Left {
			if l.Class == i {
				n += l.Count
			}
		}
		if n != d.classes[i].Count {
			return fmt.Sprintf("%d of %d items of class %d are dealt or left", n, d.classes[i].Count, i)
		}
	}
	if why := d.stuck(false); why != "" {
		return "never bound: " + why
	}
	if why := d.stuck(true); why != "" {
		return "never bound when all nodes are there: " + why
	}
	return ""
}

// TestDealHolds: kube-scheduler binds what is dealt, in some order, and if all nodes that are bought join at once as well.
func TestDealHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if why := fault(t, nil, false); why != "" {
			t.Fatal(why)
		}
	})
}

func TestDealHolds_catches(t *testing.T) {
	each := func(f func(*Class)) func([]Place, []Class) {
		return func(_ []Place, classes []Class) {
			for i := range classes {
				c := &classes[i]
				c.Spread, c.Near, c.Apart = slices.Clone(c.Spread), slices.Clone(c.Near), slices.Clone(c.Apart)
				f(c)
			}
		}
	}
	bugs := map[string]struct {
		plant func([]Place, []Class)
		deaf  bool
	}{
		"the skew may be larger": {each(func(c *Class) {
			for i := range c.Spread {
				c.Spread[i].MaxSkew++
			}
		}), false},
		"minDomains is forgotten": {each(func(c *Class) {
			for i := range c.Spread {
				c.Spread[i].MinDomains = 0
			}
		}), false},
		"node affinity is not looked at": {each(func(c *Class) {
			for i := range c.Spread {
				c.Spread[i].AnyNode = !c.Spread[i].AnyNode
			}
		}), false},
		"affinity is dropped":      {each(func(c *Class) { c.Near = nil }), false},
		"anti-affinity is dropped": {each(func(c *Class) { c.Apart = nil }), false},
		"pods that run are not seen": {func(places []Place, _ []Class) {
			for i := range places {
				places[i].Chosen, places[i].Lasting = nil, nil
			}
		}, false},
		"pods that leave count": {func(places []Place, _ []Class) {
			for i := range places {
				places[i].Lasting = places[i].Chosen
			}
		}, false},
		"anti-affinity of pods that run is not seen": {func(places []Place, _ []Class) {
			for i := range places {
				places[i].Apart = nil
			}
		}, false},
		"domains that others bring about are no news": {nil, true},
	}
	for name, bug := range bugs {
		caught := false
		for seed := 0; seed < 6000 && !caught; seed++ {
			caught = rapid.Custom(func(t *rapid.T) string { return fault(t, bug.plant, bug.deaf) }).Example(seed) != ""
		}
		if !caught {
			t.Errorf("%s: not caught", name)
		}
	}
}

// underdealt deals one class with one rule and says if more of it could have been bound. Of several rules the first pod may decide how many can
// follow; what is best for that is not looked for.
func underdealt(t *rapid.T, bug func([]Place, []Class)) string {
	d := deal(t, 1, bug)
	c := &d.classes[0]
	if len(d.Parts) > 0 && d.Parts[0].Cell == nil || len(c.Spread)+len(c.Near)+len(c.Apart) > 1 {
		return ""
	}
	got := 0
	for _, p := range d.Parts {
		got += p.Count
	}
	if most := newCluster(d.places).most(c, c.Count, map[int]int{}); got < most {
		return fmt.Sprintf("%d of %d items are dealt, and %d could be bound", got, c.Count, most)
	}
	return ""
}

// TestDealServesAsMany: of one class alone no more could be bound, wherever its pods went.
func TestDealServesAsMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if why := underdealt(t, nil); why != "" {
			t.Fatal(why)
		}
	})
}

func TestDealServesAsMany_catches(t *testing.T) {
	bugs := map[string]func([]Place, []Class){
		"the skew is smaller": func(_ []Place, c []Class) {
			c[0].Spread = slices.Clone(c[0].Spread)
			for i := range c[0].Spread {
				c[0].Spread[i].MaxSkew = 1
			}
		},
		"one is forgotten": func(_ []Place, c []Class) { c[0].Most = c[0].Count - 1 },
		"pods do not match themselves": func(_ []Place, c []Class) {
			c[0].Chosen = maps.Clone(c[0].Chosen)
			for i := range c[0].Near {
				delete(c[0].Chosen, c[0].Near[i].Selector)
			}
		},
	}
	for name, plant := range bugs {
		caught := false
		for seed := 0; seed < 6000 && !caught; seed++ {
			caught = rapid.Custom(func(t *rapid.T) string { return underdealt(t, plant) }).Example(seed) != ""
		}
		if !caught {
			t.Errorf("%s: not caught", name)
		}
	}
}
