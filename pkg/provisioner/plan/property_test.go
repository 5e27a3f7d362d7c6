package plan

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// TestDecisionsHold draws Views and looks for faults in their Decisions: invariants 1 and 5 of the design, and whatever a claim says.
func TestDecisionsHold(t *testing.T) { rapid.Check(t, decisionHolds) }

// FuzzGrow lets the fuzzer draw the Views.
func FuzzGrow(f *testing.F) { f.Fuzz(rapid.MakeFuzz(decisionHolds)) }

func decisionHolds(t *rapid.T) {
	v := drawView(t)
	d, err := Grow(v, Policy{Steps: 2000})
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults(v, d) {
		t.Error(fault)
	}
}

// TestDecisionsHold_catches plants a bug of each kind into a good Decision.
func TestDecisionsHold_catches(t *testing.T) {
	story := func() (View, Decision) {
		v := testView(t, wish("a", 3, 1), wish("b", 1, 16))
		v.Provisioners[0].Object.Spec.Limits = v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse("3")}
		return v, grow(t, v)
	}
	v, d := story()
	if found := faults(v, d); len(found) > 0 {
		t.Fatalf("the good decision has faults: %v", found)
	}
	bugs := map[string]struct {
		plant func(v *View, d *Decision)
		want  string
	}{
		"a pod is forgotten":        {func(_ *View, d *Decision) { d.Held = nil }, "is in 0 of"},
		"a pod is bought for twice": {func(_ *View, d *Decision) { d.Create[1].Spec.Pods = d.Create[0].Spec.Pods }, "is in 2 of"},
		"a limit is passed": {func(v *View, _ *Decision) {
			v.Provisioners[0].Object.Spec.Limits[v1alpha1.LimitGPU] = resource.MustParse("2")
		}, "limit gpu"},
		"a draining claim is free":   {func(v *View, _ *Decision) { v.Claims = []Claim{{Object: planted("gpu"), Leaving: true}} }, "limit gpu"},
		"a name is taken":            {func(_ *View, d *Decision) { d.Create[1].Name = d.Create[0].Name }, "is taken"},
		"choices differ in GPUs":     {func(_ *View, d *Decision) { d.Create[0].Spec.Choices[0].InstanceType = "g4dn.12xlarge" }, "has 4"},
		"a zone has no subnet":       {func(v *View, _ *Decision) { v.Provisioners[0].Zones = []string{"us-east-1f"} }, "in no subnet"},
		"a requirement is forgotten": {func(v *View, _ *Decision) { v.Provisioners[0].Object.Spec.Requirements[0].Values = []string{"g5"} }, "describes"},
		"a selector is forgotten": {func(v *View, _ *Decision) {
			v.Demands[0].Select.NodeSelector = map[string]string{"example.com/team": "a"}
		}, "does not accept"},
		"a taint is forgotten": {func(_ *View, d *Decision) {
			d.Create[0].Spec.Taints = taints([]string{"dedicated=gpu:NoSchedule"})
		}, "does not accept"},
		"a daemon is forgotten": {func(v *View, _ *Decision) {
			v.Daemons = []demand.Daemon{{Name: "big", Requests: demand.Resources{"cpu": 3500}}}
		}, "lacks"},
		"a closed offering is bought": {func(v *View, _ *Decision) {
			for i := range v.Offerings {
				v.Offerings[i].Closed = v1alpha1.HeldStockout
			}
		}, "is closed"},
		"the debit is too small": {func(_ *View, d *Decision) { d.Create[0].Spec.Debit[v1alpha1.LimitGPU] = resource.MustParse("0") }, "debits 0"},
		"interruptions pay":      {func(_ *View, d *Decision) { d.ExpectedMicroUSDPerHour-- }, "want bound"},
		"the bound is too high":  {func(_ *View, d *Decision) { d.LowerBoundMicroUSDPerHour = d.ExpectedMicroUSDPerHour + 1 }, "want bound"},
		"nobody is told why":     {func(_ *View, d *Decision) { d.Held[0].Message = "" }, "says too little"},
		"an offering is lost":    {func(_ *View, d *Decision) { d.Held[0].Offers++ }, "offerings, failed"},
		"an alternative is lost": {func(_ *View, d *Decision) { d.Create[0].Spec.Considered = d.Create[0].Spec.Considered[:1] }, "accounts for"},
		"health is made up":      {func(_ *View, d *Decision) { d.Create[0].Spec.Considered[0].InterruptionsPerHour = "9" }, "is interrupted for"},
		"closed without cause": {func(v *View, d *Decision) {
			d.Create[0].Spec.Considered[0].ClosedUntil = new(metav1.NewTime(v.Now.Add(time.Hour)))
		}, "closed until"},
		"nothing is chosen": {func(_ *View, d *Decision) { d.Create[0].Spec.Considered[0].Verdict = "Dearer" }, "0 chosen"},
		"a GPU is left over": {func(_ *View, d *Decision) {
			d.Create[0].Spec.Considered[0].Leftover[v1alpha1.ResourceGPU] = resource.MustParse("1")
		}, "would have 2 GPUs"},
		"a miss asks nothing": {func(_ *View, d *Decision) { d.Held[0].Misses[0].Changes = nil }, "misses"},
	}
	for name, bug := range bugs {
		t.Run(name, func(t *testing.T) {
			v, d := story()
			bug.plant(&v, &d)
			if found := strings.Join(faults(v, d), "\n"); !strings.Contains(found, bug.want) {
				t.Errorf("want a fault with %q, found:\n%s", bug.want, found)
			}
		})
	}
}

