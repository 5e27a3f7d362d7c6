package claim_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// TestLife is a whole life without trouble.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		w.create("a", 8, "p3.16xlarge")
		w.run("joined", time.Minute, w.is("a", v1alpha1.ConditionJoined))
		c := w.get("a")
		node := w.node(c)
		want := map[string]string{
			v1alpha1.LabelClaim: "a", v1alpha1.LabelProvisioner: "gpu", v1alpha1.LabelNodeClass: "default", "team": "vision",
			v1alpha1.LabelCapacityType: "spot", corev1.LabelTopologyZone: "us-east-1a", v1alpha1.LabelZoneID: "use1-az1",
			corev1.LabelInstanceTypeStable: "p3.16xlarge", v1alpha1.LabelInstanceGPUCount: "8", "topology.kubernetes.io/custom": "x",
			v1alpha1.LabelAccelerator: "nvidia-tesla-v100",
		}
		for k, v := range want {
			if node.Labels[k] != v {
				t.Errorf("label %s is %q; want %q", k, node.Labels[k], v)
			}
		}
		keys := map[string]bool{}
		for _, taint := range node.Spec.Taints {
			keys[taint.Key] = true
		}
		if diff := cmp.Diff(map[string]bool{"gpu": true, "cni": true, corev1.TaintNodeUnschedulable: true}, keys); diff != "" {
			t.Errorf("taints (-want +got):\n%s", diff)
		}
		if !node.Spec.Unschedulable || node.Annotations[v1alpha1.AnnotationGated] != "true" || node.Annotations["note"] != "hello" {
			t.Errorf("a node that has joined is not gated: %+v %v", node.Spec, node.Annotations)
		}
		w.ready("a")
		node, c = w.node(c), w.get("a")
		if node.Spec.Unschedulable || node.Annotations[v1alpha1.AnnotationGated] != "" || slices.ContainsFunc(node.Spec.Taints, unschedulable) {
			t.Errorf("a ready node is not open: %+v", node.Spec)
		}
		gpus, cost := c.Status.Usage[v1alpha1.LimitGPU], c.Status.Usage[v1alpha1.LimitCostPerHour]
		if gpus.Value() != 8 || cost.AsApproximateFloat64() != 0.2 || c.Status.PricePerHour != "0.20" {
			t.Errorf("usage %v, price %s", c.Status.Usage, c.Status.PricePerHour)
		}
		w.retire("a", v1alpha1.RetireIdle, time.Time{})
		w.run("fenced", time.Minute, w.is("a", v1alpha1.ConditionFenced))
		w.remove("a")
		w.run("gone", 5*time.Minute, w.gone("a"))
		if w.node(c) != nil || w.alive() != 0 || len(w.cloud.Machines()) != 1 {
			t.Errorf("something is left\n%s", w.dump())
		}
		w.check()
	})
}

// TestAnEndIsCountedOnce: also where somebody else writes the claim just when its finalizer goes.
func TestAnEndIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		w.create("a", 1, "g4dn.xlarge")
		w.ready("a")
		w.keptOnce = true
		w.remove("a")
		w.run("gone", 5*time.Minute, w.gone("a"))
		families, err := w.registry.Gather()
		w.must(err)
		ends := 0.0
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "slipway_claims_total" && m.GetLabel()[0].GetValue() == "terminated" {
					ends += m.GetCounter().GetValue()
				}
			}
		}
		if ends != 1 || w.keptOnce {
			t.Errorf("%g ends are counted of one claim, the other write is left: %t", ends, w.keptOnce)
		}
	})
}

// TestANewLeaderKnowsNoTypesAtFirst: a node that registers meanwhile waits, and then gets the labels of its type.
func TestANewLeaderKnowsNoTypesAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		w.create("a", 8, "p3.16xlarge")
		w.run("launched", time.Minute, w.is("a", v1alpha1.ConditionLaunched))
		types := w.types
		w.types = nil
		w.start()
		w.pass(time.Minute) // it registers after 25 s
		if w.is("a", v1alpha1.ConditionJoined)() {
			t.Error("a node was let in while its type was not known")
		}
		w.types = types
		w.ready("a")
		if got := w.node(w.get("a")).Labels[v1alpha1.LabelInstanceGPUCount]; got != "8" {
			t.Errorf("the node says that it has %q GPUs", got)
		}
		w.check()
	})
}

