package inventory

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

var midnight = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func classOf(name string) demand.Class {
	return demand.Class{Key: name, Requests: demand.Resources{v1alpha1.ResourceGPU: 1000}}
}

func TestArrivalsFindTheRate(t *testing.T) {
	for name, tc := range map[string]struct {
		every time.Duration
		want  float64 // per hour, in the long run
	}{
		"one a minute":        {time.Minute, 60},
		"one in six minutes":  {6 * time.Minute, 10},
		"one in half an hour": {30 * time.Minute, 2},
		"one in two seconds":  {2 * time.Second, 1800},
	} {
		t.Run(name, func(t *testing.T) {
			var a Arrivals
			now := midnight
			for now.Before(midnight.Add(24 * time.Hour)) {
				a.Came(classOf("c"), now)
				now = now.Add(tc.every)
			}
			// Between two arrivals the rate falls: the mean of before and after one is near the truth.
			list := a.Classes(now)
			a.Came(classOf("c"), now)
			got := (float64(list[0].PerHourMilli) + float64(a.Classes(now)[0].PerHourMilli)) / 2000
			if math.Abs(got-tc.want) > 0.05*tc.want {
				t.Errorf("%.3f per hour, want %.3f", got, tc.want)
			}
		})
	}
}

func TestBurstsAreNotExpectedAgain(t *testing.T) {
	var a Arrivals
	a.Came(classOf("c"), midnight)
	one := a.Classes(midnight)[0].PerHourMilli
	for i := range 9 {
		a.Came(classOf("c"), midnight.Add(10*time.Minute+time.Duration(i)*100*time.Millisecond))
	}
	if got := a.Classes(midnight.Add(10 * time.Minute))[0].PerHourMilli; got > one {
		t.Errorf("nine at once leave a rate of %d, one before them made %d", got, one)
	}
	for i := range 3 {
		a.Came(classOf("c"), midnight.Add(20*time.Minute+time.Duration(i)*100*time.Millisecond))
	}
	if got := a.Classes(midnight.Add(20 * time.Minute))[0].PerHourMilli; got < 3*one {
		t.Errorf("three at once are no burst: rate %d after them, one makes %d", got, one)
	}
}

func TestArrivalsForgetAndAreBounded(t *testing.T) {
	var a Arrivals
	for i := range 3 * maxClasses {
		for range 1 + i%3 {
			a.Came(classOf(fmt.Sprintf("c%04d", i)), midnight)
		}
	}
	list := a.Classes(midnight)
	if len(list) != maxClasses || len(a.classes) != maxClasses {
		t.Fatalf("%d told, %d remembered, want %d", len(list), len(a.classes), maxClasses)
	}
	if list[0].Key != "c0002" || !slices.IsSortedFunc(list, func(x, y plan.Arrival) int { return strings.Compare(x.Key, y.Key) }) {
		t.Errorf("the most frequent are kept, by key: %v first", list[0])
	}
	if list = a.Classes(midnight.Add(24 * time.Hour)); len(list)+len(a.classes) != 0 {
		t.Errorf("after a day %d are told, %d remembered", len(list), len(a.classes))
	}
}

func gpuPod(name string, made time.Time, change ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(made)}}
	p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{
		Limits: corev1.ResourceList{v1alpha1.ResourceGPU: resource.MustParse("1")}}}}
	for _, f := range change {
		f(&p)
	}
	return p
}

// A pod counts once, at the time at which it was made, whether it waits or was bound at once.
func TestMirrorCountsEveryPodOnce(t *testing.T) {
	m := &Mirror{}
	bound := func(p *corev1.Pod) { p.Spec.NodeName = "n" }
	port := func(p *corev1.Pod) { p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80}} }
	pods := []corev1.Pod{gpuPod("b", midnight.Add(30*time.Minute), bound), gpuPod("a", midnight), gpuPod("p", midnight, port)}
	first := m.arrived(pods, midnight.Add(time.Hour))
	var want Arrivals
	class, _ := demand.ClassOf(&pods[1])
	want.Came(class, midnight)
	want.Came(class, midnight.Add(30*time.Minute))
	if len(first) != 1 || first[0].PerHourMilli != want.Classes(midnight.Add(time.Hour))[0].PerHourMilli {
		t.Fatalf("got %+v", first)
	}
	if again := m.arrived(pods, midnight.Add(time.Hour)); again[0].PerHourMilli != first[0].PerHourMilli {
		t.Errorf("the same pods again: %+v", again)
	}
	more := m.arrived(append(pods[:2:2], gpuPod("c", midnight.Add(time.Hour))), midnight.Add(time.Hour))
	if more[0].PerHourMilli <= first[0].PerHourMilli {
		t.Errorf("one more: %+v", more)
	}
}
