package orphan_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
	"github.com/slipway-sh/slipway/pkg/provisioner/orphan"
)

// yard is a cluster, a cloud and a loop, in a synctest bubble.
type yard struct {
	t     *testing.T
	c     client.Client
	cloud *sim.Cloud
	loop  *orphan.Loop
	ended int
}

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{t: t}
	kind, _ := catalogue.Embedded().Type("g4dn.xlarge")
	var err error
	y.cloud, err = sim.New(sim.Config{Now: time.Now, ClusterName: "demo", Types: []cloud.InstanceType{kind},
		Offerings: []cloud.Offering{{OfferingKey: cloud.OfferingKey{InstanceType: kind.Name, Zone: "us-east-1a", Market: cloud.Spot}, PriceMicroUSDPerHour: 1}},
		ShutDown:  sim.Delay{Base: 20 * time.Second}})
	scheme := runtime.NewScheme()
	y.must(errors.Join(err, clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)))
	y.c = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.NodeClaim{}).
		WithIndex(&corev1.Pod{}, "spec.nodeName", func(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} }).Build()
	y.loop, err = orphan.New(orphan.Config{Client: y.c, Live: y.c, Fleet: y.cloud, Events: y, Meter: y, Log: logr.Discard(), Now: time.Now})
	y.must(err)
	return y
}

func (y *yard) Eventf(_, _ runtime.Object, _, _, _, _ string, _ ...any) {}

func (y *yard) OrphanTerminated() { y.ended++ }

func (y *yard) must(err error) {
	y.t.Helper()
	if err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) launch(token string) cloud.Instance {
	y.t.Helper()
	r, err := y.cloud.Launch(y.t.Context(), cloud.LaunchRequest{Token: token, Claim: "c-" + token, Provisioner: "gpu", Market: cloud.Spot,
		Choices: []cloud.Choice{{InstanceType: "g4dn.xlarge", Architecture: "amd64", Zone: "us-east-1a"}}})
	y.must(err)
	return r.Instance
}

// claim makes a claim with the UID; instance may be empty.
func (y *yard) claim(uid, instance string) {
	c := &v1alpha1.NodeClaim{ObjectMeta: metav1.ObjectMeta{Name: "c-" + uid, UID: types.UID(uid), Finalizers: []string{v1alpha1.FinalizerInstance}}}
	if instance != "" {
		c.Status.InstanceID, c.Status.ProviderID = instance, "aws:///us-east-1a/"+instance
		c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionLaunched, Status: "True", Reason: "Launched", LastTransitionTime: metav1.Now()}}
	}
	y.must(y.c.Create(y.t.Context(), c))
}

func (y *yard) node(name string, i cloud.Instance, pods ...corev1.Pod) {
	y.must(y.c.Create(y.t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Now(),
		Labels: map[string]string{v1alpha1.LabelProvisioner: "gpu", v1alpha1.LabelClaim: i.Claim}}, Spec: corev1.NodeSpec{ProviderID: i.ProviderID}}))
	for n := range pods {
		pods[n].Name, pods[n].Namespace, pods[n].Spec.NodeName = fmt.Sprint("pod-", n), "default", name
		y.must(y.c.Create(y.t.Context(), &pods[n]))
	}
}

func gpuPod() corev1.Pod {
	return corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Resources: corev1.ResourceRequirements{
		Limits: corev1.ResourceList{v1alpha1.ResourceGPU: resource.MustParse("1")}}}}}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
}

func (y *yard) sweepAfter(d time.Duration) {
	y.t.Helper()
	time.Sleep(d)
	y.must(y.loop.Sweep(y.t.Context()))
}

func (y *yard) state(id string) cloud.InstanceState {
	m, _ := y.cloud.Machine(id)
	return m.State
}

func TestMachines(t *testing.T) {
	cases := map[string]struct {
		prepare func(y *yard) cloud.Instance
		after   time.Duration
		orphan  bool // it counts as one
		ended   bool
	}{
		"without a claim":        {func(y *yard) cloud.Instance { return y.launch("u") }, 2 * time.Minute, true, true},
		"without a claim, young": {func(y *yard) cloud.Instance { return y.launch("u") }, 50 * time.Second, true, false},
		"claim still launching":  {func(y *yard) cloud.Instance { y.claim("u", ""); return y.launch("u") }, time.Hour, false, false},
		"claim has it":           {func(y *yard) cloud.Instance { i := y.launch("u"); y.claim("u", i.ID); return i }, time.Hour, false, false},
		"claim has another machine": {func(y *yard) cloud.Instance {
			i := y.launch("u")
			y.claim("u", y.launch("v").ID)
			y.claim("v", "")
			return i
		}, time.Hour, true, true},
		"a GPU pod works on it": {func(y *yard) cloud.Instance {
			i := y.launch("u")
			y.node("n", i, gpuPod())
			return i
		}, time.Hour, true, false},
		"another pod works on it, fenced a sweep ago": {func(y *yard) cloud.Instance {
			i := y.launch("u")
			y.node("n", i, corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}})
			y.sweepAfter(time.Hour)
			return i
		}, 30 * time.Second, true, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t)
				i := tc.prepare(y)
				y.sweepAfter(tc.after)
				counted := slices.ContainsFunc(y.loop.Orphans(), func(o cloud.Instance) bool { return o.ID == i.ID })
				if counted != tc.orphan {
					t.Errorf("counted as an orphan: %v", counted)
				}
				if ended := y.state(i.ID) != cloud.InstanceRunning && y.state(i.ID) != cloud.InstancePending; ended != tc.ended {
					t.Errorf("it is %s", y.state(i.ID))
				}
				if tc.ended {
					y.sweepAfter(10 * time.Second)
					if y.ended != 1 || len(y.loop.Orphans()) != 1 {
						t.Errorf("while it shuts down it counts, and is ended once: %d, %v", y.ended, y.loop.Orphans())
					}
					y.sweepAfter(time.Minute)
					if len(y.loop.Orphans()) != 0 {
						t.Errorf("still counted: %v", y.loop.Orphans())
					}
				}
			})
		})
	}
}

