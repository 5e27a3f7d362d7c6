package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// podLife is what happened to a pod that asked for a GPU, and when this program saw it.
type podLife struct {
	name       string
	app        string
	pendingAt  time.Time // found unschedulable for the first time
	boundAt    time.Time
	node       string
	running    bool
	gone       bool
	reason     string // why it is held, of the last event; empty: it is not
	message    string
	everPlaced bool
}

// watcher follows the objects of a cluster and remembers when it saw what.
type watcher struct {
	client client.Client

	mu     sync.Mutex
	pods   map[types.UID]*podLife
	claims map[string]*v1alpha1.NodeClaim // also those that are gone
	gone   map[string]bool
	seen   map[string]time.Time // claim name: when it was first seen
	fenced map[string]time.Time // node name: when the fence was seen
	most   int64                // the highest $/h at one time, in micro-dollars
}

func watch(ctx context.Context, config *rest.Config) (*watcher, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	c, err := cache.New(config, cache.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a cache: %w", err)
	}
	direct, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	w := &watcher{
		client: direct, pods: map[types.UID]*podLife{}, claims: map[string]*v1alpha1.NodeClaim{}, gone: map[string]bool{},
		seen:   map[string]time.Time{},
		fenced: map[string]time.Time{},
	}
	for _, kind := range []struct {
		object client.Object
		seen   func(o any, gone bool)
	}{
		{&corev1.Pod{}, w.pod}, {&v1alpha1.NodeClaim{}, w.claim}, {&corev1.Node{}, w.node}, {&eventsv1.Event{}, w.event},
	} {
		informer, err := c.GetInformer(ctx, kind.object)
		if err != nil {
			return nil, fmt.Errorf("watching %T: %w", kind.object, err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(o any) { kind.seen(o, false) }, UpdateFunc: func(_, o any) { kind.seen(o, false) },
			DeleteFunc: func(o any) {
				if late, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
					o = late.Obj
				}
				kind.seen(o, true)
			},
		}); err != nil {
			return nil, fmt.Errorf("watching %T: %w", kind.object, err)
		}
	}
	go func() { _ = c.Start(ctx) }() // it ends with ctx
	if !c.WaitForCacheSync(ctx) {
		return nil, fmt.Errorf("filling the caches: %w", context.Cause(ctx))
	}
	return w, nil
}

func (w *watcher) pod(o any, gone bool) {
	pod, ok := o.(*corev1.Pod)
	if !ok || !asksForGPU(pod) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.pods[pod.UID]
	if p == nil {
		p = &podLife{name: pod.Name, app: pod.Labels["app"]}
		if p.app == "" {
			p.app = pod.Labels["job-name"]
		}
		w.pods[pod.UID] = p
	}
	now := time.Now()
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable && p.pendingAt.IsZero() {
			p.pendingAt = now
		}
	}
	if pod.Spec.NodeName != "" && p.boundAt.IsZero() {
		p.boundAt, p.node, p.everPlaced, p.reason, p.message = now, pod.Spec.NodeName, true, "", ""
	}
	p.running = pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil
	p.gone = gone || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func asksForGPU(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		_, ok := c.Resources.Limits[v1alpha1.ResourceGPU]
		return ok
	})
}

func (w *watcher) claim(o any, gone bool) {
	claim, ok := o.(*v1alpha1.NodeClaim)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.seen[claim.Name]; !known {
		w.seen[claim.Name] = time.Now()
	}
	w.claims[claim.Name] = claim
	w.gone[claim.Name] = gone
	w.most = max(w.most, w.dollars())
}

func (w *watcher) node(o any, gone bool) {
	node, ok := o.(*corev1.Node)
	if !ok || gone {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range node.Spec.Taints {
		if _, known := w.fenced[node.Name]; !known && t.Key == v1alpha1.TaintRetiring {
			w.fenced[node.Name] = time.Now()
		}
	}
}

// event takes the reason for which Slipway holds a pod from the event that says so.
func (w *watcher) event(o any, gone bool) {
	e, ok := o.(*eventsv1.Event)
	if !ok || gone || e.Regarding.Kind != "Pod" || !strings.HasPrefix(e.ReportingController, "slipway") || e.Type != corev1.EventTypeWarning {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.pods[e.Regarding.UID]; p != nil && p.boundAt.IsZero() && e.Action == "Planning" {
		p.reason, p.message = e.Reason, e.Note
	}
}

// dollars is what the claims that are there cost an hour, in micro-dollars. The caller holds the lock.
func (w *watcher) dollars() int64 {
	sum := int64(0)
	for name, c := range w.claims {
		if !w.gone[name] && c.Status.PricePerHour != "" {
			price, err := cloud.ParseDollars(c.Status.PricePerHour)
			if err == nil {
				sum += price
			}
		}
	}
	return sum
}

func (w *watcher) counts() counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	var c counts
	for _, p := range w.pods {
		switch {
		case p.gone:
		case !p.boundAt.IsZero():
			c.bound++
			if p.running {
				c.running++
			}
		case p.reason != "":
			c.held++
		case !p.pendingAt.IsZero():
			c.pending++
		}
	}
	for name, claim := range w.claims {
		if w.gone[name] {
			continue
		}
		c.claims++
		if is(claim, v1alpha1.ConditionLaunched) {
			c.launched++
			c.gpus += int(claim.Spec.GPUs)
		}
		if is(claim, v1alpha1.ConditionJoined) {
			c.joined++
		}
		switch {
		case claim.DeletionTimestamp != nil || claim.Status.Retire != nil:
			c.draining++
		case is(claim, v1alpha1.ConditionReady):
			c.ready++
		}
	}
	c.dollars = int(w.dollars())
	return c
}

func is(c *v1alpha1.NodeClaim, condition string) bool {
	return meta.IsStatusConditionTrue(c.Status.Conditions, condition)
}

// lives answers a copy of every pod's life, by name.
func (w *watcher) lives() map[types.UID]podLife {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make(map[types.UID]podLife, len(w.pods))
	for uid, p := range w.pods {
		all[uid] = *p
	}
	return all
}

// allClaims answers every claim that was ever seen, and which are gone.
func (w *watcher) allClaims() (claims map[string]*v1alpha1.NodeClaim, gone map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.claims), maps.Clone(w.gone)
}

// seenAt is when a claim was first seen; zero: never.
func (w *watcher) seenAt(claim string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[claim]
}

func (w *watcher) fencedAt(node string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fenced[node]
}
