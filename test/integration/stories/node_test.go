package stories_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/test/witness"
)

// oldManifest: a manifest of karpenter.sh/v1alpha5, unchanged, gets a pod its GPU, and costs nothing once the pod is done.
func (s *story) oldManifest() {
	s.Apply(s.T, example(s.T, "karpenter-v1alpha5.yaml"))
	pod := witness.Shortly(witness.PodAsking("old-manifest", 1), 3*time.Second)
	pod.Labels[witness.LabelStory] = s.Title
	s.Create(pod)
	pod = s.PodsRunning(60*time.Second, 1)[0]
	node := s.Node(pod.Spec.NodeName)
	for key, want := range map[string]string{
		v1alpha1.KarpenterCapacityType: "spot", v1alpha1.KarpenterInstancePrefix + "family": "g4dn", v1alpha1.KarpenterProvisionerName: "gpu",
		v1alpha1.LabelAccelerator: "nvidia-tesla-t4", v1alpha1.LabelGPUProduct: "Tesla-T4", v1alpha1.LabelGPUCount: "1", v1alpha1.LabelGPUPresent: "true",
		v1alpha1.LabelCapacityType: "spot", v1alpha1.LabelInstanceFamily: "g4dn", v1alpha1.LabelProvisioner: "gpu",
		v1alpha1.LabelInstanceGPUCount: "1", v1alpha1.LabelInstanceGPUName: "t4",
	} {
		if got := node.Labels[key]; got != want {
			s.Errorf("label %s of the node is %q, want %q", key, got, want)
		}
	}
	if shut := witness.FirstSeen(s.Record, s.NodesSeen, node.UID, func(n *corev1.Node) bool { return !witness.IsOpen(n) }); shut.IsZero() {
		s.Error("the node was never seen closed")
	}
	claim := s.ClaimOf(pod)
	if machine := s.Ended(120*time.Second, claim); machine.Market != "spot" {
		s.Errorf("bought in market %s, want spot", machine.Market)
	}
	if all := s.Machines(s.T, s.Title); len(all) != 1 {
		s.Errorf("%d machines were launched for one pod", len(all))
	}
	s.editedOriginal()
}

// editedOriginal: what people change in the Provisioner of v1alpha5 holds.
func (s *story) editedOriginal() {
	s.Helper()
	original := &karpenterv1alpha5.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: s.Title}}
	if err := s.Patch(s.Context(), original, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"weight":7}}`))); err != nil {
		s.Fatal(err)
	}
	s.Eventually(60*time.Second, "the native Provisioner to follow", func() error {
		var native v1alpha1.Provisioner
		if err := s.Get(s.Context(), client.ObjectKeyFromObject(original), &native); err != nil {
			return err
		}
		if native.Spec.Weight != 7 {
			return fmt.Errorf("its weight is %d", native.Spec.Weight)
		}
		return nil
	})
}

// heldWithReason: whoever cannot be served is told why, and nobody else pays for it.
func (s *story) heldWithReason() {
	s.Provision(nil, "g4dn.xlarge", "g4dn.12xlarge", "g4dn.metal")
	cpu := s.Pod("cpu-only", 0)
	slice := s.Pod("slice", 0)
	const mig = v1alpha1.ResourceMIGPrefix + "1g.5gb"
	slice.Spec.Containers[0].Resources.Limits = corev1.ResourceList{mig: resource.MustParse("1")}
	large := s.Pod("sixteen", 16)
	typo := s.Pod("typo", 1)
	typo.Spec.NodeSelector["slipway.sh/instance-famly"] = "g4dn"
	s.Create(cpu, slice, large, typo)
	s.Said(30*time.Second, slice.UID, string(v1alpha1.HeldUnsupported), mig, "not supported yet")
	s.Said(30*time.Second, large.UID, string(v1alpha1.HeldNoShape), "16 nvidia.com/gpu", "g4dn.metal", s.Title)
	s.Said(30*time.Second, typo.UID, string(v1alpha1.HeldConstraint), "slipway.sh/instance-famly=g4dn")
	s.Said(30*time.Second, cpu.UID, "FailedScheduling")
	for _, e := range s.Events(cpu.UID) {
		if e.ReportingController == "slipway" {
			s.Errorf("of the pod without GPUs was said %s: %s", e.Reason, e.Note)
		}
	}
	if launched := s.Machines(s.T, s.Title); len(launched) > 0 {
		s.Errorf("%d machines were launched", len(launched))
	}
}

// brokenGPUs: a node with one GPU of four takes no pod; it goes, its end names the cause, and another serves the pod.
func (s *story) brokenGPUs() {
	if err := s.AWS.Fault("gpu missing 3 of g5.12xlarge"); err != nil {
		s.Fatal(err)
	}
	s.Provision(nil, "g5.12xlarge")
	s.Create(s.Pod("four", 4))
	var broken *v1alpha1.NodeClaim
	s.Eventually(60*time.Second, "a node to join", func() error {
		for _, c := range s.Claims(s.Title) {
			if c.Status.NodeName != "" {
				broken = c
				return nil
			}
		}
		return errors.New("there is none")
	})
	if err := s.AWS.Fault("gpu missing 0 of g5.12xlarge"); err != nil {
		s.Fatal(err)
	}
	s.Said(60*time.Second, broken.UID, string(v1alpha1.RetireNeverReady), "1 of 4 nvidia.com/gpu")
	pod := s.PodsRunning(60*time.Second, 1)[0]
	if pod.Spec.NodeName == broken.Status.NodeName && s.ClaimOf(pod).UID == broken.UID {
		s.Errorf("the pod runs on the broken node")
	}
	s.Ended(60*time.Second, broken)
	s.Settled(30*time.Second, 1)
}

// uninstall: with its Provisioner go its nodes, in order, and nothing keeps anything back.
func (s *story) uninstall() {
	p := s.Provision(func(spec *v1alpha1.ProvisionerSpec) { spec.Disruption.IdleAfter = v1alpha1.Never }, "g4dn.xlarge")
	s.Create(s.Deployment("server", 2, 1, nil))
	s.PodsRunning(60*time.Second, 2)
	s.Settled(30*time.Second, 2)
	s.Remove(p)
	s.Eventually(120*time.Second, "the Provisioner, its claims and machines to go", func() error {
		left := witness.Present(s.Record, s.PoolsSeen, func(o *v1alpha1.Provisioner) bool { return o.Name == s.Title })
		claims, living := s.Claims(s.Title), witness.Alive(s.Machines(s.T, s.Title))
		if len(left)+len(claims)+len(living) > 0 {
			return fmt.Errorf("%d Provisioners, %d claims and %d machines are left", len(left), len(claims), len(living))
		}
		return nil
	})
	waiting := slices.DeleteFunc(s.Pods(s.Title), func(p *corev1.Pod) bool { return p.Spec.NodeName != "" })
	if len(waiting) != 2 {
		s.Fatalf("%d pods wait, want the Deployment's 2", len(waiting))
	}
	s.Said(30*time.Second, waiting[0].UID, string(v1alpha1.HeldConstraint))
}
