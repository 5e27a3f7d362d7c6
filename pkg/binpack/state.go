package binpack

import (
	"math"
	"slices"
)

// ledger is what may still be bought. Invariant: room[l] >= 0 unless it began below zero, stock[o] >= 0 or unbounded (< 0).
type ledger struct {
	room  []int64 // by Limit
	stock []int   // by Offering; negative: unbounded
}

// afford answers how many of want nodes of the offering fit into its stock and every limit.
func (l *ledger) afford(o *Offering, index, want int) int {
	if have := l.stock[index]; have >= 0 {
		want = min(want, have)
	}
	for _, c := range o.Charges {
		if c.Amount > 0 {
			want = int(max(0, min(int64(want), l.room[c.Limit]/c.Amount)))
		}
	}
	return want
}

// spend books copies nodes; negative copies give them back.
func (l *ledger) spend(o *Offering, index, copies int) {
	if l.stock[index] >= 0 {
		l.stock[index] -= copies
		for _, other := range o.Shares {
			l.stock[other] -= copies
		}
	}
	for _, c := range o.Charges {
		l.room[c.Limit] -= c.Amount * int64(copies)
	}
}

func (l *ledger) clone() ledger {
	return ledger{room: slices.Clone(l.room), stock: slices.Clone(l.stock)}
}

// bought is some equal new nodes. Contents and free are never changed in place, so that states share them.
type bought struct {
	offering, copies int
	contents         []Content
	free             Vector // of each copy
}

// state is a packing on its way. Invariant: for each demand, left + what bins and nodes hold = Count.
type state struct {
	ledger
	left  []int       // by Demand
	fills [][]Content // by Bin
	free  []Vector    // by Bin; replaced, never changed in place
	nodes []bought
}

func (st *state) clone() *state {
	return &state{
		ledger: st.ledger.clone(), left: slices.Clone(st.left), fills: slices.Clone(st.fills), free: slices.Clone(st.free),
		nodes: slices.Clone(st.nodes),
	}
}

// cost answers the sum over new nodes of the price of their offering.
func (s *solver) cost(st *state) int64 {
	var sum int64
	for i := range st.nodes {
		sum += s.p.Offerings[st.nodes[i].offering].PriceMicroUSDPerHour * int64(st.nodes[i].copies)
	}
	return sum
}

// copiesIn answers how many things of one size fit into free, at most most.
func copiesIn(size, free Vector, most int) int {
	n := int64(most)
	for d, q := range size {
		if q > 0 {
			n = min(n, free[d]/q)
		}
	}
	return int(max(n, 0))
}

func fits(size, free Vector) bool {
	for d, q := range size {
		if q > free[d] {
			return false
		}
	}
	return true
}

// minus answers free less n times size.
func minus(free, size Vector, n int) Vector {
	out := make(Vector, len(free))
	for d := range free {
		out[d] = free[d] - size[d]*int64(n)
	}
	return out
}

// perNode is the most pods of the demand that one node may hold.
func perNode(d *Demand) int {
	if d.MaxPerNode > 0 {
		return d.MaxPerNode
	}
	return math.MaxInt32
}

// held answers how many pods of the demand the contents count.
func held(contents []Content, demand int) int {
	for _, c := range contents {
		if c.Demand == demand {
			return c.Count
		}
	}
	return 0
}

// with answers contents, which stay untouched, with n more pods of the demand, by Demand.
func with(contents []Content, demand, n int) []Content {
	at := 0
	for at < len(contents) && contents[at].Demand < demand {
		at++
	}
	if at < len(contents) && contents[at].Demand == demand {
		out := slices.Clone(contents)
		out[at].Count += n
		return out
	}
	out := make([]Content, 0, len(contents)+1)
	out = append(out, contents[:at]...)
	out = append(out, Content{Demand: demand, Count: n})
	return append(out, contents[at:]...)
}
