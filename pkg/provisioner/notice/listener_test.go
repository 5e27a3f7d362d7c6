package notice_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/notice"
)

func spot(name string, lead time.Duration) cloud.Notice {
	return cloud.Notice{Kind: cloud.SpotInterruption, InstanceID: "i-" + name, At: time.Now(), Deadline: time.Now().Add(lead)}
}

func counts(t *testing.T, w *world, want string) {
	t.Helper()
	text := "# HELP slipway_notices_total Notices of the cloud, by what became of them.\n# TYPE slipway_notices_total counter\n" + want
	if err := testutil.GatherAndCompare(w.reg, strings.NewReader(text), "slipway_notices_total"); err != nil {
		t.Error(err)
	}
}

func TestASpotInterruptionIsAnnouncedFencedAndRetired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finished := pod("finished", "node-a", 1)
		finished.Status.Phase = "Succeeded"
		slice, device := pod("slice", "node-a", 0), pod("device", "node-a", 0)
		slice.Spec.Containers[0].Resources.Limits = corev1.ResourceList{v1alpha1.ResourceMIGPrefix + "1g.5gb": resource.MustParse("1")}
		device.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}}
		w := newWorld(t, claim("a"), node("a"), claim("b"), node("b"), pod("train", "node-a", 1), slice, device, pod("agent", "node-a", 0),
			pod("elsewhere", "node-b", 1), finished)
		w.queue.send(spot("a", 2*time.Minute))
		deadline := time.Now().Add(2 * time.Minute)
		stop := w.run(t)
		time.Sleep(time.Second)
		stop()

		c := w.claim(t, "a")
		if !w.fenced(t, "a") || c.DeletionTimestamp == nil || c.Status.Retire == nil || w.queue.left() != 0 {
			t.Fatalf("fenced %t, deleted %v, retire %v, messages left %d", w.fenced(t, "a"), c.DeletionTimestamp, c.Status.Retire, w.queue.left())
		}
		if r := c.Status.Retire; r.Reason != v1alpha1.RetireNotice || r.Deadline == nil || !r.Deadline.Time.Equal(deadline) {
			t.Errorf("retire %+v; want Notice with deadline %s", r, deadline)
		}
		if other := w.claim(t, "b"); w.fenced(t, "b") || other.DeletionTimestamp != nil {
			t.Error("the other node was touched")
		}
		if diff := cmp.Diff([]cloud.OfferingKey{{InstanceType: "g4dn.xlarge", Zone: "us-east-1a", Market: cloud.Spot}}, w.health); diff != "" || w.wakes != 1 {
			t.Errorf("the grow loop was woken %d times; health was told (-want +got):\n%s", w.wakes, diff)
		}
		takes := "EC2 takes this node at " + deadline.UTC().Format(time.RFC3339) + ": save your state"
		want := []string{
			"*v1.Node/node-a Interrupted: " + takes, "*v1.Pod/device Interrupted: " + takes, "*v1.Pod/slice Interrupted: " + takes,
			"*v1.Pod/train Interrupted: " + takes, "*v1alpha1.NodeClaim/a Interrupted: " + takes,
		}
		slices.Sort(w.events)
		if diff := cmp.Diff(want, w.events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestNoticesThatAskForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, claim("a"), node("a"))
		w.queue.send(
			cloud.Notice{Kind: cloud.Unreadable, Detail: strings.Repeat("garbage ", 1000)},
			cloud.Notice{Kind: cloud.Irrelevant},
			cloud.Notice{Kind: "FromTheFuture", InstanceID: "i-a"},
			cloud.Notice{Kind: cloud.StateChange, InstanceID: "i-a", State: cloud.InstanceRunning},
			cloud.Notice{Kind: cloud.SpotInterruption, InstanceID: "i-of-somebody-else", At: time.Now()},
			cloud.Notice{Kind: cloud.Rebalance, InstanceID: "i-a", At: time.Now()},
		)
		stop := w.run(t)
		time.Sleep(time.Second)
		stop()

		c := w.claim(t, "a")
		if w.fenced(t, "a") || c.Status.Retire != nil || c.DeletionTimestamp != nil || w.wakes != 0 || w.queue.left() != 0 {
			t.Errorf("fenced %t, retire %v, deleted %v, wakes %d, messages left %d; want nothing done and all acknowledged",
				w.fenced(t, "a"), c.Status.Retire, c.DeletionTimestamp, w.wakes, w.queue.left())
		}
		counts(t, w, `slipway_notices_total{kind="Irrelevant",outcome="ignored"} 1
slipway_notices_total{kind="Rebalance",outcome="handled"} 1
slipway_notices_total{kind="SpotInterruption",outcome="unknown_instance"} 1
slipway_notices_total{kind="StateChange",outcome="ignored"} 1
slipway_notices_total{kind="Unreadable",outcome="ignored"} 1
slipway_notices_total{kind="other",outcome="ignored"} 1
`)
		if len(w.events) != 2 || !strings.Contains(w.events[0], "RebalanceRecommended") {
			t.Errorf("events %q; want two that tell of the recommendation", w.events)
		}
	})
}

