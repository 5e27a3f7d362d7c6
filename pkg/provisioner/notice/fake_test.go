package notice_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/notice"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// queue is a NoticeSource as SQS is one: ten at a time, a long poll of 20 s, and what is not done comes again after 30 s.
type queue struct {
	mu       sync.Mutex
	messages []message
	failures []error // answered by the next calls of Receive
	receives []time.Time
}

type message struct {
	cloud.Notice
	hidden time.Time
}

func (q *queue) send(notices ...cloud.Notice) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range notices {
		n.ID = fmt.Sprint(len(q.messages), "-", n.InstanceID)
		q.messages = append(q.messages, message{Notice: n})
	}
}

func (q *queue) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

func (q *queue) Receive(ctx context.Context) ([]cloud.Notice, error) {
	for range 200 {
		batch, err := q.take()
		if len(batch) > 0 || err != nil {
			return batch, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil, nil
}

func (q *queue) take() ([]cloud.Notice, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.receives = append(q.receives, now)
	if len(q.failures) > 0 {
		err := q.failures[0]
		q.failures = q.failures[1:]
		return nil, err
	}
	var batch []cloud.Notice
	for i := range q.messages {
		if m := &q.messages[i]; len(batch) < 10 && !now.Before(m.hidden) {
			m.hidden = now.Add(30 * time.Second)
			batch = append(batch, m.Notice)
		}
	}
	return batch, nil
}

func (q *queue) Done(_ context.Context, n cloud.Notice) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.messages {
		if q.messages[i].ID == n.ID {
			q.messages = append(q.messages[:i], q.messages[i+1:]...)
			return nil
		}
	}
	return errors.New("there is no such message")
}

// world is a cluster, a queue and whoever is told of things.
type world struct {
	client.Client
	queue  *queue
	reg    *prometheus.Registry
	config notice.Config
	// broken, while set, fails every write of the named kind: "Node", "NodeClaim status", "NodeClaim delete".
	mu       sync.Mutex
	broken   string
	latency  time.Duration // of each write
	wakes    int
	health   []cloud.OfferingKey
	events   []string
	fencedAt map[string]time.Time
}

func (w *world) Interrupted(k cloud.OfferingKey, _ time.Time) {
	w.note(func() { w.health = append(w.health, k) })
}
func (w *world) Wake() { w.note(func() { w.wakes++ }) }

func (w *world) Eventf(about, _ runtime.Object, _, reason, _, note string, args ...any) {
	w.note(func() {
		w.events = append(w.events, fmt.Sprintf("%T/%s %s: %s", about, about.(client.Object).GetName(), reason, fmt.Sprintf(note, args...)))
	})
}

func (w *world) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) write(what string) error {
	time.Sleep(w.latency) // fake time: a write takes as long as one to an API server does
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == what {
		return errors.New("the API server does not answer")
	}
	return nil
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	w := &world{queue: &queue{}, reg: prometheus.NewRegistry(), fencedAt: map[string]time.Time{}}
	w.Client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.NodeClaim{}).WithInterceptorFuncs(w.faults()).Build()
	metrics, err := telemetry.New(w.reg)
	if err != nil {
		t.Fatal(err)
	}
	w.config = notice.Config{
		Source: w.queue, Client: w, Live: w, Health: w, Grow: w, Metrics: metrics, Events: telemetry.NewEvents(w, time.Now), Now: time.Now,
	}
	return w
}

func (w *world) faults() interceptor.Funcs {
	return interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := w.write("Node"); err != nil {
				return err
			}
			err := c.Patch(ctx, o, p, opts...)
			if err == nil {
				w.note(func() { w.fencedAt[o.GetName()] = time.Now() })
			}
			return err
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := w.write("NodeClaim status"); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := w.write("NodeClaim delete"); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
	}
}

// run starts a Listener; stop ends it and waits until it has ended.
func (w *world) run(t *testing.T) (stop func()) {
	t.Helper()
	l, err := notice.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Start(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start: %v", err)
		}
	}
}

func claim(name string) *v1alpha1.NodeClaim {
	return &v1alpha1.NodeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Finalizers: []string{v1alpha1.FinalizerInstance}},
		Spec:       v1alpha1.NodeClaimSpec{Provisioner: "gpu", Market: "spot", GPUs: 1},
		Status: v1alpha1.NodeClaimStatus{
			InstanceID: "i-" + name, ProviderID: "aws:///us-east-1a/i-" + name, InstanceType: "g4dn.xlarge", Zone: "us-east-1a",
			NodeName: "node-" + name,
		},
	}
}

func node(name string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node-" + name, UID: types.UID("uid-node-" + name)},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///us-east-1a/i-" + name},
	}
}

func pod(name, onNode string, gpus int64) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ml", UID: types.UID("uid-pod-" + name)},
		Spec: corev1.PodSpec{NodeName: onNode, Containers: []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{v1alpha1.ResourceGPU: *resource.NewQuantity(gpus, resource.DecimalSI)},
		}}}},
	}
}

func (w *world) claim(t *testing.T, name string) *v1alpha1.NodeClaim {
	t.Helper()
	var c v1alpha1.NodeClaim
	if err := w.Get(t.Context(), types.NamespacedName{Name: name}, &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func (w *world) fenced(t *testing.T, name string) bool {
	t.Helper()
	var n corev1.Node
	if err := w.Get(t.Context(), types.NamespacedName{Name: "node-" + name}, &n); err != nil {
		t.Fatal(err)
	}
	fences := 0
	for _, taint := range n.Spec.Taints {
		if taint.MatchTaint(&corev1.Taint{Key: v1alpha1.TaintRetiring, Effect: corev1.TaintEffectNoSchedule}) {
			fences++
		}
	}
	if fences > 1 {
		t.Errorf("node %s is fenced %d times", name, fences)
	}
	return fences == 1
}
