package demand_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

func TestUnsupported(t *testing.T) {
	affinity := func(a corev1.Affinity) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.Affinity = &a } }
	asks := func(pairs ...string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers = []corev1.Container{requests(pairs...)} }
	}
	volume := func(s corev1.VolumeSource) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: s}} }
	}
	spread := func(skew int32) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: skew, TopologyKey: "zone"}}
		}
	}
	tests := map[string]struct {
		change func(*corev1.Pod)
		want   []string // each must be in the message; none: supported
	}{
		"a plain GPU pod":               {func(*corev1.Pod) {}, nil},
		"EFA":                           {asks("nvidia.com/gpu", "8", "vpc.amazonaws.com/efa", "4", "ephemeral-storage", "1Gi"), nil},
		"emptyDir":                      {volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}), nil},
		"a term without a topology key": {affinity(corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: make([]corev1.PodAffinityTerm, 1)}}), []string{"spec.affinity.podAffinity.required", "topologyKey"}},
		"a label selector that is not valid": {affinity(corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{
			{Weight: 1, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: "zone", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a b": ""}}}},
		}}}), []string{"spec.affinity.podAntiAffinity.preferred", "not valid"}},
		"a skew below 1":  {spread(0), []string{"maxSkew"}},
		"resource claims": {func(p *corev1.Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "x"}} }, []string{"spec.resourceClaims", "nvidia.com/gpu"}},
		"a scheduling group": {func(p *corev1.Pod) { p.Spec.SchedulingGroup = &corev1.PodSchedulingGroup{PodGroupName: new("ring")} },
			[]string{"spec.schedulingGroup", "PodGroup"}},
		"a device of a class": {asks("deviceclass.resource.kubernetes.io/gpu.nvidia.com", "1"),
			[]string{"resources.requests[deviceclass.resource.kubernetes.io/gpu.nvidia.com]", "dynamic resource allocation", "ask for nvidia.com/gpu"}},
		"MIG":                  {asks("nvidia.com/mig-1g.5gb", "1"), []string{"resources.requests[nvidia.com/mig-1g.5gb]", "whole GPUs"}},
		"shared":               {asks("nvidia.com/gpu.shared", "1"), []string{"resources.requests[nvidia.com/gpu.shared]", "whole GPUs"}},
		"fraction":             {asks("nvidia.com/gpu", "500m"), []string{"500m is not a whole number"}},
		"request is not limit": {func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Limits = list("nvidia.com/gpu", "2") }, []string{"is 2 while the request is 1"}},
		"limit only": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Limits: list("nvidia.com/gpu", "2")}
		}, nil},
		"huge pages":               {asks("nvidia.com/gpu", "1", "hugepages-2Mi", "4Mi"), []string{"hugepages-2Mi"}},
		"unknown resource":         {asks("nvidia.com/gpu", "1", "rdma/hca", "1"), []string{"resources.requests[rdma/hca]"}},
		"none of it":               {asks("nvidia.com/gpu", "1", "rdma/hca", "0"), nil},
		"two at once":              {func(p *corev1.Pod) { asks("nvidia.com/gpu", "1", "rdma/hca", "1")(p); spread(0)(p) }, []string{"rdma/hca", "maxSkew"}},
		"windows":                  {func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }, []string{"spec.os"}},
		"linux":                    {func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Linux} }, nil},
		"bad Gt":                   {requiring(expressions(is("memory", gt, "16Gi"))), []string{"spec.affinity.nodeAffinity.required", `"memory"`, "16Gi"}},
		"bad Gt beside a good one": {requiring(expressions(is("memory", gt, "16Gi")), expressions(is("z", exists))), nil},
		"bad preference":           {preferring(preferred(1, expressions(is("memory", lt, "a")))), []string{"spec.affinity.nodeAffinity.preferred"}},
		"no terms at all":          {requiring(), nil}, // matches nothing: held for that
		"two node names":           {requiring(fields(is("metadata.name", in, "a", "b"))), []string{"matchFields"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := demand.Group([]*corev1.Pod{gpuPod("a", tc.change)})
			if len(got) != 1 {
				t.Fatalf("%d demands, want 1", len(got))
			}
			if len(tc.want) == 0 && got[0].Unsupported != "" {
				t.Errorf("Unsupported = %q, want none", got[0].Unsupported)
			}
			for _, want := range tc.want {
				if !strings.Contains(got[0].Unsupported, want) {
					t.Errorf("Unsupported = %q, want %q in it", got[0].Unsupported, want)
				}
			}
		})
	}
}