// lookup is the cloud, as far as it is asked for one machine.
type lookup func(ctx context.Context) (cloud.Instance, error)

func (f lookup) Instance(ctx context.Context, _ string) (cloud.Instance, error) { return f(ctx) }

// An event says that a machine ends, and not why: that stands in the cloud's description of it, which nothing waits for long.
func TestAMachinesEndHasTheCloudsReason(t *testing.T) {
	for name, tc := range map[string]struct {
		cloud lookup
		want  string
	}{
		"is ending": {func(context.Context) (cloud.Instance, error) {
			return cloud.Instance{StateReason: "Client.InternalError: Client error on launch"}, nil
		}, ": Client.InternalError: Client error on launch"},
		"has ended": {func(context.Context) (cloud.Instance, error) {
			return cloud.Instance{}, &cloud.TerminatedError{Reason: "Client.VolumeLimitExceeded"}
		}, ": Client.VolumeLimitExceeded"},
		"nobody answers": {func(ctx context.Context) (cloud.Instance, error) { <-ctx.Done(); return cloud.Instance{}, ctx.Err() }, "ask for it"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, claim("a"), node("a"))
				w.config.Machines = tc.cloud
				w.queue.send(cloud.Notice{Kind: cloud.StateChange, InstanceID: "i-a", At: time.Now(), State: cloud.InstanceTerminated})
				stop := w.run(t)
				time.Sleep(10 * time.Second)
				stop()
				if r := w.claim(t, "a").Status.Retire; r == nil || r.Reason != v1alpha1.RetireGone || !strings.HasSuffix(r.Message, tc.want) || !w.fenced(t, "a") {
					t.Errorf("retire %+v, want Gone with %q at the end", r, tc.want)
				}
			})
		})
	}
}

func TestDuplicatesAndDisorderEndInTheEarliestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, claim("a"), node("a"))
		start := time.Now()
		maintenance := cloud.Notice{Kind: cloud.ScheduledChange, InstanceID: "i-a", At: start, Deadline: start.Add(24 * time.Hour), Detail: "retirement"}
		terminated := cloud.Notice{Kind: cloud.StateChange, InstanceID: "i-a", At: start, State: cloud.InstanceTerminated}
		early := spot("a", 2*time.Minute)
		w.queue.send(maintenance, early, early, spot("a", 3*time.Minute), maintenance, terminated)
		stop := w.run(t)
		time.Sleep(5 * time.Minute)
		w.queue.send(early, terminated)
		time.Sleep(time.Minute)
		stop()

		r := w.claim(t, "a").Status.Retire
		if r == nil || r.Reason != v1alpha1.RetireNotice && r.Reason != v1alpha1.RetireGone {
			t.Fatalf("retire %+v; want Notice, or Gone if that came first", r)
		}
		if r.Reason == v1alpha1.RetireNotice && !r.Deadline.Time.Equal(start.Add(2*time.Minute)) {
			t.Errorf("deadline %s; want the earliest, %s", r.Deadline, start.Add(2*time.Minute))
		}
		if !w.fenced(t, "a") || w.queue.left() != 0 || len(w.health) > 1 {
			t.Errorf("fenced %t, messages left %d, interruptions counted %d; want true, 0, at most 1", w.fenced(t, "a"), w.queue.left(), len(w.health))
		}
	})
}

