package binpack

import (
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
	"testing"
)

// The mix: testdata/openb.csv counts the GPU pods of Alibaba's openb trace (share pods rounded up to one GPU) by class;
// testdata/types.csv has EC2's GPU types with what kubelet and a small DaemonSet load leave, and us-east-1 on-demand prices.

func readTable(tb testing.TB, file string) [][]string {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	return rows[1:]
}

func number(tb testing.TB, s string) int64 {
	tb.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// openb answers the batch of that many pods on every type in four zones and two markets. Every masks-th class is bound to
// one zone, or to on-demand, or to a family, so that there are masks; 0: none is.
func openb(tb testing.TB, pods, masks int) Problem {
	p := Problem{Resources: []string{"cpu", "memory", "gpu", "pods"}, GPU: 2}
	for _, row := range readTable(tb, "testdata/types.csv") {
		shape := len(p.Shapes)
		p.Shapes = append(p.Shapes, Shape{Name: row[0], Capacity: Vector{number(tb, row[1]), number(tb, row[2]), number(tb, row[3]), number(tb, row[4])}})
		usd, err := strconv.ParseFloat(row[5], 64)
		if err != nil {
			tb.Fatal(err)
		}
		for zone := range 4 {
			for market, share := range []float64{1, 0.35 + 0.05*float64(zone)} {
				p.Offerings = append(p.Offerings, Offering{
					Name: fmt.Sprintf("%s/%c/%d", row[0], 'a'+zone, market), Shape: shape, PriceMicroUSDPerHour: int64(usd * share * 1e6), Tier: 0,
					Group: int(p.Shapes[shape].Capacity[2]), Stock: -1,
				})
			}
		}
	}
	rows := readTable(tb, "testdata/openb.csv")
	total := int64(0)
	for _, row := range rows {
		total += number(tb, row[3])
	}
	seen, given := int64(0), int64(0)
	for i, row := range rows {
		seen += number(tb, row[3])
		n := seen*int64(pods)/total - given
		given += n
		if n == 0 {
			continue
		}
		level := Level{Offerings: NewSet(len(p.Offerings)), Bins: NewSet(0)}
		for o := range p.Offerings {
			name := p.Offerings[o].Name
			zone, market := name[len(name)-3], name[len(name)-1]
			bound := masks > 0 && i%masks == 0
			if !bound || i/masks%3 == 0 && zone == byte('a'+i%4) || i/masks%3 == 1 && market == '0' || i/masks%3 == 2 && name[:2] == []string{"g4", "g5", "g6"}[i%3] {
				level.Offerings.Add(o)
			}
		}
		p.Demands = append(p.Demands, Demand{
			Name: fmt.Sprintf("class-%03d", i), Count: int(n), Size: Vector{number(tb, row[0]), number(tb, row[1]), number(tb, row[2]), 1},
			Levels: []Level{level},
		})
	}
	return p
}

func BenchmarkSolve(b *testing.B) {
	for _, pods := range []int{100, 1000, 10000} {
		for _, masks := range []int{0, 3} {
			p := openb(b, pods, masks)
			for _, steps := range []int{1, 0} {
				name := fmt.Sprintf("pods=%d/classes=%d/masks=%d/steps=%d", pods, len(p.Demands), masks, steps)
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					var plan Plan
					for b.Loop() {
						plan = Solve(p, Policy{MaxChoices: 8, ToleranceMilli: 100, Steps: steps})
					}
					b.ReportMetric(float64(plan.CostMicroUSDPerHour)/1e6, "$/h")
				})
			}
		}
	}
}

// BenchmarkSolveBound is the hard day: 1,000 bins with something free, half of the GPUs within the limit, three priorities.
func BenchmarkSolveBound(b *testing.B) {
	p := openb(b, 10000, 3)
	p.Limits = []Limit{{Name: "gpus", Remaining: 6000}, {Name: "micro-dollars", Remaining: 4_000_000_000}}
	for o := range p.Offerings {
		gpu := p.Shapes[p.Offerings[o].Shape].Capacity[p.GPU] / 1000
		p.Offerings[o].Charges = []Charge{{Limit: 0, Amount: gpu}, {Limit: 1, Amount: p.Offerings[o].PriceMicroUSDPerHour}}
	}
	for i := range 1000 {
		p.Bins = append(p.Bins, Bin{Name: fmt.Sprintf("bin-%04d", i), Free: Vector{int64(4000 + i*8), int64(8000 + i*30), int64(i % 5 * 1000), 50}})
	}
	for d := range p.Demands {
		p.Demands[d].Priority = int32(d % 3)
		p.Demands[d].Levels[0].Bins = NewSet(len(p.Bins))
		for i := d % 7; i < len(p.Bins); i += 3 {
			p.Demands[d].Levels[0].Bins.Add(i)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		Solve(p, Policy{MaxChoices: 8, ToleranceMilli: 100})
	}
}
