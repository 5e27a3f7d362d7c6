package stories_test

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
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
	s.provision(nil, "g4dn.xlarge")
	s.create(shortly(s.pod("first", 1), time.Second))
	first := s.podsRunning(60*time.Second, 1)[0]
	claim := s.claimOf(first)
	s.eventually(60*time.Second, "the node's end to have come so far", func() error {
		if firstSeen(s.record, s.claimsSeen, claim.UID, moment).IsZero() {
			return errors.New("it has not")
		}
		return nil
	})
	late := shortly(s.pod("late", 1), 4*time.Second)
	late.Spec.NodeName = claim.Status.NodeName
	s.create(late)
	if m := s.machine(s.T, claim.Status.InstanceID); m.ShuttingDownAt.IsZero() || m.ShuttingDownAt.After(time.Now()) {
		s.succeeded(60*time.Second, late.Name)
	} else {
		s.Logf("pod %s was bound when machine %s had been asked to end already: on a slow machine the moment passes", late.Name, m.ID)
	}
	s.ended(60*time.Second, claim)
}

// succeeded waits until pods of the story have done their work.
func (s *story) succeeded(within time.Duration, names ...string) {
	s.Helper()
	for _, name := range names {
		s.eventually(within, "pod "+name+" to do its work", func() error {
			for _, p := range s.pods(s.name) {
				switch {
				case p.Name == name && p.Status.Phase == corev1.PodSucceeded:
					return nil
				case p.Name == name && p.Status.Phase == corev1.PodFailed:
					s.Fatalf("pod %s failed: %s %s", name, p.Status.Reason, p.Status.Message)
				}
			}
			return errors.New("it has not")
		})
	}
}

// comeAndGo: pods come at ever other moments around a node's turning idle. Each does its work; none is stopped.
func (s *story) comeAndGo() {
	s.provision(func(spec *v1alpha1.ProvisionerSpec) { spec.Disruption.IdleAfter = "1s" }, "g4dn.xlarge")
	for round := range 6 {
		pod := shortly(s.pod(fmt.Sprint("visitor-", round), 1), time.Second)
		s.create(pod)
		s.succeeded(60*time.Second, pod.Name)
		// An idle second, then up to five until somebody looks, and one behind the fence: the rounds spread over that time.
		pause := time.NewTimer(time.Duration(round) * 1300 * time.Millisecond)
		select {
		case <-s.Context().Done():
		case <-pause.C:
		}
	}
}
