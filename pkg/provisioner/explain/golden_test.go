package explain_test

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/explain"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// golden compares an answer, as text and as YAML, with testdata/NAME.txt.
func golden(t *testing.T, name string, answer interface {
	WriteText(io.Writer, time.Time) error
}) {
	t.Helper()
	var b strings.Builder
	if err := answer.WriteText(&b, noon); err != nil {
		t.Fatal(err)
	}
	values, err := yaml.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	got := b.String() + "---- -o yaml\n" + string(values)
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("answer (-want +got); -update accepts it:\n%s", diff)
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if len(line) > 140 || strings.HasSuffix(line, " ") {
			t.Errorf("%d characters, or blanks at the end: %q", len(line), line)
		}
	}
}

func ago(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-d)) }

// pod asks for GPUs and waits for two minutes.
func pod(name string, gpus int64, changes ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "research", Name: name, UID: types.UID("uid-" + name)}}
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi")}
	if gpus > 0 {
		requests[v1alpha1.ResourceGPU] = *resource.NewQuantity(gpus, resource.DecimalSI)
	}
	p.Spec.Containers = []corev1.Container{{Name: "train", Resources: corev1.ResourceRequirements{Requests: requests, Limits: requests}}}
	p.Status.Phase = corev1.PodPending
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", LastTransitionTime: ago(2 * time.Minute)}}
	for _, change := range changes {
		change(p)
	}
	return p
}

func planned(status corev1.ConditionStatus, reason v1alpha1.Reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: v1alpha1.PodNodePlanned, Status: status, Reason: string(reason),
			Message: message, LastProbeTime: ago(10 * time.Second), LastTransitionTime: ago(time.Minute)})
	}
}

func bound(node string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.NodeName, p.Status.Phase, p.Status.Conditions = node, corev1.PodRunning, nil
	}
}

// claim is a NodeClaim for pods in a phase: so many of Launched, Joined, Ready are true.
func claim(name string, phases int, pods ...*corev1.Pod) v1alpha1.NodeClaim {
	c := v1alpha1.NodeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: ago(100 * time.Second)}}
	c.Spec = v1alpha1.NodeClaimSpec{
		Provisioner: "gpu", NodeClassRef: v1alpha1.NodeClassRef{Name: "default"}, Market: "spot", GPUs: 4,
		Choices: []v1alpha1.InstanceChoice{{InstanceType: "g5.12xlarge", Zone: "us-east-1a", PricePerHour: "2.27"}},
		Debit: corev1.ResourceList{v1alpha1.LimitGPU: resource.MustParse("4"), v1alpha1.LimitNodes: resource.MustParse("1"),
			v1alpha1.LimitCostPerHour: resource.MustParse("2.27")},
		Why: "g5.12xlarge in us-east-1a (spot) at $2.27/h for 2 pods, leaving 0 GPU, 39.8 cpu, 140.7 GiB; next is g5.24xlarge (spot) at $3.26/h",
		Considered: []v1alpha1.ConsideredShape{
			{InstanceType: "g4dn.12xlarge", Zone: "us-east-1a", Market: "spot", PricePerHour: "1.56", ExpectedPerHour: "1.64", Verdict: v1alpha1.HeldStockout,
				InterruptionsPerHour: "0.05", ClosedUntil: new(metav1.NewTime(ago(-90 * time.Second).Time)),
				Leftover: corev1.ResourceList{v1alpha1.ResourceGPU: resource.MustParse("0"), corev1.ResourceCPU: resource.MustParse("39810m"), corev1.ResourceMemory: resource.MustParse("144074Mi")}},
			{InstanceType: "g5.12xlarge", Zone: "us-east-1a", Market: "spot", PricePerHour: "2.27", ExpectedPerHour: "2.33", Verdict: v1alpha1.ShapeChosen,
				Leftover: corev1.ResourceList{v1alpha1.ResourceGPU: resource.MustParse("0"), corev1.ResourceCPU: resource.MustParse("39810m"), corev1.ResourceMemory: resource.MustParse("144074Mi")}},
			{InstanceType: "g5.24xlarge", Zone: "us-east-1a", Market: "spot", PricePerHour: "3.26", ExpectedPerHour: "3.58", InterruptionsPerHour: "0.2", Verdict: v1alpha1.ShapeDearer, Provisioner: "spare",
				Leftover: corev1.ResourceList{v1alpha1.ResourceGPU: resource.MustParse("0"), corev1.ResourceCPU: resource.MustParse("87710m"), corev1.ResourceMemory: resource.MustParse("300Gi")}},
		},
		Others: map[v1alpha1.Reason]int32{v1alpha1.ShapeDearer: 12, v1alpha1.HeldNoShape: 140},
	}
	for _, p := range pods {
		c.Spec.Pods = append(c.Spec.Pods, v1alpha1.PodRef{Namespace: p.Namespace, Name: p.Name, UID: p.UID})
	}
	for i, kind := range []string{v1alpha1.ConditionLaunched, v1alpha1.ConditionJoined, v1alpha1.ConditionReady} {
		condition := metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "OK", LastTransitionTime: ago(time.Duration(95-30*i) * time.Second)}
		if i >= phases {
			condition.Status, condition.Reason = metav1.ConditionFalse, string(v1alpha1.ReasonWaitingForGPUs)
			condition.Message = "node ip-10-0-1-7 shows 1 of 4 nvidia.com/gpu"
		}
		if i <= phases {
			c.Status.Conditions = append(c.Status.Conditions, condition)
		}
	}
	if phases == 0 {
		c.Status.Conditions[0].Reason, c.Status.Conditions[0].Message = string(v1alpha1.ReasonLaunching), "asking EC2 for one of 1 choices"
	}
	if phases > 0 {
		c.Status.InstanceID, c.Status.InstanceType, c.Status.Zone, c.Status.PricePerHour = "i-0a1b2c3d4e5f67890", "g5.12xlarge", "us-east-1a", "2.27"
	}
	if phases > 1 {
		c.Status.NodeName = "ip-10-0-1-7"
	}
	return c
}

