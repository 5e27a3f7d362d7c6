package main

import (
	"fmt"
	"strings"
)

// goal is what the planner is held to over the rows that it is about.
type goal struct {
	name string
	// about tells whether a row counts.
	about func(row) bool
	// measure answers what is bounded, and the bound. Higher means that more is better.
	measure func(row) (got, bound float64)
	higher  bool
	format  string
}

// most is the largest number of pods that the goals are about: what is beyond shows how things grow.
const most = 10_000

var goals = []goal{
	{"first answer, cost over the bound", upTo(most), func(r row) (float64, float64) { return r.over(r.First.CostMicroUSD), 1.025 }, false, "%.4f"},
	{"answer, cost over the bound, 100 pods", exactly(100), func(r row) (float64, float64) { return r.over(r.Answer.CostMicroUSD), 1.015 }, false, "%.4f"},
	{"answer, cost over the bound, 1,000 to 10,000 pods", func(r row) bool { return r.Pods >= 1000 && upTo(most)(r) },
		func(r row) (float64, float64) { return r.over(r.Answer.CostMicroUSD), 1.005 }, false, "%.4f"},
	{"certificate", upTo(most), func(r row) (float64, float64) { return r.certificate(), 1.02 }, false, "%.4f"},
	{"first answer sooner than Karpenter's, times, 5,000 pods", func(r row) bool { return packed(r) && r.Pods == 5000 && r.Karpenter != nil },
		func(r row) (float64, float64) { return r.Karpenter.Seconds / r.First.Seconds, 200 }, true, "%.0f"},
	{"seconds to the first answer, 10,000 pods", exactly(most), func(r row) (float64, float64) { return r.First.Seconds, 0.1 }, false, "%.3f"},
	{"diverse pods per second over Karpenter's, times, 5,000 pods", func(r row) bool { return !packed(r) && r.Pods == 5000 },
		func(r row) (float64, float64) { return r.Karpenter.Seconds / r.Answer.Seconds, 20 }, true, "%.0f"},
	{"diverse pods, cost over Karpenter's, 5,000 pods", func(r row) bool { return !packed(r) && r.Pods == 5000 },
		func(r row) (float64, float64) {
			return float64(r.Answer.CostMicroUSD) / float64(r.Karpenter.CostMicroUSD), 1
		}, false, "%.3f"},
}

func packed(r row) bool { return r.Mix != "diverse" }

func upTo(pods int) func(row) bool { return func(r row) bool { return packed(r) && r.Pods <= pods } }

func exactly(pods int) func(row) bool { return func(r row) bool { return packed(r) && r.Pods == pods } }

// goalTable says of each goal whether all rows meet it, what the worst is, and which rows miss it by how much.
func goalTable(rows []row) string {
	var b strings.Builder
	b.WriteString("| goal | bound | worst | met in | missed by |\n|---|--:|--:|--:|---|\n")
	for _, g := range goals {
		worst, bound, met, all := 0.0, 0.0, 0, 0
		var missed []string
		for _, r := range rows {
			if !g.about(r) {
				continue
			}
			got, limit := g.measure(r)
			if bound = limit; all == 0 || g.higher == (got < worst) {
				worst = got
			}
			if all++; g.higher && got >= limit || !g.higher && got <= limit {
				met++
			} else {
				missed = append(missed, fmt.Sprintf("%s %d (%s)", r.Mix, r.Pods, fmt.Sprintf(g.format, got)))
			}
		}
		if all > 0 {
			fmt.Fprintf(&b, "| %s | %s | %s | %d of %d | %s |\n", g.name, fmt.Sprintf(g.format, bound), fmt.Sprintf(g.format, worst), met, all, strings.Join(missed, ", "))
		}
	}
	return b.String()
}
