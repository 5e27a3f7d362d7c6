package claim

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// release ends the machine, waits until it is gone (until then it counts against limits), removes the node's object, and lets the
// claim go.
func (s *scope) release(ctx context.Context) (bool, error) {
	if s.claim.Status.InstanceID == "" {
		return false, s.releaseUnseen(ctx)
	}
	if !s.terminating() {
		if blocked, err := s.bound(ctx); blocked || err != nil {
			return false, err
		}
		if err := s.terminate(ctx); err != nil {
			return false, err
		}
	}
	if over, err := s.isOver(ctx); !over || err != nil {
		return false, err
	}
	node, err := s.findNode(ctx)
	if err != nil {
		return false, err
	}
	if node != nil {
		if err := s.deleteNode(ctx, node); err != nil {
			return false, err
		}
	}
	s.say(corev1.EventTypeNormal, v1alpha1.EventTerminated, "instance %s is gone", s.claim.Status.InstanceID)
	s.released = true
	return true, nil
}

// isOver says whether the machine is gone. One that lives in spite of having been asked to end is asked again.
func (s *scope) isOver(ctx context.Context) (bool, error) {
	instance, err := s.r.cfg.Fleet.Instance(ctx, s.claim.Status.InstanceID)
	young := s.now.Sub(s.since(v1alpha1.ConditionLaunched)) < visibleWithin // perhaps too young to be seen
	switch {
	case errors.Is(err, cloud.ErrTerminated):
		return true, nil
	case errors.Is(err, cloud.ErrGone) && young:
	case errors.Is(err, cloud.ErrGone):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("looking at instance %s: %w", s.claim.Status.InstanceID, err)
	case instance.State == cloud.InstanceShuttingDown:
		s.again(pollInterval)
		return false, nil
	}
	s.again(pollInterval)
	return false, s.terminate(ctx)
}

// releaseUnseen lets a claim go that knows of no machine, if there is none: while a launch may have happened, its machine is looked for
// over the time that it may take to show.
func (s *scope) releaseUnseen(ctx context.Context) error {
	if !s.inDoubt() || s.r.attempts.isFresh(s.claim.Name) {
		s.released = true
		return nil
	}
	if m, known := s.r.attempts.machine(s.claim.UID); known {
		s.bought(m.instance)
		s.again(time.Millisecond)
		return nil
	}
	found, err := s.adopt(ctx)
	if err != nil {
		return fmt.Errorf("looking for the claim's machine: %w", err)
	}
	if found {
		s.again(time.Millisecond)
		return nil
	}
	left := s.since(v1alpha1.ConditionLaunched).Add(visibleWithin).Sub(s.now)
	if left > 0 {
		s.again(min(left, pollInterval))
		return nil
	}
	s.released = true
	return nil
}

// terminating: the cloud has accepted the machine's end.
func (s *scope) terminating() bool {
	c := s.condition(v1alpha1.ConditionDrained)
	return c != nil && c.Reason == string(v1alpha1.ReasonTerminating)
}

// bound is the last look at the node before its machine ends, and says whether a pod with a GPU is there. It is skipped only where the
// cloud takes the machine anyway.
func (s *scope) bound(ctx context.Context) (bool, error) {
	t := s.terms()
	if t.nothing || t.passed(s.now) || s.claim.Status.NodeName == "" {
		return false, nil
	}
	pods, err := s.podsOn(ctx, s.claim.Status.NodeName)
	if err != nil {
		return false, err
	}
	for _, pod := range s.movable(pods) {
		if demand.AsksForGPU(pod) {
			s.noteDrain(v1alpha1.ReasonBlocked, fmt.Sprintf("pod %s/%s: it asks for a GPU and came after the node was drained",
				pod.Namespace, pod.Name))
			s.again(time.Second)
			return true, nil
		}
	}
	return false, nil
}

// terminate asks the cloud for the machine's end. Asking again is harmless.
func (s *scope) terminate(ctx context.Context) error {
	err := s.r.cfg.Fleet.Terminate(ctx, s.claim.Status.InstanceID)
	if err != nil && !errors.Is(err, cloud.ErrGone) {
		return fmt.Errorf("terminating instance %s: %w", s.claim.Status.InstanceID, err)
	}
	if !s.terminating() {
		s.say(corev1.EventTypeNormal, string(v1alpha1.ReasonTerminating), "instance %s is asked to end: %s %s", s.claim.Status.InstanceID,
			s.claim.Status.Retire.Reason, s.claim.Status.Retire.Message)
		s.log.Info("Terminating machine", "instance", s.claim.Status.InstanceID, "reason", s.claim.Status.Retire.Reason)
	}
	s.set(v1alpha1.ConditionDrained, metav1.ConditionTrue, v1alpha1.ReasonTerminating, "instance "+s.claim.Status.InstanceID+" is ending")
	return nil
}
