package topology

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

const (
	zone = "topology.kubernetes.io/zone"
	rack = "example.com/rack"
)

type holds = map[demand.SelectorKey]int

func at(key string, selector demand.SelectorKey) demand.Term {
	return demand.Term{TopologyKey: key, Selector: selector}
}

// offer is something that can be bought in a zone; empty: outside of all.
func offer(in string) Place { return Place{Labels: []map[string]string{labelled(in)}} }

// racked is something that can be bought in a zone and a rack.
func racked(in string) Place {
	return Place{Labels: []map[string]string{{zone: in, rack: "r"}}}
}

// node stands in a zone and holds pods.
func node(in string, pods holds, apart ...demand.Term) Place {
	return Place{Labels: []map[string]string{labelled(in)}, Stands: true, Chosen: pods, Lasting: pods, Apart: apart}
}

// coming is on its way to one of two zones.
func coming(in, or string) Place {
	return Place{Labels: []map[string]string{labelled(in), labelled(or)}, Stands: true}
}

func labelled(in string) map[string]string {
	if in == "" {
		return map[string]string{}
	}
	return map[string]string{zone: in}
}

// roomOn is how many items of a test fit onto a place that stands.
const roomOn = 2

// class is so many pods with label a that may go anywhere and find room for two on every node that stands.
func class(w *World, count int, change ...func(*Class)) Class {
	all := binpack.NewSet(len(w.places))
	for i := range w.places {
		all.Add(i)
	}
	c := Class{Count: count, Chosen: holds{"a": 1}, Most: -1, Selected: func() binpack.Set { return all }, Tolerated: func() binpack.Set { return all },
		Price: func(place int) int64 { return int64(1 + place) }, Room: func(int) int { return roomOn }}
	for _, f := range change {
		f(&c)
	}
	c.Allowed = w.Admits(&c, all)
	c.Usable = c.Allowed
	return c
}

func spreading(s ...demand.Spread) func(*Class) { return func(c *Class) { c.Spread = s } }
func nearTo(t ...demand.Term) func(*Class)      { return func(c *Class) { c.Near = t } }
func apartFrom(t ...demand.Term) func(*Class)   { return func(c *Class) { c.Apart = t } }
func chosenBy(s ...demand.SelectorKey) func(*Class) {
	return func(c *Class) {
		c.Chosen = holds{}
		for _, key := range s {
			c.Chosen[key] = 1
		}
	}
}

// dealtTo sums up what each cell of a class got; "" is anywhere.
func dealtTo(d *Dealt, class int) map[string]int {
	got := map[string]int{}
	for _, p := range d.Parts {
		switch {
		case p.Class != class || p.Count == 0:
		case p.Cell == nil:
			got[""] += p.Count
		default:
			got[p.Cell.Name] += p.Count
		}
	}
	return got
}

