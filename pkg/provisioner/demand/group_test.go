package demand_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

func TestGroup(t *testing.T) {
	big := func(p *corev1.Pod) { p.Spec.Containers = []corev1.Container{requests("nvidia.com/gpu", "8")} }
	got := demand.Group([]*corev1.Pod{gpuPod("b"), gpuPod("x", big), gpuPod("r", running), gpuPod("a"), gpuPod("c", func(p *corev1.Pod) { p.Namespace = "aa" })})
	waits := func(namespace, name string) demand.Pod {
		return demand.Pod{Namespace: namespace, Name: name, UID: gpuPod(name).UID, Since: since, Scheduler: "0/3 nodes are available"}
	}
	want := []demand.Demand{
		{Pods: []demand.Pod{waits("aa", "c"), waits("ml", "a"), waits("ml", "b")}, Requests: amounts{"cpu": 2000, "memory": 4096, "nvidia.com/gpu": 1000, "pods": 1}},
		{Pods: []demand.Pod{waits("ml", "x")}, Requests: amounts{"nvidia.com/gpu": 8000, "pods": 1}},
	}
	slices.SortFunc(got, func(a, b demand.Demand) int { return len(b.Pods) - len(a.Pods) })
	for i := range got {
		if len(got[i].Key) != 16 {
			t.Errorf("Key %q", got[i].Key)
		}
		got[i].Key = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Group (-want +got):\n%s", diff)
	}
}

// A key is written in claims and logs: it must be the same tomorrow. Changing it on purpose means changing encoding's version.
func TestKeyIsStable(t *testing.T) {
	got := demand.Group([]*corev1.Pod{gpuPod("a", requiring(expressions(is("zone", in, "a", "b"))))})[0].Key
	if want := "b5f0cbd9b16301a0"; got != want {
		t.Errorf("Key = %s, want %s", got, want)
	}
}

func TestKeyDistinguishes(t *testing.T) {
	priority, seconds := int32(7), int64(300)
	tests := map[string]struct {
		a, b func(*corev1.Pod)
		same bool
	}{
		"name and labels": {func(p *corev1.Pod) { p.Labels = map[string]string{"a": "b"} }, func(*corev1.Pod) {}, true},
		"namespace":       {func(p *corev1.Pod) { p.Namespace = "other" }, func(*corev1.Pod) {}, true},
		"image":           {func(p *corev1.Pod) { p.Spec.Containers[0].Image = "x" }, func(*corev1.Pod) {}, true},
		"how amounts are spelt": {func(p *corev1.Pod) {
			p.Spec.Containers[0] = requests("cpu", "2000m", "memory", "4096Mi", "nvidia.com/gpu", "1")
		}, func(*corev1.Pod) {}, true},
		"order of values":       {requiring(expressions(is("z", in, "a", "b"))), requiring(expressions(is("z", in, "b", "a"))), true},
		"order of terms":        {requiring(expressions(is("z", in, "a")), expressions(is("y", exists))), requiring(expressions(is("y", exists)), expressions(is("z", in, "a"))), true},
		"how long it tolerates": {func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Key: "a", TolerationSeconds: &seconds}} }, func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Key: "a", Operator: "Equal"}} }, true},
		"amount": {func(p *corev1.Pod) {
			p.Spec.Containers[0] = requests("cpu", "3", "memory", "4Gi", "nvidia.com/gpu", "1")
		}, func(*corev1.Pod) {}, false},
		"priority":              {func(p *corev1.Pod) { p.Spec.Priority = &priority }, func(*corev1.Pod) {}, false},
		"toleration":            {func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Key: "a"}} }, func(*corev1.Pod) {}, false},
		"no term, empty terms":  {requiring(), func(*corev1.Pod) {}, false},
		"required or preferred": {requiring(expressions(is("z", exists))), preferring(preferred(1, expressions(is("z", exists)))), false},
		"weights":               {preferring(preferred(1, expressions(is("z", exists)))), preferring(preferred(2, expressions(is("z", exists)))), false},
		"fields or expressions": {requiring(fields(is("z", in, "a"))), requiring(expressions(is("z", in, "a"))), false},
		"where a string ends":   {func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"ab": "c"} }, func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"a": "bc"} }, false},
		"unsupported":           {func(p *corev1.Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "x"}} }, func(*corev1.Pod) {}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := demand.Group([]*corev1.Pod{gpuPod("a", tc.a), gpuPod("b", tc.b)})
			if same := len(got) == 1; same != tc.same {
				t.Errorf("%d demands; want the same: %v", len(got), tc.same)
			}
		})
	}
}

