package judge

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

const hash = "pod-template-hash"

// template draws what the pods of one workload have in common. They have no name yet.
func (d *draw) template(name string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pick(d, append(spaces, spaces[0])...), Labels: map[string]string{
		"app": pick(d, "a", "b", "c"), "tier": pick(d, "x", "y"), hash: name}}}
	spec := &p.Spec
	d.resources(spec)
	if d.on[selectors] {
		d.selection(spec)
	}
	if d.on[taints] {
		d.tolerations(spec)
	}
	if d.on[custom] && d.chance(50) {
		set(&spec.NodeSelector, pick(d, team, team, rack), pick(d, "red", "blue", "r1"))
	}
	if d.often(spread, 60) {
		for range 1 + d.IntN(2) {
			spec.TopologySpreadConstraints = appendSpread(spec.TopologySpreadConstraints, d.spread(p))
		}
		d.elsewhere(spec)
	}
	d.affinity(p)
	if d.often(ports, 50) {
		d.hostPorts(spec)
	}
	if d.often(volumes, 70) {
		d.volumesOf(p)
	}
	if d.chance(15) {
		priority := int32(pick(d, 10, 100))
		spec.Priority = &priority
	}
	return p
}

// appendSpread leaves out what the API server would not admit: two constraints with the same key and action.
func appendSpread(list []corev1.TopologySpreadConstraint, c corev1.TopologySpreadConstraint) []corev1.TopologySpreadConstraint {
	for i := range list {
		if list[i].TopologyKey == c.TopologyKey && list[i].WhenUnsatisfiable == c.WhenUnsatisfiable {
			return list
		}
	}
	return append(list, c)
}

func set(m *map[string]string, key, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}

func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func (d *draw) resources(spec *corev1.PodSpec) {
	gpus := pick(d, "1", "1", "1", "2", "4", "8")
	list := amounts("cpu", pick(d, "100m", "500m", "2", "3333m", "12"), "memory", pick(d, "64Mi", "1Gi", "7000M", "30Gi"), "nvidia.com/gpu", gpus)
	spec.Containers = []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{Requests: list, Limits: amounts("nvidia.com/gpu", gpus)}}}
	if !d.on[sizes] {
		return
	}
	if d.chance(30) {
		list[corev1.ResourceEphemeralStorage] = resource.MustParse(pick(d, "1Gi", "90Gi", "150G", "400Gi"))
	}
	if d.chance(15) { // at least what the containers come to
		spec.Resources = &corev1.ResourceRequirements{Requests: amounts("cpu", "22", "memory", pick(d, "56Gi", "120Gi"))}
	}
	if d.chance(15) {
		list[v1alpha1.ResourceEFA] = resource.MustParse("1")
		spec.Containers[0].Resources.Limits[v1alpha1.ResourceEFA] = resource.MustParse("1")
	}
	if d.chance(50) {
		init := corev1.Container{Name: "init", Resources: corev1.ResourceRequirements{
			Requests: amounts("cpu", pick(d, "1", "3", "9"), "memory", pick(d, "2Gi", "8Gi", "25Gi"))}}
		if always := corev1.ContainerRestartPolicyAlways; d.chance(50) {
			init.RestartPolicy = &always
		}
		spec.InitContainers = append(spec.InitContainers, init)
	}
	if d.chance(30) {
		spec.Overhead = pick(d, amounts("cpu", "250m", "memory", "120Mi"), amounts("cpu", "2", "memory", "6Gi"))
	}
}

// selection draws a node selector and node affinity of every operator.
func (d *draw) selection(spec *corev1.PodSpec) {
	if d.chance(30) {
		set(&spec.NodeSelector, corev1.LabelTopologyZone, pick(d, d.zones...))
	}
	if d.chance(25) {
		set(&spec.NodeSelector, pick(d, v1alpha1.LabelCapacityType, v1alpha1.KarpenterCapacityType), pick(d, "spot", "on-demand"))
	}
	node := &corev1.NodeAffinity{}
	if d.chance(50) {
		required := &corev1.NodeSelector{}
		for range 1 + d.IntN(2) {
			required.NodeSelectorTerms = append(required.NodeSelectorTerms, d.term())
		}
		node.RequiredDuringSchedulingIgnoredDuringExecution = required
	}
	for d.chance(35) {
		node.PreferredDuringSchedulingIgnoredDuringExecution = append(node.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.PreferredSchedulingTerm{Weight: int32(1 + d.IntN(100)), Preference: d.term()})
	}
	if node.RequiredDuringSchedulingIgnoredDuringExecution != nil || len(node.PreferredDuringSchedulingIgnoredDuringExecution) > 0 {
		spec.Affinity = &corev1.Affinity{NodeAffinity: node}
	}
}

