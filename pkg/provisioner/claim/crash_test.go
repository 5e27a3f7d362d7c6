package claim_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// story is a life of claims, in which the controller is killed once.
type story struct {
	claims       int
	reason       v1alpha1.RetireReason
	ignoreTokens bool
	loseReply    bool
	stale        uint64 // seed of a lagging cache; 0: the cache is up to date
	crashAt      int    // the effect at which the controller dies
	late         bool   // after the effect took place
}

// live plays the story, and answers whether there was a crash: there is none if crashAt is beyond the last effect.
func (s story) live(t *testing.T) (crashed bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{stale: s.stale, config: func(c *sim.Config) { c.IgnoreTokens = s.ignoreTokens }})
		w.crashAt, w.crashLate = s.crashAt, s.late
		if s.loseReply {
			w.inject("lose reply of launch 1")
		}
		var names []string
		for i := range s.claims {
			names = append(names, fmt.Sprintf("claim-%d", i))
			w.create(names[i], 1, "g4dn.xlarge")
		}
		w.ready(names...)
		if s.ignoreTokens {
			w.pass(2 * time.Minute) // for the orphan sweep
		}
		if w.alive() != s.claims {
			t.Errorf("%d machines are alive for %d ready claims\n%s", w.alive(), s.claims, w.dump())
		}
		for _, name := range names {
			w.bind("web-"+name, name)
			if s.reason != v1alpha1.RetireIdle {
				w.bind("train-"+name, name, withGPU)
			}
			deadline := time.Time{}
			if s.reason == v1alpha1.RetireNotice {
				deadline = time.Now().Add(2 * time.Minute)
				w.must(w.cloud.Interrupt(w.get(name).Status.InstanceID))
			}
			w.retire(name, s.reason, deadline)
		}
		w.run("fenced", time.Minute, func() bool {
			for _, name := range names {
				if !w.is(name, v1alpha1.ConditionFenced)() {
					return false
				}
			}
			return true
		})
		for _, name := range names {
			w.remove(name)
		}
		w.run("gone", 10*time.Minute, func() bool {
			for _, name := range names {
				if !w.gone(name)() {
					return false
				}
			}
			return true
		})
		w.pass(3 * time.Minute)
		s.settled(t, w)
		crashed = w.crashes > 0
	})
	return crashed
}

// settled checks what must hold once everything is over.
func (s story) settled(t *testing.T, w *world) {
	w.check()
	if launched := len(w.cloud.Machines()); launched != s.claims && !s.ignoreTokens {
		t.Errorf("%d machines were launched for %d claims\n%s", launched, s.claims, w.dump())
	}
	var nodes corev1.NodeList
	w.must(w.admin.List(w.ctx, &nodes))
	if w.alive() != 0 || len(nodes.Items) != 0 {
		t.Errorf("%d machines and %d nodes are left\n%s", w.alive(), len(nodes.Items), w.dump())
	}
	if left := w.orphans.Orphans(); len(left) != 0 {
		t.Errorf("orphans: %v\n%s", left, w.dump())
	}
}

// TestCrash kills the controller before and after each effect of a whole life, and starts it anew (invariants 2, 3 and 4).
func TestCrash(t *testing.T) {
	stories := map[string]struct {
		story
		step int // how far apart the crashes are
	}{
		"expired":           {story{claims: 1, reason: v1alpha1.RetireExpired}, 1},
		"idle":              {story{claims: 1, reason: v1alpha1.RetireIdle}, 3},
		"notice":            {story{claims: 1, reason: v1alpha1.RetireNotice}, 3},
		"lost reply":        {story{claims: 1, reason: v1alpha1.RetireIdle, loseReply: true}, 3},
		"tokens ignored":    {story{claims: 1, reason: v1alpha1.RetireIdle, ignoreTokens: true}, 2},
		"lagging cache":     {story{claims: 1, reason: v1alpha1.RetireExpired, stale: 1}, 3},
		"ten claims":        {story{claims: 10, reason: v1alpha1.RetireIdle}, 71},
		"ten, all troubles": {story{claims: 10, reason: v1alpha1.RetireExpired, stale: 2, ignoreTokens: true, loseReply: true}, 131},
	}
	for name, tc := range stories {
		t.Run(name, func(t *testing.T) {
			step := tc.step
			if testing.Short() {
				if tc.claims > 1 {
					t.Skip("a life of ten claims is long: make test lives it without the race detector")
				}
				step *= 12
			}
			for _, late := range []bool{false, true} {
				n := 0
				for at := 1; ; at += step {
					s := tc.story
					s.crashAt, s.late = at, late
					if !s.live(t) {
						break
					}
					if n++; t.Failed() {
						t.Fatalf("killed at effect %d (after it: %v)", at, late)
					}
				}
				t.Logf("%d crashes (late: %v)", n, late)
			}
		})
	}
}

// TestCrash_catches: a controller that forgets its token buys twice when it is killed after a launch, and TestCrash would see it.
func TestCrash_catches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		most := 0
		for at := 1; at <= 5; at++ {
			w := newWorld(t, options{})
			w.forgetToken, w.crashAt, w.crashLate = true, at, true
			w.create("a", 1, "g4dn.xlarge")
			w.pass(30 * time.Second)
			most = max(most, len(w.cloud.Machines()))
		}
		if most < 2 {
			t.Error("the planted bug was not seen")
		}
	})
}

// TestLateFirstLaunch: the queue is long, and a claim that nobody has launched has its turn only after most of the time has passed over
// which the machine of an unannounced launch is looked for. The controller dies, the claim is deleted: its machine is found all the same.
func TestLateFirstLaunch(t *testing.T) {
	bought := 0
	for at := 1; at <= 5; at++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, options{})
			w.crashAt, w.crashLate = at, true
			w.create("a", 1, "g4dn.xlarge")
			time.Sleep(visibleWithin - time.Second)
			w.run("the crash", 10*time.Second, func() bool { return w.crashes > 0 })
			w.remove("a")
			w.run("gone", 10*time.Minute, w.gone("a"))
			if w.alive() != 0 {
				t.Errorf("killed after effect %d: the claim went before its machine\n%s", at, w.dump())
			}
			bought += len(w.cloud.Machines())
		})
	}
	if bought == 0 {
		t.Error("no machine was bought before a crash: nothing was tried")
	}
}

// visibleWithin is what the claim takes for the longest time until a machine shows.
const visibleWithin = time.Minute