func TestMovingPodsHaveSuccessors(t *testing.T) {
	now := metav1.NewTime(since)
	moving := []*corev1.Pod{
		gpuPod("moves", running),
		gpuPod("also", running, func(p *corev1.Pod) { p.Status.NominatedNodeName = "n" }),
		gpuPod("alone", running, func(p *corev1.Pod) { p.OwnerReferences = nil }),
		gpuPod("daemon", running, func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "DaemonSet" }),
		gpuPod("going", running, func(p *corev1.Pod) { p.DeletionTimestamp = &now }),
		gpuPod("done", running, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
		gpuPod("cpu", running, func(p *corev1.Pod) { p.Spec.Containers = []corev1.Container{requests("cpu", "1")} }),
	}
	waiting := []*corev1.Pod{gpuPod("new")}
	merged := demand.NewNeighbourhood(demand.Surroundings{Waiting: waiting, Moving: moving, Placed: moving}).Demands()
	if len(merged) != 1 || merged[0].Key != demand.Group(waiting)[0].Key {
		t.Fatalf("want one demand with the key of the pod that waits: %+v", merged)
	}
	var got []string
	for _, p := range merged[0].Pods {
		got = append(got, p.Name)
		if p.Moving != (p.Name != "new") || p.Since.IsZero() != p.Moving {
			t.Errorf("%+v", p)
		}
	}
	if diff := cmp.Diff([]string{"also", "moves", "new"}, got); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
}

// sameDecision is an equality of pods that owes nothing to the encoding: their contents, compared field by field.
func sameDecision(a, b *corev1.Pod) bool {
	one := func(p *corev1.Pod) demand.Demand {
		d := demand.Group([]*corev1.Pod{p})[0]
		d.Key, d.Pods = "", nil
		return d
	}
	return cmp.Equal(one(a), one(b))
}

type grouping func([]*corev1.Pod) []demand.Demand

// checkKeys: pods share a demand exactly if they are alike, however they are ordered; no pod is lost.
func checkKeys(t *rapid.T, group grouping) string {
	a, b := drawPod(t), drawPod(t)
	if rapid.Bool().Draw(t, "copy") {
		b = a.DeepCopy()
	}
	a.Name, b.Name = "a", "b"
	if rapid.Bool().Draw(t, "shuffle tolerations") {
		slices.Reverse(b.Spec.Tolerations)
	}
	got := group([]*corev1.Pod{a, b})
	if same := len(got) == 1; same != sameDecision(a, b) {
		return "equal pods must have equal keys, others not"
	}
	if len(got) == 2 && got[0].Key >= got[1].Key {
		return "keys must be unique and sorted"
	}
	if diff := cmp.Diff(got, group([]*corev1.Pod{b, a})); diff != "" {
		return "the order of pods shows: " + diff
	}
	return ""
}

func TestKeysProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if problem := checkKeys(t, demand.Group); problem != "" {
			t.Fatal(problem)
		}
	})
}