func TestDeal(t *testing.T) {
	by := func(skew, minDomains int32) demand.Spread {
		return demand.Spread{Term: at(zone, "a"), MaxSkew: skew, MinDomains: minDomains}
	}
	soft := demand.Spread{Term: at(zone, "a"), MaxSkew: 1, Soft: true}
	tests := map[string]struct {
		places  []Place
		classes func(w *World) []Class
		soft    bool
		want    []map[string]int // by class
		left    map[int]string   // by class: the rule in the way, or "full"
	}{
		"an even spread": {[]Place{offer("x"), offer("y"), offer("z")},
			func(w *World) []Class { return []Class{class(w, 7, spreading(by(1, 0)))} }, false, []map[string]int{{"x": 3, "y": 2, "z": 2}}, nil},
		"pods that run count": {[]Place{node("x", holds{"a": 2}), offer("x"), offer("y"), offer("z")},
			func(w *World) []Class { return []Class{class(w, 3, spreading(by(1, 0)))} }, false, []map[string]int{{"y": 2, "z": 1}}, nil},
		"what comes may be where they do not want to be, and would not count": {[]Place{coming("x", "y"), offer("y")},
			func(w *World) []Class {
				only := func(c *Class) { c.SelectedAs = func(_, labels int) bool { return labels == 1 } }
				return []Class{class(w, 3, spreading(by(1, 0)), only)}
			}, false, []map[string]int{{"y": 3}}, nil},
		"what comes may be where it counts": {[]Place{coming("x", "y"), offer("y")},
			func(w *World) []Class { return []Class{class(w, 3, spreading(by(1, 0)))} }, false, []map[string]int{{"y": 1}}, map[int]string{0: RuleSpread}},
		"pods that leave do not": {[]Place{{Labels: []map[string]string{labelled("x")}, Stands: true, Chosen: holds{"a": 2}}, offer("y")},
			func(w *World) []Class { return []Class{class(w, 2, spreading(by(1, 0)))} }, false, []map[string]int{{"x": 1, "y": 1}}, nil},
		"too few domains": {[]Place{offer("x"), offer("y")},
			func(w *World) []Class { return []Class{class(w, 4, spreading(by(1, 3)))} }, false, []map[string]int{{"x": 1, "y": 1}}, map[int]string{0: RuleSpread}},
		"a zone that is full holds the others back": {[]Place{node("x", nil), offer("y")},
			func(w *World) []Class { return []Class{class(w, 9, spreading(by(1, 0)))} }, false, []map[string]int{{"x": 2, "y": 3}}, map[int]string{0: "full"}},
		"no zone is free": {[]Place{node("x", nil), node("y", nil)},
			func(w *World) []Class { return []Class{class(w, 5, spreading(by(1, 0)))} }, false, []map[string]int{{"x": 2, "y": 2}}, map[int]string{0: "full"}},
		"one zone alone takes all": {[]Place{offer("x")},
			func(w *World) []Class { return []Class{class(w, 5, spreading(by(1, 0)))} }, false, []map[string]int{{"x": 5}}, nil},
		"an item of several where no other zone is": {[]Place{offer("x")},
			func(w *World) []Class {
				return []Class{class(w, 2, spreading(by(1, 0)), func(c *Class) { c.Chosen["a"] = 3 })}
			}, false, []map[string]int{{"x": 2}}, nil},
		"an item of several beside another zone": {[]Place{offer("x"), node("y", holds{"a": 2})},
			func(w *World) []Class {
				return []Class{class(w, 2, spreading(by(1, 0)), func(c *Class) { c.Chosen["a"] = 3 })}
			}, false, []map[string]int{{"x": 1}}, map[int]string{0: RuleSpread}},
		"outside of all zones": {[]Place{offer(""), offer("x")},
			func(w *World) []Class { return []Class{class(w, 2, spreading(by(1, 0)))} }, false, []map[string]int{{"x": 2}}, nil},
		"a soft spread": {[]Place{offer("x"), node("y", nil)},
			func(w *World) []Class { return []Class{class(w, 8, spreading(soft))} }, true, []map[string]int{{"x": 6, "y": 2}}, nil},
		"a soft spread that is not asked for": {[]Place{offer("x"), offer("y")},
			func(w *World) []Class { return []Class{class(w, 4, spreading(soft))} }, false, []map[string]int{{"": 4}}, nil},

		"near those that run": {[]Place{offer("x"), offer("y"), node("y", holds{"b": 1})},
			func(w *World) []Class { return []Class{class(w, 3, nearTo(at(zone, "b")))} }, false, []map[string]int{{"y": 3}}, nil},
		"the first of their kind": {[]Place{offer("x"), offer("y")},
			func(w *World) []Class { return []Class{class(w, 3, nearTo(at(zone, "a")))} }, false, []map[string]int{{"x": 3}}, nil},
		"the first of their kind in a zone, but not in a rack": {[]Place{offer("x"), racked("x"), node("x", holds{"a": 1})},
			func(w *World) []Class { return []Class{class(w, 1, nearTo(at(zone, "a"), at(rack, "a")))} }, false, []map[string]int{{}}, map[int]string{0: RuleNear}},
		"the first of their kind in both": {[]Place{offer("x"), racked("x"), node("", holds{"a": 1})},
			func(w *World) []Class { return []Class{class(w, 1, nearTo(at(zone, "a"), at(rack, "a")))} }, false, []map[string]int{{"r/x": 1}}, nil},
		"near nobody": {[]Place{offer("x")},
			func(w *World) []Class { return []Class{class(w, 3, nearTo(at(zone, "b")))} }, false, []map[string]int{{}}, map[int]string{0: RuleNear}},
		"who is followed goes first": {[]Place{offer("x"), offer("y"), node("y", holds{"c": 1})},
			func(w *World) []Class {
				return []Class{class(w, 2, nearTo(at(zone, "b"), at(zone, "c"))), class(w, 1, chosenBy("b"))}
			}, false, []map[string]int{{"y": 2}, {"y": 1}}, nil},

		"apart from each other": {[]Place{offer("x"), offer("y")},
			func(w *World) []Class { return []Class{class(w, 3, apartFrom(at(zone, "a")))} }, false, []map[string]int{{"x": 1, "y": 1}}, map[int]string{0: RuleApart}},
		"apart from others that wait": {[]Place{offer("x"), offer("y")},
			func(w *World) []Class {
				return []Class{class(w, 1, apartFrom(at(zone, "b"))), class(w, 2, chosenBy("b"))}
			}, false, []map[string]int{{"x": 1}, {"y": 2}}, nil},
		"kept out by pods that run": {[]Place{node("x", nil, at(zone, "a")), offer("x"), offer("y")},
			func(w *World) []Class { return []Class{class(w, 2, spreading(by(3, 0)))} }, false, []map[string]int{{"y": 2}}, nil},
		"who keeps all out leaves one zone": {[]Place{offer("x")},
			func(w *World) []Class {
				return []Class{class(w, 1, chosenBy(), apartFrom(at(zone, "a"))), class(w, 2)}
			}, false, []map[string]int{{"x": 1}, {}}, map[int]string{1: RuleRepelled}},

		"no more than were placed before": {[]Place{offer("x"), offer("y")},
			func(w *World) []Class {
				return []Class{class(w, 6, spreading(by(1, 0)), func(c *Class) { c.Caps = map[string]int{"x": 1} })}
			}, false, []map[string]int{{"x": 1, "y": 2}}, map[int]string{0: "full"}},
		"no more in all": {[]Place{offer("x"), offer("y")},
			func(w *World) []Class {
				return []Class{class(w, 6, spreading(by(1, 0)), func(c *Class) { c.Most = 3 })}
			}, false, []map[string]int{{"x": 2, "y": 1}}, map[int]string{0: "full"}},
		"a zone that is not certain": {[]Place{coming("x", "y")},
			func(w *World) []Class { return []Class{class(w, 1, spreading(by(1, 0)))} }, false, []map[string]int{{}}, map[int]string{0: ""}},
		"the higher priority first": {[]Place{node("x", nil)},
			func(w *World) []Class {
				return []Class{class(w, 1, apartFrom(at(zone, "a"))), class(w, 1, apartFrom(at(zone, "a")), func(c *Class) { c.Priority = 1 })}
			}, false, []map[string]int{{}, {"x": 1}}, map[int]string{0: RuleApart}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := NewWorld(tc.places)
			d := Deal(w, tc.classes(w), tc.soft)
			for i, want := range tc.want {
				if diff := cmp.Diff(want, dealtTo(d, i)); diff != "" {
					t.Errorf("class %d (-want +got):\n%s", i, diff)
				}
			}
			left := map[int]string{}
			for _, l := range d.Left {
				switch {
				case len(l.Full) > 0:
					left[l.Class] = "full"
				default:
					left[l.Class] = l.Blame.Rule
				}
			}
			if tc.left == nil {
				tc.left = map[int]string{}
			}
			if diff := cmp.Diff(tc.left, left); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMisses: a domain that comes to be seen after pods were dealt which it would have kept off is one that the deal has missed.
func TestMisses(t *testing.T) {
	by := demand.Spread{Term: at(zone, "a"), MaxSkew: 1}
	only := func(name string) func(*Class) { return func(c *Class) { c.Caps = map[string]int{name: 0} } }
	tests := map[string]struct {
		classes func(w *World) []Class
		want    []bool // by place
	}{
		"one that nobody was dealt to":  {func(w *World) []Class { return []Class{class(w, 3, spreading(by), only("y"))} }, []bool{false, true}},
		"one that was dealt to in turn": {func(w *World) []Class { return []Class{class(w, 3, spreading(by))} }, []bool{false, false}},
		"one that others bring about": {func(w *World) []Class {
			b := demand.Spread{Term: at(zone, "b"), MaxSkew: 1}
			return []Class{class(w, 3, spreading(by), only("y")), class(w, 1, chosenBy("b"), spreading(b), only("x"))}
		}, []bool{false, true}},
		"one that others bring about, and few enough are elsewhere": {func(w *World) []Class {
			b := demand.Spread{Term: at(zone, "b"), MaxSkew: 1}
			return []Class{class(w, 1, spreading(by), only("y")), class(w, 1, chosenBy("b"), spreading(b), only("x"))}
		}, []bool{false, false}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := NewWorld([]Place{offer("x"), offer("y")})
			d := Deal(w, tc.classes(w), false)
			if diff := cmp.Diff(tc.want, []bool{d.Misses(0), d.Misses(1)}); diff != "" {
				t.Errorf("Misses (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDealFew: as few domains as the skew allows, the cheapest first, and no fewer because nobody is anywhere yet.
func TestDealFew(t *testing.T) {
	by := func(skew int32) func(*Class) { return spreading(demand.Spread{Term: at(zone, "a"), MaxSkew: skew}) }
	tests := map[string]struct {
		places []Place
		class  func(w *World) Class
		want   map[string]int
	}{
		"two where one may have two":        {[]Place{offer("x"), offer("y")}, func(w *World) Class { return class(w, 2, by(2)) }, map[string]int{"x": 2}},
		"a skew of one is still even":       {[]Place{offer("x"), offer("y")}, func(w *World) Class { return class(w, 4, by(1)) }, map[string]int{"x": 2, "y": 2}},
		"no more than the skew":             {[]Place{offer("x"), offer("y")}, func(w *World) Class { return class(w, 5, by(2)) }, map[string]int{"x": 3, "y": 2}},
		"the cheapest first":                {[]Place{offer("x"), offer("y"), node("y", nil)}, func(w *World) Class { return class(w, 2, by(2)) }, map[string]int{"y": 2}},
		"a domain without room counts less": {[]Place{offer("x"), offer("y")}, func(w *World) Class { return class(w, 3, by(1), func(c *Class) { c.Caps = map[string]int{"y": 0} }) }, map[string]int{"x": 3}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := NewWorld(tc.places)
			if diff := cmp.Diff(tc.want, dealtTo(DealFew(w, []Class{tc.class(w)}, false), 0)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDealFew_company: to where others have been dealt, whose nodes they may share.
func TestDealFew_company(t *testing.T) {
	w := NewWorld([]Place{offer("x"), offer("y")})
	spread := func(s demand.SelectorKey) func(*Class) {
		return spreading(demand.Spread{Term: at(zone, s), MaxSkew: 3})
	}
	same := func(c *Class) { c.Price = func(int) int64 { return 1 } }
	only := func(c *Class) { c.Caps = map[string]int{"x": 0} }
	d := DealFew(w, []Class{class(w, 1, spread("a"), same, only), class(w, 1, chosenBy("b"), spread("b"), same)}, false)
	if diff := cmp.Diff(map[string]int{"y": 1}, dealtTo(d, 1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAim: first to where it is aimed, as far as rules let items, and none to where node affinity likes it less.
func TestAim(t *testing.T) {
	by := func(skew int32) func(*Class) { return spreading(demand.Spread{Term: at(zone, "a"), MaxSkew: skew}) }
	aimed := func(in string) func(*Class) { return func(c *Class) { c.Aim = in } }
	likes := func(which int) func(*Class) {
		return func(c *Class) { c.Level = func(place int) int { return min(1, max(place-which, which-place)) } }
	}
	tests := map[string]struct {
		places []Place
		change []func(*Class)
		want   map[string]int
	}{
		"not":                               {[]Place{offer("x"), offer("y")}, []func(*Class){by(3)}, map[string]int{"x": 2, "y": 2}},
		"against the price":                 {[]Place{offer("x"), offer("y")}, []func(*Class){by(4), aimed("y")}, map[string]int{"y": 4}},
		"past what stands":                  {[]Place{node("x", nil), offer("y")}, []func(*Class){by(4), aimed("y")}, map[string]int{"y": 4}},
		"not beyond the skew":               {[]Place{node("x", nil), offer("y")}, []func(*Class){by(2), aimed("y")}, map[string]int{"x": 1, "y": 3}},
		"not to where it likes it less":     {[]Place{offer("x"), offer("y")}, []func(*Class){by(4), aimed("y"), likes(0)}, map[string]int{"x": 4}},
		"to where it likes it just as well": {[]Place{offer("x"), offer("y")}, []func(*Class){by(4), aimed("y"), likes(1)}, map[string]int{"y": 4}},
		"to nowhere":                        {[]Place{offer("x"), offer("y")}, []func(*Class){by(1), aimed("z")}, map[string]int{"x": 2, "y": 2}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := NewWorld(tc.places)
			classes := []Class{class(w, 4, tc.change...), class(w, 1, chosenBy("b"))}
			if diff := cmp.Diff(tc.want, dealtTo(Deal(w, classes, false), 0)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([][]string{{"x", "y"}, nil}, Cells(w, classes, false)); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
		})
	}
}
