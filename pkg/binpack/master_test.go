package binpack

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// drawMaster answers a random programme with columns beyond those that begin it.
func drawMaster(t *rapid.T) *master {
	rows := rapid.IntRange(1, 8).Draw(t, "rows")
	need, alone, price := make([]int, rows), make([]column, rows), make([]float64, rows)
	for i := range need {
		need[i] = rapid.IntRange(1, 40).Draw(t, "need")
		alone[i] = column{parts: []part{{item: i, count: rapid.IntRange(1, 8).Draw(t, "alone")}}}
		price[i] = float64(rapid.IntRange(1, 50).Draw(t, "price"))
	}
	m := newMaster(need, alone, price)
	for range rapid.IntRange(0, 25).Draw(t, "columns") {
		c := column{}
		for i := range need {
			if n := rapid.IntRange(-4, 4).Draw(t, "count"); n > 0 {
				c.parts = append(c.parts, part{item: i, count: n})
			}
		}
		if len(c.parts) > 0 {
			m.add(c, float64(rapid.IntRange(1, 60).Draw(t, "price")))
		}
	}
	return m
}

// optimal proves by duality that the master's basis is optimal: what it buys is enough, no column is worth more than its price, and both
// sums are the same.
func optimal(m *master) error {
	got := make([]float64, m.rows)
	for k, b := range m.basis {
		if m.x[k] < -1e-5 {
			return fmt.Errorf("%v copies", m.x[k])
		}
		if b < 0 {
			continue
		}
		for at := m.start[b]; at < m.start[b+1]; at++ {
			got[m.index[at]] += m.count[at] * m.x[k]
		}
	}
	worth := 0.0
	for i, n := range m.need {
		if got[i] < n-1e-5 || m.y[i] < -1e-6 {
			return fmt.Errorf("row %d: %v of %v, dual %v", i, got[i], n, m.y[i])
		}
		worth += n * m.y[i]
	}
	for c := range m.cols {
		if m.worth(c, m.y) > m.price[c]*(1+1e-6) {
			return fmt.Errorf("column %d is worth %v, more than %v", c, m.worth(c, m.y), m.price[c])
		}
	}
	if math.Abs(worth-m.value()) > 1e-5*(1+worth) {
		return fmt.Errorf("costs %v, worth %v", m.value(), worth)
	}
	return nil
}

func TestMasterIsOptimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMaster(t)
		if !m.solve(1 << 30) {
			t.Fatal("no end")
		}
		if err := optimal(m); err != nil {
			t.Fatal(err)
		}
		need := make([]float64, m.rows)
		for i := range need {
			need[i] = float64(rapid.IntRange(0, 40).Draw(t, "again"))
		}
		if m.demandAgain(need, 1<<30) {
			if err := optimal(m); err != nil {
				t.Fatalf("for another need: %v", err)
			}
		}
	})
}

func TestMasterIsOptimal_catches(t *testing.T) {
	alone := []column{{parts: []part{{0, 1}}}, {parts: []part{{1, 1}}}}
	m := newMaster([]int{4, 4}, alone, []float64{3, 3})
	m.add(column{parts: []part{{0, 1}, {1, 1}}}, 4)
	if optimal(m) == nil {
		t.Error("a basis that a column would make cheaper looks optimal")
	}
	m.solve(1 << 30)
	if err := optimal(m); err != nil {
		t.Fatal(err)
	}
	if m.y[0] += 0.1; optimal(m) == nil {
		t.Error("duals that are too high look optimal")
	}
}
