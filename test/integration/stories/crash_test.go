package stories_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/test/stage"
)

// slowFleet spreads launches over a second, so that a controller can be killed in the middle of ten.
var slowFleet = []string{"--fleet-time", "500ms-2500ms"}

// systemSpread tells the controller what kube-scheduler does where nobody says anything else, which needs rights of its own.
var systemSpread = []string{"--default-spread-constraints", `[{"maxSkew": 3, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"},
	{"maxSkew": 5, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}]`}

// killInTheMiddle asks for ten machines, ends the controller as kill -9 does when some of them are bought, and starts another.
func (s *story) killInTheMiddle() {
	s.Helper()
	s.Create(s.Deployment("work", 10, 1, nil))
	s.Eventually(60*time.Second, "the launches to be under way", func() error {
		if n := len(s.Machines(s.T, s.Title)); n < 3 {
			return fmt.Errorf("%d machines", n)
		}
		return nil
	})
	controllers := s.stage.Controllers()
	controllers[len(controllers)-1].Kill()
	j := s.Happened(s.T)
	s.Logf("killed with %d launches asked for and %d machines bought", len(j.Launches), len(j.Instances))
	if len(j.Instances) > 9 {
		s.Errorf("%d machines were bought before the kill, too late for what is tried", len(j.Instances))
	}
	if _, err := s.stage.StartController(); err != nil {
		s.Fatal(err)
	}
}

// TestKilled: ten machines are wanted, the controller dies in the middle and another comes; exactly ten machines are ever bought. Then
// there are two controllers, the one that leads dies, and the other goes on.
func TestKilled(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{FakeAWS: slowFleet})
	s := begin(t, w, "killed")
	s.Provision(nil, "g4dn.xlarge")
	s.killInTheMiddle()
	s.PodsRunning(120*time.Second, 10)
	s.Settled(60*time.Second, 10)
	if all := s.Machines(t, s.Title); len(all) != 10 {
		t.Errorf("%d machines were bought for ten claims", len(all))
	}
	s.leaderDies()
	w.Clear(t)
	w.Always(t)
}

// leaderDies adds a controller, kills the one that leads, and has the other serve more pods.
func (s *story) leaderDies() {
	s.Helper()
	all := s.stage.Controllers()
	leader := all[len(all)-1]
	if _, err := s.stage.StartController(); err != nil {
		s.Fatal(err)
	}
	leader.Kill()
	s.Create(s.Pod("after-the-leader", 1), s.Pod("and-another", 1))
	s.PodsRunning(120*time.Second, 12)
	s.Settled(60*time.Second, 12)
	if all := s.Machines(s.T, s.Title); len(all) != 12 {
		s.Errorf("%d machines were bought for twelve claims", len(all))
	}
}

// TestBadCloud: an account without the Pricing API, whose EC2 takes every launch for a new one and tells nobody what happens to machines.
// Prices fall back and say so; what is bought twice is found and ended, and so is a claim whose machine somebody deleted.
func TestBadCloud(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{FakeAWS: append([]string{"--ignore-tokens", "--pricing=false", "--quiet-states"}, slowFleet...), Controller: systemSpread})
	w.IgnoresTokens = true
	s := begin(t, w, "bad-cloud")
	s.Provision(nil, "g4dn.xlarge")
	s.degraded()
	s.killInTheMiddle()
	s.PodsRunning(120*time.Second, 10)
	s.Settled(150*time.Second, 10)
	t.Logf("%d machines were bought for ten claims", len(s.Machines(t, s.Title)))
	pods := s.PodsRunning(time.Second, 10)
	victim := s.ClaimOf(pods[0])
	s.terminate(victim.Status.InstanceID)
	s.Ended(120*time.Second, victim)
	s.PodsRunning(60*time.Second, 10)
	s.Settled(60*time.Second, 10)
	w.Clear(t)
	w.Always(t)
}

// degraded waits until it shows that prices are not live ones.
func (s *story) degraded() {
	s.Helper()
	s.Eventually(60*time.Second, "the condition to say that prices are old", func() error {
		var class v1alpha1.EC2NodeClass
		if err := s.Get(s.Context(), client.ObjectKey{Name: "default"}, &class); err != nil {
			return err
		}
		c := meta.FindStatusCondition(class.Status.Conditions, v1alpha1.ConditionCatalogFresh)
		if c == nil || c.Status != "False" || c.Reason != string(v1alpha1.ReasonDegraded) || c.Message == "" {
			return fmt.Errorf("it is %+v", c)
		}
		if !meta.IsStatusConditionTrue(class.Status.Conditions, v1alpha1.ConditionReady) {
			return errors.New("the EC2NodeClass is not Ready: old prices must not stop it")
		}
		return nil
	})
	if n := s.metric(s.T, "slipway_catalog_degraded"); n < 1 {
		s.Errorf("slipway_catalog_degraded is %g", n)
	}
}
