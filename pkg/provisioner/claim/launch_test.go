package claim_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// TestRefusedLaunch: the cloud says no. The claim goes at once, its words are kept, and health is told.
func TestRefusedLaunch(t *testing.T) {
	cases := map[string]struct {
		script string
		config func(*sim.Config)
		words  []string
	}{
		"stockout": {script: "stockout g4dn.*", words: []string{"InsufficientCapacity", "do not have sufficient g4dn.xlarge capacity"}},
		"quota":    {script: "quota spot 0 G and VT", words: []string{"QuotaReached", "G and VT", "Max spot instance count exceeded"}},
		"denied":   {script: "deny CreateFleet", words: []string{"AccessDenied", "CreateFleet"}},
		"misconfigured": {config: func(c *sim.Config) {
			c.Network = sim.DefaultNetwork("demo", c.Offerings)
			for i := range c.Network.Subnets {
				c.Network.Subnets[i].FreeAddresses = 0
			}
		}, words: []string{"Misconfigured", "spec.subnetSelectorTerms"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, options{config: tc.config})
				if tc.script != "" {
					w.inject(tc.script)
				}
				w.create("a", 1, "g4dn.xlarge")
				limit := 5 * time.Second
				if name == "misconfigured" {
					limit = 90 * time.Second // some mistakes mend themselves
				}
				w.run("gone", limit, w.gone("a"))
				if !w.told(tc.words...) || !w.told("LaunchFailed") || len(w.cloud.Machines()) != 0 {
					t.Errorf("want an event with %q\n%s", tc.words, w.dump())
				}
				if !w.told("health: refused") {
					t.Errorf("health was not told\n%s", w.dump())
				}
			})
		})
	}
}

// TestPartialStockout: what was tried in vain on the way to a machine is told, too.
func TestPartialStockout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		w.inject("stockout g4dn.xlarge/us-east-1a")
		w.create("a", 1, "g4dn.xlarge")
		w.run("launched", 10*time.Second, w.is("a", v1alpha1.ConditionLaunched))
		if w.get("a").Status.Zone != "us-east-1b" || !w.told("health: stockout g4dn.xlarge/us-east-1a/spot") || !w.told("health: launched") {
			t.Error(w.dump())
		}
	})
}

// TestTroubledLaunch: trouble that passes. There is one machine in the end, whatever happened on the way.
func TestTroubledLaunch(t *testing.T) {
	cases := map[string]string{
		"throttled":              "throttle CreateFleet for 20s",
		"outage":                 "fail CreateFleet for 20s",
		"lost reply":             "lose reply of launch 1",
		"lost reply, no lookup":  "lose reply of launch 1\nfail DescribeInstances for 30s",
		"lookup without success": "fail DescribeInstances for 1m\nfail CreateFleet for 40s",
	}
	for name, script := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, options{})
				w.injectAll(script)
				w.create("a", 1, "g4dn.xlarge")
				w.ready("a")
				if len(w.cloud.Machines()) != 1 {
					t.Errorf("%d machines were launched\n%s", len(w.cloud.Machines()), w.dump())
				}
				if calls := w.cloud.Journal().Counts["CreateFleet"]; calls > 8 {
					t.Errorf("the cloud was asked %d times for one machine", calls)
				}
				w.check()
			})
		})
	}
}

// TestLaunchDeadline: a cloud that does not answer for longer than the deadline. The claim goes, and no machine stays.
func TestLaunchDeadline(t *testing.T) {
	cases := map[string]string{
		"outage":              "fail CreateFleet",
		"throttled":           "throttle CreateFleet for 1h",
		"lost, then no cloud": "after 1 launches fail CreateFleet\nafter 1 launches fail DescribeInstances for 8m\nlose reply of launch 1",
	}
	for name, script := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, options{})
				w.injectAll(script)
				w.create("a", 1, "g4dn.xlarge")
				w.run("retired", 6*time.Minute, func() bool { c := w.get("a"); return c == nil || c.Status.Retire != nil })
				w.run("gone", 15*time.Minute, w.gone("a"))
				w.pass(3 * time.Minute)
				if w.alive() != 0 || !w.told("LaunchFailed") {
					t.Error(w.dump())
				}
			})
		})
	}
}

// TestNodeClassNotReady: nothing is asked of the cloud until the class is ready.
func TestNodeClassNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		w.notReady = errors.New("no subnet matches")
		w.create("a", 1, "g4dn.xlarge")
		w.pass(time.Minute)
		c := meta.FindStatusCondition(w.get("a").Status.Conditions, v1alpha1.ConditionLaunched)
		if c == nil || c.Reason != string(v1alpha1.ReasonNodeClassNotReady) || c.Status != "False" {
			t.Errorf("condition %+v", c)
		}
		w.notReady = nil
		w.ready("a")
	})
}

// TestTokenReused: a former attempt with other content has used the token. Its machine is found; where there is none the claim fails.
func TestTokenReused(t *testing.T) {
	for name, launched := range map[string]bool{"with a machine": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, options{})
				other := cloud.LaunchRequest{Token: "uid-a", Claim: "a", Market: cloud.Spot,
					Choices: []cloud.Choice{{InstanceType: "g4dn.xlarge", Architecture: "amd64", Zone: "us-east-1b"}}}
				if _, err := w.cloud.Launch(t.Context(), other); err != nil {
					t.Fatal(err)
				}
				if !launched {
					w.must(w.cloud.Terminate(t.Context(), w.cloud.Machines()[0].ID))
					w.pass(30 * time.Second)
				}
				w.create("a", 1, "g4dn.xlarge")
				if launched {
					w.ready("a")
				} else {
					w.run("gone", 3*time.Minute, w.gone("a"))
				}
				if len(w.cloud.Machines()) != 1 {
					t.Errorf("%d machines\n%s", len(w.cloud.Machines()), w.dump())
				}
			})
		})
	}
}

// TestDeletedWhileLaunching: a claim that is deleted while its launch's outcome is unknown is kept until its machine is found.
func TestDeletedWhileLaunching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{config: func(c *sim.Config) { c.Visible = sim.Delay{Base: 20 * time.Second} }})
		w.injectAll("lose reply of launch 1\nafter 1 launches fail CreateFleet")
		w.create("a", 1, "g4dn.xlarge")
		w.tick()
		w.remove("a")
		w.run("gone", 3*time.Minute, w.gone("a"))
		if w.alive() != 0 || len(w.cloud.Machines()) != 1 {
			t.Errorf("the machine of the lost reply\n%s", w.dump())
		}
	})
}
