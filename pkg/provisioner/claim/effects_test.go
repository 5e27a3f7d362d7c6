package claim_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// effect runs one effect of the controller, unless it dies before.
func (w *world) effect(do func() error) error {
	w.mu.Lock()
	if w.dead {
		w.mu.Unlock()
		return errCrash
	}
	w.effects++
	dies := w.effects == w.crashAt
	if dies {
		w.dead = true
		w.crashes++
	}
	late := w.crashLate
	w.mu.Unlock()
	if dies && !late {
		return errCrash
	}
	if err := do(); err != nil || !dies {
		return err
	}
	return errCrash
}

// funcs make every write of the controller an effect, and play what the fake client does not: graceful deletion and budgets.
func (w *world) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if _, isClaim := o.(*v1alpha1.NodeClaim); isClaim && len(o.GetFinalizers()) == 0 && w.keptOnce {
				w.keptOnce = false
				return apierrors.NewConflict(schema.GroupResource{Resource: "nodeclaims"}, o.GetName(), errors.New("changed meanwhile"))
			}
			return w.effect(func() error { return c.Patch(ctx, o, p, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			return w.effect(func() error { return c.SubResource(sub).Patch(ctx, o, p, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return w.effect(func() error {
				if pod, isPod := o.(*corev1.Pod); isPod {
					return w.stopPod(pod, (&client.DeleteOptions{}).ApplyOptions(opts).GracePeriodSeconds)
				}
				return c.Delete(ctx, o, opts...)
			})
		},
		SubResourceCreate: func(_ context.Context, _ client.Client, _ string, o, body client.Object, _ ...client.SubResourceCreateOption) error {
			return w.effect(func() error { return w.evict(o.(*corev1.Pod), body.(*policyv1.Eviction)) })
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if w.lag != nil {
				return w.lag.Get(ctx, key, o, opts...)
			}
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if w.lag != nil {
				return w.lag.List(ctx, l, opts...)
			}
			return c.List(ctx, l, opts...)
		},
	}
}

func (w *world) evict(pod *corev1.Pod, eviction *policyv1.Eviction) error {
	w.mu.Lock()
	budget := w.budgets[pod.Name]
	w.mu.Unlock()
	if budget != "" {
		err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
		err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
			Type: policyv1.DisruptionBudgetCause, Message: "The disruption budget " + budget + " needs 1 healthy pods and has 1 currently",
		})
		return err
	}
	return w.stopPod(pod, eviction.DeleteOptions.GracePeriodSeconds)
}

// stopPod is the deletion of a pod: it may run on until the end of its grace.
func (w *world) stopPod(pod *corev1.Pod, graceSeconds *int64) error {
	stored := &corev1.Pod{}
	if err := w.admin.Get(w.ctx, client.ObjectKeyFromObject(pod), stored); err != nil {
		return err
	}
	grace := time.Duration(*stored.Spec.TerminationGracePeriodSeconds) * time.Second
	if graceSeconds != nil {
		grace = time.Duration(*graceSeconds) * time.Second
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	end := time.Now().Add(grace)
	if was, stopping := w.ends[pod.Name]; !stopping || end.Before(was) {
		w.ends[pod.Name] = end
	}
	if _, before := w.asked[pod.Name]; !before {
		w.asked[pod.Name] = time.Now()
	}
	return nil
}

// live is the API server as the controller reads it: pods that were asked to stop carry the end of their grace.
type live struct{ w *world }

func (l live) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return l.w.admin.Get(ctx, key, o, opts...)
}

func (l live) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := l.w.admin.List(ctx, list, opts...); err != nil {
		return err
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if pods, isPods := list.(*corev1.PodList); isPods {
		for i := range pods.Items {
			if end, stopping := l.w.ends[pods.Items[i].Name]; stopping {
				pods.Items[i].DeletionTimestamp = &metav1.Time{Time: end}
			}
		}
	}
	return nil
}

// fleet is the cloud as the controller sees it; every call is an effect, and no machine may end under a pod's feet.
type fleet struct{ w *world }

func (f fleet) Launch(ctx context.Context, req cloud.LaunchRequest) (result cloud.LaunchResult, err error) {
	if f.w.forgetToken {
		req.Token = fmt.Sprintf("%s-%d", req.Token, f.w.effects)
	}
	err = f.w.effect(func() (err error) { result, err = f.w.cloud.Launch(ctx, req); return err })
	return result, err
}

func (f fleet) Terminate(ctx context.Context, id string) error {
	return f.w.effect(func() error { f.w.checkVictims(id); return f.w.cloud.Terminate(ctx, id) })
}

func (f fleet) Instance(ctx context.Context, id string) (i cloud.Instance, err error) {
	err = f.w.effect(func() (err error) { i, err = f.w.cloud.Instance(ctx, id); return err })
	return i, err
}

func (f fleet) Instances(ctx context.Context) (i []cloud.Instance, err error) {
	err = f.w.effect(func() (err error) { i, err = f.w.cloud.Instances(ctx); return err })
	return i, err
}

// checkVictims is invariant 2: a node that goes without a notice has no GPU pod bound to it when it is terminated.
func (w *world) checkVictims(id string) {
	m, _ := w.cloud.Machine(id)
	if !m.Alive() || !m.Deadline.IsZero() {
		return
	}
	for _, p := range w.pods() {
		if p.Spec.NodeName == nodeName(m) && demand.AsksForGPU(&p) && p.Status.Phase == corev1.PodRunning {
			w.problem("machine %s is ended while GPU pod %s runs on it", id, p.Name)
		}
	}
}

func (w *world) problem(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}
