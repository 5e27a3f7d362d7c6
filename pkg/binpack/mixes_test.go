package binpack

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The mixes that cost and speed are measured on. testdata/openb.csv counts the GPU pods of two lists of Alibaba's openb trace by class (share
// pods rounded up to one GPU), testdata/types.csv has EC2's GPU types; see testdata/README.md.

// models is how a pod's model constraint maps to EC2 families, with the share of pods, in thousandths, that ask for it: read off the first
// thousands of the trace's list with a third of constrained pods.
var models = []struct {
	name     string
	share    int
	families []string
}{
	{"any", 667, nil},
	{"T4", 150, []string{"g4dn"}},
	{"G2", 75, []string{"g6", "gr6", "g5"}},
	{"P100", 32, []string{"g4dn", "g5"}},
	{"V100", 30, []string{"g5", "g6e", "p4d", "p4de"}},
	{"P100|V100", 20, []string{"g4dn", "g5", "g6e", "p4d", "p4de"}},
	{"P100|T4|V100", 16, []string{"g4dn", "g5", "g6e", "p4d", "p4de"}},
	{"G3", 10, []string{"g6e"}},
}

// patho is a synthetic mix of inference and training: cpu, memory, GPUs, thousandths of the pods.
var patho = [][4]int64{
	{3500, 12000, 1, 110}, {2000, 8000, 1, 110},
	{12000, 16384, 1, 80}, {20000, 32768, 1, 80}, {28000, 49152, 1, 80},
	{4000, 65536, 1, 60}, {8000, 131072, 1, 60}, {12000, 196608, 1, 50},
	{8000, 32768, 2, 80}, {24000, 98304, 2, 80},
	{16000, 65536, 4, 60}, {44000, 160000, 4, 60},
	{64000, 262144, 8, 50}, {88000, 344064, 8, 40},
}

// market is what can be bought.
type market struct {
	families []string // nil: every NVIDIA family for amd64
	zones    int
	spot     bool
}

func (m market) problem(tb testing.TB) Problem {
	p := Problem{Resources: []string{"cpu", "memory", "gpu", "pods"}, GPU: 2}
	for _, row := range readTable(tb, "testdata/types.csv") {
		family, _, _ := strings.Cut(row[0], ".")
		if family == "g4ad" || family == "g5g" || m.families != nil && !slices.Contains(m.families, family) {
			continue
		}
		shape := len(p.Shapes)
		p.Shapes = append(p.Shapes, Shape{Name: row[0], Capacity: Vector{number(tb, row[1]), number(tb, row[2]), number(tb, row[3]), number(tb, row[4])}})
		usd, err := strconv.ParseFloat(row[5], 64)
		if err != nil {
			tb.Fatal(err)
		}
		for zone := range m.zones {
			p.Offerings = append(p.Offerings, Offering{
				Name: fmt.Sprintf("%s/%c/on-demand", row[0], 'a'+zone), Shape: shape, PriceMicroUSDPerHour: int64(usd*1e6 + 0.5),
				Group: int(p.Shapes[shape].Capacity[2]), Stock: -1,
			})
			if m.spot {
				p.Offerings = append(p.Offerings, Offering{
					Name: fmt.Sprintf("%s/%c/spot", row[0], 'a'+zone), Shape: shape, PriceMicroUSDPerHour: int64(usd*(0.3+0.02*float64((shape*7+zone*5)%9))*1e6 + 0.5),
					Group: int(p.Shapes[shape].Capacity[2]), Stock: -1,
				})
			}
		}
	}
	return p
}

// class is some equal pods of a mix.
type class struct {
	cpu, memory, gpu, weight int64
	families                 []string
	where                    int // 1..3: a zone, 4, 5: a market
}

func openbClasses(tb testing.TB, column int, constrained bool) []class {
	var out []class
	for _, row := range readTable(tb, "testdata/openb.csv") {
		for _, m := range models {
			weight := number(tb, row[column]) * 1000
			if constrained {
				weight = number(tb, row[column]) * int64(m.share)
			}
			out = append(out, class{cpu: number(tb, row[0]), memory: number(tb, row[1]), gpu: number(tb, row[2]), weight: weight, families: m.families})
			if !constrained {
				break
			}
		}
	}
	return out
}

