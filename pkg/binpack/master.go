package binpack

import (
	"math"
	"slices"
)

// column is contents of one node of a candidate, or an exchange of a place for another.
type column struct {
	cand  int // -1: an exchange
	parts []part
}

func (c *column) exchange() bool { return c.cand < 0 }

// master is the linear programme over the columns found so far: min price·x, contents·x >= need, x >= 0, a row for each item. It is solved by
// the revised simplex method with an explicit inverse, whose zeros are skipped: columns hold few items, so there are many. Its duals are what a
// place is worth to each item. Nothing that it answers is taken for exact: a bound is proven again in integers, a plan is checked by
// counting. Products are rounded before they are added, so that every machine takes the same turns.
type master struct {
	rows  int
	need  []float64
	cols  []column
	price []float64
	start []int // of each column in index and count; one more at the end
	index []int32
	count []float64

	basis []int // by row: column, or -1-i for more than enough of item i
	inv   []float64
	x     []float64
	y     []float64 // duals
	entry []float64
	some  []int // positions of the pivot row's entries that are not 0
	work  int   // entries touched
}

const (
	workPerStep = 64   // entries touched that count as a step
	pivotLeast  = 1e-9 // smaller pivots are taken for 0
	gainLeast   = 1e-9 // the part of a column's price that it must save to enter
)

// newMaster begins with a column for each item that holds nothing else, so that the programme is feasible.
func newMaster(need []int, alone []column, price []float64) *master {
	m := &master{rows: len(need), start: []int{0}}
	m.need, m.basis, m.x, m.y = make([]float64, m.rows), make([]int, m.rows), make([]float64, m.rows), make([]float64, m.rows)
	m.inv, m.entry = make([]float64, m.rows*m.rows), make([]float64, m.rows)
	for i, n := range need {
		// A little more than is needed, of each item another little, so that the method does not turn in circles.
		m.need[i] = float64(n) + float64(1e-7*float64(1+i%97))
		m.add(alone[i], price[i])
		per := float64(alone[i].parts[0].count)
		m.basis[i], m.inv[i*m.rows+i], m.x[i], m.y[i] = i, 1/per, m.need[i]/per, price[i]/per
	}
	return m
}

func (m *master) add(c column, price float64) {
	m.cols, m.price = append(m.cols, c), append(m.price, price)
	for _, p := range c.parts {
		m.index, m.count = append(m.index, int32(p.item)), append(m.count, float64(p.count))
	}
	m.start = append(m.start, len(m.index))
}

// exchange adds a column that turns a place for one item into a place for another, at no price.
func (m *master) exchange(from, to int) {
	m.cols, m.price = append(m.cols, column{cand: -1}), append(m.price, 0)
	m.index, m.count = append(m.index, int32(to), int32(from)), append(m.count, 1, -1)
	m.start = append(m.start, len(m.index))
}

// value answers what the basic columns cost.
func (m *master) value() float64 {
	sum := 0.0
	for i, b := range m.basis {
		if b >= 0 {
			sum += float64(m.price[b] * m.x[i])
		}
	}
	return sum
}

// worth answers what the contents of a column are worth.
func (m *master) worth(c int, y []float64) float64 {
	sum := 0.0
	for k := m.start[c]; k < m.start[c+1]; k++ {
		sum += float64(y[m.index[k]] * m.count[k])
	}
	return sum
}

// solve makes the columns that there are optimal, or stops after so much work. It answers whether it came to the end.
func (m *master) solve(most int) bool {
	until := m.work + most
	m.sweep(until)
	for m.work < until {
		enter := m.enter()
		if enter == math.MinInt {
			return true
		}
		m.column(enter)
		leave := m.leave()
		if leave < 0 {
			return true // only rounding can make a programme with positive prices look unbounded
		}
		m.pivot(enter, leave)
	}
	return false
}

// sweep lets columns enter in turn that save at least a part of their price, the part getting smaller. That takes most steps of the way
// without looking for the best column each time.
func (m *master) sweep(until int) {
	for least := 0.125; least > 1e-4; least /= 4 {
		for again := true; again; {
			again = false
			for c := 0; c < len(m.cols) && m.work < until; c++ {
				if m.worth(c, m.y) <= m.price[c]+float64(m.scale(c)*least) {
					continue
				}
				m.column(c)
				if leave := m.leave(); leave >= 0 {
					m.pivot(c, leave)
					again = true
				}
			}
			m.work += len(m.index) + len(m.cols)
		}
	}
}

// scale is what the saving of a column is measured by: its price, and of an exchange, which has none, what the place is worth.
func (m *master) scale(c int) float64 {
	if p := m.price[c]; p > 0 {
		return p
	}
	return max(1, m.y[m.index[m.start[c]]])
}

