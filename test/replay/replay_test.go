package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// drizzle is a few hours of single pods and gangs from a fixed seed.
func drizzle(n int) []arrival {
	r := rand.New(rand.NewPCG(1, 2))
	var all []arrival
	at := int64(0)
	for range n {
		at += int64(r.IntN(300))
		g := int64(1) << r.IntN(3)
		all = append(all, arrival{at: at, lasts: int64(60 + r.IntN(7200)), pods: 1 + r.IntN(8)/7*5,
			size: size{g * int64(1000+1000*r.IntN(12)), g * int64(4096+4096*r.IntN(8)), 1000 * g, 1}})
	}
	return all
}

func TestEveryPolicyServesTheSame(t *testing.T) {
	kinds := kinds(families["L4"])
	arrivals := fitting(drizzle(120), kinds)
	for _, r := range []row{
		{Types: "L4", WindowS: 10, IdleS: 30, Placement: "tight"},
		{Types: "L4", WindowS: 60, IdleS: 300, Placement: "first-fit", BootS: 90},
	} {
		t.Run(r.String(), func(t *testing.T) {
			res, err := compare(r, arrivals, day, kinds)
			if err != nil {
				t.Fatal(err)
			}
			hours := 0.0
			for _, a := range arrivals {
				hours += float64(a.size[gpu]) / 1000 * float64(a.lasts) * float64(a.pods) / 3600
			}
			for name, o := range map[string]outcome{"karpenter": res.Karpenter, "myopic": res.Myopic, "slipway": res.Slipway} {
				if math.Abs(o.GPUHours-hours) > 1e-6*hours || o.Dollars <= 0 || o.Nodes == 0 {
					t.Errorf("%s: %.2f GPU-hours served of %.2f, $%.2f, %d nodes", name, o.GPUHours, hours, o.Dollars, o.Nodes)
				}
			}
			again, err := compare(r, arrivals, day, kinds)
			if err != nil || again != res {
				t.Errorf("played again: %v %v, before %v", again, err, res)
			}
		})
	}
}

// careless gives every pod a node of the cheapest kind, or none.
type careless struct {
	kinds []kind
	lose  bool
}

func (c careless) saw(arrival, int64) {}
func (c careless) decide(to *cluster, waiting []*pod) ([]assignment, error) {
	var given []assignment
	for _, p := range waiting {
		if !c.lose {
			given = append(given, assignment{p, to.buy(&c.kinds[0], 0)})
		}
	}
	return given, nil
}

func TestPlay_catches(t *testing.T) {
	kinds := kinds(families["L4"])
	arrivals := fitting(drizzle(120), kinds)
	r := row{Types: "L4", WindowS: 10, IdleS: 30, Placement: "tight"}
	for name, p := range map[string]careless{"a node too small": {kinds: kinds}, "a lost pod": {kinds: kinds, lose: true}} {
		if _, err := play(r, arrivals, day, p); err == nil {
			t.Errorf("%s is not seen", name)
		}
	}
}

// One pod on one node: from the end of the window until idle.
func TestCostIsTheNodesLife(t *testing.T) {
	kinds := kinds(families["L4"])
	one := []arrival{{at: 100, lasts: 3600, pods: 1, size: size{1000, 1024, 1000, 1}}}
	o, err := play(row{WindowS: 10, IdleS: 30, Placement: "tight"}, one, day, &karpenter{kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	if want := float64(kinds[0].price) / 1e6 * 3630 / 3600; math.Abs(o.Dollars-want) > 1e-9 || o.Nodes != 1 {
		t.Errorf("$%.6f for %d nodes, want $%.6f for one", o.Dollars, o.Nodes, want)
	}
}

// Karpenter's policy puts two pods of one batch onto one claim and launches the cheapest type that holds both.
func TestKarpenterJoinsTheBatch(t *testing.T) {
	kinds := kinds(families["L4"])
	c := &cluster{}
	two := []*pod{{id: 0, size: size{2000, 4096, 1000, 1}}, {id: 1, size: size{2000, 4096, 1000, 1}}}
	given, err := (&karpenter{kinds: kinds}).decide(c, two)
	if err != nil || len(given) != 2 || len(c.nodes) != 1 || c.nodes[0].kind.GPU.Count < 2 {
		t.Errorf("%d places on %d nodes, %v", len(given), len(c.nodes), err)
	}
}

func TestGangsKeepTheLoad(t *testing.T) {
	all := drizzle(20_000)
	load := func(all []arrival) (sum float64) {
		for _, a := range all {
			sum += float64(a.lasts) * float64(a.size[gpu])
			sum += float64(a.pods-1) * float64(a.lasts) * float64(a.size[gpu])
		}
		return sum
	}
	for i := range all {
		all[i].pods = 1
	}
	together := gangs(all, meanGang)
	pods := 0
	for _, a := range together {
		pods += a.pods
	}
	if mean := float64(pods) / float64(len(together)); math.Abs(mean-meanGang) > 0.5 || math.Abs(load(together)/load(all)-1) > 0.1 {
		t.Errorf("gangs of %.2f with %.2f of the load", mean, load(together)/load(all))
	}
}

func TestFigureIsXML(t *testing.T) {
	r := &report{}
	for i, at := range rows(options{}) {
		r.Rows = append(r.Rows, result{row: at, Karpenter: outcome{Dollars: 100}, Myopic: outcome{Dollars: 80 + float64(i)}, OfKarpenter: 0.8, OfBetter: 1})
	}
	var b strings.Builder
	if err := r.svg(&b); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if dots := strings.Count(b.String(), "<circle"); dots != 2+2*len(r.Rows) {
		t.Errorf("%d dots for %d rows", dots, len(r.Rows))
	}
}

func TestTraceIsAskedFor(t *testing.T) {
	if err := run(options{traces: t.TempDir(), days: 1}, io.Discard); !errors.Is(err, errNoTraces) {
		t.Errorf("without a trace: %v", err)
	}
	if err := run(options{days: 25}, io.Discard); err == nil {
		t.Error("more days than there are")
	}
}
