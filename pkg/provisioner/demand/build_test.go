package demand_test

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// since is when the pods of these tests were found unschedulable.
var since = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// list reads amounts as pairs: name, amount, name, amount, ...
func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

// requests is a container that requests and is limited to these amounts.
func requests(pairs ...string) corev1.Container {
	return corev1.Container{Name: "main", Resources: corev1.ResourceRequirements{Requests: list(pairs...), Limits: list(pairs...)}}
}

func sidecar(pairs ...string) corev1.Container {
	c := requests(pairs...)
	always := corev1.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	return c
}

// gpuPod is a pod that is ours: it waits for one GPU.
func gpuPod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	controller := true
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ml", Name: name, UID: types.UID("uid-" + name),
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "rs", UID: "rs", Controller: &controller}},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{requests("cpu", "2", "memory", "4Gi", "nvidia.com/gpu", "1")}},
		Status: corev1.PodStatus{
			Phase: corev1.PodPending,
			Conditions: []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
				Message: "0/3 nodes are available", LastTransitionTime: metav1.NewTime(since),
			}},
		},
	}
	for _, f := range change {
		f(pod)
	}
	return pod
}

// running makes a pod one that was bound and runs.
func running(pod *corev1.Pod) {
	pod.Spec.NodeName = "node-1"
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}
}

// requiring gives the pod required node affinity with these terms.
func requiring(terms ...corev1.NodeSelectorTerm) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
		}}
	}
}

// preferring gives the pod preferred node affinity with these terms.
func preferring(terms ...corev1.PreferredSchedulingTerm) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: terms,
		}}
	}
}

func expressions(rs ...corev1.NodeSelectorRequirement) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: rs}
}

func fields(rs ...corev1.NodeSelectorRequirement) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchFields: rs}
}

func is(key string, op corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: key, Operator: op, Values: values}
}

func preferred(weight int32, term corev1.NodeSelectorTerm) corev1.PreferredSchedulingTerm {
	return corev1.PreferredSchedulingTerm{Weight: weight, Preference: term}
}

func numbered(n int, make func(i int) *corev1.Pod) []*corev1.Pod {
	pods := []*corev1.Pod{}
	for i := range n {
		pod := make(i)
		pod.Name = fmt.Sprintf("pod-%05d", i)
		pod.UID = types.UID("uid-" + pod.Name)
		pods = append(pods, pod)
	}
	return pods
}