const limitWords = "spec.limits.gpu of Provisioner gpu is 100 and 100 of it is in use, launching or draining; the pod would fit " +
	"g5.12xlarge/us-east-1a/spot if limits.gpu of Provisioner gpu were at least 104, or g4dn.12xlarge/us-east-1b/spot without nodeSelector " +
	"topology.kubernetes.io/zone=us-east-1a [168 offerings: 100 NoMatchingOffering, 68 LimitReached]"

// TestPods has an answer for each verdict and each state of a pod of ours.
func TestPods(t *testing.T) {
	noticed := claim("gpu-noticed", 3)
	noticed.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Message: "EC2 takes the spot machine", Since: ago(5 * time.Second),
		Deadline: &metav1.Time{Time: noon.Add(115 * time.Second)}}
	failed := claim("gpu-1111111111", 0, pod("train-0", 2))
	failed.CreationTimestamp = ago(110 * time.Second)
	failed.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionLaunched, Status: metav1.ConditionFalse, Reason: "InsufficientCapacity",
		Message: "EC2 has no g5.12xlarge in us-east-1a"}}
	failed.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireLaunch, Message: "no capacity for any of 1 choices", Since: ago(105 * time.Second)}
	for name, tc := range map[string]struct {
		pod    *corev1.Pod
		claims []v1alpha1.NodeClaim
	}{
		"undecided": {pod: pod("train-0", 2)},
		"held":      {pod: pod("train-0", 2, planned(corev1.ConditionFalse, v1alpha1.HeldLimit, limitWords))},
		"refused": {pod: pod("train-0", 2, planned(corev1.ConditionFalse, v1alpha1.HeldNotBound, "node ip-10-0-1-7 was launched for this pod, and "+
			"its scheduler did not bind it there: 0/4 nodes are available. See what keeps the pod off that node; the next try is after 12:08:00Z")),
			claims: []v1alpha1.NodeClaim{claim("gpu-2222222222", 3, pod("train-0", 2))}},
		"launching": {pod: pod("train-0", 2, planned(corev1.ConditionTrue, v1alpha1.PlannedLaunch, "launching a node for this pod (NodeClaim gpu-2222222222): why")),
			claims: []v1alpha1.NodeClaim{failed, claim("gpu-2222222222", 2, pod("train-0", 2), pod("train-1", 2)), claim("gpu-other", 1)}},
		"expected": {pod: pod("train-0", 2, planned(corev1.ConditionTrue, v1alpha1.PlannedRoom, "expected on node ip-10-0-1-9, which has room for it"))},
		"bound":    {pod: pod("train-0", 2, bound("ip-10-0-1-7")), claims: []v1alpha1.NodeClaim{claim("gpu-2222222222", 3, pod("train-0", 2))}},
		"moving":   {pod: pod("train-0", 2, bound("ip-10-0-1-7")), claims: []v1alpha1.NodeClaim{noticed}},
		"no-gpu":   {pod: pod("web-0", 0)},
		"finished": {pod: pod("done", 1, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })},
		"terminating": {pod: pod("going", 1, func(p *corev1.Pod) {
			p.DeletionTimestamp = &metav1.Time{Time: noon}
		})},
		"static": {pod: pod("static", 1, func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} })},
		"daemon": {pod: pod("dcgm-x", 1, func(p *corev1.Pod) {
			yes := true
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: "dcgm", Controller: &yes}}
		})},
		"gated":     {pod: pod("queued", 1, func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "kueue"}} })},
		"nominated": {pod: pod("high", 1, func(p *corev1.Pod) { p.Status.NominatedNodeName = "ip-10-0-1-3" })},
		"not-judged": {pod: pod("new", 1, func(p *corev1.Pod) {
			p.Status.Conditions = nil
		})},
	} {
		t.Run(name, func(t *testing.T) { golden(t, "pod-"+name, explain.OfPod(tc.pod, tc.claims)) })
	}
}