// Maintenance that has begun when it is announced: a deadline in the past would end the machine with its pods unasked.
func TestMaintenanceThatHasBegunLeavesPodsTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, claim("a"), node("a"))
		start := time.Now()
		w.queue.send(cloud.Notice{Kind: cloud.ScheduledChange, InstanceID: "i-a", At: start, Deadline: start.Add(-time.Hour), Detail: "reboot"})
		stop := w.run(t)
		time.Sleep(time.Second)
		stop()
		if r := w.claim(t, "a").Status.Retire; r == nil || r.Deadline == nil || r.Deadline.Time.Before(start.Add(spotTime)) {
			t.Errorf("retire %+v; want a deadline in two minutes", r)
		}
	})
}

const spotTime = 2 * time.Minute

func TestAFailedWriteBringsTheNoticeAgain(t *testing.T) {
	for _, what := range []string{"Node", "NodeClaim status", "NodeClaim delete"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, claim("a"), node("a"), pod("train", "node-a", 1))
				w.broken = what
				w.queue.send(spot("a", 2*time.Minute))
				stop := w.run(t)
				time.Sleep(29 * time.Second)
				if w.queue.left() != 1 || w.claim(t, "a").DeletionTimestamp != nil {
					t.Errorf("while %s fails: messages left %d; want the notice kept and the claim not deleted", what, w.queue.left())
				}
				w.note(func() { w.broken = "" })
				time.Sleep(2 * time.Second)
				stop()

				c := w.claim(t, "a")
				if !w.fenced(t, "a") || c.Status.Retire == nil || c.DeletionTimestamp == nil || w.queue.left() != 0 || w.wakes != 1 {
					t.Errorf("afterwards: fenced %t, retire %v, deleted %v, messages left %d, wakes %d",
						w.fenced(t, "a"), c.Status.Retire, c.DeletionTimestamp, w.queue.left(), w.wakes)
				}
				if len(w.health) != 1 {
					t.Errorf("the interruption was counted %d times; want once", len(w.health))
				}
			})
		})
	}
}

func TestAMachineThatEndsByItself(t *testing.T) {
	for name, tc := range map[string]struct {
		retire *v1alpha1.Retirement
		want   v1alpha1.RetireReason
	}{
		"out of the blue":     {nil, v1alpha1.RetireGone},
		"while it is retired": {&v1alpha1.Retirement{Reason: v1alpha1.RetireIdle}, v1alpha1.RetireIdle},
		"after its notice":    {&v1alpha1.Retirement{Reason: v1alpha1.RetireNotice}, v1alpha1.RetireNotice},
	} {
		for _, state := range []cloud.InstanceState{"stopping", "stopped", "shutting-down", "terminated"} {
			t.Run(name+" "+string(state), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := claim("a")
					c.Status.Retire = tc.retire
					w := newWorld(t, c, node("a"))
					w.queue.send(cloud.Notice{Kind: cloud.StateChange, InstanceID: "i-a", State: state, At: time.Now()})
					stop := w.run(t)
					time.Sleep(time.Second)
					stop()
					got := w.claim(t, "a")
					if got.Status.Retire == nil || got.Status.Retire.Reason != tc.want || got.DeletionTimestamp == nil || w.queue.left() != 0 {
						t.Errorf("retire %v, deleted %v, messages left %d; want %s, deleted, 0", got.Status.Retire, got.DeletionTimestamp, w.queue.left(), tc.want)
					}
				})
			})
		}
	}
}

// The launch is done and its claim does not say so yet: the notice must not be lost.
func TestANoticeOutrunsTheStatusOfItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		early := claim("a")
		early.Status = v1alpha1.NodeClaimStatus{}
		w := newWorld(t, early)
		w.queue.send(spot("a", 2*time.Minute), spot("of-somebody-else", 2*time.Minute))
		stop := w.run(t)
		time.Sleep(10 * time.Second)
		if left := w.queue.left(); left != 2 {
			t.Errorf("%d messages left; want both kept while a claim is launching", left)
		}
		known := w.claim(t, "a")
		known.Status = claim("a").Status
		if err := w.Status().Update(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Second)
		if r := w.claim(t, "a").Status.Retire; r == nil || r.Reason != v1alpha1.RetireNotice || w.queue.left() != 0 {
			t.Errorf("retire %v, messages left %d; want Notice, 0", r, w.queue.left())
		}
		stop()
	})
}

