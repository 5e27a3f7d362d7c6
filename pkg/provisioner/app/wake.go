package app

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// wakers are what changes in the cluster set off.
type wakers struct {
	grow func()
	// pods is told of each pod as it was and is; before is nil for a new one, pod for one that is gone.
	pods func(ctx context.Context, before, pod *corev1.Pod)
	seen func(claim string) // the cache has shown a claim, or its end
	// ended: what a claim's launch had to tell of its offerings has been told.
	ended func(claim string)
}

// watch registers what wakes the grow loop: a pod that asks for a GPU and was found unschedulable, and whatever may let a held pod go.
// Everything else waits for the loop's tick.
func (w wakers) watch(ctx context.Context, c cache.Cache) error {
	for _, watch := range []struct {
		kind    client.Object
		handler toolscache.ResourceEventHandler
	}{
		{&corev1.Pod{}, toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { w.pod(ctx, nil, o) },
			UpdateFunc: func(before, after any) { w.pod(ctx, before, after) },
			DeleteFunc: func(o any) { w.podGone(ctx, o) },
		}},
		{&v1alpha1.NodeClaim{}, toolscache.ResourceEventHandlerFuncs{
			AddFunc:    w.claim,
			UpdateFunc: w.claimChanged,
			DeleteFunc: w.claimGone,
		}},
		{&v1alpha1.Provisioner{}, w.always()},
		{&v1alpha1.EC2NodeClass{}, w.always()},
	} {
		informer, err := c.GetInformer(ctx, watch.kind)
		if err != nil {
			return fmt.Errorf("watching %T: %w", watch.kind, err)
		}
		if _, err := informer.AddEventHandler(watch.handler); err != nil {
			return fmt.Errorf("watching %T: %w", watch.kind, err)
		}
	}
	return nil
}

// pod wakes on a pod that has just become ours.
func (w wakers) pod(ctx context.Context, before, after any) {
	pod, ok := after.(*corev1.Pod)
	if !ok {
		return
	}
	old, _ := before.(*corev1.Pod)
	w.pods(ctx, old, pod)
	if demand.Classify(pod) == demand.Ours && (old == nil || demand.Classify(old) != demand.Ours) {
		w.grow()
	}
}

func (w wakers) podGone(ctx context.Context, o any) {
	if late, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = late.Obj
	}
	if pod, ok := o.(*corev1.Pod); ok {
		w.pods(ctx, pod, nil)
	}
}

func (w wakers) claim(o any) {
	if c, ok := o.(*v1alpha1.NodeClaim); ok {
		w.seen(c.Name)
	}
}

// claimGone wakes: what the claim took of a limit is free.
func (w wakers) claimGone(o any) {
	if late, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = late.Obj
	}
	if c, ok := o.(*v1alpha1.NodeClaim); ok {
		w.seen(c.Name)
		w.ended(c.Name)
	}
	w.grow()
}

// claimChanged wakes when a claim turns out to go: its pods will need another place.
func (w wakers) claimChanged(before, after any) {
	old, ok1 := before.(*v1alpha1.NodeClaim)
	claim, ok2 := after.(*v1alpha1.NodeClaim)
	if !ok1 || !ok2 {
		return
	}
	if claim.Status.InstanceID != "" && old.Status.InstanceID == "" {
		w.ended(claim.Name)
	}
	if leaving(claim) && !leaving(old) {
		w.ended(claim.Name)
		w.grow()
	}
}

func leaving(c *v1alpha1.NodeClaim) bool { return c.DeletionTimestamp != nil || c.Status.Retire != nil }

// always wakes when the spec or the conditions of an object may have changed.
func (w wakers) always() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { w.grow() },
		UpdateFunc: func(before, after any) {
			old, ok1 := before.(client.Object)
			object, ok2 := after.(client.Object)
			if ok1 && ok2 && old.GetResourceVersion() != object.GetResourceVersion() {
				w.grow()
			}
		},
		DeleteFunc: func(any) { w.grow() },
	}
}
