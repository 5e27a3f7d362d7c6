package binpack

// grid counts one resource besides the GPU in whole buckets, so that a bound knows what of it is still free: sizes are rounded down, so
// what fits the node fits the grid, and its bound holds.
type grid struct {
	dim     int  // the resource
	shift   uint // a bucket is 1<<shift of it
	buckets int  // 1: the resource is not counted
}

const (
	mostBuckets  = 256 // of a bound's table
	cellsPerStep = 96
	stepPart     = 0.5
)

// gridOf answers a grid for the resource that costs the most by the multipliers; none if no resource costs anything.
func (f *form) gridOf(lambda []int64) (g grid, ok bool) {
	best := int64(0)
	for n, l := range lambda {
		if l > best {
			best, g.dim = l, f.dims[n]
		}
	}
	if best == 0 {
		return g, false
	}
	for f.capacity[g.dim]>>g.shift >= mostBuckets {
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

// seekOnGrid searches with a bound that counts one more resource. Its multipliers for the others are improved from search to search, by
// Polyak's subgradient step: a resource of which the bound's contents take more than there is gets dearer. ok is false if there is no grid.
func (p *pricer) seekOnGrid(f *form, lambda []int64, target, upper int64, nodes int) (parts []part, value, proven int64, ok bool) {
	g, ok := f.gridOf(lambda)
	if !ok {
		return nil, 0, upper, false
	}
	if f.prices == nil {
		f.prices = make([]float64, len(f.dims))
		for d, l := range lambda {
			if f.dims[d] != g.dim {
				f.prices[d] = float64(l) * shareGrain / float64(max(1, target))
			}
		}
	}
	laid := make([]int64, len(lambda))
	for d, price := range f.prices {
		laid[d] = int64(min(price*float64(target)/shareGrain, float64(mostBound/shareGrain/int64(len(laid)))))
	}
	most := p.lay(f, laid, g)
	if most <= target {
		p.loose = false
		return nil, 0, min(upper, most), true
	}
	p.search.overspent(f, f.prices, float64(most-target)/float64(max(1, target)))
	parts, value, proven = p.walk(f, target, min(upper, most), nodes)
	return parts, value, proven, true
}

// overspent moves prices by what the contents behind the bound that was laid take of each resource that the grid does not count, over by how
// much of the target the bound is above it.
func (s *search) overspent(f *form, prices []float64, over float64) {
	used := make([]int64, len(f.capacity))
	row, bucket := f.rows, s.grid.buckets-1
	for e := range s.entries {
		entry := &s.entries[e]
		here, next := s.suffix[e*s.cells:(e+1)*s.cells], s.suffix[(e+1)*s.cells:(e+2)*s.cells]
		best := here[row*s.grid.buckets+bucket]
		for n := 0; n <= entry.most && n*entry.units <= row && n*entry.buckets <= bucket; n++ {
			if next[(row-n*entry.units)*s.grid.buckets+bucket-n*entry.buckets]+int64(n)*entry.reduced == best {
				row, bucket = row-n*entry.units, bucket-n*entry.buckets
				for d, q := range entry.size {
					used[d] += q * int64(n)
				}
				break
			}
		}
	}
	sum, slope := 0.0, make([]float64, len(prices))
	for n, d := range f.dims {
		if slope[n] = float64(used[d])/float64(f.capacity[d]) - 1; slope[n] < 0 && prices[n] == 0 {
			slope[n] = 0
		}
		sum += float64(slope[n] * slope[n])
	}
	for n := range prices {
		if sum > 0 {
			prices[n] = max(0, prices[n]+float64(stepPart*over*slope[n]/sum))
		}
	}
}
