package binpack

// Remains is what can still be bought: what a plan has left of stock and limits, or what a caller reckons will be left.
type Remains struct {
	Room  []int64 // by Limit; an offering that charges more than that is out of reach
	Stock []int   // by Offering; negative: unbounded
}

// Obstacles tells each of everything that keeps one more node of an offering from being bought for a pod of the given size, in the order
// in which Held.Failed counts them, whether the pod is allowed on it aside: each resource that its shape has too little of
// (ReasonNoShape, the resource's index), that it is closed or sold out (its reason, -1), each limit (ReasonLimit, the limit's index).
func (p *Problem) Obstacles(r *Remains, size Vector, offering int, each func(reason Reason, index int)) {
	o := &p.Offerings[offering]
	for d, q := range size {
		if q > p.Shapes[o.Shape].Capacity[d] {
			each(ReasonNoShape, d)
		}
	}
	switch {
	case o.Closed != Open:
		each(o.Closed, -1)
	case r.Stock[offering] == 0:
		each(ReasonStockout, -1)
	}
	for _, c := range o.Charges {
		if c.Amount > 0 && c.Amount > r.Room[c.Limit] {
			each(ReasonLimit, c.Limit)
		}
	}
}
