package stories_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// oldManifest: a manifest of karpenter.sh/v1alpha5, unchanged, gets a pod its GPU, and costs nothing once the pod is done.
func (s *story) oldManifest() {
	s.apply(s.T, example(s.T, "karpenter-v1alpha5.yaml"))
	pod := shortly(podAsking("old-manifest", 1), 3*time.Second)
	pod.Labels[labelStory] = s.name
	s.create(pod)
	pod = s.podsRunning(60*time.Second, 1)[0]
	node := s.node(pod.Spec.NodeName)
	for key, want := range map[string]string{
		v1alpha1.KarpenterCapacityType: "spot", v1alpha1.KarpenterInstancePrefix + "family": "g4dn", v1alpha1.KarpenterProvisionerName: "gpu",
		v1alpha1.LabelAccelerator: "nvidia-tesla-t4", v1alpha1.LabelGPUProduct: "Tesla-T4", v1alpha1.LabelGPUCount: "1",
		v1alpha1.LabelCapacityType: "spot", v1alpha1.LabelInstanceFamily: "g4dn", v1alpha1.LabelProvisioner: "gpu",
		v1alpha1.LabelInstanceGPUCount: "1", v1alpha1.LabelInstanceGPUName: "t4",
	} {
		if got := node.Labels[key]; got != want {
			s.Errorf("label %s of the node is %q, want %q", key, got, want)
		}
	}
	if shut := firstSeen(s.record, s.nodesSeen, node.UID, func(n *corev1.Node) bool { return !isOpen(n) }); shut.IsZero() {
		s.Error("the node was never seen closed")
	}
	claim := s.claimOf(pod)
	if machine := s.ended(120*time.Second, claim); machine.Market != "spot" {
		s.Errorf("bought in market %s, want spot", machine.Market)
	}
	if all := s.machines(s.T, s.name); len(all) != 1 {
		s.Errorf("%d machines were launched for one pod", len(all))
	}
}

// heldWithReason: whoever cannot be served is told why, and nobody else pays for it.
func (s *story) heldWithReason() {
	s.provision(nil, "g4dn.xlarge", "g4dn.12xlarge", "g4dn.metal")
	cpu := s.pod("cpu-only", 0)
	slice := s.pod("slice", 0)
	const mig = v1alpha1.ResourceMIGPrefix + "1g.5gb"
	slice.Spec.Containers[0].Resources.Limits = corev1.ResourceList{mig: resource.MustParse("1")}
	large := s.pod("sixteen", 16)
	typo := s.pod("typo", 1)
	typo.Spec.NodeSelector["slipway.sh/instance-famly"] = "g4dn"
	s.create(cpu, slice, large, typo)
	s.said(30*time.Second, slice.UID, string(v1alpha1.HeldUnsupported), mig, "not supported yet")
	s.said(30*time.Second, large.UID, string(v1alpha1.HeldNoShape), "16 nvidia.com/gpu", "g4dn.metal", s.name)
	s.said(30*time.Second, typo.UID, string(v1alpha1.HeldConstraint), "slipway.sh/instance-famly=g4dn")
	s.said(30*time.Second, cpu.UID, "FailedScheduling")
	for _, e := range s.events(cpu.UID) {
		if e.ReportingController == "slipway" {
			s.Errorf("of the pod without GPUs was said %s: %s", e.Reason, e.Note)
		}
	}
	if launched := s.machines(s.T, s.name); len(launched) > 0 {
		s.Errorf("%d machines were launched", len(launched))
	}
}

// brokenGPUs: a node with one GPU of four takes no pod; it goes, its end names the cause, and another serves the pod.
func (s *story) brokenGPUs() {
	if err := s.Fault("gpu missing 3 of g5.12xlarge"); err != nil {
		s.Fatal(err)
	}
	s.provision(nil, "g5.12xlarge")
	s.create(s.pod("four", 4))
	var broken *v1alpha1.NodeClaim
	s.eventually(60*time.Second, "a node to join", func() error {
		for _, c := range s.claims(s.name) {
			if c.Status.NodeName != "" {
				broken = c
				return nil
			}
		}
		return errors.New("there is none")
	})
	if err := s.Fault("gpu missing 0 of g5.12xlarge"); err != nil {
		s.Fatal(err)
	}
	s.said(60*time.Second, broken.UID, string(v1alpha1.RetireNeverReady), "1 of 4 nvidia.com/gpu")
	pod := s.podsRunning(60*time.Second, 1)[0]
	if pod.Spec.NodeName == broken.Status.NodeName && s.claimOf(pod).UID == broken.UID {
		s.Errorf("the pod runs on the broken node")
	}
	s.ended(60*time.Second, broken)
	s.settled(30*time.Second, 1)
}

// uninstall: with its Provisioner go its nodes, in order, and nothing keeps anything back.
func (s *story) uninstall() {
	p := s.provision(func(spec *v1alpha1.ProvisionerSpec) { spec.Disruption.IdleAfter = v1alpha1.Never }, "g4dn.xlarge")
	s.create(s.deployment("server", 2, 1, nil))
	s.podsRunning(60*time.Second, 2)
	s.settled(30*time.Second, 2)
	s.remove(p)
	s.eventually(120*time.Second, "the Provisioner, its claims and machines to go", func() error {
		left := present(s.record, s.pools, func(o *v1alpha1.Provisioner) bool { return o.Name == s.name })
		claims, living := s.claims(s.name), alive(s.machines(s.T, s.name))
		if len(left)+len(claims)+len(living) > 0 {
			return fmt.Errorf("%d Provisioners, %d claims and %d machines are left", len(left), len(claims), len(living))
		}
		return nil
	})
	waiting := slices.DeleteFunc(s.pods(s.name), func(p *corev1.Pod) bool { return p.Spec.NodeName != "" })
	if len(waiting) != 2 {
		s.Fatalf("%d pods wait, want the Deployment's 2", len(waiting))
	}
	s.said(30*time.Second, waiting[0].UID, string(v1alpha1.HeldConstraint))
}
