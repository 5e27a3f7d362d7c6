package demand_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// drawTwist changes one thing, such as decides a placement and such as does not. Each thing that demand reads is among them.
func drawTwist(t *rapid.T) func(*corev1.Pod) {
	n := rapid.Int32Range(0, 2).Draw(t, "n")
	amount := rapid.SampledFrom([]string{"0", "1", "1000m", "1500m", "2"}).Draw(t, "amount")
	name := rapid.SampledFrom([]string{"cpu", "memory", "nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "rdma/hca", "hugepages-2Mi"}).Draw(t, "name")
	limits := corev1.Container{Resources: corev1.ResourceRequirements{Limits: list(name, amount)}}
	affinity := func(s *corev1.PodSpec) *corev1.Affinity {
		if s.Affinity == nil {
			s.Affinity = &corev1.Affinity{}
		}
		return s.Affinity
	}
	volume := func(v corev1.VolumeSource) func(s *corev1.PodSpec) {
		return func(s *corev1.PodSpec) {
			s.Volumes = append(s.Volumes, corev1.Volume{Name: amount, VolumeSource: v})
		}
	}
	always := corev1.ContainerRestartPolicyAlways
	term := drawTerm(t)
	spread := drawSpread(t)
	label := func(p *corev1.Pod) { p.Labels = drawLabels(t) }
	space := func(p *corev1.Pod) { p.Namespace = rapid.SampledFrom(namespaces).Draw(t, "namespace") }
	spec := rapid.SampledFrom([]func(s *corev1.PodSpec){
		func(*corev1.PodSpec) {},
		func(s *corev1.PodSpec) { s.ServiceAccountName = amount },
		func(s *corev1.PodSpec) { s.Containers[0].Image = amount },
		func(s *corev1.PodSpec) { s.Priority = &n },
		func(s *corev1.PodSpec) { s.Overhead = list(name, amount) },
		func(s *corev1.PodSpec) { s.Resources = &corev1.ResourceRequirements{Requests: list(name, amount)} },
		func(s *corev1.PodSpec) { s.Resources = &corev1.ResourceRequirements{Limits: list(name, amount)} },
		func(s *corev1.PodSpec) { s.Containers[0].Resources.Limits = list(name, amount) },
		func(s *corev1.PodSpec) { s.Containers[0].Resources.Requests = list(name, amount) },
		func(s *corev1.PodSpec) { s.Containers = append(s.Containers, limits) },
		func(s *corev1.PodSpec) { s.InitContainers = append(s.InitContainers, limits) },
		func(s *corev1.PodSpec) { s.InitContainers = append(s.InitContainers, requests(name, amount)) },
		func(s *corev1.PodSpec) {
			for i := range s.InitContainers {
				s.InitContainers[i].RestartPolicy = &always
			}
		},
		func(s *corev1.PodSpec) { s.HostNetwork = n == 1 },
		func(s *corev1.PodSpec) {
			s.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: n, HostIP: []string{"", "10.0.0.1"}[n%2]}}
		},
		func(s *corev1.PodSpec) {
			s.OS = &corev1.PodOS{Name: corev1.OSName([]string{"", "linux", "windows"}[n])}
		},
		func(s *corev1.PodSpec) { s.SchedulingGroup = &corev1.PodSchedulingGroup{PodGroupName: &amount} },
		func(s *corev1.PodSpec) { s.ResourceClaims = []corev1.PodResourceClaim{{Name: amount}} },
		func(s *corev1.PodSpec) { s.TopologySpreadConstraints = append(s.TopologySpreadConstraints, spread) },
		func(s *corev1.PodSpec) {
			affinity(s).PodAffinity = &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: slices.Repeat([]corev1.PodAffinityTerm{term}, int(n))}
		},
		func(s *corev1.PodSpec) {
			affinity(s).PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: slices.Repeat([]corev1.PodAffinityTerm{term}, int(n))}
		},
		func(s *corev1.PodSpec) {
			affinity(s).PodAntiAffinity = &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: n, PodAffinityTerm: term}}}
		},
		volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}}),
		volume(corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}),
		volume(corev1.VolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{}}),
		volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}),
	}).Draw(t, "twist")
	return rapid.SampledFrom([]func(*corev1.Pod){label, space, func(p *corev1.Pod) { spec(&p.Spec) }, func(p *corev1.Pod) { spec(&p.Spec) }}).Draw(t, "where")
}

// apart gives each pod fingerprints of its own that mean the same: init containers that ask for nothing, and preferences without weight.
func apart(pods []*corev1.Pod) []*corev1.Pod {
	var padded []*corev1.Pod
	for i, p := range pods {
		p = p.DeepCopy()
		p.Spec.InitContainers = append(p.Spec.InitContainers, make([]corev1.Container, i)...)
		if p.Spec.Affinity == nil {
			p.Spec.Affinity = &corev1.Affinity{}
		}
		if p.Spec.Affinity.PodAffinity == nil {
			p.Spec.Affinity.PodAffinity = &corev1.PodAffinity{}
		}
		near := p.Spec.Affinity.PodAffinity
		near.PreferredDuringSchedulingIgnoredDuringExecution = append(near.PreferredDuringSchedulingIgnoredDuringExecution, make([]corev1.WeightedPodAffinityTerm, i)...)
		padded = append(padded, p)
	}
	return padded
}

