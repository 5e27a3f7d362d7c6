package inventory_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

func labelled(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels = map[string]string{key: value} }
}

// apart keeps the pod out of zones with pods of app in namespaces of team x.
func apart(app string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey: "zone", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "x"}},
		}}}}
	}
}

func TestNeighboursAreRead(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: map[string]string{"team": "x"}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other"}})
	w.create(machine("n1"), machine("n2"), claimOf("n2", func(c *v1alpha1.NodeClaim) {
		c.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Since: metav1.NewTime(noon)}
	}))
	nominated := func(p *corev1.Pod) { p.Status.NominatedNodeName = "n1" }
	w.create(pod("runs", "n1", labelled("app", "web"), withoutGPU, apart("web"), func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80}}
	}), pod("nominated", "", labelled("app", "web"), nominated), pod("moves", "n2", labelled("app", "web"), controlledBy("ReplicaSet")),
		pod("ended", "n1", labelled("app", "web"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }),
		pod("waits", "", labelled("app", "web"), apart("web")))
	v := w.view()
	chosen := demand.SelectorKey("default/app=web")
	if len(v.Demands) != 2 {
		t.Fatalf("%d demands, want that of the pod that waits and that of the one that moves", len(v.Demands))
	}
	for _, d := range v.Demands {
		if diff := cmp.Diff([]demand.SelectorKey{chosen}, d.Neighbours.Chosen); diff != "" {
			t.Errorf("%s is chosen by (-want +got):\n%s", d.Pods[0].Name, diff)
		}
	}
	n := node(v, "n1")
	if diff := cmp.Diff(map[demand.SelectorKey]int{chosen: 2}, n.Chosen); diff != "" {
		t.Errorf("Chosen (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]demand.Term{{TopologyKey: "zone", Selector: chosen}}, n.Apart); diff != "" {
		t.Errorf("Apart (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]demand.HostPort{{Protocol: "TCP", Address: "0.0.0.0", Port: 80}}, n.Ports); diff != "" {
		t.Errorf("Ports (-want +got):\n%s", diff)
	}
	if n := node(v, "n2"); n.Chosen != nil {
		t.Errorf("a pod whose successor is a demand is counted: %v", n.Chosen)
	}
}

// TestVolumesAreRead: where a volume is, and how many more a node takes; and nothing of it is read while no GPU pod has one.
func TestVolumesAreRead(t *testing.T) {
	w := newWorld(t)
	asked := 0
	w.listing = func(l client.ObjectList) {
		switch l.(type) {
		case *corev1.PersistentVolumeClaimList, *corev1.PersistentVolumeList, *storagev1.StorageClassList, *storagev1.CSINodeList, *storagev1.CSIDriverList:
			asked++
		}
	}
	mode, count, class := storagev1.VolumeBindingWaitForFirstConsumer, int32(4), "gp3"
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class}}
	w.create(machine("n1"), machine("n2"), claim,
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: demand.EBSDriver, VolumeBindingMode: &mode,
			AllowedTopologies: []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{
				{Key: corev1.LabelTopologyZone, Values: []string{"us-east-1a"}}}}}},
		&storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
			{Name: demand.EBSDriver, NodeID: "i-n1", Allocatable: &storagev1.VolumeNodeResources{Count: &count}}}}})
	w.create(pod("waits", ""), pod("runs", "n1", using("data")), pod("cpu", "", using("data"), withoutGPU))
	if v := w.view(); asked != 0 || v.Demands[0].Select.Also != nil {
		t.Errorf("%d lists were read for pods without volumes", asked)
	}
	w.create(pod("reads", "", using("data")))
	v := w.view()
	ebs := demand.AttachableVolumes(demand.EBSDriver)
	for _, d := range v.Demands {
		if uses := d.Pods[0].Name == "reads"; uses != (d.Requests[ebs] == 1) || uses != (len(d.Select.Also) == 1) || d.Unsupported != "" {
			t.Errorf("%s asks for %v on %v: %s", d.Pods[0].Name, d.Requests, d.Select.Also, d.Unsupported)
		}
	}
	if left := node(v, "n1").Free[ebs]; left != 3 || node(v, "n2").Free[ebs] != demand.Ceiling {
		t.Errorf("n1 takes %d more volumes and n2, which tells no limit, %d", left, node(v, "n2").Free[ebs])
	}
}

// TestDefaultSpreadIsRead: only where the scheduler is configured so, and then from what pods belong to.
func TestDefaultSpreadIsRead(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}}},
		pod("waits", "", labelled("app", "web")))
	if s := w.view().Demands[0].Neighbours.Spread; s != nil {
		t.Errorf("Spread = %v without a default", s)
	}
	w.mirror.DefaultSpread = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule}}
	want := []demand.Spread{{Term: demand.Term{TopologyKey: "zone", Selector: "default/app=web"}, MaxSkew: 1}}
	if diff := cmp.Diff(want, w.view().Demands[0].Neighbours.Spread); diff != "" {
		t.Errorf("Spread (-want +got):\n%s", diff)
	}
}