func TestALaunchThatNeverEndsKeepsNoNoticeForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := claim("a")
		stuck.Status = v1alpha1.NodeClaimStatus{}
		w := newWorld(t, stuck)
		w.queue.send(spot("of-somebody-else", 2*time.Minute))
		stop := w.run(t)
		time.Sleep(3 * time.Minute)
		stop()
		if left := w.queue.left(); left != 0 {
			t.Errorf("%d messages left; want none after two minutes", left)
		}
	})
}

func TestTwoHundredNoticesAreFencedWithinFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 200
		var objects []client.Object
		for i := range count {
			name := fmt.Sprint(i)
			objects = append(objects, claim(name), node(name), pod(name, "node-"+name, 1))
		}
		w := newWorld(t, objects...)
		w.latency = 50 * time.Millisecond
		start := time.Now()
		for i := range count {
			w.queue.send(spot(fmt.Sprint(i), 2*time.Minute))
		}
		stop := w.run(t)
		time.Sleep(20 * time.Second)
		stop()
		var last time.Duration
		for i := range count {
			if !w.fenced(t, fmt.Sprint(i)) || w.claim(t, fmt.Sprint(i)).DeletionTimestamp == nil {
				t.Fatalf("node %d is not fenced and retired", i)
			}
			last = max(last, w.fencedAt[fmt.Sprint("node-", i)].Sub(start))
		}
		if last > 5*time.Second {
			t.Errorf("the last node was fenced after %s; want at most 5s", last)
		}
		if w.queue.left() != 0 || len(w.health) != count {
			t.Errorf("%d messages left, %d interruptions counted; want 0, %d", w.queue.left(), len(w.health), count)
		}
	})
}

func TestReceiveErrorsAreTriedAgainEverLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, claim("a"), node("a"))
		down := errors.New("no route to host")
		w.queue.failures = []error{down, down, down, down, down, down, down}
		w.queue.send(spot("a", 2*time.Minute))
		stop := w.run(t)
		time.Sleep(3 * time.Minute)
		stop()
		var gaps []time.Duration
		for i := range 7 {
			gaps = append(gaps, w.queue.receives[i+1].Sub(w.queue.receives[i]))
		}
		want := []time.Duration{1, 2, 4, 8, 16, 30, 30}
		for i := range want {
			want[i] *= time.Second
		}
		if diff := cmp.Diff(want, gaps); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
		if !w.fenced(t, "a") {
			t.Error("the notice was not handled after the source came back")
		}
	})
}

func TestANodeWithoutItsClaimsNameIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := claim("a")
		c.Status.NodeName, c.Status.ProviderID = "", ""
		n := node("a")
		n.Labels = map[string]string{v1alpha1.LabelClaim: "a"}
		w := newWorld(t, c, n)
		w.queue.send(spot("a", 2*time.Minute))
		stop := w.run(t)
		time.Sleep(time.Second)
		stop()
		if !w.fenced(t, "a") {
			t.Error("the node that joined a moment ago is not fenced")
		}
	})
}

func TestADeadlineReplacesARetirementWithoutOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := claim("a")
		c.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireExpired, Since: metav1.NewTime(time.Now().Add(-time.Hour))}
		w := newWorld(t, c, node("a"))
		n := spot("a", 0)
		n.Deadline = time.Time{}
		w.queue.send(n)
		stop := w.run(t)
		time.Sleep(time.Second)
		stop()
		r := w.claim(t, "a").Status.Retire
		if r.Reason != v1alpha1.RetireNotice || r.Deadline == nil || !r.Deadline.Time.Equal(n.At.Add(2*time.Minute)) {
			t.Errorf("retire %+v; want Notice, two minutes after it was said", r)
		}
	})
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	if _, err := notice.New(notice.Config{}); err == nil {
		t.Error("New took an empty Config")
	}
}
