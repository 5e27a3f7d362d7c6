package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/utils/ptr"
)

// playedPod is a pod that the machine has seen. It holds its requests from admission until its end.
type playedPod struct {
	requests corev1.ResourceList
	startDue time.Time
	stopDue  time.Time // zero: it was not told to stop
}

// stepPods plays the pods oldest first, so that the older one gets what two ask for.
func (s *played) stepPods(ctx context.Context, now time.Time, pods []*corev1.Pod) error {
	pods = slices.SortedFunc(slices.Values(pods), func(a, b *corev1.Pod) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(string(a.UID), string(b.UID))
	})
	present := map[string]bool{}
	var errs []error
	for _, pod := range pods {
		present[string(pod.UID)] = true
		if err := s.stepPod(ctx, now, pod); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("playing pod %s/%s: %w", pod.Namespace, pod.Name, err))
		}
	}
	for uid := range s.pods {
		if !present[uid] {
			delete(s.pods, uid)
		}
	}
	return errors.Join(errs...)
}

// stepPod posts at most one change. A change that lost against another's is a conflict, and is made again on fresh state.
func (s *played) stepPod(ctx context.Context, now time.Time, pod *corev1.Pod) error {
	if over(pod) {
		delete(s.pods, string(pod.UID))
		if pod.DeletionTimestamp != nil {
			return s.remove(ctx, pod)
		}
		return nil
	}
	state := s.pods[string(pod.UID)]
	if state == nil {
		state = &playedPod{requests: resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{}), startDue: now.Add(s.player.PodStart)}
		if reason, message := s.rejects(pod, state.requests); reason != "" {
			return s.post(ctx, failed(pod, now, reason, message))
		}
		s.pods[string(pod.UID)] = state
	}
	running := pod.Status.Phase == corev1.PodRunning
	switch {
	case pod.DeletionTimestamp != nil:
		return s.stop(ctx, now, pod, state)
	case !running && !now.Before(state.startDue):
		s.player.Log.Debug("pod runs", "pod", pod.Name, "node", pod.Spec.NodeName)
		return s.post(ctx, s.running(pod, now))
	case running && ends(pod, now):
		s.player.Log.Debug("pod ends", "pod", pod.Name, "node", pod.Spec.NodeName)
		return s.post(ctx, ended(pod, now, exitCode(pod)))
	}
	return nil
}

func over(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// rejects answers why a kubelet would not admit the pod; empty if it would.
func (s *played) rejects(pod *corev1.Pod, requests corev1.ResourceList) (reason, message string) {
	wanted := requests.DeepCopy()
	if wanted == nil {
		wanted = corev1.ResourceList{}
	}
	wanted[corev1.ResourcePods] = *onePod()
	for _, name := range slices.Sorted(keysOf(wanted)) {
		quantity := wanted[name]
		if quantity.IsZero() {
			continue
		}
		used := quantity.DeepCopy()
		used.Sub(quantity)
		for _, other := range s.pods {
			if name == corev1.ResourcePods {
				used.Add(*onePod())
			} else {
				used.Add(other.requests[name])
			}
		}
		capacity := s.allocatable[name]
		sum := used.DeepCopy()
		sum.Add(quantity)
		if sum.Cmp(capacity) > 0 {
			return "OutOf" + string(name), fmt.Sprintf("Node didn't have enough resource: %s, requested: %s, used: %s, capacity: %s",
				name, quantity.String(), used.String(), capacity.String())
		}
	}
	return "", ""
}

// stop ends a pod that was told to, after the time that it takes and at the latest at the end of its grace.
func (s *played) stop(ctx context.Context, now time.Time, pod *corev1.Pod, state *playedPod) error {
	if state.stopDue.IsZero() {
		took := stopDuration(pod, s.player.PodStop)
		if pod.Status.Phase != corev1.PodRunning {
			took = 0
		}
		grace := time.Duration(ptr.Deref(pod.DeletionGracePeriodSeconds, 30)) * time.Second
		state.stopDue = now.Add(min(took, grace))
	}
	if now.Before(state.stopDue) {
		return nil
	}
	const sigterm = 143
	if err := s.post(ctx, ended(pod, now, sigterm)); err != nil {
		return err
	}
	return s.remove(ctx, pod)
}

func (s *played) post(ctx context.Context, pod *corev1.Pod) error {
	_, err := s.player.Client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}

// remove takes a pod out of the API. One that waits for a finalizer only was removed before.
func (s *played) remove(ctx context.Context, pod *corev1.Pod) error {
	if pod.DeletionTimestamp != nil && ptr.Deref(pod.DeletionGracePeriodSeconds, 30) == 0 {
		return nil
	}
	return s.player.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(pod.UID)),
	})
}

// orphaned fails and removes a pod whose machine is gone, as the pod garbage collector does some time later.
func (s *played) orphaned(ctx context.Context, pod *corev1.Pod) error {
	if !over(pod) {
		lost := failed(pod, s.player.Cloud.Now(), "", "PodGC: node no longer exists")
		setCondition(&lost.Status, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			Reason: "DeletionByPodGC", Message: "PodGC: node no longer exists", LastTransitionTime: metav1.NewTime(s.player.Cloud.Now())})
		if err := s.post(ctx, lost); err != nil {
			if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("failing pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
	}
	if err := s.remove(ctx, pod); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("removing pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}
