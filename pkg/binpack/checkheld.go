package binpack

import "slices"

// heldOnes checks each reason anew, and that no pod is held that has a place.
func (c *checker) heldOnes() {
	for _, h := range c.plan.Held {
		if h.Demand < 0 || h.Demand >= len(c.p.Demands) {
			return // conservation said so
		}
		d := c.p.Demands[h.Demand]
		where, placeable := c.somewhere(h.Demand)
		if placeable && d.Gang == 0 {
			c.fail("%s is held for %s, but has a place on %s", d.Name, h.Reason, where)
		}
		if failed := c.failures(h.Demand); failed != h.Failed {
			c.fail("%s: offerings failed on %v, not %v", d.Name, failed, h.Failed)
		}
		if want := c.reason(h, placeable); want != h.Reason {
			c.fail("%s is held for %s, not %s", d.Name, want, h.Reason)
		}
		c.nearest(h)
	}
}

// somewhere answers a place for one more pod of the demand.
func (c *checker) somewhere(demand int) (string, bool) {
	d := c.p.Demands[demand]
	for _, at := range c.places {
		already, kept := 0, false
		for _, content := range at.contents {
			kept = kept || c.apart(demand, content.Demand)
			if content.Demand == demand {
				already = content.Count
			}
		}
		if !kept && (d.MaxPerNode == 0 || already < d.MaxPerNode) && within(d.Size, at.free) && slices.ContainsFunc(d.Levels, at.usable) {
			return "a bin or a new node", true
		}
	}
	for o := range c.p.Offerings {
		if c.firstObstacle(d, o) == Open {
			return c.p.Offerings[o].Name, true
		}
	}
	return "", false
}

// firstObstacle answers why one more node of the offering cannot be bought for the demand, in the order of Held.Failed.
func (c *checker) firstObstacle(d Demand, at int) Reason {
	o := c.p.Offerings[at]
	if !slices.ContainsFunc(d.Levels, func(l Level) bool { return l.Offerings.Has(at) }) {
		return ReasonConstraint
	}
	if !within(d.Size, c.p.Shapes[o.Shape].Capacity) {
		return ReasonNoShape
	}
	if o.Closed != Open {
		return o.Closed
	}
	if c.stock[at] == 0 {
		return ReasonStockout
	}
	for _, charge := range o.Charges {
		if charge.Amount > 0 && c.room[charge.Limit] < charge.Amount {
			return ReasonLimit
		}
	}
	return Open
}

func (c *checker) failures(demand int) (failed [NumReasons]int) {
	for o := range c.p.Offerings {
		failed[c.firstObstacle(c.p.Demands[demand], o)]++
	}
	return failed
}

// reason answers what the one reason must be.
func (c *checker) reason(h Held, placeable bool) Reason {
	failed := c.failures(h.Demand)
	if placeable {
		return ReasonGang
	}
	if failed[ReasonConstraint] == len(c.p.Offerings) {
		return ReasonConstraint
	}
	if failed[ReasonConstraint]+failed[ReasonNoShape] == len(c.p.Offerings) {
		return ReasonNoShape
	}
	if failed[ReasonLimit] > 0 {
		return ReasonLimit
	}
	closed := failed[ReasonStockout : ReasonOutage+1]
	return ReasonStockout + Reason(slices.Index(closed, slices.Max(closed)))
}

// nearest checks the details: the offering that came closest failed on the reason, and the limit or resource really is in the way.
func (c *checker) nearest(h Held) {
	d := c.p.Demands[h.Demand]
	if h.Nearest < -1 || h.Nearest >= len(c.p.Offerings) || h.Limit < -1 || h.Limit >= len(c.p.Limits) || h.Resource < -1 || h.Resource >= len(d.Size) {
		c.fail("%s: nearest, limit or resource do not exist", d.Name)
		return
	}
	if (h.Limit >= 0) != (h.Reason == ReasonLimit) || (h.Resource >= 0) != (h.Reason == ReasonNoShape) {
		c.fail("%s is held for %s with limit %d and resource %d", d.Name, h.Reason, h.Limit, h.Resource)
		return
	}
	if h.Nearest < 0 {
		if h.Failed[h.Reason] > 0 {
			c.fail("%s: some offering is nearest", d.Name)
		}
		return
	}
	o := c.p.Offerings[h.Nearest]
	if first := c.firstObstacle(d, h.Nearest); first != h.Reason && !(h.Reason == ReasonGang && first == Open) {
		c.fail("%s: %s fails on %s, not on %s", d.Name, o.Name, first, h.Reason)
	}
	if h.Limit >= 0 && !slices.ContainsFunc(o.Charges, func(x Charge) bool { return x.Limit == h.Limit && x.Amount > c.room[h.Limit] }) {
		c.fail("%s: limit %s is not in the way of %s", d.Name, c.p.Limits[h.Limit].Name, o.Name)
	}
	if h.Resource >= 0 && d.Size[h.Resource] <= c.p.Shapes[o.Shape].Capacity[h.Resource] {
		c.fail("%s: %s has enough %s", d.Name, o.Name, c.p.Resources[h.Resource])
	}
}

func within(size, free Vector) bool {
	for r := range size {
		if size[r] > free[r] {
			return false
		}
	}
	return true
}
