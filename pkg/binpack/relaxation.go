package binpack

import (
	"cmp"
	"math"
	"slices"
)

// relaxation solves the linear relaxation of one node's knapsack, max w·a with share·a <= 1 and 0 <= a <= most, by the primal simplex
// method for bounded variables. Its few rows are the resources, the GPU last if it is counted apart. It need not be exact: the
// multipliers it ends with only choose among valid bounds. Products are rounded before they are added, so that every machine answers the same.
type relaxation struct {
	rows   int
	cols   []float64 // by item: its shares, then its worth as a part of the largest
	basis  []int     // by row: item, or -1-d for the slack of row d
	inv    []float64
	x      []float64
	price  []float64 // by row: the dual solution
	upper  []bool    // by item: not in the basis and at its most
	most   []float64
	entry  []float64 // the entering column in terms of the basis
	amount []float64 // by item: the solution
	scale  float64
	pods   float64 // in the solution
	rounds int
}

// solve relaxes the knapsack of the pricer's current items.
func (r *relaxation) solve(p *pricer, f *form) {
	r.load(p, f)
	for r.rounds = 1; r.rounds < 60; r.rounds++ {
		enter, up := r.enter()
		if enter == math.MinInt {
			break
		}
		if !r.step(enter, up) {
			break
		}
	}
	r.amount = resized(r.amount, len(r.most))
	for i := range r.upper {
		if r.upper[i] {
			r.amount[i] = r.most[i]
		}
	}
	for k, b := range r.basis {
		if b >= 0 {
			r.amount[b] = max(0, r.x[k])
		}
	}
	r.pods = 0
	for _, a := range r.amount {
		r.pods += a
	}
}

func (r *relaxation) load(p *pricer, f *form) {
	dims := len(f.dims)
	r.rows = dims
	if f.rows > 0 {
		r.rows++
	}
	width := r.rows + 1
	top := int64(1)
	for _, k := range p.at {
		top = max(top, p.worth[f.items[k]])
	}
	r.scale = float64(top)
	r.cols, r.most, r.upper = resized(r.cols, len(p.at)*width), resized(r.most, len(p.at)), resized(r.upper, len(p.at))
	for n, k := range p.at {
		col := r.cols[n*width : (n+1)*width]
		for d := range dims {
			col[d] = float64(f.share[k*dims+d]) / shareGrain
		}
		if f.rows > 0 {
			col[dims] = float64(f.units[k]) / float64(f.rows)
		}
		col[r.rows] = float64(p.worth[f.items[k]]) / r.scale
		r.most[n] = float64(p.most[n])
	}
	r.basis, r.x, r.price = resized(r.basis, r.rows), resized(r.x, r.rows), resized(r.price, r.rows)
	r.inv, r.entry = resized(r.inv, r.rows*r.rows), resized(r.entry, r.rows)
	for d := range r.rows {
		r.basis[d], r.x[d], r.inv[d*r.rows+d] = -1-d, 1, 1
	}
}

// enter answers the variable that gains the most per unit, MinInt if none gains, and whether it grows.
func (r *relaxation) enter() (variable int, up bool) {
	const tolerance = 1e-9
	best, variable := tolerance, math.MinInt
	for d, l := range r.price {
		if -l > best {
			best, variable, up = -l, -1-d, true
		}
	}
	width := r.rows + 1
	for i := range r.most {
		col := r.cols[i*width : (i+1)*width]
		gain := col[r.rows]
		for d, l := range r.price {
			gain -= float64(l * col[d])
		}
		switch {
		case !r.upper[i] && gain > best:
			best, variable, up = gain, i, true
		case r.upper[i] && -gain > best:
			best, variable, up = -gain, i, false
		}
	}
	return variable, up
}

// step moves the variable as far as it goes and changes the basis if something else stops it. It answers false where nothing stops it.
func (r *relaxation) step(enter int, up bool) bool {
	sign := 1.0
	if !up {
		sign = -1
	}
	far, own := math.Inf(1), 0.0
	for k := range r.rows {
		sum := 0.0
		if enter < 0 {
			sum = r.inv[k*r.rows-1-enter]
		} else {
			for d := range r.rows {
				sum += float64(r.inv[k*r.rows+d] * r.cols[enter*(r.rows+1)+d])
			}
		}
		r.entry[k] = sum
	}
	if enter >= 0 {
		far, own = r.most[enter], float64(r.cols[enter*(r.rows+1)+r.rows])
	}
	leave, full := -1, false
	for k := range r.rows {
		move := sign * r.entry[k]
		switch b := r.basis[k]; {
		case move > 1e-9 && r.x[k]/move < far:
			far, leave, full = max(0, r.x[k]/move), k, false
		case move < -1e-9 && b >= 0 && (r.x[k]-r.most[b])/move < far:
			far, leave, full = max(0, (r.x[k]-r.most[b])/move), k, true
		}
	}
	if math.IsInf(far, 1) {
		return false
	}
	for k := range r.rows {
		r.x[k] -= float64(far * sign * r.entry[k])
	}
	if leave < 0 {
		r.upper[enter] = up
		return true
	}
	value := far
	if !up {
		value = r.most[enter] - far
		r.upper[enter] = false
	}
	if out := r.basis[leave]; out >= 0 {
		r.upper[out] = full
	}
	r.pivot(leave, enter, own, value)
	return true
}

func (r *relaxation) pivot(leave, enter int, own, value float64) {
	gain := own
	for k, b := range r.basis {
		if b >= 0 {
			gain -= float64(r.cols[b*(r.rows+1)+r.rows] * r.entry[k])
		}
	}
	at := r.inv[leave*r.rows : (leave+1)*r.rows]
	for d := range at {
		at[d] /= r.entry[leave]
	}
	for k := range r.rows {
		if k == leave || r.entry[k] == 0 {
			continue
		}
		for d := range at {
			r.inv[k*r.rows+d] -= float64(r.entry[k] * at[d])
		}
	}
	for d := range at {
		r.price[d] += float64(gain * at[d])
	}
	r.basis[leave], r.x[leave] = enter, value
}

// multipliers answers the dual solution of the first dims rows, in units of worth per grain of share, rounded, none below 0.
func (r *relaxation) multipliers(dims int) []int64 {
	out := make([]int64, dims)
	for d := range out {
		if l := r.price[d]; l > 0 {
			out[d] = int64(min(l*r.scale/shareGrain+0.5, float64(mostBound/shareGrain/int64(dims))))
		}
	}
	return out
}

// merit is the worth of the n-th item for what it takes at the relaxation's prices: 1 if the relaxation would take it, less if not.
func (r *relaxation) merit(n int) float64 {
	col := r.cols[n*(r.rows+1) : (n+1)*(r.rows+1)]
	cost := 1e-12
	for d, l := range r.price {
		cost += float64(l * col[d])
	}
	return col[r.rows] / cost
}

// byMerit answers the items, the best first.
func (r *relaxation) byMerit() []int {
	order, merit := make([]int, len(r.most)), make([]float64, len(r.most))
	for n := range order {
		order[n], merit[n] = n, r.merit(n)
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(merit[b], merit[a]), cmp.Compare(a, b)) })
	return order
}