// TestNodeWithoutGPUsIsNotOpened: with 1 of 8 GPUs nothing can be scheduled, and the deadline names the cause.
func TestNodeWithoutGPUsIsNotOpened(t *testing.T) {
	cases := map[string]struct {
		script  string
		prepare func(w *world)
		reason  v1alpha1.RetireReason
		words   []string
	}{
		"1 of 8":           {"gpu missing 7 of p3.*", nil, v1alpha1.RetireNeverReady, []string{"1 of 8 nvidia.com/gpu", "no device plugin"}},
		"no device plugin": {"gpu never", nil, v1alpha1.RetireNeverReady, []string{"0 of 8 nvidia.com/gpu", "install a DaemonSet"}},
		"device plugin in trouble": {"gpu never", func(w *world) {
			w.bind("plugin", "a", ofDaemonSet, func(p *corev1.Pod) {
				p.Spec.Containers[0].Image = "nvcr.io/nvidia/k8s-device-plugin:v0.17"
				p.Status.Phase = corev1.PodRunning
				p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{
					Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
			})
		}, v1alpha1.RetireNeverReady, []string{"default/plugin", "CrashLoopBackOff"}},
		"node not ready": {"", func(w *world) {
			w.updateNode(w.get("a").Status.NodeName, func(n *corev1.Node) {
				n.Status.Conditions[0].Status, n.Status.Conditions[0].Message = corev1.ConditionFalse, "cni plugin not initialized"
			})
		}, v1alpha1.RetireNeverReady, []string{"not Ready", "cni plugin not initialized"}},
		"never joins": {"join never", nil, v1alpha1.RetireJoin, []string{"has not registered", "console output"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, options{})
				if tc.script != "" {
					w.inject(tc.script)
				}
				w.create("a", 8, "p3.16xlarge")
				if tc.reason == v1alpha1.RetireNeverReady {
					w.run("joined", time.Minute, w.is("a", v1alpha1.ConditionJoined))
					if tc.prepare != nil {
						tc.prepare(w)
					}
				}
				start := time.Now()
				w.run("retired", 20*time.Minute, func() bool {
					w.cni()
					if n := w.get("a").Status.NodeName; n != "" && !w.node(w.get("a")).Spec.Unschedulable {
						t.Fatal("the node was opened")
					}
					return w.get("a").Status.Retire != nil
				})
				if waited := time.Since(start); waited < 14*time.Minute {
					t.Errorf("retired after %s already", waited)
				}
				if !w.told(append(tc.words, string(tc.reason))...) {
					t.Errorf("no event names the cause\n%s", w.dump())
				}
				w.run("gone", 5*time.Minute, w.gone("a"))
				if w.alive() != 0 {
					t.Errorf("the machine is left\n%s", w.dump())
				}
				w.check()
			})
		})
	}
}

// withoutGPUs answers a world in which the node of claim a has joined, and its 8 GPUs never show.
func withoutGPUs(t *testing.T) *world {
	w := newWorld(t, options{})
	w.inject("gpu never")
	w.create("a", 8, "p3.16xlarge")
	w.run("joined", time.Minute, w.is("a", v1alpha1.ConditionJoined))
	return w
}

// TestMissingDevicePluginIsNamedSoon: the claim's condition says what is wrong long before the deadline ends the node.
func TestMissingDevicePluginIsNamedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := withoutGPUs(t)
		w.run("named", 4*time.Minute, func() bool {
			w.cni()
			c := meta.FindStatusCondition(w.get("a").Status.Conditions, v1alpha1.ConditionReady)
			return c != nil && c.Reason == string(v1alpha1.ReasonWaitingForGPUs) && strings.Contains(c.Message, "no device plugin runs on it")
		})
		if r := w.get("a").Status.Retire; r != nil {
			t.Errorf("the node goes already: %+v", r)
		}
		w.check()
	})
}

func TestStartupTaintIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		w.create("a", 8, "p3.16xlarge")
		w.run("retired", 20*time.Minute, func() bool { return w.get("a").Status.Retire != nil })
		if !w.told("NeverReady", "taint cni:NoSchedule") {
			t.Errorf("no event names the taint\n%s", w.dump())
		}
	})
}

// TestLateGPUs: 0, then 1, then 8: open only at 8. A loss later is told and does not end the node.
func TestLateGPUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := withoutGPUs(t)
		name := w.get("a").Status.NodeName
		w.cni()
		for _, gpus := range []string{"0", "1", "9", "7"} {
			w.showGPUs(name, gpus)
			w.pass(5 * time.Second)
			if w.is("a", v1alpha1.ConditionReady)() || !w.node(w.get("a")).Spec.Unschedulable {
				t.Fatalf("open with %s of 8 GPUs", gpus)
			}
		}
		w.showGPUs(name, "8")
		w.ready("a")
		w.showGPUs(name, "7")
		w.pass(time.Minute)
		if !w.told("GPUsMissing", "7 of 8") || w.get("a").Status.Retire != nil || !w.is("a", v1alpha1.ConditionReady)() {
			t.Errorf("loss of a GPU\n%s", w.dump())
		}
	})
}

func unschedulable(t corev1.Taint) bool { return t.Key == corev1.TaintNodeUnschedulable }

// TestPassingTaints: a node that is Ready stays closed until Kubernetes has taken off what says that it is not.
func TestPassingTaints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		w.create("a", 1, "g4dn.xlarge")
		w.run("joined", time.Minute, w.is("a", v1alpha1.ConditionJoined))
		name := w.get("a").Status.NodeName
		w.updateNode(name, func(n *corev1.Node) {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule})
		})
		w.cni()
		w.pass(time.Minute)
		if c := meta.FindStatusCondition(w.get("a").Status.Conditions, v1alpha1.ConditionReady); !w.node(w.get("a")).Spec.Unschedulable ||
			c == nil || c.Reason != string(v1alpha1.ReasonWaitingForTaint) || !strings.Contains(c.Message, corev1.TaintNodeNotReady) {
			t.Errorf("opened while it is tainted as not ready, or not said why: %v", c)
		}
		w.updateNode(name, func(n *corev1.Node) { n.Spec.Taints = n.Spec.Taints[:len(n.Spec.Taints)-1] })
		w.ready("a")
	})
}

// TestMissingDriver: a node stays closed while a pod of its plan needs a CSI driver that it does not run yet, but not for ever.
func TestMissingDriver(t *testing.T) {
	for name, comes := range map[string]time.Duration{"late": 20 * time.Second, "never": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, options{})
				w.missing = "ebs.csi.aws.com"
				w.create("a", 1, "g4dn.xlarge")
				w.run("joined", time.Minute, w.is("a", v1alpha1.ConditionJoined))
				w.updateNode(w.get("a").Status.NodeName, func(n *corev1.Node) { n.Status.Conditions[0].LastTransitionTime = metav1.Now() })
				start := time.Now()
				w.run("waits for the driver", time.Minute, func() bool {
					w.cni()
					c := meta.FindStatusCondition(w.get("a").Status.Conditions, v1alpha1.ConditionReady)
					return c != nil && c.Reason == string(v1alpha1.ReasonWaitingForDriver) && strings.Contains(c.Message, w.missing)
				})
				if !w.node(w.get("a")).Spec.Unschedulable {
					t.Fatal("the node was opened")
				}
				w.pass(time.Until(start.Add(min(comes, time.Minute))))
				if !w.node(w.get("a")).Spec.Unschedulable {
					t.Fatal("the node was opened without the driver")
				}
				if comes < time.Hour {
					w.missing = ""
				}
				w.run("open", 2*time.Minute, w.is("a", v1alpha1.ConditionReady))
				if took := time.Since(start); comes < time.Hour && took > comes+5*time.Second || w.node(w.get("a")).Spec.Unschedulable || w.get("a").Status.Retire != nil {
					t.Errorf("open after %s\n%s", took, w.dump())
				}
			})
		})
	}
}

