package demand_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// zonesOf answers the zones that each pod's volumes leave to it, by the pod's name; "unsupported" if they leave none.
func zonesOf(demands []demand.Demand) map[string][]string {
	zones := map[string][]string{}
	for _, d := range demands {
		for _, p := range d.Pods {
			zones[p.Name] = []string{}
			for _, also := range d.Select.Also {
				for _, t := range also.NodeSelectorTerms {
					zones[p.Name] = append(zones[p.Name], t.MatchExpressions[0].Values...)
				}
			}
			if d.Unsupported != "" {
				zones[p.Name] = []string{"unsupported"}
			}
		}
	}
	return zones
}

// TestVolumesThatLieReadyAreGivenOnce: two claims cannot both count on one volume.
func TestVolumesThatLieReadyAreGivenOnce(t *testing.T) {
	none := className("local", "kubernetes.io/no-provisioner")
	s := demand.Storage{
		Claims:  []*pvc{claimNamed("c1", "local"), claimNamed("c2", "local"), claimNamed("c3", "local")},
		Volumes: []*pv{volumeIn("v1", "local", corev1.LabelTopologyZone, "a"), volumeIn("v2", "local", corev1.LabelTopologyZone, "b")},
		Classes: []*sc{none},
	}
	pods := []*corev1.Pod{gpuPod("p3", using("c3")), gpuPod("p1", using("c1")), gpuPod("p2", using("c2"))}
	got := zonesOf(demand.NewNeighbourhood(demand.Surroundings{Waiting: pods, Storage: s}).Demands())
	want := map[string][]string{"p1": {"a"}, "p2": {"b"}, "p3": {"unsupported"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("zones (-want +got):\n%s", diff)
	}
	got = zonesOf(demand.NewNeighbourhood(demand.Surroundings{Waiting: pods[:1], Storage: s}).Demands())
	if want := map[string][]string{"p3": {"a", "b"}}; cmp.Diff(want, got) != "" {
		t.Errorf("alone: %v, want %v", got, want)
	}
}

// TestPodsThatShareAClaimFollowTheFirst: the volume is made where the first pod goes.
func TestPodsThatShareAClaimFollowTheFirst(t *testing.T) {
	for name, tc := range map[string]struct {
		provisioner string
		pods        []*corev1.Pod
		want        int // demands with a term
	}{
		"shared":                 {ebs, []*corev1.Pod{gpuPod("p1", using("c1")), gpuPod("p2", using("c1"), larger)}, 2},
		"not shared":             {ebs, []*corev1.Pod{gpuPod("p1", using("c1")), gpuPod("p2", using("c2"), larger)}, 0},
		"to be had in all zones": {"efs.csi.aws.com", []*corev1.Pod{gpuPod("p1", using("c1")), gpuPod("p2", using("c1"), larger)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := demand.Storage{Claims: []*pvc{claimNamed("c1", "wait"), claimNamed("c2", "wait")}, Classes: []*sc{className("wait", tc.provisioner)}}
			got := 0
			for _, d := range demand.NewNeighbourhood(demand.Surroundings{Waiting: tc.pods, Storage: s}).Demands() {
				for _, term := range d.Neighbours.Near {
					got++
					if term.TopologyKey != corev1.LabelTopologyZone || !slices.Contains(d.Neighbours.Chosen, term.Selector) {
						t.Errorf("term %v, chosen %v: the pods must choose each other by zone", term, d.Neighbours.Chosen)
					}
				}
			}
			if got != tc.want {
				t.Errorf("%d terms, want %d", got, tc.want)
			}
		})
	}
}

// larger makes the pod another demand.
func larger(p *corev1.Pod) {
	p.Spec.Containers[0] = requests("cpu", "3", "memory", "4Gi", "nvidia.com/gpu", "1")
}
