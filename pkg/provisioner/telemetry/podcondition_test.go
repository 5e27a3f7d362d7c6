package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// waits is a pod that waits for a GPU.
func waits(name string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)}}
	p.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{v1alpha1.ResourceGPU: one}}}}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}}
	return p
}

// told is a world with pods, in which every write of a status is counted.
type told struct {
	*testing.T
	client.Client
	conditions *telemetry.PodConditions

	mu sync.Mutex // what follows is shared with the writer
	record
}

// record is what the writer has done, and what it is to meet.
type record struct {
	writes     int
	refuse     error
	complaints []string
}

// soFar answers the record.
func (w *told) soFar() record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.record
}

func (w *told) nowRefuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = err
}

// wrote counts a write, and answers what is to become of it.
func (w *told) wrote() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	return w.refuse
}

func (w *told) complained(args string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.complaints = append(w.complaints, args)
}

func tell(t *testing.T, f func(w *told), pods ...client.Object) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &told{T: t}
		w.Client = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(pods...).WithStatusSubresource(&corev1.Pod{}).
			WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch,
				opts ...client.SubResourcePatchOption) error {
				if err := w.wrote(); err != nil {
					return err
				}
				return c.SubResource(sub).Patch(ctx, o, p, opts...)
			}}).Build()
		pacer := telemetry.NewPacer(&heard{})
		log := funcr.New(func(_, args string) { w.complained(args) }, funcr.Options{})
		w.conditions = telemetry.NewPodConditions(pacer, w.Client, w.Client, time.Now, log)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- pacer.Start(ctx) }()
		go func() { done <- w.conditions.Start(ctx) }()
		f(w)
		stop()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
	})
}

func (w *told) say(name string, p telemetry.Planning) {
	w.conditions.Say(w.Context(), v1alpha1.PodRef{Namespace: "default", Name: name, UID: types.UID("uid-" + name)}, p)
	time.Sleep(time.Second)
}

func (w *told) has(name string) string {
	w.Helper()
	var pod corev1.Pod
	if err := w.Get(w.Context(), client.ObjectKey{Namespace: "default", Name: name}, &pod); err != nil {
		w.Fatal(err)
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == v1alpha1.PodNodePlanned {
			return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
		}
	}
	return ""
}

func (w *told) want(name, condition string, writes int) {
	w.Helper()
	if got := w.has(name); got != condition || w.soFar().writes != writes {
		w.Errorf("pod %s has %q after %d writes, want %q after %d", name, got, w.soFar().writes, condition, writes)
	}
}

var one = resource.MustParse("1")

var limited = telemetry.Planning{Reason: v1alpha1.HeldLimit, Message: "6 of 6"}

// TestPodIsToldOnceOfEachChange: the same is not written again, other words only after a minute, another reason at once.
func TestPodIsToldOnceOfEachChange(t *testing.T) {
	tell(t, func(w *told) {
		w.say("a", limited)
		w.want("a", "False LimitReached: 6 of 6", 1)
		w.say("a", limited)
		w.want("a", "False LimitReached: 6 of 6", 1)
		other := limited
		other.Message = "5 of 6"
		w.say("a", other)
		w.want("a", "False LimitReached: 6 of 6", 1)
		time.Sleep(time.Minute)
		w.say("a", other)
		w.want("a", "False LimitReached: 5 of 6", 2)
		w.say("a", telemetry.Planning{Reason: v1alpha1.HeldStockout, Message: "none"})
		w.want("a", "False InsufficientCapacity: none", 3)
		w.say("a", telemetry.Planning{Planned: true, Reason: v1alpha1.PlannedLaunch, Message: "gpu-1"})
		w.want("a", "True NodeLaunching: gpu-1", 4)
		var pod corev1.Pod
		if err := w.Get(w.Context(), client.ObjectKey{Namespace: "default", Name: "a"}, &pod); err != nil || len(pod.Status.Conditions) != 2 {
			t.Errorf("the scheduler's condition is gone: %v %v", pod.Status.Conditions, err)
		}
	}, waits("a"))
}

