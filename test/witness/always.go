package witness

import (
	"slices"
	"strconv"
	"strings"
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

// Always checks what must hold whatever happened on the stage; the numbers are those of docs/design.md section 4.
func (w *World) Always(t *testing.T) {
	t.Helper()
	machines := w.Happened(t).Instances
	w.withinLimits(t, machines)       // 1
	w.noInnocentVictim(t, machines)   // 2
	w.oneClaimOneMachine(t, machines) // 3
	w.closedUntilReady(t)             // 8
}

// withinLimits: the GPUs of machines that were there at the same time, from their launch to their end, were never above the limit.
func (w *World) withinLimits(t *testing.T, machines []wire.Instance) {
	t.Helper()
	for _, versions := range History(w.Record, w.PoolsSeen) {
		p := versions[len(versions)-1].Object
		limit, limited := p.Spec.Limits[v1alpha1.LimitGPU]
		if most, at := MostGPUs(machines, p.Name); limited && most > limit.Value() {
			t.Errorf("Provisioner %s had %d GPUs at %s; its limit is %d", p.Name, most, Clock(at), limit.Value())
		}
	}
}

// MostGPUs answers the highest number of GPUs that a Provisioner paid for at one time, and when.
func MostGPUs(machines []wire.Instance, provisioner string) (most int64, when time.Time) {
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
func (w *World) noInnocentVictim(t *testing.T, machines []wire.Instance) {
	t.Helper()
	for _, i := range machines {
		if i.ShuttingDownAt.IsZero() || !i.InterruptedAt.IsZero() || w.spared.has(i.ID) {
			continue
		}
		for _, versions := range History(w.Record, w.PodsSeen) {
			from, to := bound(versions, i.PrivateDNS)
			if !from.IsZero() && from.After(i.LaunchedAt) && from.Before(i.ShuttingDownAt) && (to.IsZero() || to.After(i.ShuttingDownAt.Add(lag))) {
				t.Errorf("machine %s (%s) was ended at %s under pod %s, bound from %s to %s", i.ID, i.PrivateDNS, Clock(i.ShuttingDownAt),
					versions[0].Object.Name, Clock(from), Clock(to))
			}
		}
	}
}

// bound answers from when to when a pod with GPUs was on a node; zero: it never was, or still is.
func bound(versions []Version[*corev1.Pod], node string) (from, to time.Time) {
	for _, v := range versions {
		if v.Object.Spec.NodeName != node || GPUs(v.Object) == 0 {
			continue
		}
		if from.IsZero() {
			from = v.At
		}
		if v.Gone || v.Object.Status.Phase == corev1.PodSucceeded || v.Object.Status.Phase == corev1.PodFailed {
			return from, v.At
		}
	}
	return from, time.Time{}
}

// oneClaimOneMachine: no claim's token bought two machines, and none changed its machine.
func (w *World) oneClaimOneMachine(t *testing.T, machines []wire.Instance) {
	t.Helper()
	owner := map[string]string{}
	for _, i := range machines {
		if other := owner[i.Token]; other != "" && !w.IgnoresTokens {
			t.Errorf("token %s bought both %s and %s", i.Token, other, i.ID)
		}
		owner[i.Token] = i.ID
	}
	for _, versions := range History(w.Record, w.ClaimsSeen) {
		had := ""
		for _, v := range versions {
			if id := v.Object.Status.InstanceID; had != "" && id != had {
				t.Errorf("claim %s had machine %s, then %q", v.Object.Name, had, id)
			} else if id != "" {
				had = id
			}
		}
	}
}

// closedUntilReady: no node was ever open for pods while it showed other GPUs than its machine has.
func (w *World) closedUntilReady(t *testing.T) {
	t.Helper()
	for _, versions := range History(w.Record, w.NodesSeen) {
		for _, v := range versions {
			node := v.Object
			if !ours(node) || !IsOpen(node) {
				continue
			}
			shown := node.Status.Allocatable[v1alpha1.ResourceGPU]
			if want := node.Labels[v1alpha1.LabelInstanceGPUCount]; strconv.FormatInt(shown.Value(), 10) != want {
				t.Errorf("node %s, made at %s, was open at %s while it showed %s GPUs of %q: labels %v, taints %v", node.Name,
					Clock(node.CreationTimestamp.Time), Clock(v.At), shown.String(), want, node.Labels, node.Spec.Taints)
				break
			}
		}
	}
}

// IsOpen says whether kube-scheduler could put an ordinary pod onto a node that has joined.
func IsOpen(node *corev1.Node) bool {
	closed := func(t corev1.Taint) bool {
		return t.Key == v1alpha1.TaintUnregistered || t.Key == "node.cloudprovider.kubernetes.io/uninitialized"
	}
	return !node.Spec.Unschedulable && !slices.ContainsFunc(node.Spec.Taints, closed)
}

// ours says whether a node is a machine of EC2: a cluster may have others.
func ours(node *corev1.Node) bool { return strings.HasPrefix(node.Spec.ProviderID, "aws:///") }