// TestCordons: a person's cordon stays.
func TestCordons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		w.create("a", 1, "g4dn.xlarge")
		w.ready("a")
		name := w.get("a").Status.NodeName
		w.updateNode(name, func(n *corev1.Node) { n.Spec.Unschedulable = true })
		w.pass(time.Minute)
		if !w.node(w.get("a")).Spec.Unschedulable {
			t.Error("a person's cordon was undone")
		}
	})
}

func TestWithdrawnRetirement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options{})
		w.create("a", 1, "g4dn.xlarge")
		w.ready("a")
		w.retire("a", v1alpha1.RetireIdle, time.Time{})
		w.run("fenced", time.Minute, w.is("a", v1alpha1.ConditionFenced))
		c := w.get("a")
		c.Status.Retire = nil
		w.must(w.admin.Status().Update(w.ctx, c))
		w.pass(3 * time.Second)
		if w.is("a", v1alpha1.ConditionFenced)() || len(w.node(w.get("a")).Spec.Taints) != 1 {
			t.Errorf("still fenced: %v\n%s", w.node(w.get("a")).Spec.Taints, w.dump())
		}
	})
}

// TestVanished: machines and nodes that go away by other hands.
func TestVanished(t *testing.T) {
	cases := map[string]struct {
		do     func(w *world)
		reason v1alpha1.RetireReason
		words  []string
	}{
		"machine terminated by hand": {func(w *world) {
			w.must(w.cloud.Terminate(w.ctx, w.get("a").Status.InstanceID))
		}, v1alpha1.RetireGone, nil},
		"machine and node gone": {func(w *world) {
			w.must(w.cloud.Terminate(w.ctx, w.get("a").Status.InstanceID))
			w.must(w.admin.Delete(w.ctx, w.node(w.get("a"))))
		}, v1alpha1.RetireGone, []string{"Client.UserInitiatedShutdown"}},
		"node deleted by hand":  {func(w *world) { w.must(w.admin.Delete(w.ctx, w.node(w.get("a")))) }, v1alpha1.RetireDeleted, nil},
		"claim deleted by hand": {func(w *world) { w.remove("a") }, v1alpha1.RetireDeleted, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, options{})
				w.create("a", 1, "g4dn.xlarge")
				w.ready("a")
				w.pass(2 * time.Minute)
				tc.do(w)
				w.run("gone", 3*time.Minute, w.gone("a"))
				if !w.told(append(tc.words, string(tc.reason))...) || w.alive() != 0 {
					t.Errorf("want reason %s, %q and no machine\n%s", tc.reason, tc.words, w.dump())
				}
				w.check()
			})
		})
	}
}

// TestGoneBeforeJoining: a machine that ends while its node is awaited. Whether it is ending or has ended when it is looked at, the cloud's reason
// is told: a key or a quota of volumes shows nowhere else.
func TestGoneBeforeJoining(t *testing.T) {
	for name, after := range map[string]time.Duration{"has ended": time.Second, "is ending": 59 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, options{})
				w.inject("join never")
				w.create("a", 1, "g4dn.xlarge")
				w.run("launched", time.Minute, w.is("a", v1alpha1.ConditionLaunched))
				w.pass(after)
				w.must(w.cloud.Terminate(w.ctx, w.get("a").Status.InstanceID))
				w.run("gone", 3*time.Minute, w.gone("a"))
				if !w.told("Gone", "Client.UserInitiatedShutdown") {
					t.Error(w.dump())
				}
			})
		})
	}
}