func pathoClasses() []class {
	var out []class
	for _, r := range patho {
		out = append(out, class{cpu: r[0], memory: r[1], gpu: r[2] * 1000, weight: r[3]})
	}
	return out
}

// add puts that many pods of the classes, by their weights, into the problem.
func add(p *Problem, classes []class, pods int) {
	total, seen, given := int64(0), int64(0), int64(0)
	for _, c := range classes {
		total += c.weight
	}
	for i, c := range classes {
		seen += c.weight
		n := seen*int64(pods)/total - given
		given += n
		if n == 0 {
			continue
		}
		level := Level{Offerings: NewSet(len(p.Offerings)), Bins: NewSet(0)}
		for o := range p.Offerings {
			name := p.Offerings[o].Name
			family, _, _ := strings.Cut(name, ".")
			zone, market := name[len(name)-3], name[len(name)-1]
			bound := c.where >= 1 && c.where <= 3 && int(zone-'a') != c.where-1 || c.where == 4 && market == '0' || c.where == 5 && market == '1'
			if !bound && (c.families == nil || slices.Contains(c.families, family)) {
				level.Offerings.Add(o)
			}
		}
		p.Demands = append(p.Demands, Demand{Name: fmt.Sprintf("class-%04d", i), Count: int(n), Size: Vector{c.cpu, c.memory, c.gpu, 1}, Levels: []Level{level}})
	}
}

// diverse answers pods without a GPU, some hundred on a node, on 400 types: sizes from small sets, as in Karpenter's own benchmark.
func diverse(pods int) Problem {
	p := Problem{Resources: []string{"cpu", "memory", "gpu", "pods"}, GPU: 2}
	for i := range 400 {
		cpu := int64(1+i/4) * 1000
		memory := cpu / 1000 * []int64{1024, 2048, 4096, 8192}[i%4]
		p.Shapes = append(p.Shapes, Shape{Name: fmt.Sprintf("type-%03d", i), Capacity: Vector{cpu - 100, memory - 256, 0, min(110, 10+cpu/250)}})
		for zone := range 3 {
			for market, milli := range []int64{1000, 300} {
				p.Offerings = append(p.Offerings, Offering{
					Name: fmt.Sprintf("type-%03d/%c/%d", i, 'a'+zone, market), Shape: i, Group: 0, Stock: -1,
					PriceMicroUSDPerHour: (cpu/1000*25_000 + memory*3) * milli / 1000,
				})
			}
		}
	}
	classes := []class{}
	for _, cpu := range []int64{100, 250, 500, 1000, 1500} {
		for _, memory := range []int64{100, 256, 512, 1024, 2048, 4096} {
			for bound := range 8 { // to one of three zones, to one of two markets, or to nothing
				classes = append(classes, class{cpu: cpu, memory: memory, weight: int64(1 + (cpu+memory)/100%7), where: bound})
			}
		}
	}
	add(&p, classes, pods)
	return p
}

// mixed answers a mix by name.
func mixed(tb testing.TB, name string, pods int) Problem {
	if name == "diverse" {
		return diverse(pods)
	}
	m := market{zones: 4}
	classes := func() []class { return openbClasses(tb, 3, false) }
	switch name {
	case "any":
	case "L4":
		m.families = []string{"g6", "gr6"}
	case "A10G":
		m.families = []string{"g5"}
	case "L40S":
		m.families = []string{"g6e"}
	case "H100":
		m.families = []string{"p5", "p5en"}
	case "models":
		classes = func() []class { return openbClasses(tb, 3, true) }
	case "spot":
		m.spot = true
		classes = func() []class { return openbClasses(tb, 3, true) }
	case "multigpu50":
		classes = func() []class { return openbClasses(tb, 4, false) }
	case "patho":
		classes = pathoClasses
	default:
		tb.Fatalf("there is no mix %q", name)
	}
	p := m.problem(tb)
	add(&p, classes(), pods)
	return p
}
