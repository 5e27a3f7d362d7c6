package binpack

import (
	"fmt"

	"pgregory.net/rapid"
)

// mix is what a generated problem may contain.
type mix struct {
	shapes, offerings, demands, bins, limits, count    int
	levels, gangs, stock, shares, closed, tiers, apart bool
	expected                                           bool
}

var everything = mix{shapes: 5, offerings: 8, demands: 7, bins: 3, limits: 2, count: 12, levels: true, gangs: true, stock: true, shares: true, closed: true, tiers: true, apart: true, expected: true}

// draw answers a well-formed problem. Sizes are chosen so that things fit often, but not always.
func (m mix) draw(t *rapid.T) Problem {
	p := Problem{Resources: []string{"cpu", "mem", "gpu"}, GPU: 2}
	for i := range rapid.IntRange(0, m.limits).Draw(t, "limits") {
		p.Limits = append(p.Limits, Limit{Name: fmt.Sprintf("limit-%d", i), Remaining: int64(rapid.IntRange(-2, 30).Draw(t, "remaining"))})
	}
	for i := range rapid.IntRange(1, m.shapes).Draw(t, "shapes") {
		gpu := rapid.SampledFrom([]int64{1, 1, 2, 4, 8}).Draw(t, "gpu")
		p.Shapes = append(p.Shapes, Shape{Name: fmt.Sprintf("shape-%d", i), Capacity: Vector{
			gpu * int64(rapid.IntRange(2, 8).Draw(t, "cpu")), gpu * int64(rapid.IntRange(4, 16).Draw(t, "mem")), gpu,
		}})
	}
	for i := range rapid.IntRange(1, m.offerings).Draw(t, "offerings") {
		p.Offerings = append(p.Offerings, m.offering(t, p, i))
	}
	if n := len(p.Offerings); m.shares && n > 1 && p.Offerings[0].Stock >= 0 && rapid.Bool().Draw(t, "shares") {
		p.Offerings[n-1].Stock, p.Offerings[n-1].Shares, p.Offerings[0].Shares = p.Offerings[0].Stock, []int{0}, []int{n - 1}
	}
	for i := range rapid.IntRange(0, m.bins).Draw(t, "bins") {
		p.Bins = append(p.Bins, Bin{Name: fmt.Sprintf("bin-%d", i), Free: Vector{
			int64(rapid.IntRange(0, 20).Draw(t, "cpu")), int64(rapid.IntRange(0, 40).Draw(t, "mem")), int64(rapid.IntRange(0, 4).Draw(t, "gpu")),
		}})
	}
	for i := range rapid.IntRange(0, m.demands).Draw(t, "demands") {
		p.Demands = append(p.Demands, m.demand(t, p, i))
	}
	if m.expected && rapid.Bool().Draw(t, "expects") {
		for d := range p.Demands {
			if rapid.IntRange(0, 2).Draw(t, "waits") == 0 {
				p.Demands[d].Gang, p.Demands[d].WorthMilli = 0, rapid.SampledFrom([]int{1, 300, 700, 1000}).Draw(t, "worth")
			}
		}
	}
	if m.apart && rapid.Bool().Draw(t, "apart") {
		keepApart(t, p.Demands)
	}
	return p
}

func (m mix) offering(t *rapid.T, p Problem, i int) Offering {
	o := Offering{Name: fmt.Sprintf("offering-%d", i), Shape: rapid.IntRange(0, len(p.Shapes)-1).Draw(t, "shape"), Stock: -1}
	gpu := p.Shapes[o.Shape].Capacity[2]
	o.PriceMicroUSDPerHour = gpu*int64(rapid.IntRange(5, 15).Draw(t, "price"))*100_000 + int64(rapid.IntRange(0, 3).Draw(t, "more"))*50_000
	o.Group = rapid.IntRange(0, 1).Draw(t, "group")
	if m.tiers {
		o.Tier = rapid.IntRange(0, 1).Draw(t, "tier")
	}
	if m.stock && rapid.Bool().Draw(t, "bounded") {
		o.Stock = rapid.IntRange(0, 3).Draw(t, "stock")
	}
	if m.closed && rapid.IntRange(0, 3).Draw(t, "open") == 0 {
		o.Closed = rapid.SampledFrom([]Reason{ReasonStockout, ReasonQuota, ReasonOutage}).Draw(t, "closed")
	}
	for l := range p.Limits {
		if rapid.IntRange(0, 3).Draw(t, "charged") > 0 {
			o.Charges = append(o.Charges, Charge{Limit: l, Amount: gpu + int64(l)*int64(rapid.IntRange(-1, 3).Draw(t, "amount"))})
		}
	}
	for c := range o.Charges {
		o.Charges[c].Amount = max(0, o.Charges[c].Amount)
	}
	return o
}

func (m mix) demand(t *rapid.T, p Problem, i int) Demand {
	d := Demand{Name: fmt.Sprintf("demand-%d", i), Count: rapid.IntRange(1, m.count).Draw(t, "count")}
	gpu := rapid.SampledFrom([]int64{0, 1, 1, 1, 2, 4}).Draw(t, "gpu")
	d.Size = Vector{int64(rapid.IntRange(1, 6).Draw(t, "cpu")) * max(1, gpu), int64(rapid.IntRange(1, 12).Draw(t, "mem")) * max(1, gpu), gpu}
	d.MaxPerNode = rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "maxPerNode")
	d.Priority = int32(rapid.IntRange(0, 2).Draw(t, "priority"))
	if m.gangs && rapid.IntRange(0, 2).Draw(t, "ganged") == 0 {
		d.Gang = rapid.IntRange(1, 2).Draw(t, "gang")
	}
	levels := 1
	if m.levels {
		levels = rapid.IntRange(1, 3).Draw(t, "levels")
	}
	for range levels {
		l := Level{Offerings: NewSet(len(p.Offerings)), Bins: NewSet(len(p.Bins))}
		for o := range p.Offerings {
			if rapid.IntRange(0, 4).Draw(t, "allowed") > 0 {
				l.Offerings.Add(o)
			}
		}
		for b := range p.Bins {
			if rapid.IntRange(0, 2).Draw(t, "allowed") > 0 {
				l.Bins.Add(b)
			}
		}
		d.Levels = append(d.Levels, l)
	}
	return d
}

// keepApart makes some demands keep away from some others, some of them only by the other's word.
func keepApart(t *rapid.T, demands []Demand) {
	for d := range demands {
		for e := range demands {
			if e != d && rapid.IntRange(0, 3).Draw(t, "keeps away") == 0 {
				if demands[d].Apart == nil {
					demands[d].Apart = NewSet(len(demands))
				}
				demands[d].Apart.Add(e)
			}
		}
	}
}

func drawPolicy(t *rapid.T) Policy {
	return Policy{
		ToleranceMilli: rapid.SampledFrom([]int{0, 100, 500}).Draw(t, "tolerance"), MaxChoices: rapid.IntRange(0, 4).Draw(t, "choices"),
		Steps: rapid.SampledFrom([]int{0, 1, 500}).Draw(t, "steps"),
	}
}
