package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

const (
	// reword is how long other words for the same reason wait. Amounts in use and times of the next try change with every launch of anybody;
	// a thousand pods that wait must not each be written again for that.
	reword = time.Minute
	// replan is the same for pods that are expected somewhere: which of two free nodes it is may change with each decision.
	replan = 10 * time.Second
	// sweepEvery is how often pods are looked for that carry the condition of a held pod and are none any more.
	sweepEvery = 30 * time.Second
	// complainEvery bounds what is logged of failed writes.
	complainEvery = 5 * time.Minute
)

// Planning is what was decided about a pod that waits.
type Planning struct {
	Planned bool // a node is launched or expected for it; false: it is held
	Reason  v1alpha1.Reason
	Message string
}

// PodConditions writes the condition slipway.sh/NodePlanned of waiting pods: only where it changes, each pod's newest only, at the pace of a
// Pacer. What is lost (a full queue, a failed write, a restart) the next decision says again.
//
// kube-scheduler sees such a write as an update of the pod itself of no kind in particular, which requeues no pod that was rejected for
// resources, labels, taints or volumes (its plugins ask for narrower events); its own PodScheduled condition comes the same way. The grow loop
// wakes only for pods that become ours by it, which a condition of ours does not do.
type PodConditions struct {
	pacer *Pacer
	cache client.Reader
	write client.StatusClient
	now   func() time.Time
	log   logr.Logger

	mu         sync.Mutex
	waiting    map[types.UID]Planning // queued, not written yet
	complained time.Time
}

// NewPodConditions makes PodConditions that compare with what cache shows.
func NewPodConditions(pacer *Pacer, cache client.Reader, write client.StatusClient, now func() time.Time, log logr.Logger) *PodConditions {
	return &PodConditions{pacer: pacer, cache: cache, write: write, now: now, log: log, waiting: map[types.UID]Planning{}}
}

// Say says what was decided about a pod. It never blocks, and reads only the cache.
func (c *PodConditions) Say(ctx context.Context, pod v1alpha1.PodRef, p Planning) {
	p.Message = clip(p.Message)
	c.mu.Lock()
	_, queued := c.waiting[pod.UID]
	if queued {
		c.waiting[pod.UID] = p
	}
	c.mu.Unlock()
	if current := c.pod(ctx, pod); queued || current == nil || !outdated(current, p, c.now()) {
		return
	}
	c.queue(pod.UID, p, func(ctx context.Context) {
		p := c.take(pod.UID)
		if current := c.pod(ctx, pod); current != nil && outdated(current, p, c.now()) {
			c.patch(ctx, current, condition(current, p, c.now()))
		}
	})
}

func (c *PodConditions) queue(uid types.UID, p Planning, write func(context.Context)) {
	c.mu.Lock()
	c.waiting[uid] = p
	c.mu.Unlock()
	if !c.pacer.Do(write) {
		c.take(uid)
	}
}

func (c *PodConditions) take(uid types.UID) Planning {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.waiting[uid]
	delete(c.waiting, uid)
	return p
}

// pod answers the pod as the cache shows it, nil if it is another by now, or gone.
func (c *PodConditions) pod(ctx context.Context, ref v1alpha1.PodRef) *corev1.Pod {
	pod := &corev1.Pod{}
	if err := c.cache.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, pod, client.UnsafeDisableDeepCopy); err != nil || pod.UID != ref.UID {
		return nil
	}
	return pod
}

// outdated tells whether a pod still waits and its condition is to be written.
func outdated(pod *corev1.Pod, p Planning, now time.Time) bool {
	if demand.Classify(pod) != demand.Ours {
		return false
	}
	have := nodePlanned(pod)
	if have == nil || have.Status != status(p) || have.Reason != string(p.Reason) {
		return true
	}
	patience := reword
	if p.Planned {
		patience = replan
	}
	return have.Message != p.Message && now.Sub(have.LastProbeTime.Time) >= patience
}

func nodePlanned(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == v1alpha1.PodNodePlanned {
			return c
		}
	}
	return nil
}

func status(p Planning) corev1.ConditionStatus {
	if p.Planned {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

// condition is what a pod is to carry. lastProbeTime is when it was written.
func condition(pod *corev1.Pod, p Planning, now time.Time) map[string]any {
	changed := metav1.NewTime(now)
	if have := nodePlanned(pod); have != nil && have.Status == status(p) {
		changed = have.LastTransitionTime
	}
	return map[string]any{
		"type": v1alpha1.PodNodePlanned, "status": status(p), "reason": p.Reason, "message": p.Message,
		"lastProbeTime": metav1.NewTime(now), "lastTransitionTime": changed,
	}
}

// patch writes one condition and leaves those of others alone; the UID keeps it off a pod that has taken the name since.
func (c *PodConditions) patch(ctx context.Context, pod *corev1.Pod, condition map[string]any) {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status":   map[string]any{"conditions": []any{condition}},
	})
	if err == nil {
		target := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
		err = c.write.Status().Patch(ctx, target, client.RawPatch(types.StrategicMergePatchType, body))
	}
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || ctx.Err() != nil {
		return
	}
	if now := c.now(); now.Sub(c.complained) >= complainEvery { // only the pacer's goroutine comes here
		c.complained = now
		c.log.Error(fmt.Errorf("writing condition %s of pod %s/%s: %w", v1alpha1.PodNodePlanned, pod.Namespace, pod.Name, err),
			"Pods are not told what is decided about them; the next decision tries again", "silentFor", complainEvery)
	}
}

// NeedLeaderElection is true: who decides also says what was decided.
func (c *PodConditions) NeedLeaderElection() bool { return true }

// Start takes the condition off pods that were held and wait no more, until ctx ends.
func (c *PodConditions) Start(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.sweep(ctx)
		}
	}
}

func (c *PodConditions) sweep(ctx context.Context) {
	var pods corev1.PodList
	if err := c.cache.List(ctx, &pods, client.UnsafeDisableDeepCopy); err != nil {
		return // the cache is not there yet, or not any more
	}
	for i := range pods.Items {
		if pod := &pods.Items[i]; stale(pod) {
			c.pacer.Do(func(ctx context.Context) {
				c.patch(ctx, pod, map[string]any{"type": v1alpha1.PodNodePlanned, "$patch": "delete"})
			})
		}
	}
}

// stale tells whether a pod says that it is held and does not wait any more.
func stale(pod *corev1.Pod) bool {
	have := nodePlanned(pod)
	return have != nil && have.Status == corev1.ConditionFalse && pod.DeletionTimestamp == nil && demand.Classify(pod) != demand.Ours
}
