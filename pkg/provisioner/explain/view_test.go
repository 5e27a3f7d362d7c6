package explain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/explain"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// view is a cluster with a Provisioner of g4dn limited to 5 GPUs, a node that is idle, one in use, and pods that wait.
func view() plan.View {
	facts := catalogue.Embedded()
	v := plan.View{Now: noon, Region: "us-east-1", Types: facts.Types}
	for _, o := range facts.Offerings(v.Region) {
		v.Offerings = append(v.Offerings, plan.Offering{Offering: o, Stock: -1})
	}
	p := plan.Provisioner{Zones: []string{"us-east-1a", "us-east-1b"}, Architectures: []string{"amd64"}, Disk: plan.Disk{RootVolumeGiB: 100}}
	p.Object.Name = "gpu"
	p.Object.Spec = v1alpha1.ProvisionerSpec{
		NodeClassRef: v1alpha1.NodeClassRef{Name: "default"}, Disruption: v1alpha1.Disruption{IdleAfter: "60s"},
		Requirements: []corev1.NodeSelectorRequirement{{Key: v1alpha1.LabelInstanceFamily, Operator: corev1.NodeSelectorOpIn, Values: []string{"g4dn"}}},
		Limits:       v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse("6")},
	}
	v.Provisioners = []plan.Provisioner{p}
	for _, name := range []string{"gpu-busy", "gpu-idle"} {
		c := claim(name, 3)
		c.Spec.Choices[0], c.Spec.Debit = v1alpha1.InstanceChoice{InstanceType: "g4dn.xlarge", Zone: "us-east-1a", PricePerHour: "0.526"},
			corev1.ResourceList{v1alpha1.LimitGPU: resource.MustParse("1")}
		c.Status.InstanceType, c.Status.NodeName, c.Spec.Considered, c.Spec.Others = "g4dn.xlarge", "node-"+name, nil, nil
		v.Claims = append(v.Claims, plan.Claim{Object: c})
		n := plan.Node{Name: "node-" + name, Claim: name, Open: true, Labels: plan.PlaceLabels(cloud.OfferingKey{Zone: "us-east-1a"}, "us-east-1", ""),
			Free: demand.Resources{corev1.ResourceCPU: 500, corev1.ResourcePods: 10}, QuietSince: noon}
		if name == "gpu-busy" {
			n.GPUPods = 1
		} else {
			n.IdleSince = noon.Add(-20 * time.Second)
		}
		v.Nodes = append(v.Nodes, n)
	}
	for name, gpus := range map[string]int64{"big": 8, "small": 1, "zoned": 1} {
		d := demand.Demand{Key: name, Requests: demand.Resources{v1alpha1.ResourceGPU: 1000 * gpus, corev1.ResourceCPU: 1000, corev1.ResourceMemory: 2048, corev1.ResourcePods: 1},
			Pods: []demand.Pod{{Namespace: "research", Name: name, UID: types.UID(name), Since: noon.Add(-time.Second), Scheduler: "0/2 nodes are available"}}}
		if name == "zoned" {
			d.Select.NodeSelector = map[string]string{corev1.LabelTopologyZone: "us-east-1f"}
		}
		v.Demands = append(v.Demands, d)
	}
	return v
}

// TestViews: with a View everything is known that the decision knew.
func TestViews(t *testing.T) {
	v, err := explain.OfView(view(), plan.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	created := ""
	for _, name := range []string{"big", "small", "zoned"} {
		t.Run("pod "+name, func(t *testing.T) {
			a, err := v.Pod("research", name)
			if err != nil {
				t.Fatal(err)
			}
			if name == "small" {
				created = a.Claims[0].Name
			}
			golden(t, "view-pod-"+name, a)
		})
	}
	for story, name := range map[string]string{"busy": "node-gpu-busy", "idle": "gpu-idle", "created": created} {
		t.Run("node "+story, func(t *testing.T) {
			a, err := v.Node(name)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "view-node-"+story, a)
		})
	}
	if _, err := v.Pod("research", "nobody"); !errors.Is(err, explain.ErrNotFound) || !strings.Contains(err.Error(), "research/nobody") {
		t.Errorf("a pod that is not there: %v", err)
	}
	if _, err := v.Node("nothing"); !errors.Is(err, explain.ErrNotFound) {
		t.Errorf("a node that is not there: %v", err)
	}
}

// TestConditionAndViewSayTheSame: what the controller writes into a pod's condition, read back, is what the View answers.
func TestConditionAndViewSayTheSame(t *testing.T) {
	v := view()
	d, err := plan.Grow(v, plan.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := explain.OfView(v, plan.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	outcomes := explain.Outcomes(v, d)
	if len(outcomes) != 3 {
		t.Fatalf("%d outcomes of 3 pods", len(outcomes))
	}
	for _, o := range outcomes {
		status := corev1.ConditionFalse
		if o.Planned {
			status = corev1.ConditionTrue
		}
		p := pod(o.Pod.Name, 1, planned(status, o.Reason, o.Message))
		p.Status.Conditions[1].LastProbeTime = metav1.NewTime(noon)
		told, seen := explain.OfPod(p, d.Create), explain.Pod{}
		if seen, err = again.Pod(o.Pod.Namespace, o.Pod.Name); err != nil {
			t.Fatal(err)
		}
		if told.State != seen.State || told.Reason != seen.Reason || told.Message != seen.Message || told.Offerings != seen.Offerings || told.Summary != seen.Summary {
			t.Errorf("the condition tells %+v, the View %+v", told, seen)
		}
		for reason, n := range seen.Failed {
			if told.Failed[reason] != n {
				t.Errorf("%s: the condition tells %v, the View %v", o.Pod.Name, told.Failed, seen.Failed)
			}
		}
	}
}
