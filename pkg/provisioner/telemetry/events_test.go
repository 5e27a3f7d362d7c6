package telemetry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientevents "k8s.io/client-go/tools/events"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// notebook is a Sink that keeps what it was told.
type notebook struct{ lines []string }

func (n *notebook) Eventf(regarding, _ runtime.Object, level, reason, action, note string, args ...any) {
	pod := regarding.(*corev1.Pod)
	n.lines = append(n.lines, fmt.Sprintf("%s %s %s %s: %s", pod.Name, level, reason, action, fmt.Sprintf(note, args...)))
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ml", UID: types.UID(name)}}
}

func TestTheSameEventIsSaidOnceInAWhile(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sink := &notebook{}
	events := telemetry.NewEvents(sink, func() time.Time { return now })

	for range 150 { // 150 s of a loop that says it every second
		events.Held(pod("a"), v1alpha1.HeldLimit, "gpu limit 100 is reached")
		now = now.Add(time.Second)
	}
	events.Held(pod("b"), v1alpha1.HeldLimit, "gpu limit 100 is reached")
	events.Held(pod("a"), v1alpha1.HeldStockout, "gpu limit 100 is reached")
	events.Held(pod("a"), v1alpha1.HeldLimit, "gpu limit 101 is reached, 100% of it")
	now = now.Add(time.Minute)
	events.Held(pod("a"), v1alpha1.HeldLimit, "gpu limit 100 is reached")

	want := []string{
		"a Warning LimitReached Planning: gpu limit 100 is reached",
		"b Warning LimitReached Planning: gpu limit 100 is reached",
		"a Warning InsufficientCapacity Planning: gpu limit 100 is reached",
		"a Warning LimitReached Planning: gpu limit 101 is reached, 100% of it",
		"a Warning LimitReached Planning: gpu limit 100 is reached",
	}
	if diff := cmp.Diff(want, sink.lines); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestALongMessageIsClippedBetweenCharacters(t *testing.T) {
	sink := &notebook{}
	events := telemetry.NewEvents(sink, time.Now)
	events.Held(pod("a"), v1alpha1.HeldLimit, strings.Repeat("ü", 2000))
	_, note, _ := strings.Cut(sink.lines[0], ": ")
	if len(note) > 1024 || len(note) < 1000 || !utf8.ValidString(note) {
		t.Errorf("the note has %d bytes, valid UTF-8: %t; want at most 1024, valid", len(note), utf8.ValidString(note))
	}
}

func TestAPodLearnsWhenItsNodeIsTaken(t *testing.T) {
	sink := &notebook{}
	events := telemetry.NewEvents(sink, time.Now)
	events.Interrupted(pod("a"), time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("CET", 3600)))
	events.Interrupted(pod("b"), time.Time{})
	want := []string{
		"a Warning Interrupted Retiring: EC2 takes this node at 2026-01-02T02:04:05Z: save your state",
		"b Warning Interrupted Retiring: EC2 takes this node soon: save your state",
	}
	if diff := cmp.Diff(want, sink.lines); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestEventsAreARecorderThatDoesNotRepeatItself(t *testing.T) {
	sink := &notebook{}
	var recorder clientevents.EventRecorder = telemetry.NewEvents(sink, time.Now)
	for range 3 {
		recorder.Eventf(pod("a"), nil, corev1.EventTypeNormal, "Launched", "Launching", "%d%% of %s", 100, "it")
	}
	if diff := cmp.Diff([]string{"a Normal Launched Launching: 100% of it"}, sink.lines); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestNilEventsAreSilent(*testing.T) {
	var events *telemetry.Events
	events.Held(pod("a"), v1alpha1.HeldLimit, "nothing happens")
}
