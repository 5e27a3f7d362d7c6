package claim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// outcome is what came of asking a pod to leave.
type outcome struct {
	blocked string                    // why it may stay for now
	metric  telemetry.EvictionOutcome // empty: it was not asked
	err     error
}

// moveOne asks one pod to leave, as far as the terms allow. It is called for several pods at once and changes nothing in the scope.
func (s *scope) moveOne(ctx context.Context, pod *corev1.Pod, t terms) outcome {
	bounded := !t.deadline.IsZero()
	switch {
	case leaving(pod) && bounded && pod.DeletionTimestamp.After(t.deadline):
		return s.force(ctx, pod, t) // its grace ends after its machine
	case leaving(pod):
		return outcome{}
	case t.spareGPU && demand.AsksForGPU(pod):
		return outcome{blocked: "it asks for a GPU and was bound before the node was fenced; it is left to end"}
	case bounded && !s.now.Before(t.forceAt(pod, s.r.cfg.NoticeMargin)):
		return s.force(ctx, pod, t)
	}
	if key := wish(pod, s.now); key != "" {
		return outcome{blocked: "annotation " + key}
	}
	return s.evict(ctx, pod, t)
}

// evict asks through the Eviction API, which keeps PodDisruptionBudgets.
func (s *scope) evict(ctx context.Context, pod *corev1.Pod, t terms) outcome {
	eviction := &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}},
	}
	if !t.deadline.IsZero() {
		if left := s.timeLeft(t); left < grace(pod) {
			eviction.DeleteOptions.GracePeriodSeconds = seconds(left)
		}
	}
	err := s.r.cfg.Client.SubResource("eviction").Create(ctx, pod.DeepCopy(), eviction)
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err): // conflict: another pod of the same name
		return outcome{metric: telemetry.EvictionAccepted}
	case apierrors.IsTooManyRequests(err):
		return outcome{blocked: refusal(err), metric: telemetry.EvictionBlocked}
	case apierrors.IsInternalError(err) && strings.Contains(err.Error(), "more than one PodDisruptionBudget"):
		return outcome{blocked: "more than one PodDisruptionBudget selects it, which the Eviction API does not support",
			metric: telemetry.EvictionBlocked}
	}
	return outcome{metric: telemetry.EvictionFailed, err: fmt.Errorf("evicting pod %s/%s: %w", pod.Namespace, pod.Name, err)}
}

// force deletes a pod, its grace clipped to the time that is left.
func (s *scope) force(ctx context.Context, pod *corev1.Pod, t terms) outcome {
	options := &client.DeleteOptions{
		Preconditions:      &metav1.Preconditions{UID: &pod.UID},
		GracePeriodSeconds: seconds(min(grace(pod), s.timeLeft(t))),
	}
	err := s.r.cfg.Client.Delete(ctx, pod.DeepCopy(), options)
	switch {
	case err == nil:
		return outcome{metric: telemetry.EvictionForced}
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return outcome{}
	}
	return outcome{metric: telemetry.EvictionFailed, err: fmt.Errorf("deleting pod %s/%s: %w", pod.Namespace, pod.Name, err)}
}

func (s *scope) timeLeft(t terms) time.Duration { return t.deadline.Sub(s.now) }

// seconds are at least 1: 0 would remove the pod's object without telling its kubelet.
func seconds(d time.Duration) *int64 {
	n := max(1, int64(d/time.Second))
	return &n
}

// refusal answers which budget refused an eviction, in the API server's words.
func refusal(err error) string {
	if status, ok := err.(apierrors.APIStatus); ok && status.Status().Details != nil {
		causes := status.Status().Details.Causes
		i := slices.IndexFunc(causes, func(c metav1.StatusCause) bool { return c.Type == policyv1.DisruptionBudgetCause })
		if i >= 0 {
			return causes[i].Message
		}
	}
	return err.Error()
}