// checkCoverage groups pods where the fingerprint saves work, and where it saves none.
func checkCoverage(t *rapid.T, group grouping) string {
	base := drawPod(t)
	var pods []*corev1.Pod
	for i, name := range []string{"a", "b", "c", "d"} {
		pod := base.DeepCopy()
		pod.Name = name
		for range i % 3 {
			drawTwist(t)(pod)
		}
		pods = append(pods, pod)
	}
	return cmp.Diff(demand.Group(apart(pods)), group(pods))
}

func TestFingerprintCoversWhatIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if diff := checkCoverage(t, demand.Group); diff != "" {
			t.Fatalf("alone (-) and together (+) differ:\n%s", diff)
		}
	})
}

func TestFingerprintCoversWhatIsRead_catches(t *testing.T) {
	// As if a field were missing in the fingerprint: the first pod's value stands for that of all.
	missing := map[string]func(first, s *corev1.PodSpec){
		"overhead":   func(first, s *corev1.PodSpec) { s.Overhead = first.Overhead },
		"group":      func(first, s *corev1.PodSpec) { s.SchedulingGroup = first.SchedulingGroup },
		"volumes":    func(first, s *corev1.PodSpec) { s.Volumes = first.Volumes },
		"priority":   func(first, s *corev1.PodSpec) { s.Priority = first.Priority },
		"containers": func(first, s *corev1.PodSpec) { s.InitContainers = first.InitContainers },
		"spread":     func(first, s *corev1.PodSpec) { s.TopologySpreadConstraints = first.TopologySpreadConstraints },
		"ports":      func(first, s *corev1.PodSpec) { s.Containers[0].Ports = first.Containers[0].Ports },
		"affinity":   func(first, s *corev1.PodSpec) { s.Affinity = first.Affinity },
	}
	for name, plant := range missing {
		group := func(pods []*corev1.Pod) []demand.Demand {
			var changed []*corev1.Pod
			for _, p := range pods {
				p = p.DeepCopy()
				plant(&pods[0].Spec, &p.Spec)
				changed = append(changed, p)
			}
			return demand.Group(changed)
		}
		caught := false
		for seed := 0; seed < 2000 && !caught; seed++ {
			caught = rapid.Custom(func(t *rapid.T) string { return checkCoverage(t, group) }).Example(seed) != ""
		}
		if !caught {
			t.Errorf("%s missing: not caught", name)
		}
	}
}

// checkTerms groups pods whose terms differ in one thing: what is read once for all of them must be the same of them.
func checkTerms(t *rapid.T, group grouping) string {
	base := gpuPod("base", apartFrom(drawTerm(t)), near(drawTerm(t)), spreading(drawSpread(t)), func(p *corev1.Pod) { p.Labels = drawLabels(t) })
	var pods []*corev1.Pod
	for _, name := range []string{"a", "b", "c", "d"} {
		pod, other, otherSpread := base.DeepCopy(), drawTerm(t), drawSpread(t)
		pod.Name = name
		term := rapid.SampledFrom([]*podTerm{
			&pod.Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0],
			&pod.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0],
		}).Draw(t, "term")
		c := &pod.Spec.TopologySpreadConstraints[0]
		rapid.SampledFrom([]func(){
			func() { pod.Labels = drawLabels(t) }, func() { pod.Namespace = rapid.SampledFrom(namespaces).Draw(t, "namespace") },
			func() { term.LabelSelector = other.LabelSelector }, func() { term.NamespaceSelector = other.NamespaceSelector },
			func() { term.Namespaces = other.Namespaces }, func() { term.TopologyKey = other.TopologyKey },
			func() { term.MatchLabelKeys = other.MatchLabelKeys }, func() { term.MismatchLabelKeys = other.MismatchLabelKeys },
			func() { c.LabelSelector = otherSpread.LabelSelector }, func() { c.MatchLabelKeys = otherSpread.MatchLabelKeys },
			func() { c.MaxSkew = otherSpread.MaxSkew }, func() { c.MinDomains = otherSpread.MinDomains },
			func() { c.NodeTaintsPolicy = otherSpread.NodeTaintsPolicy }, func() { c.WhenUnsatisfiable = otherSpread.WhenUnsatisfiable },
		}).Draw(t, "change")()
		pods = append(pods, pod)
	}
	return cmp.Diff(demand.Group(apart(pods)), group(pods))
}

func TestTermsAreCoveredWhenRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if diff := checkTerms(t, demand.Group); diff != "" {
			t.Fatalf("alone (-) and together (+) differ:\n%s", diff)
		}
	})
}

func TestTermsAreCoveredWhenRead_catches(t *testing.T) {
	// As if the first pod's value stood for that of all.
	for name, plant := range map[string]func(first, p *corev1.Pod){
		"namespace": func(first, p *corev1.Pod) { p.Namespace = first.Namespace },
		"labels":    func(first, p *corev1.Pod) { p.Labels = first.Labels },
		"namespaces": func(first, p *corev1.Pod) {
			a, b := first.Spec.Affinity.PodAntiAffinity, p.Spec.Affinity.PodAntiAffinity
			b.RequiredDuringSchedulingIgnoredDuringExecution[0].Namespaces = a.RequiredDuringSchedulingIgnoredDuringExecution[0].Namespaces
		},
	} {
		group := func(pods []*corev1.Pod) []demand.Demand {
			var changed []*corev1.Pod
			for _, p := range pods {
				p = p.DeepCopy()
				plant(pods[0], p)
				changed = append(changed, p)
			}
			return demand.Group(changed)
		}
		caught := false
		for seed := 0; seed < 2000 && !caught; seed++ {
			caught = rapid.Custom(func(t *rapid.T) string { return checkTerms(t, group) }).Example(seed) != ""
		}
		if !caught {
			t.Errorf("%s: not caught", name)
		}
	}
}
