package binpack

import "slices"

// roomLeft checks the room that copies of a node leave to expected demands, and answers what it is worth.
func (c *checker) roomLeft(where string, n Node, capacity Vector, usable func(Level) bool) (worth int64) {
	free := slices.Clone(capacity)
	for _, content := range n.Contents {
		if content.Demand < 0 || content.Demand >= len(c.p.Demands) {
			return 0 // load said so
		}
		for r := range free {
			free[r] -= c.p.Demands[content.Demand].Size[r] * int64(content.Count)
		}
	}
	for i, e := range n.Expected {
		if e.Demand < 0 || e.Demand >= len(c.p.Demands) || !c.p.Demands[e.Demand].expected() || e.Count < 1 || i > 0 && n.Expected[i-1].Demand >= e.Demand {
			c.fail("%s: %d is no expected demand with a count, in order", where, e.Demand)
			return 0
		}
		d := &c.p.Demands[e.Demand]
		if !slices.ContainsFunc(d.Levels, usable) || d.MaxPerNode > 0 && e.Count > d.MaxPerNode {
			c.fail("%s: there is no room for %d of %s, who may not be there", where, e.Count, d.Name)
		}
		for _, other := range slices.Concat(n.Contents, n.Expected[:i]) {
			if c.apart(e.Demand, other.Demand) {
				c.fail("%s: there is no room for %s, which must not share it", where, d.Name)
			}
		}
		for r := range free {
			if free[r] -= d.Size[r] * int64(e.Count); free[r] < 0 {
				c.fail("%s: there is no room for %d of %s, %s is short", where, e.Count, d.Name, c.p.Resources[r])
			}
		}
		c.expected[e.Demand] += e.Count * n.Copies
		worth += c.worthOf(d) * int64(e.Count)
	}
	return worth * int64(n.Copies)
}

// worthOf answers what Demand.WorthMilli says about one place.
func (c *checker) worthOf(d *Demand) int64 {
	least := int64(-1)
	for i, o := range c.p.Offerings {
		pods := int64(MaxCount)
		if d.MaxPerNode > 0 {
			pods = min(pods, int64(d.MaxPerNode))
		}
		for r, q := range d.Size {
			if q > 0 {
				pods = min(pods, c.p.Shapes[o.Shape].Capacity[r]/q)
			}
		}
		if pods == 0 || o.Closed != Open || o.Stock == 0 || !slices.ContainsFunc(d.Levels, func(l Level) bool { return l.Offerings.Has(i) }) {
			continue
		}
		if slices.ContainsFunc(o.Charges, func(x Charge) bool { return x.Amount > 0 && x.Amount > c.p.Limits[x.Limit].Remaining }) {
			continue
		}
		if each := o.PriceMicroUSDPerHour / pods; least < 0 || each < least {
			least = each
		}
	}
	return max(0, least) * int64(d.WorthMilli) / 1000
}
