package inventory_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

func boughtFor(pods ...string) func(*v1alpha1.NodeClaim) {
	return func(c *v1alpha1.NodeClaim) {
		for _, p := range pods {
			c.Spec.Pods = append(c.Spec.Pods, v1alpha1.PodRef{Namespace: "default", Name: p, UID: pod(p, "").UID})
		}
	}
}

// TestRefusal: a pod that its scheduler does not bind to the node that was bought for it gets no other for a while, then one more, and so on.
func TestRefusal(t *testing.T) {
	w := newWorld(t)
	w.create(machine("n1"), claimOf("n1", boughtFor("odd")), pod("odd", ""), pod("other", ""))
	if v := w.view(); len(v.Refused) != 0 {
		t.Fatalf("refused at once: %v", v.Refused)
	}
	if v := w.after(plan.Patience); len(v.Refused) != 0 {
		t.Fatalf("refused within the scheduler's patience: %v", v.Refused)
	}
	v := w.after(time.Second)
	refusal, refused := v.Refused["odd"]
	if !refused || refusal.Node != "n1" || refusal.Message != "0/1 nodes" || len(v.Refused) != 1 {
		t.Fatalf("Refused = %+v", v.Refused)
	}
	if again := w.after(11 * time.Minute).Refused["odd"]; again.Until.After(w.now) {
		t.Fatalf("the same node is held against the pod twice, until %v", again.Until)
	}
	// The next try is launched, and its node is refused, too.
	w.create(machine("n2"), claimOf("n2", boughtFor("odd"), func(c *v1alpha1.NodeClaim) { c.CreationTimestamp = metav1.NewTime(w.now) }))
	w.view()
	if next := w.after(plan.Patience + time.Second).Refused["odd"]; next.Node != "n2" || !next.Until.After(w.now) {
		t.Fatalf("after the second try: %+v", next)
	}
	change(w, pod("odd", ""), func(p *corev1.Pod) { p.Spec.NodeName = "n2" })
	if v := w.after(time.Second); len(v.Refused) != 0 {
		t.Errorf("a pod that has a node is refused: %v", v.Refused)
	}
}

// TestRefusalForADriver: a node that was opened without a driver that a pod's volume needs has no room for the pod, and the pod gets no
// other node, from the first moment on.
func TestRefusalForADriver(t *testing.T) {
	for name, misses := range map[string]bool{"the driver is missed": true, "it does not care": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			mode, class := storagev1.VolumeBindingWaitForFirstConsumer, "gp3"
			w.create(machine("n1"), claimOf("n1", boughtFor("reads")), pod("reads", "", using("data")),
				&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: demand.EBSDriver, VolumeBindingMode: &mode},
				&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
					Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class}},
				&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: demand.EBSDriver}, Spec: storagev1.CSIDriverSpec{PreventPodSchedulingIfMissing: &misses}})
			v := w.view()
			free := node(v, "n1").Free[demand.AttachableVolumes(demand.EBSDriver)]
			refusal, refused := v.Refused["reads"]
			if refused != misses || misses != (free == 0) || misses && refusal.Message != "ebs.csi.aws.com CSI driver is not installed on the node" {
				t.Errorf("room for %d volumes, Refused = %+v", free, v.Refused)
			}
			if !misses {
				return
			}
			w.create(&storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
				{Name: demand.EBSDriver, NodeID: "i-n1"}}}})
			if free := node(w.view(), "n1").Free[demand.AttachableVolumes(demand.EBSDriver)]; free != demand.Ceiling {
				t.Errorf("room for %d volumes where the driver runs and tells no limit", free)
			}
		})
	}
}