func TestKeysProperty_catches(t *testing.T) {
	stripped := func(change func(*corev1.PodSpec)) grouping {
		return func(pods []*corev1.Pod) []demand.Demand {
			var changed []*corev1.Pod
			for _, p := range pods {
				p = p.DeepCopy()
				change(&p.Spec)
				changed = append(changed, p)
			}
			return demand.Group(changed)
		}
	}
	plants := map[string]grouping{
		"tolerations are forgotten":  stripped(func(s *corev1.PodSpec) { s.Tolerations = nil }),
		"node selector is forgotten": stripped(func(s *corev1.PodSpec) { s.NodeSelector = nil }),
		"affinity is forgotten":      stripped(func(s *corev1.PodSpec) { s.Affinity = nil }),
		"a pod is lost": func(pods []*corev1.Pod) []demand.Demand {
			lost := demand.Group(pods[:1])
			lost[0].Pods = slices.Repeat(lost[0].Pods, 2)
			return lost
		},
		"unsorted": func(pods []*corev1.Pod) []demand.Demand {
			return slices.Concat(demand.Group(pods[:1]), demand.Group(pods[1:]))
		},
	}
	for name, group := range plants {
		caught := false
		for seed := range 500 {
			problem := rapid.Custom(func(t *rapid.T) string { return checkKeys(t, group) }).Example(seed)
			if caught = problem != ""; caught {
				break
			}
		}
		if !caught {
			t.Errorf("%s: not caught", name)
		}
	}
}

func TestGroupIsPermutationInvariant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pods := rapid.SliceOfN(rapid.Custom(drawPod), 0, 12).Draw(t, "pods")
		for i, p := range pods {
			p.UID += "-" + gpuPod(strings.Repeat("i", i)).UID
		}
		want := demand.Group(pods)
		shuffled := rapid.Permutation(pods).Draw(t, "shuffled")
		if diff := cmp.Diff(want, demand.Group(shuffled)); diff != "" {
			t.Fatal(diff)
		}
		count := 0
		for _, d := range want {
			count += len(d.Pods)
		}
		if count != len(pods) {
			t.Fatalf("%d pods in demands, want %d", count, len(pods))
		}
	})
}

func BenchmarkGroup(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	pods := numbered(10_000, func(i int) *corev1.Pod {
		return gpuPod("", requiring(expressions(is("karpenter.sh/capacity-type", in, "spot"), is("zone", in, "a", "b"))), func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, requests("cpu", []string{"1", "2", "3"}[random.IntN(3)]))
			p.Spec.InitContainers = []corev1.Container{requests("cpu", "1")}
			p.Spec.Tolerations = []corev1.Toleration{{Key: "nvidia.com/gpu", Operator: "Exists"}, {Key: "node.kubernetes.io/not-ready", Operator: "Exists"}}
			p.Spec.NodeSelector = map[string]string{"team": []string{"a", "b", "c"}[i%3], "x": "y"}
		})
	})
	b.ReportAllocs()
	for b.Loop() {
		if got := demand.Group(pods); len(got) != 9 {
			b.Fatal(len(got))
		}
	}
}

func BenchmarkMatcher(b *testing.B) {
	pod := gpuPod("", requiring(expressions(is("karpenter.sh/capacity-type", in, "spot"), is("zone", in, "a", "b"))), func(p *corev1.Pod) {
		p.Spec.Tolerations = []corev1.Toleration{{Key: "nvidia.com/gpu", Operator: "Exists"}}
		p.Spec.NodeSelector = map[string]string{"team": "a"}
	})
	taints := []corev1.Taint{{Key: "nvidia.com/gpu", Effect: corev1.TaintEffectNoSchedule}}
	sets := make([]map[string]string, 2_000)
	for i := range sets {
		sets[i] = map[string]string{"karpenter.sh/capacity-type": "spot", "zone": []string{"a", "b", "c"}[i%3], "team": "a"}
	}
	b.ReportAllocs()
	for b.Loop() {
		for range 300 {
			m := demand.SelectionOf(&pod.Spec).Matcher()
			for _, labels := range sets {
				m.Matches(labels, taints)
			}
		}
	}
}
