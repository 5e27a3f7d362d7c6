package notice

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// retirements are drawn as notices bring them: with a deadline or without.
func retirements(t *rapid.T) []v1alpha1.Retirement {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) v1alpha1.Retirement {
		r := v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Since: metav1.NewTime(epoch)}
		if minutes := rapid.IntRange(0, 5).Draw(t, "minutes"); minutes > 0 {
			r.Deadline = new(metav1.NewTime(epoch.Add(time.Duration(minutes) * time.Minute)))
		}
		return r
	}), 1, 6).Draw(t, "retirements")
}

func deadlineAfter(all []v1alpha1.Retirement, merge func(*v1alpha1.Retirement, v1alpha1.Retirement) *v1alpha1.Retirement) *metav1.Time {
	var is *v1alpha1.Retirement
	for _, r := range all {
		if merged := merge(is, r); merged != nil {
			is = merged
		}
	}
	return is.Deadline
}

// holds says whether notices in any order, each of them twice, end in the earliest deadline of all.
func holds(t *rapid.T, merge func(*v1alpha1.Retirement, v1alpha1.Retirement) *v1alpha1.Retirement) bool {
	all := retirements(t)
	var want *metav1.Time
	for _, r := range all {
		if r.Deadline != nil && (want == nil || r.Deadline.Before(want)) {
			want = r.Deadline
		}
	}
	got := deadlineAfter(rapid.Permutation(append(all, all...)).Draw(t, "order"), merge)
	return got.Equal(want)
}

func TestTheEarliestDeadlineWinsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if !holds(t, merge) {
			t.Fatal("another deadline won")
		}
	})
}

func TestTheEarliestDeadlineWinsInAnyOrder_catches(t *testing.T) {
	latest := func(is *v1alpha1.Retirement, r v1alpha1.Retirement) *v1alpha1.Retirement { return &r }
	caught := false
	rapid.Check(t, func(t *rapid.T) { caught = !holds(t, latest) || caught })
	if !caught {
		t.Error("the property did not notice that the latest notice wins")
	}
}

func TestMerge(t *testing.T) {
	at := func(minutes int) *metav1.Time {
		return new(metav1.NewTime(epoch.Add(time.Duration(minutes) * time.Minute)))
	}
	for name, tc := range map[string]struct {
		is   *v1alpha1.Retirement
		r    v1alpha1.Retirement
		want *v1alpha1.Retirement
	}{
		"gone after a notice":   {&v1alpha1.Retirement{Reason: v1alpha1.RetireNotice}, v1alpha1.Retirement{Reason: v1alpha1.RetireGone}, nil},
		"gone twice":            {&v1alpha1.Retirement{Reason: v1alpha1.RetireGone}, v1alpha1.Retirement{Reason: v1alpha1.RetireGone}, nil},
		"a notice too late":     {&v1alpha1.Retirement{Reason: v1alpha1.RetireGone}, v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Deadline: at(1)}, nil},
		"idle has no deadline":  {&v1alpha1.Retirement{Reason: v1alpha1.RetireIdle}, v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Deadline: at(1)}, &v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Deadline: at(1)}},
		"since is kept":         {&v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Since: *at(-5), Deadline: at(9)}, v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Since: *at(0), Deadline: at(1)}, &v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Since: *at(-5), Deadline: at(1)}},
		"the same again":        {&v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Deadline: at(1)}, v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Deadline: at(1)}, nil},
		"maintenance some time": {&v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Deadline: at(1)}, v1alpha1.Retirement{Reason: v1alpha1.RetireNotice}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := merge(tc.is, tc.r)
			if (got == nil) != (tc.want == nil) {
				t.Fatalf("merge = %+v; want %+v", got, tc.want)
			}
			if got != nil && (got.Reason != tc.want.Reason || !got.Deadline.Equal(tc.want.Deadline) || !got.Since.Equal(&tc.want.Since)) {
				t.Errorf("merge = %+v; want %+v", got, tc.want)
			}
		})
	}
}
