package binpack

// grid counts one resource besides the GPU in whole buckets, so that a bound knows what of it is still free: sizes are rounded down, so
// what fits the node fits the grid, and its bound holds.
type grid struct {
	dim     int  // the resource
	shift   uint // a bucket is 1<<shift of it
	buckets int  // 1: the resource is not counted
}

const (
	mostBuckets  = 256
	mostCells    = 1 << 19 // of all tables of a search
	cellsPerStep = 96
	priceStep    = 0.5 // of Polyak's: the least bound is above the target, which his step takes it for
)

// gridOf answers a grid for the resource that costs the most by the multipliers; none if no resource costs anything.
func (s *search) gridOf(f *form, lambda []int64) (g grid, ok bool) {
	best := int64(0)
	for n, l := range lambda {
		if l > best {
			best, g.dim = l, f.dims[n]
		}
	}
	if best == 0 {
		return g, false
	}
	most := min(mostBuckets, mostCells/(len(s.order)+1)/(f.rows+1))
	for f.capacity[g.dim]>>g.shift >= int64(max(1, most)) {
		g.shift++
	}
	g.buckets = int(f.capacity[g.dim]>>g.shift) + 1
	return g, g.buckets > 1
}

// bucket answers how many whole buckets are free.
func (g *grid) bucket(free Vector) int {
	if g.buckets == 1 {
		return 0
	}
	return int(free[g.dim] >> g.shift)
}

// add makes here the best of next with copies of the entry within each number of GPU units and buckets. O(cells x copies that fit), once the
// cells if as many copies as fit may be taken.
func (g *grid) add(here, next []int64, e *seekEntry) {
	copy(here, next)
	rows := len(here) / g.buckets
	if e.most*e.units >= rows || e.most*e.buckets >= g.buckets {
		for row := e.units; row < rows; row++ {
			to := here[row*g.buckets+e.buckets : (row+1)*g.buckets]
			from := here[(row-e.units)*g.buckets:][:len(to)]
			for i, v := range from { // one after the other: what was added is added to again
				to[i] = max(to[i], v+e.reduced)
			}
		}
		return
	}
	for n := 1; n <= e.most; n++ {
		units, buckets, sum := n*e.units, n*e.buckets, int64(n)*e.reduced
		for row := units; row < rows; row++ {
			to := here[row*g.buckets+buckets : (row+1)*g.buckets]
			from := next[(row-units)*g.buckets:][:len(to)]
			for i, v := range from {
				to[i] = max(to[i], v+sum)
			}
		}
	}
}

// seekOnGrid searches with a bound that counts one more resource. Its multipliers are improved from search to search: a resource of which the
// bound's contents take more than there is gets dearer, the others cheaper. ok is false if there is no grid.
func (p *pricer) seekOnGrid(f *form, lambda []int64, target, upper int64, nodes int) (parts []part, proven int64, ok bool) {
	g, ok := p.search.gridOf(f, lambda)
	if !ok {
		return nil, upper, false
	}
	whole := float64(max(1, target))
	if f.prices == nil {
		f.prices = make([]float64, len(f.dims))
		for d, l := range lambda {
			if f.dims[d] != g.dim {
				f.prices[d] = float64(l) * shareGrain / whole
			}
		}
	}
	laid := make([]int64, len(lambda))
	for d, price := range f.prices {
		laid[d] = int64(min(price*whole/shareGrain, float64(mostBound/shareGrain/int64(len(laid)))))
	}
	most := p.lay(f, laid, g)
	if most <= target {
		p.loose = false
		return nil, min(upper, target), true // what has items that the search leaves out may be worth target
	}
	f.reprice(p.search.usedByBound(f), float64(most-target)/whole)
	parts, _, proven = p.walk(target, min(upper, most), f.rows, nodes)
	return parts, proven, true
}

// usedByBound answers how much of each resource the contents take that the bound which was laid is the worth of.
func (s *search) usedByBound(f *form) []int64 {
	used := make([]int64, len(f.capacity))
	row, bucket := f.rows, s.grid.buckets-1
	for e := range s.entries {
		entry := &s.entries[e]
		best := s.suffix[e*s.cells+row*s.grid.buckets+bucket]
		next := s.suffix[(e+1)*s.cells : (e+2)*s.cells]
		for n := 0; n <= entry.most && n*entry.units <= row && n*entry.buckets <= bucket; n++ {
			if next[(row-n*entry.units)*s.grid.buckets+bucket-n*entry.buckets]+int64(n)*max(0, entry.reduced) != best {
				continue
			}
			row, bucket = row-n*entry.units, bucket-n*entry.buckets
			for d, q := range entry.size {
				used[d] += q * int64(n)
			}
			break
		}
	}
	return used
}

// reprice makes a step along the subgradient of the bound, whose length is for a bound that is over the target by that part of it.
func (f *form) reprice(used []int64, over float64) {
	sum, slope := 0.0, make([]float64, len(f.prices))
	for n, d := range f.dims {
		if slope[n] = float64(used[d])/float64(f.capacity[d]) - 1; slope[n] < 0 && f.prices[n] == 0 {
			slope[n] = 0
		}
		sum += float64(slope[n] * slope[n])
	}
	if sum == 0 {
		return
	}
	for n := range f.prices {
		step := float64(priceStep * over * slope[n] / sum)
		f.prices[n] = max(0, f.prices[n]+max(-over, min(over, step)))
	}
}
