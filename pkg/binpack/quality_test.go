package binpack

import (
	"fmt"
	"testing"
)

// quality is what plans for a mix must keep, as parts of the lower bound that the answer itself proves. Steps are counted, so every machine
// measures the same.
type quality struct {
	mix           string
	pods          int
	first, answer float64
}

var qualities = []quality{
	{"any", 100, 1.025, 1.0085}, {"any", 1000, 1.025, 1.004}, {"any", 10000, 1.025, 1.0055},
	{"L4", 100, 1.025, 1.004}, {"L4", 1000, 1.025, 1.0025}, {"A10G", 1000, 1.025, 1.003}, {"L40S", 1000, 1.025, 1.001},
	{"H100", 1000, 1.025, 1.001}, {"multigpu50", 1000, 1.025, 1.006},
	{"patho", 100, 1.025, 1.003}, {"patho", 1000, 1.025, 1.002}, {"patho", 10000, 1.025, 1.0005},
	// A third of the pods bound to GPU models: hundreds of classes, most of them of a pod or two.
	{"models", 100, 1.025, 1.009}, {"models", 1000, 1.025, 1.0075}, {"models", 5000, 1.025, 1.007}, {"spot", 5000, 1.025, 1.007},
}

func (q quality) holds(p Problem, first, answer Plan) error {
	bound := float64(answer.LowerBoundMicroUSDPerHour)
	a, b := float64(first.CostMicroUSDPerHour)/bound, float64(answer.CostMicroUSDPerHour)/bound
	if a > q.first || b > q.answer || b > a || first.LowerBoundMicroUSDPerHour <= 0 {
		return fmt.Errorf("%s, %d pods: the first answer is %.4f of the bound, want %.4f; the second %.4f, want %.4f", q.mix, q.pods, a, q.first, b, q.answer)
	}
	return Check(p, answer)
}

func TestPlansAreNearTheBound(t *testing.T) {
	for _, q := range qualities {
		t.Run(fmt.Sprintf("%s-%d", q.mix, q.pods), func(t *testing.T) {
			p := mixed(t, q.mix, q.pods)
			if err := q.holds(p, Solve(p, Policy{Steps: 1}), Solve(p, Policy{})); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPlansAreNearTheBound_catches(t *testing.T) {
	p := mixed(t, "patho", 100)
	first, answer := Solve(p, Policy{Steps: 1}), Solve(p, Policy{})
	q := quality{"patho", 100, 1.025, 1.003}
	dear := answer
	dear.CostMicroUSDPerHour = answer.CostMicroUSDPerHour * 103 / 100
	if q.holds(p, first, dear) == nil {
		t.Error("a plan that is 3 % dearer looks near the bound")
	}
	answer.LowerBoundMicroUSDPerHour = answer.LowerBoundMicroUSDPerHour * 97 / 100
	if q.holds(p, first, answer) == nil {
		t.Error("a bound that is 3 % lower looks near the plan")
	}
}

// BenchmarkMixes reports the first answer and the default one as parts of the bound that the default proves.
func BenchmarkMixes(b *testing.B) {
	for _, mix := range []string{"any", "L4", "A10G", "L40S", "H100", "models", "spot", "multigpu50", "patho", "diverse"} {
		for _, pods := range []int{100, 1000, 5000, 10000} {
			p := mixed(b, mix, pods)
			bound := float64(Solve(p, Policy{}).LowerBoundMicroUSDPerHour)
			for _, steps := range []int{1, 0} {
				b.Run(fmt.Sprintf("%s/pods=%d/classes=%d/steps=%d", mix, pods, len(p.Demands), steps), func(b *testing.B) {
					b.ReportAllocs()
					var plan Plan
					for b.Loop() {
						plan = Solve(p, Policy{Steps: steps})
					}
					b.ReportMetric(float64(plan.CostMicroUSDPerHour)/bound, "cost/bound")
					b.ReportMetric(float64(plan.CostMicroUSDPerHour)/float64(plan.LowerBoundMicroUSDPerHour), "certificate")
				})
			}
		}
	}
}