// TestBusyOrphan: the machine is fenced, outlives the pod, and no longer.
func TestBusyOrphan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		i := y.launch("u")
		y.node("n", i, gpuPod())
		y.sweepAfter(2 * time.Minute)
		node := &corev1.Node{}
		y.must(y.c.Get(t.Context(), client.ObjectKey{Name: "n"}, node))
		if diff := cmp.Diff([]corev1.Taint{{Key: v1alpha1.TaintRetiring, Effect: corev1.TaintEffectNoSchedule}}, node.Spec.Taints); diff != "" {
			t.Errorf("the fence (-want +got):\n%s", diff)
		}
		y.must(y.c.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod-0"}}))
		y.sweepAfter(30 * time.Second)
		y.sweepAfter(time.Minute)
		if y.state(i.ID) != cloud.InstanceTerminated {
			t.Errorf("it is %s", y.state(i.ID))
		}
		if err := y.c.Get(t.Context(), client.ObjectKey{Name: "n"}, node); client.IgnoreNotFound(err) != nil || err == nil {
			t.Errorf("its node is left: %v", err)
		}
	})
}

// TestBoundBesideTheFence: a scheduler that had not seen the fence yet binds a pod after the look at the node. The machine must not end under it.
func TestBoundBesideTheFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		i := y.launch("u")
		y.node("n", i)
		y.sweepAfter(2 * time.Minute)
		late := gpuPod()
		late.Name, late.Namespace, late.Spec.NodeName = "late", "default", "n"
		y.must(y.c.Create(t.Context(), &late))
		y.sweepAfter(30 * time.Second)
		if state := y.state(i.ID); state != cloud.InstanceRunning && state != cloud.InstancePending {
			t.Errorf("it is %s under a pod", state)
		}
	})
}

func TestClaims(t *testing.T) {
	cases := map[string]struct {
		fail  string
		after time.Duration
		gone  bool
	}{
		"machine gone":              {"", 2 * time.Minute, true},
		"machine gone, claim young": {"", 50 * time.Second, false},
		"the cloud cannot be asked": {"fail DescribeInstances", 2 * time.Minute, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t)
				i := y.launch("u")
				y.claim("u", i.ID)
				y.must(y.cloud.Terminate(t.Context(), i.ID))
				if tc.fail != "" {
					f, err := sim.ParseLine(tc.fail)
					y.must(err)
					y.cloud.Inject(f)
				}
				time.Sleep(tc.after)
				if err := y.loop.Sweep(t.Context()); (err != nil) != (tc.fail != "") {
					t.Fatal(err)
				}
				c := &v1alpha1.NodeClaim{}
				y.must(y.c.Get(t.Context(), client.ObjectKey{Name: "c-u"}, c))
				if gone := c.Status.Retire != nil && c.Status.Retire.Reason == v1alpha1.RetireGone && c.DeletionTimestamp != nil; gone != tc.gone {
					t.Errorf("retire %+v, deleted %v", c.Status.Retire, c.DeletionTimestamp)
				}
			})
		})
	}
}

// TestStart: it looks at once, sweeps by itself, and stops with its context.
func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		i := y.launch("u")
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- y.loop.Start(ctx) }()
		<-y.loop.Looked()
		if len(y.loop.Orphans()) != 1 || !y.loop.NeedLeaderElection() {
			t.Error("the orphan does not count from the start")
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if y.state(i.ID) == cloud.InstanceRunning || len(y.loop.Orphans()) != 0 {
			t.Errorf("it is %s", y.state(i.ID))
		}
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

func TestConfig(t *testing.T) {
	if _, err := orphan.New(orphan.Config{}); err == nil {
		t.Error("an empty Config was accepted")
	}
}

// TestFirstLook: growing waits for it, so a cloud that does not answer once must not cost half a minute.
func TestFirstLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		f, err := sim.ParseLine("fail DescribeInstances for 5s")
		y.must(err)
		y.cloud.Inject(f)
		go func() { _ = y.loop.Start(t.Context()) }()
		began := time.Now()
		<-y.loop.Looked()
		if took := time.Since(began); took < 5*time.Second || took > 10*time.Second {
			t.Errorf("the first look took %s", took)
		}
	})
}
