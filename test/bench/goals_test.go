package main

import (
	"strings"
	"testing"
)

func TestGoalTable(t *testing.T) {
	near := row{Mix: "near", Pods: 1000, LowerBound: 1000}
	near.First.CostMicroUSD, near.Answer.CostMicroUSD, near.Answer.LowerBound = 1020, 1004, 1000
	far := near
	far.Mix, far.Answer.CostMicroUSD, far.Karpenter = "far", 1010, &asked{Seconds: 100}
	far.Pods, far.First.Seconds = 5000, 1
	beyond := far
	beyond.Pods = 100_000
	diverse := row{Mix: "diverse", Pods: 5000, LowerBound: 1, Karpenter: &asked{Seconds: 30, CostMicroUSD: 10}}
	diverse.Answer.Seconds, diverse.Answer.CostMicroUSD = 1, 9
	got := goalTable([]row{near, far, beyond, diverse})
	for _, want := range []string{
		"| first answer, cost over the bound | 1.0250 | 1.0200 | 2 of 2 |  |",
		"| answer, cost over the bound, 1,000 to 10,000 pods | 1.0050 | 1.0100 | 1 of 2 | far 5000 (1.0100) |",
		"| first answer sooner than Karpenter's, times, 5,000 pods | 200 | 100 | 0 of 1 | far 5000 (100) |",
		"| diverse pods per second over Karpenter's, times, 5,000 pods | 20 | 30 | 1 of 1 |  |",
		"| diverse pods, cost over Karpenter's, 5,000 pods | 1.000 | 0.900 | 1 of 1 |  |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no line %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "100 pods") {
		t.Errorf("a goal is judged that no row is about:\n%s", got)
	}
}
