package plan

import (
	"fmt"
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
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// testView is a cluster without nodes and one Provisioner like that of the README: g4dn and p3, spot, at most 100 GPUs.
func testView(t testing.TB, demands ...demand.Demand) View {
	t.Helper()
	return viewOf(demands...)
}

func viewOf(demands ...demand.Demand) View {
	facts := catalogue.Embedded()
	v := View{Now: noon, Region: "us-east-1", Demands: demands, Types: facts.Types}
	for _, o := range facts.Offerings(v.Region) {
		v.Offerings = append(v.Offerings, Offering{Offering: o, Stock: -1})
	}
	v.Provisioners = []Provisioner{{
		Object: v1alpha1.Provisioner{
			ObjectMeta: metav1.ObjectMeta{Name: "gpu", UID: "prov"},
			Spec: v1alpha1.ProvisionerSpec{
				NodeClassRef: v1alpha1.NodeClassRef{Name: "default"},
				Requirements: []corev1.NodeSelectorRequirement{
					{Key: v1alpha1.LabelInstanceFamily, Operator: corev1.NodeSelectorOpIn, Values: []string{"g4dn", "p3"}},
					{Key: v1alpha1.LabelCapacityType, Operator: corev1.NodeSelectorOpIn, Values: []string{"spot"}},
				},
				Limits: v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse("100")},
			},
		},
		Zones: []string{"us-east-1a", "us-east-1b"}, Architectures: []string{"amd64"}, Disk: Disk{RootVolumeGiB: 100},
	}}
	return v
}

// wish is a demand of n pods that ask for gpus each.
func wish(name string, n int, gpus int64, change ...func(*demand.Demand)) demand.Demand {
	d := demand.Demand{Key: name, Requests: demand.Resources{
		corev1.ResourceCPU: 1000 * gpus, corev1.ResourceMemory: 2048 * gpus, corev1.ResourcePods: 1, v1alpha1.ResourceGPU: 1000 * gpus,
	}}
	for i := range n {
		pod := fmt.Sprintf("%s-%03d", name, i)
		d.Pods = append(d.Pods, demand.Pod{Namespace: "default", Name: pod, UID: types.UID(pod), Since: noon})
	}
	for _, f := range change {
		f(&d)
	}
	return d
}

func grow(t *testing.T, v View) Decision {
	t.Helper()
	d, err := Grow(v, Policy{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestGrowBuysTheCheapestPacking(t *testing.T) {
	d := grow(t, testView(t, wish("two", 2, 1)))
	if len(d.Create) != 2 {
		t.Fatalf("two one-GPU pods got %d claims, want 2", len(d.Create))
	}
	for _, c := range d.Create {
		if got := c.Spec.Choices[0].InstanceType; got != "g4dn.xlarge" {
			t.Errorf("the first choice is %s, want g4dn.xlarge", got)
		}
		for _, choice := range c.Spec.Choices {
			if c.Spec.GPUs != 1 {
				t.Errorf("choice %s stands in a claim of %d GPUs", choice.InstanceType, c.Spec.GPUs)
			}
		}
	}
	if d.Create[0].Name == d.Create[1].Name {
		t.Errorf("both claims are named %s", d.Create[0].Name)
	}
}

func TestGrowHoldsWithReasons(t *testing.T) {
	d := grow(t, testView(t, wish("fits", 100, 1), wish("huge", 1, 16), wish("over", 3, 1, func(d *demand.Demand) { d.Priority = -1 }),
		wish("elsewhere", 1, 1, func(d *demand.Demand) {
			d.Select.NodeSelector = map[string]string{corev1.LabelTopologyZone: "us-west-2a"}
		}),
		wish("odd", 1, 1, func(d *demand.Demand) { d.Unsupported = "spec.affinity.podAntiAffinity is not supported yet" })))
	want := map[string]v1alpha1.Reason{
		"huge": v1alpha1.HeldNoShape, "over": v1alpha1.HeldLimit, "elsewhere": v1alpha1.HeldConstraint, "odd": v1alpha1.HeldUnsupported,
	}
	for _, h := range d.Held {
		t.Logf("%s x%d: %s: %s %v", h.Demand, len(h.Pods), h.Reason, h.Message, h.Obstacles)
		if want[h.Demand] != h.Reason {
			t.Errorf("%s is held for %s, want %s", h.Demand, h.Reason, want[h.Demand])
		}
		delete(want, h.Demand)
	}
	if len(want) > 0 {
		t.Errorf("not held: %v", want)
	}
}

// TestLabelsAreWellKnown: pool.suits and the narrowing of a template's labels rely on it that what a machine carries by itself is.
func TestLabelsAreWellKnown(t *testing.T) {
	for _, kind := range catalogue.Embedded().Types {
		key := cloud.OfferingKey{InstanceType: kind.Name, Zone: "us-east-1a", Market: cloud.Spot}
		for label := range merged(merged(TypeLabels(kind), PlaceLabels(key, "us-east-1", "use1-az1")), OwnerLabels("gpu", "default")) {
			if !WellKnown(label) {
				t.Fatalf("%s carries %s, which counts as a label of somebody's own", kind.Name, label)
			}
		}
	}
}
