package stories_test

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

// version is an object as it was seen at a time.
type version[T client.Object] struct {
	at     time.Time
	object T
	gone   bool
}

// kept is every version of every object of a kind.
type kept[T client.Object] map[types.UID][]version[T]

// record remembers every version of what matters, since what must never happen may have happened in between.
type record struct {
	mu          sync.Mutex
	podsSeen    kept[*corev1.Pod]
	nodesSeen   kept[*corev1.Node]
	claimsSeen  kept[*v1alpha1.NodeClaim]
	pools       kept[*v1alpha1.Provisioner]
	eventsKnown kept[*eventsv1.Event]
}

func newRecord() *record {
	return &record{podsSeen: kept[*corev1.Pod]{}, nodesSeen: kept[*corev1.Node]{}, claimsSeen: kept[*v1alpha1.NodeClaim]{},
		pools: kept[*v1alpha1.Provisioner]{}, eventsKnown: kept[*eventsv1.Event]{}}
}

// watch fills the record until the test's end.
func (r *record) watch(t *testing.T, config *rest.Config, scheme *runtime.Scheme) error {
	c, err := cache.New(config, cache.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("making a cache: %w", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	if err := cmp.Or(follow(ctx, c, &r.mu, r.podsSeen, &corev1.Pod{}), follow(ctx, c, &r.mu, r.nodesSeen, &corev1.Node{}),
		follow(ctx, c, &r.mu, r.claimsSeen, &v1alpha1.NodeClaim{}), follow(ctx, c, &r.mu, r.pools, &v1alpha1.Provisioner{}),
		follow(ctx, c, &r.mu, r.eventsKnown, &eventsv1.Event{})); err != nil {
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

func follow[T client.Object](ctx context.Context, c cache.Cache, mu *sync.Mutex, all kept[T], kind T) error {
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
			all[object.GetUID()] = append(all[object.GetUID()], version[T]{time.Now(), object, gone})
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { see(o, false) }, UpdateFunc: func(_, o any) { see(o, false) }, DeleteFunc: func(o any) { see(o, true) },
	})
	return err
}

// present answers the objects that are there now and are wanted, by name.
func present[T client.Object](r *record, all kept[T], wanted func(T) bool) []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []T
	for _, versions := range all {
		if last := versions[len(versions)-1]; !last.gone && wanted(last.object) {
			list = append(list, last.object)
		}
	}
	slices.SortFunc(list, func(a, b T) int {
		return cmp.Or(strings.Compare(a.GetNamespace()+"/"+a.GetName(), b.GetNamespace()+"/"+b.GetName()), strings.Compare(string(a.GetUID()), string(b.GetUID())))
	})
	return list
}

// history answers all versions of all objects, also of those that are gone.
func history[T client.Object](r *record, all kept[T]) [][]version[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list [][]version[T]
	for _, versions := range all {
		list = append(list, slices.Clone(versions))
	}
	slices.SortFunc(list, func(a, b []version[T]) int { return a[0].at.Compare(b[0].at) })
	return list
}

// firstSeen answers when an object was first seen to be so; zero: never.
func firstSeen[T client.Object](r *record, all kept[T], uid types.UID, so func(T) bool) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range all[uid] {
		if !v.gone && so(v.object) {
			return v.at
		}
	}
	return time.Time{}
}

// claims answers the claims of a Provisioner; empty: of all.
func (r *record) claims(provisioner string) []*v1alpha1.NodeClaim {
	return present(r, r.claimsSeen, func(c *v1alpha1.NodeClaim) bool { return provisioner == "" || c.Spec.Provisioner == provisioner })
}

func (r *record) nodes() []*corev1.Node {
	return present(r, r.nodesSeen, func(*corev1.Node) bool { return true })
}

// node answers a node by name, nil if there is none.
func (r *record) node(name string) *corev1.Node {
	list := present(r, r.nodesSeen, func(n *corev1.Node) bool { return n.Name == name })
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// pods answers the pods of a story; empty: all.
func (r *record) pods(story string) []*corev1.Pod {
	return present(r, r.podsSeen, func(p *corev1.Pod) bool { return story == "" || p.Labels[labelStory] == story })
}

func running(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil
}

// events answers what was said about an object.
func (r *record) events(uid types.UID) []*eventsv1.Event {
	return present(r, r.eventsKnown, func(e *eventsv1.Event) bool { return e.Regarding.UID == uid })
}

// tell describes the objects of a story for people.
func (r *record) tell(story string) string {
	var b strings.Builder
	mine := map[string]bool{}
	for _, p := range r.pods(story) {
		mine[p.Name] = true
		fmt.Fprintf(&b, "pod %s: %s on %q, deleted %v\n", p.Name, p.Status.Phase, p.Spec.NodeName, p.DeletionTimestamp)
	}
	for _, c := range r.claims(story) {
		mine[c.Name] = true
		fmt.Fprintf(&b, "claim %s: %s %s node %q, retire %+v, deleted %v\n", c.Name, c.Status.InstanceID, c.Status.InstanceType,
			c.Status.NodeName, c.Status.Retire, c.DeletionTimestamp)
		for _, condition := range c.Status.Conditions {
			fmt.Fprintf(&b, "    %s=%s %s: %s\n", condition.Type, condition.Status, condition.Reason, condition.Message)
		}
	}
	for _, n := range r.nodes() {
		if story != "" && n.Labels[v1alpha1.LabelProvisioner] != story {
			continue
		}
		mine[n.Name] = true
		gpu := n.Status.Allocatable[v1alpha1.ResourceGPU]
		fmt.Fprintf(&b, "node %s: unschedulable %t, taints %v, GPUs %s\n", n.Name, n.Spec.Unschedulable, n.Spec.Taints, gpu.String())
	}
	events := present(r, r.eventsKnown, func(e *eventsv1.Event) bool { return mine[e.Regarding.Name] })
	slices.SortFunc(events, func(a, b *eventsv1.Event) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	for _, e := range events {
		fmt.Fprintf(&b, "event %s %s %s: %s %s\n", e.CreationTimestamp.Format("15:04:05"), e.Regarding.Kind, e.Regarding.Name, e.Reason, e.Note)
	}
	return b.String()
}