// planted is a claim of 4 GPUs.
func planted(provisioner string) v1alpha1.NodeClaim {
	return v1alpha1.NodeClaim{Spec: v1alpha1.NodeClaimSpec{Provisioner: provisioner,
		Debit: corev1.ResourceList{v1alpha1.LimitGPU: resource.MustParse("4")}}}
}

// answers is everything that is decided about a View, as bytes.
func answers(t interface{ Fatal(...any) }, v View) string {
	d, err := Grow(v, Policy{Steps: 2000})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(struct {
		Decision  Decision
		Shrinking Shrinking
	}{d, Shrink(v, d.Placed)}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shuffled answers the View with its lists in another order.
func shuffled(v View, seed uint64) View {
	r := rand.New(rand.NewPCG(seed, 1))
	shuffle(r, &v.Demands)
	shuffle(r, &v.Provisioners)
	shuffle(r, &v.Types)
	shuffle(r, &v.Offerings)
	shuffle(r, &v.Claims)
	shuffle(r, &v.Nodes)
	shuffle(r, &v.Daemons)
	return v
}

func shuffle[T any](r *rand.Rand, list *[]T) {
	c := slices.Clone(*list)
	r.Shuffle(len(c), func(i, j int) { c[i], c[j] = c[j], c[i] })
	*list = c
}

// again answers the View after it was written as JSON and read back.
func again(t interface{ Fatal(...any) }, v View) View {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var read View
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// TestSameViewSameDecision is invariant 6: also after a round trip through JSON, also in another order; and nothing in the View is changed.
func TestSameViewSameDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		before, _ := json.Marshal(v)
		first := answers(t, v)
		if after, _ := json.Marshal(v); string(before) != string(after) {
			t.Fatalf("the View was changed:\n%s", cmp.Diff(string(before), string(after)))
		}
		for name, other := range map[string]View{
			"again": v, "after JSON": again(t, v), "in another order": shuffled(v, rapid.Uint64().Draw(t, "seed")),
		} {
			if second := answers(t, other); first != second {
				t.Fatalf("%s (-first +second):\n%s", name, cmp.Diff(first, second))
			}
		}
	})
}

// TestSameViewSameDecision_catches sees that what is compared shows differences: of order inside a claim's choices, of one nanosecond.
func TestSameViewSameDecision_catches(t *testing.T) {
	v := testView(t, wish("a", 2, 1))
	later := v
	later.Now = v.Now.Add(1)
	if answers(t, v) == answers(t, later) {
		t.Error("a View of another instant has claims of the same names")
	}
	dearer := v
	dearer.Offerings = slices.Clone(v.Offerings)
	i := slices.IndexFunc(dearer.Offerings, func(o Offering) bool {
		return o.OfferingKey == cloud.OfferingKey{InstanceType: "g4dn.xlarge", Zone: "us-east-1a", Market: cloud.Spot}
	})
	dearer.Offerings[i].PriceMicroUSDPerHour++
	if answers(t, v) == answers(t, dearer) {
		t.Error("a price makes no difference")
	}
}

// TestLimitsAreUsedUp is the other half of invariant 1: no pod is held for a limit while the smallest machine that it fits stays inside.
func TestLimitsAreUsedUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := viewOf(wish("small", rapid.IntRange(1, 20).Draw(t, "small"), 1), wish("large", rapid.IntRange(1, 4).Draw(t, "large"), 4))
		limit := rapid.Int64Range(0, 24).Draw(t, "limit")
		v.Provisioners[0].Object.Spec.Limits = v1alpha1.Limits{v1alpha1.LimitGPU: *resource.NewQuantity(limit, resource.DecimalSI)}
		d, err := Grow(v, Policy{})
		if err != nil {
			t.Fatal(err)
		}
		if wasted := unused(v, d, limit); wasted != "" {
			t.Error(wasted)
		}
	})
}

// TestLimitsAreUsedUp_catches takes a claim out.
func TestLimitsAreUsedUp_catches(t *testing.T) {
	v := testView(t, wish("small", 5, 1))
	v.Provisioners[0].Object.Spec.Limits = v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse("4")}
	d := grow(t, v)
	if wasted := unused(v, d, 4); wasted != "" {
		t.Fatal(wasted)
	}
	d.Create = d.Create[1:]
	if unused(v, d, 4) == "" {
		t.Error("a GPU that nobody uses is not seen")
	}
}

// unused says which pod is held for a limit that has room for it. Each GPU count of the demands is also one of a machine.
func unused(v View, d Decision, limit int64) string {
	for _, c := range d.Create {
		limit -= int64(c.Spec.GPUs)
	}
	for _, h := range d.Held {
		i := slices.IndexFunc(v.Demands, func(d demand.Demand) bool { return d.Key == h.Demand })
		if h.Reason != v1alpha1.HeldLimit || v.Demands[i].Requests[v1alpha1.ResourceGPU] <= 1000*limit {
			return h.Demand + " is held though there is room: " + h.Message
		}
	}
	return ""
}
