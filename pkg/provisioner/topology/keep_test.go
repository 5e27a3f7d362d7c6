package topology

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// TestKeeper joins pods of class 0 (chosen by a) and class 1 (chosen by b) to places, one after the other.
func TestKeeper(t *testing.T) {
	type join struct{ class, place int }
	even := demand.Neighbours{Chosen: []demand.SelectorKey{"a"}, Spread: []demand.Spread{{Term: at(zone, "a"), MaxSkew: 1}}}
	evenNodes := demand.Neighbours{Chosen: []demand.SelectorKey{"a"}, Spread: []demand.Spread{{Term: at(Hostname, "a"), MaxSkew: 1}}}
	plain := demand.Neighbours{Chosen: []demand.SelectorKey{"b"}}
	asks := func(key string, s demand.SelectorKey) (near, apart demand.Neighbours) {
		chosen := []demand.SelectorKey{"a"}
		return demand.Neighbours{Chosen: chosen, Near: []demand.Term{at(key, s)}}, demand.Neighbours{Chosen: chosen, Apart: []demand.Term{at(key, s)}}
	}
	nearB, apartB := asks(zone, "b")
	nearA, apartA := asks(zone, "a")
	besideB, aloneB := asks(Hostname, "b")
	besideA, _ := asks(Hostname, "a")
	port := demand.Neighbours{Ports: []demand.HostPort{{Protocol: "TCP", Address: "0.0.0.0", Port: 80}}}
	x, y := node("x", nil), node("y", nil)
	tests := map[string]struct {
		places []Place
		asks   []demand.Neighbours
		joins  []join
		want   []bool
	}{
		"an even spread in turn":             {[]Place{x, y}, []demand.Neighbours{even}, []join{{0, 0}, {0, 0}, {0, 1}, {0, 0}}, []bool{true, false, true, true}},
		"an even spread over nodes":          {[]Place{x, x}, []demand.Neighbours{evenNodes}, []join{{0, 0}, {0, 0}, {0, 1}, {0, 0}}, []bool{true, false, true, true}},
		"near others, once they are there":   {[]Place{x, y}, []demand.Neighbours{nearB, plain}, []join{{0, 0}, {1, 0}, {0, 0}, {0, 1}}, []bool{false, true, true, false}},
		"the first of their kind":            {[]Place{x, y}, []demand.Neighbours{nearA}, []join{{0, 1}, {0, 0}, {0, 1}}, []bool{true, false, true}},
		"apart from others":                  {[]Place{x, y}, []demand.Neighbours{apartB, plain}, []join{{0, 0}, {1, 0}, {1, 1}, {0, 1}}, []bool{true, false, true, false}},
		"apart from their own":               {[]Place{x, y}, []demand.Neighbours{apartA}, []join{{0, 0}, {0, 0}, {0, 1}}, []bool{true, false, true}},
		"kept out by pods that run":          {[]Place{node("x", nil, at(zone, "b")), node("x", nil), y}, []demand.Neighbours{apartB, plain}, []join{{1, 1}, {1, 2}}, []bool{false, true}},
		"on one node with others":            {[]Place{x, x}, []demand.Neighbours{besideB, plain}, []join{{0, 0}, {1, 0}, {0, 1}, {0, 0}}, []bool{false, true, false, true}},
		"on one node with their own":         {[]Place{x, x}, []demand.Neighbours{besideA}, []join{{0, 0}, {0, 1}, {0, 0}}, []bool{true, false, true}},
		"on no node with others":             {[]Place{x, x}, []demand.Neighbours{aloneB, plain}, []join{{0, 0}, {1, 0}, {1, 1}}, []bool{true, false, true}},
		"a port of the host":                 {[]Place{x, x}, []demand.Neighbours{port}, []join{{0, 0}, {0, 0}, {0, 1}}, []bool{true, false, true}},
		"a zone that is open, and a spread":  {[]Place{coming("x", "y"), y}, []demand.Neighbours{even}, []join{{0, 0}, {0, 1}}, []bool{false, true}},
		"a zone that is open, and nobody's":  {[]Place{coming("x", "y"), y}, []demand.Neighbours{apartB, plain}, []join{{1, 0}, {0, 1}}, []bool{true, false}},
		"a zone that is open, to be apart":   {[]Place{coming("x", "y"), y, node("z", nil)}, []demand.Neighbours{apartB, plain}, []join{{0, 0}, {1, 1}, {1, 2}}, []bool{true, false, true}},
		"a zone that is open, others in one": {[]Place{coming("x", "y"), node("y", holds{"b": 1})}, []demand.Neighbours{apartB}, []join{{0, 0}}, []bool{false}},
		"a zone that is open, to be near":    {[]Place{coming("x", "y"), node("y", holds{"b": 1})}, []demand.Neighbours{nearB}, []join{{0, 0}, {0, 1}}, []bool{false, true}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := NewWorld(tc.places)
			var classes []Class
			var asks []*demand.Neighbours
			for i := range tc.asks {
				n := &tc.asks[i]
				asks = append(asks, n)
				classes = append(classes, class(w, 1, chosenBy(n.Chosen...), spreading(n.Spread...), nearTo(n.Near...), apartFrom(n.Apart...)))
			}
			k := NewKeeper(w, classes, asks)
			var got []bool
			for _, j := range tc.joins {
				got = append(got, k.Join(j.class, j.place))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("joined (-want +got):\n%s", diff)
			}
		})
	}
}