func TestDaemons(t *testing.T) {
	now := metav1.NewTime(since)
	set := func(name string, change func(*appsv1.DaemonSet)) *appsv1.DaemonSet {
		ds := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name}}
		ds.Spec.Template.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Limits: list("cpu", "100m", "memory", "64Mi")}}}
		change(ds)
		return ds
	}
	got := demand.NewNeighbourhood(demand.Surroundings{DaemonSets: []*appsv1.DaemonSet{
		set("plugin", func(ds *appsv1.DaemonSet) {
			ds.Spec.Template.Spec.NodeSelector = map[string]string{"gpu": "true"}
			ds.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Key: "gpu", Operator: "Exists"}}
		}),
		set("cni", func(ds *appsv1.DaemonSet) { ds.Spec.Template.Spec.HostNetwork = true }),
		set("going", func(ds *appsv1.DaemonSet) { ds.DeletionTimestamp = &now }),
		set("pinned", func(ds *appsv1.DaemonSet) { ds.Spec.Template.Spec.NodeName = "n" }),
	}}).Daemons()
	names := []string{}
	for _, d := range got {
		names = append(names, d.Name)
		if diff := cmp.Diff(amounts{"cpu": 100, "memory": 64, "pods": 1}, d.Requests); diff != "" {
			t.Errorf("%s requests (-want +got):\n%s", d.Name, diff)
		}
	}
	if diff := cmp.Diff([]string{"cni", "plugin"}, names); diff != "" {
		t.Fatalf("names (-want +got):\n%s", diff)
	}
	closed := []corev1.Taint{{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}}
	gpu := []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}
	offline := []corev1.Taint{{Key: corev1.TaintNodeNetworkUnavailable, Effect: corev1.TaintEffectNoSchedule}}
	cni, plugin := got[0].Select.Matcher(), got[1].Select.Matcher()
	gpuNode := map[string]string{"gpu": "true"}
	for name, tc := range map[string]struct{ got, want bool }{
		"cni on a closed node":           {cni.Matches(nil, closed), true},
		"cni before there is a network":  {cni.Matches(nil, offline), true},
		"cni on a GPU node":              {cni.Matches(nil, gpu), false},
		"plugin on a closed GPU node":    {plugin.Matches(gpuNode, append(gpu, closed...)), true},
		"plugin before there is network": {plugin.Matches(gpuNode, offline), false},
		"plugin on a node without a GPU": {plugin.Matches(nil, nil), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %v, want %v", name, tc.got, tc.want)
		}
	}
}

// TestDaemonsAreNeighbours: a DaemonSet's pod will be on a new node before any other.
func TestDaemonsAreNeighbours(t *testing.T) {
	exporter := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "exporter"}}
	exporter.Spec.Template.Labels = labelled{"app": "exporter"}
	exporter.Spec.Template.Spec = gpuPod("", func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 9100}}
	}, apartFrom(podTerm{TopologyKey: "host", LabelSelector: having("app", "noisy")}, podTerm{TopologyKey: "host", LabelSelector: having("app", "nobody")})).Spec
	got := demand.NewNeighbourhood(demand.Surroundings{DaemonSets: []*appsv1.DaemonSet{exporter}, Waiting: []*corev1.Pod{
		gpuPod("a", with("app", "noisy"), near(podTerm{TopologyKey: "host", LabelSelector: having("app", "exporter")})),
	}})
	d := got.Daemons()[0]
	want := demand.Daemon{Namespace: "ml", Name: "exporter", Requests: d.Requests, Select: d.Select, Chosen: []key{"ml/app=exporter"},
		Apart: []demand.Term{{TopologyKey: "host", Selector: "ml/app=noisy"}}, Ports: []demand.HostPort{{Protocol: "TCP", Address: "0.0.0.0", Port: 9100}}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("Daemons (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]key{"ml/app=noisy"}, got.Demands()[0].Neighbours.Chosen); diff != "" {
		t.Errorf("Chosen (-want +got):\n%s", diff)
	}
}
