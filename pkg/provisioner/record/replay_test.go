package record

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

var policy = plan.Policy{Steps: 2000}

// recorded decides about a View and answers the Record of it after a way through a file.
func recorded(t interface{ Fatal(...any) }, v plan.View) Record {
	d, err := plan.Grow(v, policy)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Of("test", v, policy, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode(bytes.NewReader(encoded(t, r)))
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// TestReplayDecidesTheSame is invariant 6 of the design, through a file.
func TestReplayDecidesTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := recorded(t, drawCluster(t))
		today, err := r.Replay()
		if err != nil {
			t.Fatal(err)
		}
		if !today.Same() {
			t.Fatalf("today's decision differs: %v", today.Differences)
		}
	})
}

// TestReplayDecidesTheSame_catches changes what was recorded as a lossy format, a clock in the plan or a later version would.
func TestReplayDecidesTheSame_catches(t *testing.T) {
	view := func() plan.View {
		v := rapid.Custom(drawCluster).Example(3)
		v.Provisioners[0].Object.Spec.Limits = nil
		v.Refused = nil
		v.Demands = v.Demands[:1]
		v.Demands[0].Requests[v1alpha1.ResourceGPU] = 1000
		for i := range v.Offerings {
			v.Offerings[i].Closed = ""
		}
		return v
	}
	for name, tc := range map[string]struct {
		plant func(r *Record)
		want  string
	}{
		"the instant is cut to seconds": {func(r *Record) { r.View.Now = r.View.Now.Truncate(time.Second) }, "Create[0].metadata.name"},
		"a demand is lost":              {func(r *Record) { r.View.Demands = nil }, "Create"},
		"prices have moved": {func(r *Record) {
			for i := range r.View.Offerings {
				r.View.Offerings[i].PriceMicroUSDPerHour++
			}
		}, "CostMicroUSDPerHour"},
		"another policy": {func(r *Record) { r.Policy.MaxChoices = 1 }, "Create[0].spec.choices"},
		"an older fault": {func(r *Record) { r.Fault, r.Decision = "checking the plan: gone wrong", nil }, "fault"},
		"a field is new": {func(r *Record) {
			r.Decision = bytes.Replace(r.Decision, []byte(`"Create"`), []byte(`"Moons":7,"Create"`), 1)
		}, "Moons"},
		"fields have moved": {func(r *Record) {
			cost := r.Decision[bytes.LastIndex(r.Decision, []byte(`,"CostMicroUSDPerHour"`)):]
			moved := append([]byte("{"), cost[1:len(cost)-1]...)
			r.Decision = append(append(moved, ','), r.Decision[1:len(r.Decision)-len(cost)]...)
			r.Decision = append(r.Decision, '}')
		}, "order of fields"},
	} {
		t.Run(name, func(t *testing.T) {
			r := recorded(t, view())
			if today, err := r.Replay(); err != nil || !today.Same() || len(today.Decision.Create) == 0 {
				t.Fatalf("the good record: %v, %v, %d claims", err, today.Differences, len(today.Decision.Create))
			}
			tc.plant(&r)
			today, err := r.Replay()
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, d := range today.Differences {
				found = found || strings.HasPrefix(d.Path, tc.want) || strings.Contains(d.Path, tc.want)
			}
			if today.Same() || !found {
				t.Errorf("want a difference at %s, found %v", tc.want, today.Differences)
			}
			if len(today.Differences) > maxDifferences {
				t.Errorf("%d differences are listed", len(today.Differences))
			}
		})
	}
}

// A fault has no decision, and is the same fault on replay only if it comes again.
func TestFaultIsRecorded(t *testing.T) {
	r, err := Of("test", rapid.Custom(drawCluster).Example(1), policy, plan.Decision{}, errors.New("gone wrong"))
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode(bytes.NewReader(encoded(t, r)))
	if err != nil || back.Fault != "gone wrong" || len(back.Decision) != 0 {
		t.Fatalf("got %v, fault %q, decision %s", err, back.Fault, back.Decision)
	}
	today, err := back.Replay()
	if err != nil || today.Same() || today.Differences[0].Recorded != "gone wrong" {
		t.Errorf("got %v, %v", err, today.Differences)
	}
}
