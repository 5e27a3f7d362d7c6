package claim

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// evictionsAtOnce bounds how many pods of one node are asked to stop at the same time.
const evictionsAtOnce = 8

// forceLead is how much earlier than it must a pod is deleted by force, so that the request is answered in time.
const forceLead = 5 * time.Second

// terms are what a node's way out allows, by the reason for which it goes:
//
//	reason                     GPU pods            others             budgets and wishes       at the latest
//	Idle                       waited for          evicted            kept                     -
//	Expired, Deleted, Notice   evicted             evicted            kept                     -
//	Notice with a deadline     evicted first       evicted            kept as long as may be   deadline - margin
//	LaunchFailed, NeverJoined,
//	NeverReady                 evicted             evicted, 2 min     kept                     -
//	Gone                       the machine is gone: nothing to do
type terms struct {
	nothing  bool      // to drain
	spareGPU bool      // a pod with GPUs is left to end by itself
	giveUp   time.Time // from when on pods without GPUs are left where they are; zero: never
	deadline time.Time // when the cloud takes the machine; zero: not known to
}

func (s *scope) terms() terms {
	retire := s.claim.Status.Retire
	switch retire.Reason {
	case v1alpha1.RetireGone:
		return terms{nothing: true}
	case v1alpha1.RetireIdle:
		return terms{spareGPU: true}
	case v1alpha1.RetireNotice:
		if retire.Deadline != nil {
			return terms{deadline: retire.Deadline.Time}
		}
	case v1alpha1.RetireLaunch, v1alpha1.RetireJoin, v1alpha1.RetireNeverReady:
		return terms{giveUp: retire.Since.Add(failedDrainTime)}
	}
	return terms{}
}

// passed: the cloud takes the machine whatever is on it.
func (t terms) passed(now time.Time) bool { return !t.deadline.IsZero() && !now.Before(t.deadline) }

// forceAt is when a pod is deleted whatever its budget and its wishes: so that it has all of its grace before the deadline if
// possible, and in any case before the deadline minus the margin.
func (t terms) forceAt(pod *corev1.Pod, margin time.Duration) time.Time {
	return t.deadline.Add(-max(margin, grace(pod)) - forceLead)
}

// drain moves the pods off the node. Once Drained is True, release looks after the node.
func (s *scope) drain(ctx context.Context) (bool, error) {
	if s.isTrue(v1alpha1.ConditionDrained) {
		return true, nil
	}
	t := s.terms()
	name, err := s.nodeName(ctx)
	if err != nil {
		return false, err
	}
	if t.nothing || name == "" || t.passed(s.now) {
		s.set(v1alpha1.ConditionDrained, metav1.ConditionTrue, v1alpha1.ReasonOK, "there is nothing to wait for")
		return true, nil
	}
	pods, err := s.podsOn(ctx, name)
	if err != nil {
		return false, err
	}
	left := s.movable(pods)
	if t.giveUp.IsZero() || s.now.Before(t.giveUp) {
		return s.move(ctx, name, left, t)
	}
	withGPU := left[:0:0]
	for _, pod := range left {
		if demand.AsksForGPU(pod) {
			withGPU = append(withGPU, pod)
		}
	}
	return s.move(ctx, name, withGPU, t)
}

// nodeName answers the node's name. A node that was deleted, or never noted, may still have pods.
func (s *scope) nodeName(ctx context.Context) (string, error) {
	if s.claim.Status.NodeName != "" {
		return s.claim.Status.NodeName, nil
	}
	node, err := s.findNode(ctx)
	if err != nil || node == nil {
		return "", err
	}
	s.claim.Status.NodeName = node.Name
	return node.Name, nil
}

// move asks every pod to leave, and notes what holds those that stay.
func (s *scope) move(ctx context.Context, node string, pods []*corev1.Pod, t terms) (bool, error) {
	if len(pods) == 0 {
		if wait := s.settling(t); wait > 0 {
			s.again(wait)
			s.noteDrain(v1alpha1.ReasonDraining, "node "+node+" is empty; waiting for schedulers to see its fence")
			return false, nil
		}
		if s.reach(v1alpha1.ConditionDrained, v1alpha1.ReasonOK, "node "+node+" has no pod left that must be moved") {
			s.r.cfg.Meter.ClaimDrained(s.now.Sub(s.claim.Status.Retire.Since.Time))
		}
		return true, nil
	}
	outcomes := make([]outcome, len(pods))
	workqueue.ParallelizeUntil(ctx, evictionsAtOnce, len(pods), func(i int) { outcomes[i] = s.moveOne(ctx, pods[i], t) })
	return false, s.noteMoves(node, pods, outcomes, t)
}

// noteMoves notes what came of asking pods to leave, and when to ask again.
func (s *scope) noteMoves(node string, pods []*corev1.Pod, outcomes []outcome, t terms) error {
	var errs []error
	var blocked []string
	wait := pollInterval
	for i, o := range outcomes {
		if o.metric != "" {
			s.r.cfg.Meter.Evicted(o.metric)
		}
		if o.err != nil {
			errs = append(errs, o.err)
		}
		if o.blocked != "" {
			blocked = append(blocked, fmt.Sprintf("pod %s/%s: %s", pods[i].Namespace, pods[i].Name, o.blocked))
		}
		if o.metric == telemetry.EvictionForced {
			s.sayOf(pods[i], corev1.EventTypeWarning, v1alpha1.EventStopped, "asked to stop at once: %s; the machine goes at %s",
				s.claim.Status.Retire.Message, t.deadline.UTC().Format(time.RFC3339))
		}
		if until := t.forceAt(pods[i], s.r.cfg.NoticeMargin).Sub(s.now); !t.deadline.IsZero() && until > 0 {
			wait = min(wait, until)
		}
	}
	s.again(wait)
	if len(blocked) == 0 {
		s.noteDrain(v1alpha1.ReasonDraining, fmt.Sprintf("pods that are leaving node %s: %d", node, len(pods)))
		return errors.Join(errs...)
	}
	message := blocked[0]
	if len(blocked) > 1 {
		message += fmt.Sprintf(" (and %d more)", len(blocked)-1)
	}
	s.noteDrain(v1alpha1.ReasonBlocked, message)
	return errors.Join(errs...)
}

// noteDrain sets Drained=False, and tells of it where the reason is a new one.
func (s *scope) noteDrain(reason v1alpha1.Reason, message string) {
	if c := s.condition(v1alpha1.ConditionDrained); c == nil || c.Reason != string(reason) {
		kind := corev1.EventTypeNormal
		if reason == v1alpha1.ReasonBlocked {
			kind = corev1.EventTypeWarning
		}
		s.say(kind, string(reason), "%s", message)
	}
	s.set(v1alpha1.ConditionDrained, metav1.ConditionFalse, reason, message)
}

// settling is how long to wait until a pod that a scheduler bound before it saw the fence has shown. With a deadline there is no time
// for that, and such a pod goes the way of the others.
func (s *scope) settling(t terms) time.Duration {
	if !t.deadline.IsZero() || !s.isTrue(v1alpha1.ConditionFenced) {
		return 0
	}
	return settleTime - s.now.Sub(s.since(v1alpha1.ConditionFenced))
}