// TestMissingDriver: a node is asked for the drivers of those pods that it is still to get.
func TestMissingDriver(t *testing.T) {
	missed, class := true, "gp3"
	storage := []client.Object{
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: demand.EBSDriver},
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
			Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class}},
		&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: demand.EBSDriver}, Spec: storagev1.CSIDriverSpec{PreventPodSchedulingIfMissing: &missed}},
		&storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "there"}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
			{Name: demand.EBSDriver, NodeID: "i-n1"}}}},
	}
	another := func(p *corev1.Pod) { p.UID = "another" }
	for name, tc := range map[string]struct {
		node string
		pod  *corev1.Pod
		want string
	}{
		"not there yet":         {"n1", pod("p", "", using("data")), demand.EBSDriver},
		"there":                 {"there", pod("p", "", using("data")), ""},
		"a pod without volumes": {"n1", pod("p", ""), ""},
		"bound elsewhere":       {"n1", pod("p", "n2", using("data")), ""},
		"gone, its name taken":  {"n1", pod("p", "", using("data"), another), ""},
		"gone":                  {"n1", pod("q", "", using("data")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(append(storage, tc.pod)...)
			refs := []v1alpha1.PodRef{{Namespace: "default", Name: "p", UID: "p"}}
			got, err := inventory.Volumes{Reader: w.client}.MissingDriver(t.Context(), tc.node, refs)
			if got != tc.want || err != nil {
				t.Errorf("MissingDriver = %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// TestNoRefusal: a node that another pod fills, that is closed, or that changes says nothing about the scheduler.
func TestNoRefusal(t *testing.T) {
	cases := map[string]func(w *world){
		"filled by another": func(w *world) { w.create(pod("another", "n1")) },
		"closed":            func(w *world) { change(w, machine("n1"), func(n *corev1.Node) { n.Spec.Unschedulable = true }) },
		"gone":              func(w *world) { _ = w.client.Delete(w.t.Context(), machine("n1")) },
		"on its way again": func(w *world) {
			w.create(claimOf("n2", boughtFor("odd"), func(c *v1alpha1.NodeClaim) { c.CreationTimestamp = metav1.NewTime(noon.Add(time.Second)) }))
		},
		"on its way again, not shown": func(w *world) {
			c := claimOf("n2", boughtFor("odd"))
			c.CreationTimestamp = metav1.Time{}
			w.mirror.Expect(*c)
		},
	}
	for name, happen := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(machine("n1"), claimOf("n1", boughtFor("odd")), pod("odd", ""))
			w.view()
			happen(w)
			w.view()
			if v := w.after(time.Minute); len(v.Refused) != 0 {
				t.Errorf("Refused = %v", v.Refused)
			}
		})
	}
}

// TestLearned: what nodes of a shape leave to pods is remembered beyond their end, so that the next is not bought in the same error.
func TestLearned(t *testing.T) {
	w := newWorld(t)
	w.create(machine("n1"), claimOf("n1"), machine("foreign"),
		pod("agent", "n1", withoutGPU, controlledBy("DaemonSet")), pod("static", "n1", withoutGPU, controlledBy("Node")), pod("works", "n1"))
	cpu := func() int64 {
		v := w.view()
		if len(v.Learned) == 0 {
			return -1
		}
		if l := v.Learned[0]; len(v.Learned) != 1 || l.Provisioner != "gpu" || l.InstanceType != "g4dn.xlarge" {
			t.Fatalf("Learned = %+v", v.Learned)
		}
		return v.Learned[0].Free[corev1.ResourceCPU]
	}
	if got := cpu(); got != 2900 {
		t.Errorf("%d milli-cores are left besides 500 of an agent and 500 of a static pod of 3900, want 2900", got)
	}
	w.create(machine("n2", func(n *corev1.Node) { n.Status.Allocatable = quantities("cpu", "2", "memory", "14Gi") }), claimOf("n2"))
	if got := cpu(); got != 2000 {
		t.Errorf("of two nodes the least counts: %d, want 2000", got)
	}
	for _, name := range []string{"n1", "n2"} {
		if err := w.client.Delete(t.Context(), machine(name)); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(59 * time.Minute)
	if got := cpu(); got != 2000 {
		t.Errorf("after the end of the nodes: %d, want 2000", got)
	}
	w.now = w.now.Add(2 * time.Minute)
	if got := cpu(); got != -1 {
		t.Errorf("forgotten after an hour: %d", got)
	}
}