// enter answers the column that saves the most for its price, MinInt if none saves anything.
func (m *master) enter() int {
	best, enter := gainLeast, math.MinInt
	for i, y := range m.y {
		if y < -gainLeast*m.price[i] {
			return -1 - i
		}
	}
	for c := range m.cols {
		if gain := (m.worth(c, m.y) - m.price[c]) / m.scale(c); gain > best {
			best, enter = gain, c
		}
	}
	m.work += len(m.index) + len(m.cols)
	return enter
}

// column expresses the entering column by the basis.
func (m *master) column(enter int) {
	for i := range m.entry {
		row := m.inv[i*m.rows : (i+1)*m.rows]
		if enter < 0 {
			m.entry[i] = -row[-1-enter]
			continue
		}
		sum := 0.0
		for k := m.start[enter]; k < m.start[enter+1]; k++ {
			sum += float64(row[m.index[k]] * m.count[k])
		}
		m.entry[i] = sum
	}
	m.work += m.rows * 4
}

// leave answers the row whose column is used up first, the one with the larger pivot where two are.
func (m *master) leave() int {
	leave, far := -1, math.Inf(1)
	for i, e := range m.entry {
		if e <= pivotLeast {
			continue
		}
		if t := max(0, m.x[i]) / e; t < far || t == far && e > m.entry[leave] {
			far, leave = t, i
		}
	}
	return leave
}

// pivot brings a column, expressed in entry, into the basis.
func (m *master) pivot(enter, leave int) {
	gain := 0.0
	if enter >= 0 {
		gain = m.price[enter]
	}
	for i, b := range m.basis {
		if b >= 0 {
			gain -= float64(m.price[b] * m.entry[i])
		}
	}
	at := m.inv[leave*m.rows : (leave+1)*m.rows]
	m.some = m.some[:0]
	by := m.entry[leave]
	for d, v := range at {
		if v != 0 {
			at[d] = v / by
			m.some = append(m.some, d)
		}
	}
	step := m.x[leave] / by
	for i, e := range m.entry {
		if i == leave || math.Abs(e) < 1e-13 {
			continue
		}
		row := m.inv[i*m.rows : (i+1)*m.rows]
		for _, d := range m.some {
			row[d] -= float64(e * at[d])
		}
		m.work += len(m.some)
		m.x[i] -= float64(e * step)
	}
	for _, d := range m.some {
		m.y[d] += float64(gain * at[d])
	}
	m.x[leave], m.basis[leave] = step, enter
	m.work += m.rows * 2
}

// demandAgain sets what is needed anew and makes the basis feasible again by the dual simplex method. The duals must be optimal. It
// answers false if that takes more than so much work or rounding is in the way.
func (m *master) demandAgain(need []float64, most int) bool {
	copy(m.need, need)
	m.settle()
	for until := m.work + most; m.work < until; {
		leave, worst := -1, -1e-7
		for i, x := range m.x {
			if x < worst {
				leave, worst = i, x
			}
		}
		if leave < 0 {
			return true
		}
		enter := m.enterDual(m.inv[leave*m.rows : (leave+1)*m.rows])
		if enter == math.MinInt {
			return false
		}
		m.column(enter)
		if m.entry[leave] > -pivotLeast {
			return false
		}
		m.pivot(enter, leave)
	}
	return false
}

// settle finds what the basic columns have to be for what is needed.
func (m *master) settle() {
	for i := range m.x {
		row, sum := m.inv[i*m.rows:(i+1)*m.rows], 0.0
		for d, n := range m.need {
			if n != 0 {
				sum += float64(row[d] * n)
			}
		}
		m.x[i] = sum
	}
	m.work += m.rows * m.rows
}

// enterDual answers the column whose saving stays the least harmful when it takes the place of the row's.
func (m *master) enterDual(row []float64) int {
	enter, least, pivot := math.MinInt, math.Inf(1), 0.0
	look := func(c int, a, reduced float64) {
		if a > -1e-8 {
			return
		}
		if t := max(0, reduced) / -a; t < least || t == least && a < pivot {
			enter, least, pivot = c, t, a
		}
	}
	for i, v := range row {
		look(-1-i, -v, m.y[i])
	}
	for c := range m.cols {
		if a := m.worth(c, row); a < 0 {
			look(c, a, m.price[c]-m.worth(c, m.y))
		}
	}
	m.work += 2*len(m.index) + len(m.cols)
	return enter
}

// snapshot remembers the basis.
func (m *master) snapshot() *master {
	return &master{
		need: slices.Clone(m.need), basis: slices.Clone(m.basis), inv: slices.Clone(m.inv), x: slices.Clone(m.x), y: slices.Clone(m.y),
	}
}

// restore goes back to a snapshot; the columns that came since stay.
func (m *master) restore(s *master) {
	m.need, m.basis, m.inv, m.x, m.y = s.need, s.basis, s.inv, s.x, s.y
}
