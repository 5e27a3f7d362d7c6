package main

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// BenchmarkFirst answers 10,000 pods of each mix without any effort beyond the first answer, for a profile. Those of the traces need SLIPWAY_TRACES.
func BenchmarkFirst(b *testing.B) {
	list, err := mixes(os.Getenv("SLIPWAY_TRACES"))
	if err != nil {
		b.Fatal(err)
	}
	const n = 10_000
	for _, m := range list {
		b.Run(m.name, func(b *testing.B) {
			v := viewOf(m.market.goods(), []cloud.Market{cloud.OnDemand}, zones)
			pods := pods(m.sample(rand.New(rand.NewPCG(1, n)), n))
			for b.Loop() {
				a, _, err := askSlipway(pods, v, 1)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(a.CostMicroUSD)/1e6, "$/h")
			}
		})
	}
}
