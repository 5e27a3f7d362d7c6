package plan

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

func TestAttachableVolumes(t *testing.T) {
	types := typesByName(catalogue.Embedded().Types)
	told := func(name string, change func(*cloud.InstanceType)) cloud.InstanceType {
		kind := types[name]
		change(&kind)
		return kind
	}
	for name, tc := range map[string]struct {
		kind cloud.InstanceType
		want int64
	}{
		"shared: 28 less 2 interfaces, a GPU, 2 disks and the root volume":         {types["g4dn.xlarge"], 22},
		"shared, and the number of disks is told":                                  {told("g4dn.xlarge", func(t *cloud.InstanceType) { t.NVMeDisks = 1 }), 23},
		"shared by 8 GPUs, 8 disks and 4 interfaces of EFA, as EC2's guide counts": {types["p4d.24xlarge"], 28 - 8 - 8 - 4 - 1},
		"for volumes alone":                {types["g6.xlarge"], 31},
		"Xen":                              {types["p3.2xlarge"], 39},
		"EC2 tells that it is for volumes": {told("g4dn.xlarge", func(t *cloud.InstanceType) { t.EBSAttachments, t.EBSDedicated = 64, true }), 63},
		"EC2 tells that it is shared":      {told("g6.xlarge", func(t *cloud.InstanceType) { t.EBSAttachments, t.NVMeDisks = 27, 1 }), 22},
		"nothing is left":                  {told("g6.xlarge", func(t *cloud.InstanceType) { t.EBSAttachments = 2 }), 0},
	} {
		if got := attachableVolumes(tc.kind); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

// TestVolumesFillNodes: every choice of a claim takes the volumes of its pods if they are EBS', and any number of another driver's.
func TestVolumesFillNodes(t *testing.T) {
	types := typesByName(catalogue.Embedded().Types)
	for name, tc := range map[string]struct {
		driver  string
		volumes int64
		placed  int
	}{
		"EBS":                      {demand.EBSDriver, 12, 24},
		"more than any type takes": {demand.EBSDriver, 40, 0},
		"another driver":           {"fsx.csi.aws.com", 500, 24},
	} {
		placed := 0
		d := grow(t, testView(t, wish("d", 24, 1, func(d *demand.Demand) { d.Requests[demand.AttachableVolumes(tc.driver)] = tc.volumes })))
		for _, c := range d.Create {
			placed += len(c.Spec.Pods)
			for _, choice := range c.Spec.Choices {
				if takes := attachableVolumes(types[choice.InstanceType]); tc.driver == demand.EBSDriver && tc.volumes*int64(len(c.Spec.Pods)) > takes {
					t.Errorf("%s: %d pods with %d volumes each on a %s, which takes %d", name, len(c.Spec.Pods), tc.volumes, choice.InstanceType, takes)
				}
			}
		}
		if placed != tc.placed {
			t.Errorf("%s: %d pods are placed, want %d", name, placed, tc.placed)
		}
	}
}

// TestVolumesHold: a pod whose volume is where no node can be launched is told so.
func TestVolumesHold(t *testing.T) {
	in := func(key string, values ...string) corev1.NodeSelector {
		return corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: key, Operator: corev1.NodeSelectorOpIn, Values: values}}}}}
	}
	for name, tc := range map[string]struct {
		also []corev1.NodeSelector
		want string // empty: placed
	}{
		"here":          {[]corev1.NodeSelector{in(corev1.LabelTopologyZone, "us-east-1b")}, ""},
		"elsewhere":     {[]corev1.NodeSelector{in(corev1.LabelTopologyZone, "us-west-2a", "us-west-2b")}, "a volume of the pod can be used on nodes with topology.kubernetes.io/zone"},
		"on a machine":  {[]corev1.NodeSelector{in(corev1.LabelHostname, "n1")}, "kubernetes.io/hostname"},
		"in two places": {[]corev1.NodeSelector{in(corev1.LabelTopologyZone, "us-east-1a"), in(corev1.LabelTopologyZone, "us-east-1b")}, "where its volumes are together"},
	} {
		d := grow(t, testView(t, wish("d", 1, 1, func(d *demand.Demand) { d.Select.Also = tc.also })))
		switch {
		case tc.want == "" && len(d.Create) == 1 && d.Create[0].Spec.Choices[0].Zone == "us-east-1b":
		case tc.want != "" && len(d.Held) == 1 && d.Held[0].Reason == v1alpha1.HeldConstraint && strings.Contains(d.Held[0].Message, tc.want):
		default:
			t.Errorf("%s: %d claims, held %+v", name, len(d.Create), d.Held)
		}
	}
}
