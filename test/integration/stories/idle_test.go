package stories_test

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/test/witness"
)

// The moments of an idle node's end at which a scheduler that has not seen it yet may still bind a pod to it.
func marked(c *v1alpha1.NodeClaim) bool { return c.Status.Retire != nil }
func fenced(c *v1alpha1.NodeClaim) bool {
	return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionFenced)
}
func deleted(c *v1alpha1.NodeClaim) bool { return c.DeletionTimestamp != nil }

// podArrivesLate: a node turns idle, and in the middle of its end a pod is bound to it, as by a scheduler that chose it before. The pod
// runs to its end there, whatever the node's fate; see always for those that must not be ended under it.
func (s *story) podArrivesLate(moment func(*v1alpha1.NodeClaim) bool) {
	s.Provision(nil, "g4dn.xlarge")
	s.Create(witness.Shortly(s.Pod("first", 1), time.Second))
	first := s.PodsRunning(60*time.Second, 1)[0]
	claim := s.ClaimOf(first)
	s.Eventually(60*time.Second, "the node's end to have come so far", func() error {
		if witness.FirstSeen(s.Record, s.ClaimsSeen, claim.UID, moment).IsZero() {
			return errors.New("it has not")
		}
		return nil
	})
	late := witness.Shortly(s.Pod("late", 1), 4*time.Second)
	late.Spec.NodeName = claim.Status.NodeName
	s.Create(late)
	if m := s.Machine(s.T, claim.Status.InstanceID); m.ShuttingDownAt.IsZero() || m.ShuttingDownAt.After(time.Now()) {
		s.Succeeded(60*time.Second, late.Name)
	} else {
		s.Logf("pod %s was bound when machine %s had been asked to end already: on a slow machine the moment passes", late.Name, m.ID)
	}
	s.Ended(60*time.Second, claim)
}

// comeAndGo: pods come at ever other moments around a node's turning idle. Each does its work; none is stopped.
func (s *story) comeAndGo() {
	s.Provision(func(spec *v1alpha1.ProvisionerSpec) { spec.Disruption.IdleAfter = "1s" }, "g4dn.xlarge")
	for round := range 6 {
		pod := witness.Shortly(s.Pod(fmt.Sprint("visitor-", round), 1), time.Second)
		s.Create(pod)
		s.Succeeded(60*time.Second, pod.Name)
		// An idle second, then up to five until somebody looks, and one behind the fence: the rounds spread over that time.
		pause := time.NewTimer(time.Duration(round) * 1300 * time.Millisecond)
		select {
		case <-s.Context().Done():
		case <-pause.C:
		}
	}
}
