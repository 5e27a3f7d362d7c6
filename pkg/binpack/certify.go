package binpack

import "math/bits"

// proof is worths for which no contents of any candidate are worth more than upper/price times its price. So nodes that hold n_i pods of
// each item i cost at least the sum of n_i x worth_i x price / upper / scale.
type proof struct {
	worth        []int64 // by item, in 1/scale of a micro-dollar per hour
	upper, price int64   // of the candidate where upper/price is the largest; price in the units of worth
	scale        int64
	bound        float64 // what it proves for the generator's pods, about
}

// certify makes a proof of worths between the master's duals and those of the best proof so far: candidate by candidate, where contents may
// be worth more than slack above the price, worths are lowered until they are not. They only get lower, so what is proven for one candidate stays so. Farley (1990) divides all worths by
// the worst ratio; here only the items that can be in such contents pay. known, if not nil, is what contents of each candidate are worth at the
// most at these worths before they are lowered.
func (g *generator) certify(smooth float64, known []int64) {
	g.mixDuals(smooth)
	p := proof{scale: g.scale, price: 1}
	for c := range g.j.cands {
		price, target := g.j.cands[c].price*g.scale, g.target(c)
		upper := g.limit(c, target, known)
		if upper > target {
			g.lower(c, target, upper)
			upper = target
		}
		if moreOf(upper, price, p.upper, p.price) {
			p.upper, p.price = upper, price
		}
	}
	g.keep(p)
}

// limit answers what contents of a candidate are worth at the most, and, if that is more than target, leaves the candidate's bound behind.
func (g *generator) limit(c int, target int64, known []int64) int64 {
	if known == nil {
		_, _, upper := g.p.price(c, target, g.nodes)
		return upper
	}
	if known[c] <= target {
		return known[c]
	}
	thorough := g.p.thorough
	g.p.thorough = false
	_, _, upper := g.p.price(c, target, 0)
	g.p.thorough = thorough
	return min(upper, known[c])
}

// lower makes the worths of items such that no contents of the candidate, which the pricer has just looked at, are worth more than target.
// It does so in the way that proves more.
func (g *generator) lower(c int, target, upper int64) {
	f := g.p.formOf(c)
	divided, clipped := 0.0, 0.0
	for n, k := range g.p.at {
		i := f.items[k]
		if g.p.reach(f, n) > target {
			divided += float64(float64(g.left[i]) * float64(g.p.worth[i]-scaled(g.p.worth[i], target, upper)))
		}
	}
	level := g.p.relax.levels(f, target)
	for n, k := range g.p.at {
		i := f.items[k]
		clipped += float64(float64(g.left[i]) * float64(max(0, g.p.worth[i]-g.p.level(f, n, level))))
	}
	for n, k := range g.p.at {
		i := f.items[k]
		if clipped < divided {
			g.p.worth[i] = min(g.p.worth[i], g.p.level(f, n, level))
		} else if g.p.reach(f, n) > target {
			g.p.worth[i] = scaled(g.p.worth[i], target, upper)
		}
	}
}

// reach answers what contents with the n-th item are worth at the most, by the multipliers that bound was asked about last.
func (p *pricer) reach(f *form, n int) int64 {
	k := p.at[n]
	if p.root == mostBound || f.units[k] == 0 && p.reduced[n] > 0 {
		return p.root
	}
	return p.root - p.row[f.rows] + p.row[f.rows-f.units[k]] + p.reduced[n]
}

// levels answers a price for each resource that the relaxation has a row for, the GPU's unit last if it is counted, such that a whole node
// costs no more than target. If no item is worth more than its resources cost then no contents are worth more than target.
func (r *relaxation) levels(f *form, target int64) []int64 {
	out, sum := make([]int64, r.rows), 0.0
	for _, l := range r.price {
		sum += max(0, l)
	}
	for d := range out {
		if sum == 0 {
			break
		}
		whole := float64(shareGrain)
		if d == len(f.dims) {
			whole = float64(f.rows)
		}
		// A billionth less, so that rounding cannot make it more.
		out[d] = int64(max(0, r.price[d]) / sum * float64(target) * (1 - 1e-9) / whole)
	}
	return out
}

// level is what the n-th item's resources cost.
func (p *pricer) level(f *form, n int, levels []int64) int64 {
	k, sum := p.at[n], int64(0)
	for d := range f.dims {
		sum += levels[d] * f.share[k*len(f.dims)+d]
	}
	if f.rows > 0 {
		sum += levels[len(f.dims)] * int64(f.units[k])
	}
	return sum
}

// moreOf tells whether a/of is more than b/than.
func moreOf(a, of, b, than int64) bool {
	aHi, aLo := bits.Mul64(uint64(a), uint64(than))
	bHi, bLo := bits.Mul64(uint64(b), uint64(of))
	return aHi > bHi || aHi == bHi && aLo > bLo
}

// keep remembers the better proof.
func (g *generator) keep(p proof) {
	sum := 0.0
	for i, w := range g.p.worth {
		sum += float64(float64(w) * float64(g.left[i]))
	}
	if p.upper > 0 {
		p.bound = sum / float64(p.upper) * float64(p.price) / float64(p.scale)
	}
	if p.bound > g.best.bound {
		p.worth = append(g.best.worth[:0], g.p.worth...)
		g.best = p
	}
}