// elsewhere makes a spread count domains that the pods do not go to, or not count them: some of the nodes that there are do not suit.
func (d *draw) elsewhere(spec *corev1.PodSpec) {
	if d.often(selectors, 60) {
		spec.NodeSelector = nil
		spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpNotIn, Values: []string{pick(d, d.zones...)}}}}}}}}
	}
	if d.often(taints, 60) {
		spec.Tolerations = nil
	}
}

func (d *draw) term() corev1.NodeSelectorTerm {
	var t corev1.NodeSelectorTerm
	for range 1 + d.IntN(2) {
		t.MatchExpressions = append(t.MatchExpressions, d.requirement())
	}
	if d.chance(10) {
		t.MatchFields = []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Values: []string{"node-1"},
			Operator: pick(d, corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpNotIn)}}
	}
	return t
}

func (d *draw) requirement() corev1.NodeSelectorRequirement {
	type r = corev1.NodeSelectorRequirement
	few := func(all ...string) []string { return some(d, all...) }
	return pick(d,
		in(corev1.LabelTopologyZone, few(d.zones...)...),
		r{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpNotIn, Values: few(d.zones...)},
		in(v1alpha1.LabelInstanceFamily, few("g4dn", "g5", "g6", "p3")...),
		r{Key: v1alpha1.LabelInstanceFamily, Operator: corev1.NodeSelectorOpNotIn, Values: few("g4dn", "g5")},
		r{Key: v1alpha1.LabelInstanceCPU, Operator: corev1.NodeSelectorOpGt, Values: few("4", "16")[:1]},
		r{Key: v1alpha1.KarpenterInstancePrefix + "memory", Operator: corev1.NodeSelectorOpLt, Values: []string{"70000"}},
		r{Key: v1alpha1.LabelInstanceGPUCount, Operator: corev1.NodeSelectorOpGt, Values: []string{"1"}},
		r{Key: v1alpha1.LabelGPUProduct, Operator: corev1.NodeSelectorOpIn, Values: few("Tesla-T4", "NVIDIA-A10G")},
		r{Key: team, Operator: pick(d, corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist)},
		r{Key: rack, Operator: corev1.NodeSelectorOpNotIn, Values: []string{"r1"}},
		r{Key: rack, Operator: corev1.NodeSelectorOpGt, Values: []string{"3"}},
		r{Key: v1alpha1.LabelInstanceLocalNVMe, Operator: corev1.NodeSelectorOpExists},
	)
}

func (d *draw) tolerations(spec *corev1.PodSpec) {
	for d.chance(50) {
		t := pick(d, taintList...)
		spec.Tolerations = append(spec.Tolerations, pick(d,
			corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOpExists},
			corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOpEqual, Value: t.Value, Effect: t.Effect},
			corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOpEqual, Value: "other"},
			corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
			corev1.Toleration{Operator: corev1.TolerationOpExists},
		))
	}
}

func (d *draw) hostPorts(spec *corev1.PodSpec) {
	port := corev1.ContainerPort{HostPort: int32(pick(d, 8080, 8080, 9400, 9100)), Protocol: pick(d, corev1.ProtocolTCP, corev1.ProtocolTCP, corev1.ProtocolUDP)}
	port.ContainerPort = port.HostPort
	if d.chance(30) {
		port.HostIP = pick(d, "10.0.0.1", "10.0.0.2", "0.0.0.0")
	}
	if d.chance(20) {
		spec.HostNetwork = true
	}
	spec.Containers[0].Ports = append(spec.Containers[0].Ports, port)
}

// copyOf answers a pod of the template.
func copyOf(template *corev1.Pod) *corev1.Pod {
	p := template.DeepCopy()
	p.Status.Phase = corev1.PodPending
	yes := true
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "rs-" + p.Labels[hash],
		UID: "rs", Controller: &yes}}
	return p
}

// waiting adds the pods that kube-scheduler found no node for.
func (d *draw) waiting(templates []*corev1.Pod) {
	for i, t := range templates {
		for range 1 + d.IntN(5) {
			p := copyOf(t)
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
				Reason: corev1.PodReasonUnschedulable, LastTransitionTime: metav1.NewTime(noon.Add(-5e9))}}
			d.add(p, fmt.Sprintf("wait%d", i))
			d.claimsOf(p)
		}
	}
}
