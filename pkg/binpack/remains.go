package binpack

// Remains is what can still be bought: what a plan has left of stock and limits, or what a caller reckons will be left.
type Remains struct {
	Room  []int64 // by Limit; an offering that charges more than that is out of reach
	Stock []int   // by Offering; negative: unbounded
}

// Remains answers what a plan leaves: of limits, when each node takes the most that any of its offerings would; of stock, when each is of its first.
func (p *Problem) Remains(plan *Plan) Remains {
	var r Remains
	for i := range p.Limits {
		r.Room = append(r.Room, p.Limits[i].Remaining)
	}
	for i := range p.Offerings {
		r.Stock = append(r.Stock, p.Offerings[i].Stock)
	}
	most := make([]int64, len(p.Limits))
	for _, n := range plan.Nodes {
		if first := n.Offerings[0]; r.Stock[first] > 0 {
			for _, o := range append([]int{first}, p.Offerings[first].Shares...) {
				r.Stock[o] = max(0, r.Stock[o]-n.Copies)
			}
		}
		clear(most)
		for _, o := range n.Offerings {
			for _, c := range p.Offerings[o].Charges {
				most[c.Limit] = max(most[c.Limit], c.Amount)
			}
		}
		for i := range most {
			r.Room[i] -= most[i] * int64(n.Copies)
		}
	}
	return r
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
