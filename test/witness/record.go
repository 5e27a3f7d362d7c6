package witness

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// Version is an object as it was seen at a time.
type Version[T client.Object] struct {
	At     time.Time
	Object T
	Gone   bool
}

// Kept is every version of every object of a kind.
type Kept[T client.Object] map[types.UID][]Version[T]

// Record remembers every version of what matters. Its maps are read with Present, History and FirstSeen.
type Record struct {
	mu         sync.Mutex
	PodsSeen   Kept[*corev1.Pod]
	NodesSeen  Kept[*corev1.Node]
	ClaimsSeen Kept[*v1alpha1.NodeClaim]
	PoolsSeen  Kept[*v1alpha1.Provisioner]
	EventsSeen Kept[*eventsv1.Event]
}

func newRecord() *Record {
	return &Record{PodsSeen: Kept[*corev1.Pod]{}, NodesSeen: Kept[*corev1.Node]{}, ClaimsSeen: Kept[*v1alpha1.NodeClaim]{},
		PoolsSeen: Kept[*v1alpha1.Provisioner]{}, EventsSeen: Kept[*eventsv1.Event]{}}
}

// watch fills the record until the test's end.
func (r *Record) watch(t *testing.T, config *rest.Config, scheme *runtime.Scheme) error {
	c, err := cache.New(config, cache.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("making a cache: %w", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	if err := cmp.Or(follow(ctx, c, &r.mu, r.PodsSeen, &corev1.Pod{}), follow(ctx, c, &r.mu, r.NodesSeen, &corev1.Node{}),
		follow(ctx, c, &r.mu, r.ClaimsSeen, &v1alpha1.NodeClaim{}), follow(ctx, c, &r.mu, r.PoolsSeen, &v1alpha1.Provisioner{}),
		follow(ctx, c, &r.mu, r.EventsSeen, &eventsv1.Event{})); err != nil {
		stop()
		return err
	}
	go func() {
		defer close(ended)
		_ = c.Start(ctx) // it ends with ctx
	}()
	t.Cleanup(func() { stop(); <-ended })
	if !c.WaitForCacheSync(ctx) {
		return fmt.Errorf("filling the caches: %w", context.Cause(ctx))
	}
	return nil
}

func follow[T client.Object](ctx context.Context, c cache.Cache, mu *sync.Mutex, all Kept[T], kind T) error {
	informer, err := c.GetInformer(ctx, kind)
	if err != nil {
		return fmt.Errorf("watching %T: %w", kind, err)
	}
	see := func(o any, gone bool) {
		if late, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
			o = late.Obj
		}
		if object, ok := o.(T); ok {
			mu.Lock()
			defer mu.Unlock()
			all[object.GetUID()] = append(all[object.GetUID()], Version[T]{time.Now(), object, gone})
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { see(o, false) }, UpdateFunc: func(_, o any) { see(o, false) }, DeleteFunc: func(o any) { see(o, true) },
	})
	return err
}

// Present answers the objects that are there now and are wanted, by name.
func Present[T client.Object](r *Record, all Kept[T], wanted func(T) bool) []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []T
	for _, versions := range all {
		if last := versions[len(versions)-1]; !last.Gone && wanted(last.Object) {
			list = append(list, last.Object)
		}
	}
	slices.SortFunc(list, func(a, b T) int {
		return cmp.Or(strings.Compare(a.GetNamespace()+"/"+a.GetName(), b.GetNamespace()+"/"+b.GetName()), strings.Compare(string(a.GetUID()), string(b.GetUID())))
	})
	return list
}

// History answers all versions of all objects, also of those that are gone.
func History[T client.Object](r *Record, all Kept[T]) [][]Version[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list [][]Version[T]
	for _, versions := range all {
		list = append(list, slices.Clone(versions))
	}
	slices.SortFunc(list, func(a, b []Version[T]) int { return a[0].At.Compare(b[0].At) })
	return list
}

// FirstSeen answers when an object was first seen to be so; zero: never.
func FirstSeen[T client.Object](r *Record, all Kept[T], uid types.UID, so func(T) bool) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range all[uid] {
		if !v.Gone && so(v.Object) {
			return v.At
		}
	}
	return time.Time{}
}

// Claims answers the claims of a Provisioner; empty: of all.
func (r *Record) Claims(provisioner string) []*v1alpha1.NodeClaim {
	return Present(r, r.ClaimsSeen, func(c *v1alpha1.NodeClaim) bool { return provisioner == "" || c.Spec.Provisioner == provisioner })
}

// Nodes answers every node.
func (r *Record) Nodes() []*corev1.Node {
	return Present(r, r.NodesSeen, func(*corev1.Node) bool { return true })
}

// Node answers a node by name, nil if there is none.
func (r *Record) Node(name string) *corev1.Node {
	list := Present(r, r.NodesSeen, func(n *corev1.Node) bool { return n.Name == name })
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// Pods answers the pods of a story; empty: all.
func (r *Record) Pods(story string) []*corev1.Pod {
	return Present(r, r.PodsSeen, func(p *corev1.Pod) bool { return story == "" || p.Labels[LabelStory] == story })
}

// Running says whether a pod runs and is not told to stop.
func Running(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil
}

// Events answers what was said about an object.
func (r *Record) Events(uid types.UID) []*eventsv1.Event {
	return Present(r, r.EventsSeen, func(e *eventsv1.Event) bool { return e.Regarding.UID == uid })
}

// Tell describes the objects of a story for people.
func (r *Record) Tell(story string) string {
	var b strings.Builder
	mine := map[string]bool{}
	for _, p := range r.Pods(story) {
		mine[p.Name] = true
		fmt.Fprintf(&b, "pod %s: %s on %q, deleted %v\n", p.Name, p.Status.Phase, p.Spec.NodeName, p.DeletionTimestamp)
	}
	for _, c := range r.Claims(story) {
		mine[c.Name] = true
		fmt.Fprintf(&b, "claim %s: %s %s node %q, retire %+v, deleted %v\n", c.Name, c.Status.InstanceID, c.Status.InstanceType,
			c.Status.NodeName, c.Status.Retire, c.DeletionTimestamp)
		for _, condition := range c.Status.Conditions {
			fmt.Fprintf(&b, "    %s=%s %s: %s\n", condition.Type, condition.Status, condition.Reason, condition.Message)
		}
	}
	for _, n := range r.Nodes() {
		if story != "" && n.Labels[v1alpha1.LabelProvisioner] != story {
			continue
		}
		mine[n.Name] = true
		gpu := n.Status.Allocatable[v1alpha1.ResourceGPU]
		fmt.Fprintf(&b, "node %s: unschedulable %t, taints %v, GPUs %s\n", n.Name, n.Spec.Unschedulable, n.Spec.Taints, gpu.String())
	}
	events := Present(r, r.EventsSeen, func(e *eventsv1.Event) bool { return mine[e.Regarding.Name] })
	slices.SortFunc(events, func(a, b *eventsv1.Event) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	for _, e := range events {
		fmt.Fprintf(&b, "event %s %s %s: %s %s\n", e.CreationTimestamp.Format("15:04:05"), e.Regarding.Kind, e.Regarding.Name, e.Reason, e.Note)
	}
	return b.String()
}