// TestLongMessage: event and condition leave the same sentences out, whole ones, and keep the counts.
func TestLongMessage(t *testing.T) {
	long := limited
	for i := range 40 {
		long.Message += fmt.Sprintf("; and here is what would have helped, number %d", i)
	}
	long.Message += " [7 offerings: all LimitReached]"
	sink := &notebook{}
	telemetry.NewEvents(sink, time.Now).Held(pod("a"), long.Reason, long.Message)
	_, note, _ := strings.Cut(sink.lines[0], ": ")
	if !strings.HasPrefix(note, "6 of 6; and here") || len(note) > 1024 || len(note) < 900 ||
		!regexp.MustCompile(`, number \d+; … \[7 offerings: all LimitReached\]$`).MatchString(note) {
		t.Errorf("the event says %q, of %d bytes", note, len(note))
	}
	tell(t, func(w *told) {
		w.say("a", long)
		w.want("a", "False LimitReached: "+note, 1)
		time.Sleep(time.Hour)
		w.say("a", long)
		w.want("a", "False LimitReached: "+note, 1)
	}, waits("a"))
}

// TestNewestIsTold: while a write waits for its turn only the newest word about the pod is kept.
func TestNewestIsTold(t *testing.T) {
	var pods []client.Object
	for i := range 100 {
		pods = append(pods, waits(fmt.Sprint("p", i)))
	}
	tell(t, func(w *told) {
		for i := range 100 {
			w.conditions.Say(w.Context(), v1alpha1.PodRef{Namespace: "default", Name: fmt.Sprint("p", i), UID: types.UID(fmt.Sprint("uid-p", i))}, limited)
		}
		w.say("p99", telemetry.Planning{Planned: true, Reason: v1alpha1.PlannedLaunch, Message: "gpu-1"})
		if w.soFar().writes > 60 {
			t.Errorf("%d writes in a second, want at most 50 or so", w.soFar().writes)
		}
		time.Sleep(10 * time.Second)
		w.want("p99", "True NodeLaunching: gpu-1", 100)
	}, pods...)
}

// TestWhoWaitsNoMoreIsNotHeld: a pod that got a node without Slipway's help does not say for ever that it is held; one that was planned for keeps
// saying so.
func TestWhoWaitsNoMoreIsNotHeld(t *testing.T) {
	tell(t, func(w *told) {
		w.say("held", limited)
		w.say("planned", telemetry.Planning{Planned: true, Reason: v1alpha1.PlannedLaunch, Message: "gpu-1"})
		for _, name := range []string{"held", "planned"} {
			var pod corev1.Pod
			if err := w.Get(w.Context(), client.ObjectKey{Namespace: "default", Name: name}, &pod); err != nil {
				t.Fatal(err)
			}
			pod.Spec.NodeName = "node-1"
			if err := w.Update(w.Context(), &pod); err != nil {
				t.Fatal(err)
			}
		}
		w.say("held", limited) // a decision about an older picture
		w.want("held", "False LimitReached: 6 of 6", 2)
		time.Sleep(time.Minute)
		w.want("held", "", 3)
		w.want("planned", "True NodeLaunching: gpu-1", 3)
	}, waits("held"), waits("planned"))
}

// TestAnotherPodOfTheNameIsNotTold: a StatefulSet's next pod has the name of the one before.
func TestAnotherPodOfTheNameIsNotTold(t *testing.T) {
	tell(t, func(w *told) {
		w.conditions.Say(w.Context(), v1alpha1.PodRef{Namespace: "default", Name: "a", UID: "another"}, limited)
		w.conditions.Say(w.Context(), v1alpha1.PodRef{Namespace: "default", Name: "gone", UID: "uid-gone"}, limited)
		time.Sleep(time.Second)
		w.want("a", "", 0)
	}, waits("a"))
}

// TestFailedWritesAreRepeatedAndComplainedOfOnce: the next decision tries again, and the log is not flooded.
func TestFailedWritesAreRepeatedAndComplainedOfOnce(t *testing.T) {
	tell(t, func(w *told) {
		w.nowRefuse(errors.New("pods/status: forbidden"))
		for range 5 {
			w.say("a", limited)
		}
		w.want("a", "", 5)
		if diff := cmp.Diff(1, len(w.soFar().complaints)); diff != "" {
			t.Errorf("complaints: %q", w.soFar().complaints)
		}
		w.nowRefuse(nil)
		w.say("a", limited)
		w.want("a", "False LimitReached: 6 of 6", 6)
	}, waits("a"))
}
