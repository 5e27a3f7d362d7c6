package main

import (
	"fmt"

	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// String names the row.
func (r row) String() string {
	name := fmt.Sprintf("%s/%ds/idle%ds/%s", r.Types, r.WindowS, r.IdleS, r.Placement)
	if r.Gangs {
		name += "/gangs"
	}
	if r.BootS > 0 {
		name += fmt.Sprintf("/boot%ds", r.BootS)
	}
	return name
}

// result is one row of the report.
type result struct {
	row
	// PodsPerBatch are those that found no place and were given to Karpenter's policy, on average.
	PodsPerBatch float64 `json:"podsPerBatch"`
	GPUHours     float64 `json:"gpuHours"`
	Karpenter    outcome `json:"karpenter"`
	Myopic       outcome `json:"myopic"`
	Slipway      outcome `json:"slipway"`
	// OfKarpenter and OfBetter are what Slipway paid over what Karpenter's policy did, and over the better of it and myopic.
	OfKarpenter float64 `json:"ofKarpenter"`
	OfBetter    float64 `json:"ofBetter"`
}

func (r result) String() string {
	return fmt.Sprintf("%-36s %9.1f %11.0f %11.0f %11.0f %13.3f %10.3f", r.row, r.PodsPerBatch, r.Karpenter.Dollars, r.Myopic.Dollars, r.Slipway.Dollars,
		r.OfKarpenter, r.OfBetter)
}

// compare plays one row with every policy.
func compare(r row, arrivals []arrival, seconds int64, kinds []kind) (result, error) {
	res := result{row: r}
	for _, p := range []struct {
		policy policy
		to     *outcome
	}{
		{&karpenter{kinds: kinds, boot: r.BootS}, &res.Karpenter},
		{newSlipway(kinds, plan.Policy{MaxChoices: 1, Foresight: plan.Foresight{Off: true}}, r), &res.Myopic},
		{newSlipway(kinds, plan.Policy{MaxChoices: 1}, r), &res.Slipway},
	} {
		o, err := play(r, arrivals, seconds, p.policy)
		if err != nil {
			return res, err
		}
		*p.to = o
	}
	res.PodsPerBatch, res.GPUHours = res.Karpenter.PerBatch, res.Karpenter.GPUHours
	res.OfKarpenter = res.Slipway.Dollars / res.Karpenter.Dollars
	res.OfBetter = res.Slipway.Dollars / min(res.Karpenter.Dollars, res.Myopic.Dollars)
	return res, nil
}

// report is everything that was played.
type report struct {
	Source          string   `json:"source"`
	Days            int      `json:"days"`
	Rows            []result `json:"rows"`
	MeanOfKarpenter float64  `json:"meanOfKarpenter"`
	WorstOfBetter   float64  `json:"worstOfBetter"`
	WorstRow        string   `json:"worstRow"`
}

func (r *report) sum() {
	for _, res := range r.Rows {
		r.MeanOfKarpenter += res.OfKarpenter / float64(len(r.Rows))
		if res.OfBetter > r.WorstOfBetter {
			r.WorstOfBetter, r.WorstRow = res.OfBetter, res.row.String()
		}
	}
}
