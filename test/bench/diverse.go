package main

import (
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// diversePods is Karpenter's own benchmark of its scheduler (scheduling_benchmark_test.go in its repository), stated again for both: 400 instance
// types of 1 to 400 cores with 2 GiB and 10 pods for each core, three zones; a fifth of the pods without any constraint, and a fifth
// each with zone spread, hostname spread, zone affinity and hostname anti-affinity. One thing is added, to both: each pod asks for a GPU and a type has
// as many as pods, because Slipway launches nodes for pods that ask for one. It binds nowhere.
func diversePods(f flags) ([]row, error) {
	goods := diverseTypes()
	zones := []string{"test-zone-1", "test-zone-2", "test-zone-3"}
	v := viewOf(goods, []cloud.Market{cloud.OnDemand, cloud.Spot}, zones)
	v.Daemons = nil
	fmt.Println("\nKarpenter's own diverse pods, 400 types: pods per second")
	var rows []row
	for _, n := range f.sizes {
		if n > f.karpenterMost {
			continue
		}
		r := row{Mix: "diverse", Pods: n, Types: len(goods)}
		list := diverse(rand.New(rand.NewPCG(f.seed, uint64(n))), n)
		err := r.ask(list, v, func(pods []*corev1.Pod) (asked, error) {
			return askKarpenter(pods, karpenterTypes(goods, []string{"spot", "on-demand"}, zones))
		}, true)
		if err != nil {
			return nil, fmt.Errorf("running %d diverse pods: %w", n, err)
		}
		rows = append(rows, r)
		fmt.Printf("%6d pods: Slipway %8.0f/s $%.2f/h %d nodes %d left; Karpenter %6.0f/s $%.2f/h %d nodes %d left; %.0f times as fast, cost ratio %.4f\n", n,
			float64(n)/r.Answer.Seconds, float64(r.Answer.CostMicroUSD)/1e6, r.Answer.Nodes, r.Answer.PodsLeft,
			float64(n)/r.Karpenter.Seconds, float64(r.Karpenter.CostMicroUSD)/1e6, r.Karpenter.Nodes, r.Karpenter.PodsLeft,
			r.Karpenter.Seconds/r.Answer.Seconds, float64(r.Answer.CostMicroUSD)/float64(r.Karpenter.CostMicroUSD))
	}
	return rows, nil
}

// diverseTypes are priced as Karpenter's fake ones: $0.10 for a core and for 1e9 bytes.
func diverseTypes() []good {
	var list []good
	for i := 1; i <= 400; i++ {
		t := cloud.InstanceType{
			Name: fmt.Sprintf("fake.%dxlarge", i), Architecture: "amd64", VCPUs: i, MemoryMiB: int64(i) * 2 << 10,
			MaxENIs: 1, IPv4PerENI: 10*i - 1, // as many pods
			GPU: cloud.GPU{Name: "Fake", Manufacturer: "NVIDIA", Count: 10 * i, MemoryMiB: 1 << 10},
		}
		price := float64(i)*0.1 + float64(i)*2*(1<<30)/1e10
		list = append(list, good{t, int64(price * 1e6), plan.Allocatable(t, nil, plan.Disk{RootVolumeGiB: rootVolumeGiB})})
	}
	return list
}

func diverse(r *rand.Rand, count int) []*corev1.Pod {
	d := drawing{r}
	kinds := []func() (map[string]string, corev1.PodSpec){
		d.generic,
		func() (map[string]string, corev1.PodSpec) { return d.spread(corev1.LabelTopologyZone) },
		func() (map[string]string, corev1.PodSpec) { return d.spread(corev1.LabelHostname) },
		d.together,
		d.apart,
	}
	var list []*corev1.Pod
	for i := range count {
		kind := d.generic
		if i < count/len(kinds)*len(kinds) {
			kind = kinds[i/(count/len(kinds))]
		}
		labels, spec := kind()
		p := unschedulable(i, spec)
		p.Labels = labels
		list = append(list, p)
	}
	return list
}

// drawing draws pods as Karpenter's benchmark does.
type drawing struct{ *rand.Rand }

func (d drawing) value() string { return string(rune('a' + d.IntN(7))) }

func (d drawing) labels() map[string]string { return map[string]string{"my-label": d.value()} }

func (d drawing) containers() []corev1.Container {
	cpu := []int64{100, 250, 500, 1000, 1500}
	memory := []int64{100, 256, 512, 1024, 2048, 4096}
	gpu := corev1.ResourceList{v1alpha1.ResourceGPU: resource.MustParse("1")}
	return []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{Limits: gpu, Requests: corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(cpu[d.IntN(len(cpu))], resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(memory[d.IntN(len(memory))]<<20, resource.BinarySI),
		v1alpha1.ResourceGPU:  gpu[v1alpha1.ResourceGPU],
	}}}}
}

func (d drawing) generic() (map[string]string, corev1.PodSpec) {
	return d.labels(), corev1.PodSpec{Containers: d.containers()}
}

func (d drawing) spread(key string) (map[string]string, corev1.PodSpec) {
	return d.labels(), corev1.PodSpec{Containers: d.containers(), TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: d.labels()},
	}}}
}

func (d drawing) together() (map[string]string, corev1.PodSpec) {
	labels := map[string]string{"my-affinity": d.value()}
	return labels, corev1.PodSpec{Containers: d.containers(), Affinity: &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term(labels, corev1.LabelTopologyZone)},
	}}}
}

func (d drawing) apart() (map[string]string, corev1.PodSpec) {
	labels := map[string]string{"app": "nginx"}
	return labels, corev1.PodSpec{Containers: d.containers(), Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term(labels, corev1.LabelHostname)},
	}}}
}

func term(labels map[string]string, key string) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{LabelSelector: &metav1.LabelSelector{MatchLabels: labels}, TopologyKey: key}
}
