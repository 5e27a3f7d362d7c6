package plan

import (
	"cmp"
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// Arrival is a class of pods as they have come lately, whether they had to wait or not. Bursts are not counted: they are packed as they are.
type Arrival struct {
	Key      string
	Requests demand.Resources
	Select   demand.Selection
	// PerHourMilli is how many come in an hour, in thousandths of a pod; > 0.
	PerHourMilli int64
}

// Foresight is how Grow counts on View.Arrivals. The zero value means the defaults, which the replay of test/replay has shown to be good:
// Slipway then pays no more than the better of a planner that looks at the waiting pods alone and one that buys generously.
type Foresight struct {
	// Off: only pods that wait are looked at, and prices are those of the offerings.
	Off bool `json:",omitempty"`
	// Batch is how many waiting pods are a burst, which is packed as it is. Default 4.
	Batch int `json:",omitempty"`
	// Horizon is how far ahead arrivals count. Default 30 minutes.
	Horizon time.Duration `json:",omitempty"`
	// WorthMilli is what a place for a pod that is certain to come is worth, in thousandths of what buying it one costs, up to 1000.
	// Default 850.
	WorthMilli int `json:",omitempty"`
	// Boot is how long a machine is paid for before it takes pods. Default 60 s.
	Boot time.Duration `json:",omitempty"`
}

func (f Foresight) withDefaults() Foresight {
	return Foresight{
		Off: f.Off, Batch: cmp.Or(f.Batch, 4), Horizon: cmp.Or(f.Horizon, 30*time.Minute), WorthMilli: min(1000, cmp.Or(f.WorthMilli, 850)),
		Boot: cmp.Or(f.Boot, time.Minute),
	}
}

const (
	// maxCrowds bounds the crowds that are counted on, the most frequent of them.
	maxCrowds = 64
	// mostExpected is how many pods of a crowd are counted on: more than a node of most types has GPUs.
	mostExpected = 8
	// leastWorthMilli: what is worth less than so many thousandths of a place is not worth the solver's time.
	leastWorthMilli = 20
)

// crowd is classes that are alike, as one.
type crowd struct {
	name  string
	rate  int64 // thousandths of a pod per hour
	size  []int64
	level binpack.Level
}

// expect adds to the problem what is expected to arrive, if the waiting pods are few. The n-th pod of a crowd is a demand that is worth the
// chance that at least n come within the horizon (arrivals are taken for a Poisson process), times WorthMilli.
func (g *growth) expect(p *binpack.Problem, waiting []waiting) {
	pods := 0
	for _, w := range waiting {
		pods += len(w.pods)
	}
	f := g.foresight
	if f.Off || pods == 0 || pods >= f.Batch {
		return
	}
	for _, c := range g.crowds(p) {
		for n, chance := range chances(c.rate*int64(f.Horizon/time.Second)/3600, mostExpected) {
			worth := chance * f.WorthMilli / 1000
			if worth < leastWorthMilli {
				break
			}
			p.Demands = append(p.Demands, binpack.Demand{
				Name: fmt.Sprintf("expected %s, %d", c.name, n+1), Count: 1, Size: c.size, WorthMilli: worth, Levels: []binpack.Level{c.level},
			})
		}
	}
}

// crowds puts classes together that may use the same places and ask for as many GPUs and, within a factor of two, as much of everything else:
// each of them may be too rare to count on where all together are not. A crowd's size is the mean of its pods.
func (g *growth) crowds(p *binpack.Problem) []crowd {
	var list []crowd
	var places []binpack.Level
	var selects []demand.Selection
	at := map[string]int{}
	for i := range g.view.Arrivals {
		a := &g.view.Arrivals[i]
		size, usable := g.sizeOf(a, p)
		if !usable {
			continue
		}
		where := slices.IndexFunc(selects, func(s demand.Selection) bool { return reflect.DeepEqual(s, a.Select) })
		if where < 0 {
			where = len(selects)
			levels := g.levels(&asked{demand: &demand.Demand{Key: a.Key, Select: a.Select}, sel: &nodeChoice{required: a.Select.Matcher()}})
			selects, places = append(selects, a.Select), append(places, levels[len(levels)-1])
		}
		name := fmt.Sprint(where)
		for r, q := range size {
			if r != p.GPU {
				q = int64(bits.Len64(uint64(q)))
			}
			name += fmt.Sprint("-", q)
		}
		c, known := at[name]
		if !known {
			c = len(list)
			at[name] = c
			list = append(list, crowd{name: name, size: make([]int64, len(size)), level: places[where]})
		}
		list[c].rate += a.PerHourMilli
		for r, q := range size {
			list[c].size[r] += q * a.PerHourMilli
		}
	}
	for c := range list {
		for r, sum := range list[c].size {
			list[c].size[r] = (sum + list[c].rate - 1) / list[c].rate
		}
	}
	slices.SortFunc(list, func(a, b crowd) int { return cmp.Or(cmp.Compare(b.rate, a.rate), cmp.Compare(a.name, b.name)) })
	return list[:min(len(list), maxCrowds)]
}

// sizeOf answers what a class asks for, and false if it asks for no GPU, or for something that no waiting pod does: room for it is not
// looked at then.
func (g *growth) sizeOf(a *Arrival, p *binpack.Problem) ([]int64, bool) {
	size := make([]int64, len(p.Resources))
	asked := 0
	for r, name := range p.Resources {
		if q := a.Requests[corev1.ResourceName(name)]; q > 0 {
			size[r] = min(q, demand.Ceiling>>20)
			asked++
		}
	}
	return size, asked == len(a.Requests) && p.GPU >= 0 && size[p.GPU] > 0 && a.PerHourMilli > 0
}

// chances answers, in thousandths, how likely it is that at least 1, 2, ... up to most pods come when so many thousandths of a pod are
// expected: the upper tail of Poisson's distribution, in fixed point so that every machine has the same.
func chances(expectedMilli int64, most int) []int {
	const (
		one = 1 << 40
		// decay is e^(-1/1000).
		decay = 1098412665721
	)
	expectedMilli = min(max(expectedMilli, 0), 16_000) // beyond that, all of most are certain
	times := func(a, b uint64) uint64 {
		hi, lo := bits.Mul64(a, b)
		return hi<<24 | lo>>40
	}
	term, power := uint64(one), uint64(decay)
	for n := expectedMilli; n > 0; n >>= 1 {
		if n&1 == 1 {
			term = times(term, power)
		}
		power = times(power, power)
	}
	list := make([]int, most)
	tail := uint64(one)
	for n := range list {
		tail -= min(tail, term) // now the chance of more than n
		list[n] = int(times(tail, 1000*one) >> 40)
		term = times(term, uint64(expectedMilli)*one/1000) / uint64(n+1)
	}
	return list
}

// lifeSeconds is how long pods last: those that run, divided by those that come in a second (Little's law); 0: not known.
func lifeSeconds(v *View) int64 {
	var pods, rate int64
	for i := range v.Nodes {
		pods += int64(v.Nodes[i].GPUPods)
	}
	for i := range v.Arrivals {
		rate += v.Arrivals[i].PerHourMilli
	}
	if pods == 0 || rate == 0 {
		return 0
	}
	return min(max(60, pods*3600*1000/rate), 24*3600)
}

// overheadMilli answers by how many thousandths a node of so many GPUs is dearer than its price, because it is paid for while it starts and
// while it waits to be found idle: (boot + idleAfter) / expected life. A node of n GPUs is taken to live until the last of n pods ends, which
// for exponentially distributed lives of mean L is after L x (1 + 1/2 + ... + 1/n). So what is charged to a small node is more. A node for
// one pod is charged with its price at the most: where pods are shorter than that they follow one another.
func (g *growth) overheadMilli(p *pool, gpus int) int64 {
	if g.foresight.Off || g.life == 0 {
		return 0
	}
	tail := g.foresight.Boot
	if idle, err := time.ParseDuration(cmp.Or(p.provisioner.Object.Spec.Disruption.IdleAfter, defaultIdleAfter)); err == nil {
		tail += idle
	}
	harmonic := int64(0) // thousandths
	for n := range int64(max(1, gpus)) {
		harmonic += 1000 / (n + 1)
	}
	return min(1000, int64(tail/time.Second)*1000/g.life) * 1000 / harmonic
}

// places counts the expected pods that a node has room for.
func places(expected []binpack.Content) (n int) {
	for _, c := range expected {
		n += c.Count
	}
	return n
}
