package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// row is one mix at one number of pods.
type row struct {
	Mix     string `json:"mix"`
	Pods    int    `json:"pods"`
	Classes int    `json:"classes"`
	Types   int    `json:"types"`
	// First is Slipway's answer before any effort, Answer the one that its controller takes.
	First  slipway `json:"first"`
	Answer slipway `json:"answer"`
	// Karpenter is null where it was not asked: more pods than -karpenter-most.
	Karpenter *asked `json:"karpenter"`
	// LowerBound is the best proven bound on the cost of any plan for these pods: found with ten times the effort, untimed.
	LowerBound int64 `json:"lowerBound"`
}

// slipway is a result with the bound that was proven in the same time, and the memory allocated for both.
type slipway struct {
	asked
	LowerBound int64 `json:"lowerBound"`
	AllocBytes int64 `json:"allocBytes"`
}

func (r row) over(cost int64) float64 { return float64(cost) / float64(r.LowerBound) }

// certificate is how far from the optimum the answer can be at most, by what was proven along with it.
func (r row) certificate() float64 {
	return float64(r.Answer.CostMicroUSD) / float64(max(1, r.Answer.LowerBound))
}

// longSteps is the effort for the bound that ratios are stated over.
const longSteps = 10 * binpack.DefaultSteps

// packing runs each mix at each size through both programs.
func packing(f flags) ([]row, error) {
	list, err := mixes(f.traces)
	if err != nil {
		return nil, err
	}
	fmt.Println("cost over the proven bound, and seconds. cert: cost over the bound that was proven in the same time.")
	fmt.Printf("%-22s %6s %5s | %7s %8s | %7s %7s %8s | %9s %9s | %7s %7s\n",
		"mix", "pods", "class", "first", "s", "answer", "cert", "s", "karpenter", "s", "cheaper", "sooner")
	var rows []row
	for _, m := range list {
		for _, n := range f.sizes {
			if !strings.Contains(m.name, f.only) {
				continue
			}
			r, err := compare(m, n, f)
			if err != nil {
				return nil, fmt.Errorf("running %s with %d pods: %w", m.name, n, err)
			}
			rows = append(rows, r)
			r.print()
		}
	}
	return rows, nil
}

func compare(m mix, n int, f flags) (row, error) {
	sizes := m.sample(rand.New(rand.NewPCG(f.seed, uint64(n))), n)
	goods := m.market.goods()
	v := viewOf(goods, []cloud.Market{cloud.OnDemand}, zones)
	r := row{Mix: m.name, Pods: n, Types: len(goods)}
	return r, r.ask(pods(sizes), v, func(pods []*corev1.Pod) (asked, error) {
		return askKarpenter(pods, karpenterTypes(goods, []string{"on-demand"}, zones))
	}, n <= f.karpenterMost || m.long && n <= 2*f.karpenterMost)
}

// ask fills in the row: both of Slipway's answers, the bound, and Karpenter's if it is to be asked.
func (r *row) ask(pods []*corev1.Pod, v plan.View, karpenter func([]*corev1.Pod) (asked, error), both bool) error {
	r.Classes = len(demands(pods))
	var err error
	if r.First, err = fastest(pods, v, 1); err != nil {
		return err
	}
	if r.Answer, err = fastest(pods, v, 0); err != nil {
		return err
	}
	long, err := measured(pods, v, longSteps)
	if err != nil {
		return err
	}
	r.LowerBound = max(r.Answer.LowerBound, long.LowerBound)
	if !both {
		return nil
	}
	k, err := karpenter(pods)
	r.Karpenter = &k
	return err
}

// fastest measures three times and answers the fastest: what takes milliseconds is at the mercy of whoever else is on the machine. What is
// answered is the same each time.
func fastest(pods []*corev1.Pod, v plan.View, steps int) (slipway, error) {
	var best slipway
	for n := range 3 {
		next, err := measured(pods, v, steps)
		if err != nil {
			return best, err
		}
		if n == 0 || next.Seconds < best.Seconds {
			best = next
		}
	}
	return best, nil
}

// measured asks Slipway, and counts what it allocates. Some ms are the garbage collector's: it starts from a clean heap, as Karpenter does.
func measured(pods []*corev1.Pod, v plan.View, steps int) (slipway, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a, d, err := askSlipway(pods, v, steps)
	runtime.ReadMemStats(&after)
	return slipway{a, d.LowerBoundMicroUSDPerHour, int64(after.TotalAlloc - before.TotalAlloc)}, err
}

func (r row) print() {
	fmt.Printf("%-22s %6d %5d | %7.4f %8.3f | %7.4f %7.4f %8.3f |", r.Mix, r.Pods, r.Classes,
		r.over(r.First.CostMicroUSD), r.First.Seconds, r.over(r.Answer.CostMicroUSD), r.certificate(), r.Answer.Seconds)
	if k := r.Karpenter; k != nil {
		fmt.Printf(" %9.4f %9.3f | %6.1f%% %6.0fx", r.over(k.CostMicroUSD), k.Seconds,
			100*(1-float64(r.Answer.CostMicroUSD)/float64(k.CostMicroUSD)), k.Seconds/r.First.Seconds)
		if k.PodsLeft > 0 {
			fmt.Printf("  Karpenter leaves %d pods", k.PodsLeft)
		}
	}
	if r.First.PodsLeft+r.Answer.PodsLeft > 0 {
		fmt.Printf("  Slipway leaves %d pods", r.Answer.PodsLeft)
	}
	fmt.Println()
	os.Stdout.Sync()
}
