package notice

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// object is a pointer to an API object of type T.
type object[T any] interface {
	*T
	client.Object
}

// edit changes an object under an optimistic lock, and again on its live state after each conflict. mutate answers false where there is
// nothing to change. found is false if the object is gone, or another has its name: that is no error.
func edit[T any, P object[T]](
	ctx context.Context, e *effect, o P, write func(context.Context, P, client.Patch) error, mutate func() bool,
) (found bool, err error) {
	uid, stale := o.GetUID(), false
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if stale {
			fresh := P(new(T)) // decoding into o would keep what was removed
			if err := e.cfg.Live.Get(ctx, client.ObjectKeyFromObject(o), fresh); err != nil {
				return err
			}
			if found = fresh.GetUID() == uid; !found {
				return nil
			}
			*o = *fresh
		}
		stale, found = true, true
		before := o.DeepCopyObject().(client.Object)
		if !mutate() {
			return nil
		}
		return write(ctx, o, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return found && err == nil, err
}

// fence keeps new pods off the claim's node and answers it; nil: the machine has not joined yet, and never will be opened.
func (e *effect) fence(ctx context.Context) (*corev1.Node, error) {
	node, err := e.node(ctx)
	if err != nil || node == nil {
		return nil, err
	}
	fenced := false
	write := func(ctx context.Context, n *corev1.Node, patch client.Patch) error {
		return e.cfg.Client.Patch(ctx, n, patch)
	}
	found, err := edit(ctx, e, node, write, func() bool {
		if slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool {
			return t.Key == v1alpha1.TaintRetiring && t.Effect == corev1.TaintEffectNoSchedule
		}) {
			return false
		}
		fenced = true
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: v1alpha1.TaintRetiring, Effect: corev1.TaintEffectNoSchedule})
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("fencing node %s: %w", node.Name, err)
	}
	if !found {
		return nil, nil
	}
	if fenced && !e.notice.At.IsZero() {
		e.cfg.Metrics.FencedAfter(e.cfg.Now().Sub(e.notice.At))
	}
	return node, nil
}

// node answers a copy of the claim's node, also one that joined a moment ago and that the claim does not name yet; nil: there is none.
func (e *effect) node(ctx context.Context) (*corev1.Node, error) {
	if name := e.claim.Status.NodeName; name != "" {
		var n corev1.Node
		err := e.cfg.Client.Get(ctx, client.ObjectKey{Name: name}, &n)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading node %s: %w", name, err)
		}
		if err == nil && isNodeOf(&n, e.claim) {
			return &n, nil
		}
	}
	var nodes corev1.NodeList
	if err := e.cfg.Client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	for i := range nodes.Items {
		if n := &nodes.Items[i]; isNodeOf(n, e.claim) {
			return n.DeepCopy(), nil
		}
	}
	return nil, nil
}

func isNodeOf(n *corev1.Node, c *v1alpha1.NodeClaim) bool {
	if c.Status.ProviderID != "" && n.Spec.ProviderID != "" {
		return n.Spec.ProviderID == c.Status.ProviderID
	}
	return n.Name == c.Status.NodeName || n.Labels[v1alpha1.LabelClaim] == c.Name
}

// retire writes why and by when the node goes, unless the claim says as much or more already. found is false if the claim is gone.
func (e *effect) retire(ctx context.Context, r v1alpha1.Retirement) (found bool, err error) {
	write := func(ctx context.Context, c *v1alpha1.NodeClaim, patch client.Patch) error {
		return e.cfg.Client.Status().Patch(ctx, c, patch)
	}
	found, err = edit(ctx, e, e.claim, write, func() bool {
		merged := merge(e.claim.Status.Retire, r)
		if merged == nil {
			return false
		}
		e.claim.Status.Retire = merged
		return true
	})
	if err != nil {
		return false, fmt.Errorf("retiring NodeClaim %s: %w", e.claim.Name, err)
	}
	return found, nil
}

// merge answers what stands after r was said to a claim that says is; nil: nothing new.
//
//	is \ r        Notice                              Gone
//	none          r                                   r
//	Notice        r's deadline, if it is earlier      nothing new
//	Gone          nothing new                         nothing new
//	any other     r                                   nothing new
func merge(is *v1alpha1.Retirement, r v1alpha1.Retirement) *v1alpha1.Retirement {
	switch {
	case is == nil:
		return &r
	case r.Reason == v1alpha1.RetireGone, is.Reason == v1alpha1.RetireGone:
		return nil
	case is.Reason != v1alpha1.RetireNotice:
		if !earlier(r.Deadline, is.Deadline) {
			r.Deadline = is.Deadline
		}
		return &r
	case !earlier(r.Deadline, is.Deadline):
		return nil
	}
	r.Since = is.Since
	return &r
}

// earlier says whether a is a deadline before b; none is later than any.
func earlier(a, b *metav1.Time) bool {
	return a != nil && (b == nil || a.Time.Before(b.Time))
}

// gpuPods are the pods on a node that use GPUs in any form: the same for which it is drained.
func (e *effect) gpuPods(ctx context.Context, node string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := e.cfg.Client.List(ctx, &pods, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the pods of node %s: %w", node, err)
	}
	now := e.cfg.Now()
	return slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return p.Spec.NodeName != node || !demand.UsesGPU(&p, now) }), nil
}

// seconds drops what the API does not keep, so that the same time compares equal after it was read back.
func seconds(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }

// optional is nil for the zero time. Fractions are dropped: a deadline is rather a moment early than late.
func optional(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return new(seconds(t))
}
