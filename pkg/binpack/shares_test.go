package binpack

import "testing"

// TestSharedStock: what two offerings are sold out of is bought once, however the caller has listed and named them.
func TestSharedStock(t *testing.T) {
	all := NewSet(3)
	for i := range 3 {
		all.Add(i)
	}
	p := Problem{Resources: []string{"gpu"}, GPU: 0, Shapes: []Shape{{Name: "s", Capacity: Vector{1}}},
		Offerings: []Offering{
			{Name: "c", PriceMicroUSDPerHour: 1, Stock: 1, Shares: []int{2}},
			{Name: "a", PriceMicroUSDPerHour: 1, Stock: -1, Closed: ReasonOutage},
			{Name: "b", PriceMicroUSDPerHour: 2, Stock: 1, Shares: []int{0}},
		},
		Demands: []Demand{{Name: "d", Count: 2, Size: Vector{1}, Levels: []Level{{Offerings: all}}}}}
	plan := Solve(p, Policy{})
	if err := Check(p, plan); err != nil {
		t.Fatal(err)
	}
	if len(plan.Nodes) != 1 || plan.Nodes[0].Copies != 1 || len(plan.Held) != 1 || plan.Held[0].Reason != ReasonStockout {
		t.Errorf("of two pods one gets a node and one waits for stock, not %+v", plan)
	}
}