// TestEveryVerdictHasWords: none is answered with an empty sentence.
func TestEveryVerdictHasWords(t *testing.T) {
	seen := map[demand.Verdict]bool{}
	files, _ := filepath.Glob("testdata/pod-*.txt")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var a explain.Pod
		if err := yaml.Unmarshal([]byte(strings.SplitN(string(text), "---- -o yaml\n", 2)[1]), &a); err != nil {
			t.Fatal(err)
		}
		seen[a.Verdict] = true
		if a.Summary == "" || a.State == "" {
			t.Errorf("%s: nothing is said", f)
		}
	}
	for _, v := range []demand.Verdict{demand.Ours, demand.Finished, demand.Terminating, demand.Static, demand.DaemonOwned, demand.NoGPU, demand.Bound,
		demand.Gated, demand.Nominated, demand.NotJudged} {
		if !seen[v] {
			t.Errorf("no story of verdict %s", v)
		}
	}
}

// TestNodes has an answer for each way a node is kept or goes.
func TestNodes(t *testing.T) {
	node := func(annotations map[string]string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "ip-10-0-1-7", Annotations: annotations}}
	}
	provisioner := func(idle string) *v1alpha1.Provisioner {
		p := &v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}
		p.Spec.Disruption.IdleAfter = idle
		p.Spec.Limits = v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse("100"), v1alpha1.LimitCostPerHour: resource.MustParse("60"), v1alpha1.LimitNodes: resource.MustParse("40")}
		p.Status = v1alpha1.ProvisionerStatus{Nodes: 31, CostPerHour: "48.12", Resources: corev1.ResourceList{v1alpha1.LimitGPU: resource.MustParse("96")}}
		return p
	}
	here, there := pod("train-0", 2, bound("ip-10-0-1-7")), pod("train-1", 2, bound("ip-10-0-1-9"))
	agent := pod("agent", 0, bound("ip-10-0-1-7"))
	ready := claim("gpu-2222222222", 3, here, there, pod("train-2", 1))
	idle := claim("gpu-2222222222", 3)
	going := claim("gpu-2222222222", 3)
	going.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireIdle, Message: "no pod has used its GPUs since 2026-11-01T11:58:00Z (idleAfter 60s)", Since: ago(20 * time.Second)}
	going.Status.Conditions = append(going.Status.Conditions,
		metav1.Condition{Type: v1alpha1.ConditionFenced, Status: metav1.ConditionTrue, LastTransitionTime: ago(19 * time.Second)},
		metav1.Condition{Type: v1alpha1.ConditionDrained, Status: metav1.ConditionFalse, Reason: string(v1alpha1.ReasonBlocked), Message: "PodDisruptionBudget web lets no pod go"})
	launching := claim("gpu-2222222222", 0, here)
	precious := agent.DeepCopy()
	precious.Annotations = map[string]string{v1alpha1.AnnotationDoNotDisrupt: "true"}
	for name, f := range map[string]explain.NodeFacts{
		"used":      {Node: node(nil), Claim: &ready, Provisioner: provisioner("60s"), Pods: []corev1.Pod{*agent, *here}, Others: []corev1.Pod{*there}},
		"idle":      {Node: node(nil), Claim: &idle, Provisioner: provisioner("60s"), Pods: []corev1.Pod{*agent}},
		"never":     {Node: node(nil), Claim: &idle, Provisioner: provisioner(v1alpha1.Never)},
		"annotated": {Node: node(map[string]string{v1alpha1.KarpenterDoNotDisrupt: "true"}), Claim: &idle, Provisioner: provisioner("60s"), Pods: []corev1.Pod{*precious}},
		"going":     {Node: node(nil), Claim: &going, Provisioner: provisioner("60s"), Pods: []corev1.Pod{*agent}},
		"launching": {Claim: &launching, Provisioner: provisioner("60s"), Others: []corev1.Pod{*pod("train-0", 2)}},
		"foreign":   {Node: node(nil), Pods: []corev1.Pod{*here}},
	} {
		t.Run(name, func(t *testing.T) {
			f.Now = noon
			golden(t, "node-"+name, explain.OfNode(f))
		})
	}
}
