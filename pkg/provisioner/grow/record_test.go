package grow_test

import (
	"testing"
	"testing/synctest"

	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// keeper is a Recorder that keeps in memory.
type keeper struct {
	kept   []plan.Decision
	faults []error
}

func (k *keeper) Keep(_ plan.View, _ plan.Policy, d plan.Decision, fault error) {
	k.kept, k.faults = append(k.kept, d), append(k.faults, fault)
}

// Every decision is kept, also one that creates nothing, and nothing is where there was nothing to decide.
func TestDecisionsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newWorld(), &keeper{}
		w.loop.Record(k)
		for step, tc := range []struct{ pods, kept, created, held int }{
			{pods: 0, kept: 0}, {pods: 3, kept: 1, created: 2, held: 1}, {pods: 3, kept: 2, created: 0, held: 1},
		} {
			w.pods = tc.pods
			if err := w.loop.Once(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(k.kept) != tc.kept {
				t.Fatalf("step %d: %d decisions were kept, want %d", step, len(k.kept), tc.kept)
			}
			if tc.kept == 0 {
				continue
			}
			last := k.kept[tc.kept-1]
			if len(last.Create) != tc.created || len(last.Held) != tc.held || k.faults[tc.kept-1] != nil {
				t.Errorf("step %d: kept %d claims, %d held, fault %v", step, len(last.Create), len(last.Held), k.faults[tc.kept-1])
			}
		}
	})
}
