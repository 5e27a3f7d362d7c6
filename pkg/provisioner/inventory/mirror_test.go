package inventory_test

import (
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

func TestViewShowsWhatIsThere(t *testing.T) {
	w := newWorld(t)
	w.classes["broken"] = errNoSubnet
	key := cloud.OfferingKey{InstanceType: "g4dn.xlarge", Zone: "us-east-1a", Market: cloud.Spot}
	w.health[key] = inventory.OfferingState{Closed: v1alpha1.HeldStockout, Until: noon.Add(time.Minute), Stock: 0, RiskMilli: 7}
	w.orphans = []cloud.Instance{{ID: "i-lost", Provisioner: "gpu", OfferingKey: key}}
	ending := provisioner("ending", "default")
	ending.Finalizers = []string{"a/b"}
	w.create(provisioner("gpu", "default"), provisioner("broken", "broken"), ending, daemonSet("agent"))
	w.create(machine("n1"), claimOf("n1"), machine("foreign"), claimOf("deleted", func(c *v1alpha1.NodeClaim) { c.Finalizers = []string{"a/b"} }))
	w.create(pod("waits-1", ""), pod("waits-2", ""), pod("works", "n1"), pod("done", "n1", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }))
	for _, o := range []client.Object{ending, claimOf("deleted")} {
		if err := w.client.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	v := w.view()
	reasons := map[string]v1alpha1.Reason{}
	for _, p := range v.Provisioners {
		reasons[p.Object.Name] = p.NotReadyReason
	}
	want := map[string]v1alpha1.Reason{"gpu": "", "broken": v1alpha1.ReasonNodeClassNotReady, "ending": v1alpha1.ReasonTerminating}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Errorf("Provisioners (-want +got):\n%s", diff)
	}
	if len(v.Demands) != 1 || len(v.Demands[0].Pods) != 2 || !v.Demands[0].Pods[0].Since.Equal(noon) || v.Demands[0].Pods[0].Scheduler != "0/1 nodes" {
		t.Errorf("Demands = %+v", v.Demands)
	}
	i := slices.IndexFunc(v.Offerings, func(o plan.Offering) bool { return o.OfferingKey == key })
	if o := v.Offerings[i]; o.Closed != v1alpha1.HeldStockout || o.Stock != 0 || o.RiskMilli != 7 || !o.Until.Equal(noon.Add(time.Minute)) {
		t.Errorf("the offering is %+v", o)
	}
	if n := node(v, "n1"); n.Claim != "claim-n1" || !n.Open || n.GPUPods != 1 || n.Free[v1alpha1.ResourceGPU] != 0 || n.Free["cpu"] != 2900 || n.Free["pods"] != 28 || n.Bound["cpu"] != 1000 {
		t.Errorf("n1 is %+v", n)
	}
	if n := node(v, "foreign"); n.Claim != "" || !n.Open || n.Free[v1alpha1.ResourceGPU] != 1000 {
		t.Errorf("foreign is %+v", n)
	}
	if leaving := []bool{v.Claims[0].Leaving, v.Claims[1].Leaving}; !slices.Equal(leaving, []bool{true, false}) || len(v.Orphans) != 1 || len(v.Daemons) != 1 {
		t.Errorf("leaving %v, %d orphans, %d daemons", leaving, len(v.Orphans), len(v.Daemons))
	}
}

func TestViewWaitsForPrices(t *testing.T) {
	w := newWorld(t)
	m, err := inventory.New(inventory.Config{Reader: w.client, Catalogue: inventory.NewCatalogue(w, time.Minute, logr.Discard(), nil),
		NodeClasses: w, Health: w, Orphans: func() []cloud.Instance { return nil }, Region: "us-east-1", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.View(t.Context()); err != inventory.ErrNotLoaded {
		t.Errorf("err = %v, want ErrNotLoaded", err)
	}
}

func count(v plan.View, name string) int {
	n := 0
	for _, c := range v.Claims {
		if c.Object.Name == name {
			n++
		}
	}
	return n
}

// TestExpectationCountsExactlyOnce: from before a claim is sent until it ends it is in every View once, whenever the cache and its events
// show it.
func TestExpectationCountsExactlyOnce(t *testing.T) {
	moments := map[string]func(w *world, c *v1alpha1.NodeClaim){
		"never shown": func(*world, *v1alpha1.NodeClaim) {},
		"shown":       func(w *world, c *v1alpha1.NodeClaim) { w.create(c) },
		"shown and told of": func(w *world, c *v1alpha1.NodeClaim) {
			w.create(c)
			w.mirror.Seen(c.Name)
		},
		// The claims are listed, then the cache takes the new one in and tells of it, then the other lists are read.
		"told of between two lists": func(w *world, c *v1alpha1.NodeClaim) {
			w.listing = func(list client.ObjectList) {
				if _, claims := list.(*v1alpha1.NodeClaimList); claims {
					w.listing = func(client.ObjectList) {}
					w.create(c)
					w.mirror.Seen(c.Name)
				}
			}
		},
	}
	for name, moment := range moments {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := claimOf("new")
			w.mirror.Expect(*c)
			moment(w, c)
			for range 3 {
				if n := count(w.after(time.Second), c.Name); n != 1 {
					t.Fatalf("the claim is in the View %d times", n)
				}
			}
		})
	}
}

func TestExpectationEnds(t *testing.T) {
	w := newWorld(t)
	w.mirror.Expect(*claimOf("refused"))
	w.mirror.Seen("claim-refused")
	w.mirror.Expect(*claimOf("never"))
	if v := w.view(); count(v, "claim-refused") != 0 || count(v, "claim-never") != 1 {
		t.Errorf("claims = %v", v.Claims)
	}
	if v := w.after(11 * time.Minute); count(v, "claim-never") != 0 {
		t.Error("a claim that the cache never showed counts forever")
	}
	shown := claimOf("shown")
	w.mirror.Expect(*shown)
	w.create(shown)
	w.view()
	if err := w.client.Delete(t.Context(), shown); err != nil {
		t.Fatal(err)
	}
	if count(w.view(), shown.Name) != 0 {
		t.Error("a claim that was shown counts after its end")
	}
}

func TestNoticeMovesPods(t *testing.T) {
	w := newWorld(t)
	w.create(machine("n1"), claimOf("n1", func(c *v1alpha1.NodeClaim) {
		c.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Since: metav1.NewTime(noon)}
	}), machine("n2"), claimOf("n2", func(c *v1alpha1.NodeClaim) {
		c.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireExpired, Since: metav1.NewTime(noon)}
	}))
	w.create(pod("moves", "n1", controlledBy("ReplicaSet")), pod("bare", "n1"), pod("agent", "n1", controlledBy("DaemonSet")),
		pod("stays", "n2", controlledBy("ReplicaSet")), pod("waits", ""))
	v := w.view()
	if len(v.Demands) != 1 {
		t.Fatalf("%d demands, want what waits and what moves as one", len(v.Demands))
	}
	got := map[string]bool{}
	for _, p := range v.Demands[0].Pods {
		got[p.Name] = p.Moving
	}
	if diff := cmp.Diff(map[string]bool{"moves": true, "waits": false}, got); diff != "" {
		t.Errorf("demanded, and whether moving (-want +got):\n%s", diff)
	}
	if n := node(v, "n1"); n.Open || n.Fenced {
		t.Errorf("the noticed node is a place: %+v", n)
	}
}
