package stories_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// spared are machines whose end was not Slipway's doing.
type spared struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (s *spared) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	s.ids[id] = true
}

func (s *spared) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[id]
}

// always checks what must hold whatever happened on the stage; the numbers are those of docs/design.md section 4.
func (w *world) always(t *testing.T) {
	t.Helper()
	machines := w.journal(t).Instances
	w.withinLimits(t, machines)       // 1
	w.noInnocentVictim(t, machines)   // 2
	w.oneClaimOneMachine(t, machines) // 3
	w.closedUntilReady(t)             // 8
}

// withinLimits: the GPUs of machines that were there at the same time, from their launch to their end, were never above the limit.
func (w *world) withinLimits(t *testing.T, machines []wire.Instance) {
	t.Helper()
	for _, versions := range history(w.record, w.pools) {
		p := versions[len(versions)-1].object
		limit, limited := p.Spec.Limits[v1alpha1.LimitGPU]
		if most, at := mostGPUs(machines, p.Name); limited && most > limit.Value() {
			t.Errorf("Provisioner %s had %d GPUs at %s; its limit is %d", p.Name, most, clock(at), limit.Value())
		}
	}
}

// mostGPUs answers the highest number of GPUs that a Provisioner paid for at one time, and when.
func mostGPUs(machines []wire.Instance, provisioner string) (most int64, when time.Time) {
	type step struct {
		at   time.Time
		gpus int64
	}
	var steps []step
	for _, i := range machines {
		if i.Tags[v1alpha1.LabelProvisioner] != provisioner {
			continue
		}
		steps = append(steps, step{i.LaunchedAt, int64(i.GPUs)})
		if !i.TerminatedAt.IsZero() {
			steps = append(steps, step{i.TerminatedAt, -int64(i.GPUs)})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return a.at.Compare(b.at) })
	sum := int64(0)
	for _, s := range steps {
		if sum += s.gpus; sum > most {
			most, when = sum, s.at
		}
	}
	return most, when
}

// lag is how much later than it happened a test may see that a pod has ended. Machines take longer than that to shut down, and their
// pods are failed only then, so a victim shows.
const lag = time.Second

// noInnocentVictim: no machine of which the cloud said nothing was ended while a GPU pod was bound to it.
func (w *world) noInnocentVictim(t *testing.T, machines []wire.Instance) {
	t.Helper()
	for _, i := range machines {
		if i.ShuttingDownAt.IsZero() || !i.InterruptedAt.IsZero() || w.spared.has(i.ID) {
			continue
		}
		for _, versions := range history(w.record, w.podsSeen) {
			from, to := bound(versions, i.PrivateDNS)
			if !from.IsZero() && from.After(i.LaunchedAt) && from.Before(i.ShuttingDownAt) && (to.IsZero() || to.After(i.ShuttingDownAt.Add(lag))) {
				t.Errorf("machine %s (%s) was ended at %s under pod %s, bound from %s to %s", i.ID, i.PrivateDNS, clock(i.ShuttingDownAt),
					versions[0].object.Name, clock(from), clock(to))
			}
		}
	}
}

// bound answers from when to when a pod with GPUs was on a node; zero: it never was, or still is.
func bound(versions []version[*corev1.Pod], node string) (from, to time.Time) {
	for _, v := range versions {
		if v.object.Spec.NodeName != node || gpus(v.object) == 0 {
			continue
		}
		if from.IsZero() {
			from = v.at
		}
		if v.gone || v.object.Status.Phase == corev1.PodSucceeded || v.object.Status.Phase == corev1.PodFailed {
			return from, v.at
		}
	}
	return from, time.Time{}
}

// oneClaimOneMachine: no claim's token bought two machines, and none changed its machine.
func (w *world) oneClaimOneMachine(t *testing.T, machines []wire.Instance) {
	t.Helper()
	owner := map[string]string{}
	for _, i := range machines {
		if other := owner[i.Token]; other != "" && !w.ignoresTokens {
			t.Errorf("token %s bought both %s and %s", i.Token, other, i.ID)
		}
		owner[i.Token] = i.ID
	}
	for _, versions := range history(w.record, w.claimsSeen) {
		had := ""
		for _, v := range versions {
			if id := v.object.Status.InstanceID; had != "" && id != had {
				t.Errorf("claim %s had machine %s, then %q", v.object.Name, had, id)
			} else if id != "" {
				had = id
			}
		}
	}
}

// closedUntilReady: no node was ever open for pods while it showed other GPUs than its machine has.
func (w *world) closedUntilReady(t *testing.T) {
	t.Helper()
	for _, versions := range history(w.record, w.nodesSeen) {
		for _, v := range versions {
			node := v.object
			if !isOpen(node) {
				continue
			}
			shown := node.Status.Allocatable[v1alpha1.ResourceGPU]
			if want := node.Labels[v1alpha1.LabelInstanceGPUCount]; strconv.FormatInt(shown.Value(), 10) != want {
				t.Errorf("node %s was open at %s while it showed %s GPUs of %q", node.Name, clock(v.at), shown.String(), want)
				break
			}
		}
	}
}

// isOpen says whether kube-scheduler could put an ordinary pod onto a node that has joined.
func isOpen(node *corev1.Node) bool {
	closed := func(t corev1.Taint) bool {
		return t.Key == v1alpha1.TaintUnregistered || t.Key == "node.cloudprovider.kubernetes.io/uninitialized"
	}
	return !node.Spec.Unschedulable && !slices.ContainsFunc(node.Spec.Taints, closed)
}

// TestBound and TestMostGPUs: a check that can see nothing proves nothing.
func TestBound(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pod := podAsking("p", 1)
	on := pod.DeepCopy()
	on.Spec.NodeName = "n"
	over := on.DeepCopy()
	over.Status.Phase = corev1.PodFailed
	versions := []version[*corev1.Pod]{{at, pod, false}, {at.Add(1), on, false}, {at.Add(2), over, false}, {at.Add(3), over, true}}
	if from, to := bound(versions, "n"); !from.Equal(at.Add(1)) || !to.Equal(at.Add(2)) {
		t.Errorf("bound from %s to %s", from, to)
	}
	if from, to := bound(versions[:2], "n"); from.IsZero() || !to.IsZero() {
		t.Errorf("still bound, from %s to %s", from, to)
	}
	if from, _ := bound(versions, "other"); !from.IsZero() {
		t.Errorf("bound to another node from %s", from)
	}
}

func TestMostGPUs(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tags := map[string]string{v1alpha1.LabelProvisioner: "p"}
	machines := []wire.Instance{
		{GPUs: 4, LaunchedAt: at, TerminatedAt: at.Add(10), ShuttingDownAt: at.Add(5), Tags: tags},
		{GPUs: 2, LaunchedAt: at.Add(6), Tags: tags}, // while the other is shutting down
		{GPUs: 8, LaunchedAt: at, Tags: map[string]string{v1alpha1.LabelProvisioner: "other"}},
	}
	if most, when := mostGPUs(machines, "p"); most != 6 || !when.Equal(at.Add(6)) {
		t.Errorf("%d GPUs at %s", most, when)
	}
}
