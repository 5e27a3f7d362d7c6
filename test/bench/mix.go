package main

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// size is what one pod asks for. Models, if not empty, are the GPU models that it accepts.
type size struct {
	cpuMilli, memoryMiB, gpus int64
	models                    []string
}

// mix is a population of pods and the instance types that they may run on.
type mix struct {
	name   string
	market market
	sample func(r *rand.Rand, n int) []size
	// long: Karpenter is given twice as many pods.
	long bool
}

// mixes answers the mixes that can be run: those of the traces only if their directory is known.
func mixes(traces string) ([]mix, error) {
	list := []mix{
		{"training/any", anyNVIDIA, training, false},
		{"training/no-metal", noMetal, training, false},
		{"training/l4", families("g6", "gr6"), training, false},
	}
	if traces == "" {
		fmt.Fprintln(os.Stderr, "bench: neither -traces nor SLIPWAY_TRACES names the directory of the openb traces: only the generated mixes run")
		return list, nil
	}
	openb, err := trace(filepath.Join(traces, "openb_pod_list_default.csv"))
	if err != nil {
		return nil, err
	}
	multi, err := trace(filepath.Join(traces, "openb_pod_list_multigpu50.csv"))
	if err != nil {
		return nil, err
	}
	return append([]mix{
		{"openb/any", anyNVIDIA, from(openb), false},
		{"openb/no-metal", noMetal, from(openb), false},
		{"openb/l4", families("g6", "gr6"), from(openb), true},
		{"openb/a10g", families("g5"), from(openb), false},
		{"openb/l40s", families("g6e"), from(openb), false},
		{"openb/h100", families("p5"), from(openb), false},
		{"openb-models/any", anyNVIDIA, bound(openb), false},
		{"multigpu50/any", anyNVIDIA, from(multi), false},
		{"multigpu50/no-metal", noMetal, from(multi), false},
	}, list...), nil
}

// trace reads the GPU pods of an openb list. A pod that shares a GPU counts as one with a GPU of its own.
func trace(path string) ([]size, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the trace: %w", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	var all []size
	for line, r := range rows[1:] {
		var n [3]int64
		for i := range n {
			if n[i], err = strconv.ParseInt(r[i+1], 10, 64); err != nil {
				return nil, fmt.Errorf("reading %s, line %d, column %s: %w", path, line+2, rows[0][i+1], err)
			}
		}
		if n[2] > 0 {
			all = append(all, size{cpuMilli: n[0], memoryMiB: n[1], gpus: n[2]})
		}
	}
	return all, nil
}

// from draws without putting back as long as there are enough, then with.
func from(all []size) func(*rand.Rand, int) []size {
	return func(r *rand.Rand, n int) []size {
		var list []size
		for _, i := range r.Perm(len(all))[:min(n, len(all))] {
			list = append(list, all[i])
		}
		for len(list) < n {
			list = append(list, all[r.IntN(len(all))])
		}
		return list
	}
}

// models are sets of GPU models that production pods are bound to: the exact one, or what can stand in for it.
var models = [][]string{{"t4"}, {"t4", "a10g"}, {"l4", "a10g"}, {"a10g", "l40s", "a100"}, {"l40s"}}

// bound ties a third of the pods to GPU models. The published lists carry no model, so it is drawn.
func bound(all []size) func(*rand.Rand, int) []size {
	draw := from(all)
	return func(r *rand.Rand, n int) []size {
		list := draw(r, n)
		for i := range list {
			// Models come on nodes of at most 8 GPUs, those of T4 and A10G with less memory: a pod of 8 GPUs stays free to go anywhere.
			if list[i].gpus <= 4 && r.IntN(3) == 0 {
				list[i].models = models[r.IntN(len(models))]
			}
		}
		return list
	}
}

// training is a made-up mix that is hard on packers: of 100 pods 22 small ones of 1 GPU, 24 of 1 GPU and many cores, 17 of 1 GPU and much
// memory, 16 of 2 GPUs, 12 of 4 and 9 of 8.
func training(r *rand.Rand, n int) []size {
	kinds := []struct {
		share int
		sizes []size
	}{
		{22, []size{{2000, 8 << 10, 1, nil}, {3500, 14 << 10, 1, nil}}},
		{24, []size{{12000, 24 << 10, 1, nil}, {20000, 32 << 10, 1, nil}, {28000, 48 << 10, 1, nil}}},
		{17, []size{{4000, 64 << 10, 1, nil}, {6000, 128 << 10, 1, nil}, {8000, 192 << 10, 1, nil}}},
		{16, []size{{16000, 64 << 10, 2, nil}, {24000, 96 << 10, 2, nil}}},
		{12, []size{{32000, 128 << 10, 4, nil}, {44000, 160 << 10, 4, nil}}},
		{9, []size{{64000, 256 << 10, 8, nil}, {90000, 600 << 10, 8, nil}}},
	}
	list := make([]size, n)
	for i := range list {
		at := r.IntN(100)
		for _, k := range kinds {
			if at -= k.share; at < 0 {
				list[i] = k.sizes[r.IntN(len(k.sizes))]
				break
			}
		}
	}
	return list
}

// pods makes API objects of sizes, found unschedulable by their scheduler.
func pods(sizes []size) []*corev1.Pod {
	list := make([]*corev1.Pod, len(sizes))
	for i, s := range sizes {
		list[i] = unschedulable(i, corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Resources: s.resources()}}, Affinity: s.affinity()})
	}
	return list
}

func unschedulable(i int, spec corev1.PodSpec) *corev1.Pod {
	name := "pod-" + strconv.Itoa(i)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Spec:       spec,
		Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable},
		}},
	}
}

func (s size) resources() corev1.ResourceRequirements {
	gpus := corev1.ResourceList{v1alpha1.ResourceGPU: *resource.NewQuantity(s.gpus, resource.DecimalSI)}
	requests := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(s.cpuMilli, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(s.memoryMiB<<20, resource.BinarySI),
		v1alpha1.ResourceGPU:  gpus[v1alpha1.ResourceGPU],
	}
	return corev1.ResourceRequirements{Requests: requests, Limits: gpus}
}

func (s size) affinity() *corev1.Affinity {
	if len(s.models) == 0 {
		return nil
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: modelLabel, Operator: corev1.NodeSelectorOpIn, Values: slices.Clone(s.models)},
		}}},
	}}}
}

// modelLabel is known to both programs.
const modelLabel = v1alpha1.KarpenterInstancePrefix + "gpu-name"
