package demand_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

func TestClassify(t *testing.T) {
	now := metav1.NewTime(since)
	controlledBy := func(kind string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.OwnerReferences[0].Kind = kind }
	}
	condition := func(status corev1.ConditionStatus, reason string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Status.Conditions[0].Status, p.Status.Conditions[0].Reason = status, reason }
	}
	only := func(pairs ...string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers = []corev1.Container{requests(pairs...)} }
	}
	limits := func(pairs ...string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Limits: list(pairs...)}
		}
	}
	tests := map[string]struct {
		change func(*corev1.Pod)
		want   demand.Verdict
	}{
		"waits for a GPU":            {func(*corev1.Pod) {}, demand.Ours},
		"waits for an AMD GPU":       {only("amd.com/gpu", "1"), demand.Ours},
		"a limit alone is a request": {limits("nvidia.com/gpu", "1"), demand.Ours},
		"GPU in an init container":   {func(p *corev1.Pod) { p.Spec.InitContainers, p.Spec.Containers = p.Spec.Containers, nil }, demand.Ours},
		"MIG slice":                  {only("nvidia.com/mig-1g.5gb", "1"), demand.Ours},
		"shared GPU":                 {only("nvidia.com/gpu.shared", "1"), demand.Ours},
		"resource claim": {func(p *corev1.Pod) {
			only("cpu", "1")(p)
			p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}}
		}, demand.Ours},
		"a device of a class":         {only("deviceclass.resource.kubernetes.io/gpu.nvidia.com", "1"), demand.Ours},
		"0 devices of a class":        {only("cpu", "1", "deviceclass.resource.kubernetes.io/gpu.nvidia.com", "0"), demand.NoGPU},
		"CPU only":                    {only("cpu", "64"), demand.NoGPU},
		"GPU of 0":                    {only("cpu", "1", "nvidia.com/gpu", "0"), demand.NoGPU},
		"another accelerator":         {only("aws.amazon.com/neuron", "1"), demand.NoGPU},
		"bound":                       {running, demand.Bound},
		"bound, not yet seen running": {func(p *corev1.Pod) { p.Spec.NodeName = "n" }, demand.Bound},
		"terminating":                 {func(p *corev1.Pod) { p.DeletionTimestamp = &now }, demand.Terminating},
		"succeeded":                   {func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, demand.Finished},
		"failed and terminating":      {func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed; p.DeletionTimestamp = &now }, demand.Finished},
		"no condition":                {func(p *corev1.Pod) { p.Status.Conditions = nil }, demand.NotJudged},
		"the scheduler had an error":  {condition(corev1.ConditionFalse, corev1.PodReasonSchedulerError), demand.NotJudged},
		"unknown to the scheduler":    {condition(corev1.ConditionUnknown, corev1.PodReasonUnschedulable), demand.NotJudged},
		"gated by condition":          {condition(corev1.ConditionFalse, corev1.PodReasonSchedulingGated), demand.Gated},
		"gated by spec":               {func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "kueue"}} }, demand.Gated},
		"has preempted":               {func(p *corev1.Pod) { p.Status.NominatedNodeName = "n" }, demand.Nominated},
		"nominated by us":             {nominated("n", "n"), demand.Ours},
		"nominated by us, and then by a preemption": {nominated("n", "m"), demand.Nominated},
		"our nomination was dropped":                {nominated("n", ""), demand.Ours},
		"nominated by us, and bound":                {func(p *corev1.Pod) { nominated("n", "n")(p); p.Spec.NodeName = "n" }, demand.Bound},
		"nominated by us, and the scheduler had an error": {func(p *corev1.Pod) {
			condition(corev1.ConditionFalse, corev1.PodReasonSchedulerError)(p)
			nominated("n", "n")(p)
		}, demand.Ours},
		"of a DaemonSet":        {controlledBy("DaemonSet"), demand.DaemonOwned},
		"of a Node":             {controlledBy("Node"), demand.Static},
		"mirror":                {func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: ""} }, demand.Static},
		"owned, not controlled": {func(p *corev1.Pod) { controlledBy("DaemonSet")(p); p.OwnerReferences[0].Controller = nil }, demand.Ours},
		"without an owner":      {func(p *corev1.Pod) { p.OwnerReferences = nil }, demand.Ours},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := demand.Classify(gpuPod("a", tc.change)); got != tc.want {
				t.Errorf("Classify = %s, want %s", got, tc.want)
			}
		})
	}
}

// nominated has Slipway nominate one node, and the field name another in the end.
func nominated(ours, now string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.NominatedNodeName = now
		p.Status.Conditions = append(p.Status.Conditions,
			corev1.PodCondition{Type: v1alpha1.PodNominated, Status: corev1.ConditionTrue, Message: ours})
	}
}

func TestExpected(t *testing.T) {
	for name, tc := range map[string]struct{ ours, now, bound, want string }{
		"ours stands":                  {"n", "n", "", "n"},
		"dropped":                      {"n", "", "", ""},
		"replaced":                     {"n", "m", "", ""},
		"never nominated":              {"", "", "", ""},
		"a preemption's":               {"", "n", "", ""},
		"bound on an old API server":   {"n", "n", "n", ""},
		"bound elsewhere, still named": {"n", "n", "m", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := gpuPod("a", nominated(tc.ours, tc.now))
			p.Spec.NodeName = tc.bound
			if got := demand.Expected(p); got != tc.want {
				t.Errorf("Expected = %q, want %q", got, tc.want)
			}
		})
	}
}
