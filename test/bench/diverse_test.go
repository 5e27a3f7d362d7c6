package main

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// BenchmarkDiverse plans Karpenter's diverse pods with Slipway alone, for a profile.
func BenchmarkDiverse(b *testing.B) {
	for _, n := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprintf("pods=%d", n), func(b *testing.B) {
			v := viewOf(diverseTypes(), []cloud.Market{cloud.OnDemand, cloud.Spot}, []string{"test-zone-1", "test-zone-2", "test-zone-3"})
			v.Daemons = nil
			pods := diverse(rand.New(rand.NewPCG(1, uint64(n))), n)
			for b.Loop() {
				a, _, err := askSlipway(pods, v, 0)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(a.CostMicroUSD)/1e6, "$/h")
			}
		})
	}
}
