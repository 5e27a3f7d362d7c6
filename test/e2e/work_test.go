package e2e

import (
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/test/witness"
)

// scale is kubectl scale.
func (s *story) scale(d *appsv1.Deployment, replicas int32) {
	s.Helper()
	before := d.DeepCopy()
	d.Spec.Replicas = &replicas
	if err := s.Patch(s.Context(), d, client.MergeFrom(before)); err != nil {
		s.Fatalf("scaling %s to %d: %v", d.Name, replicas, err)
	}
}

// nobodyPays waits until no machine and no node of the story is left.
func (s *story) nobodyPays() {
	s.Helper()
	s.Eventually(soon, "the machines and nodes to go", func() error {
		living := witness.Alive(s.Machines(s.T, s.Title))
		nodes := witness.Present(s.Record, s.NodesSeen, func(n *corev1.Node) bool { return n.Labels[v1alpha1.LabelProvisioner] == s.Title })
		if claims := s.Claims(s.Title); len(living)+len(nodes)+len(claims) > 0 {
			return fmt.Errorf("%d machines, %d nodes and %d claims are left", len(living), len(nodes), len(claims))
		}
		return nil
	})
}

// scaleUpAndToZero: a Deployment gets nodes as it grows, and nobody pays once it has shrunk to nothing.
func (s *story) scaleUpAndToZero() {
	s.Provision(nil, "g4dn.xlarge")
	d := s.Deployment("server", 0, 1, nil)
	s.Create(d)
	for _, replicas := range []int32{1, 3, 0} {
		s.scale(d, replicas)
		s.PodsRunning(soon, int(replicas))
		s.Settled(soon, int(replicas))
	}
	s.nobodyPays()
	if all := s.Machines(s.T, s.Title); len(all) != 3 {
		s.Errorf("%d machines were bought for three pods", len(all))
	}
}

// jobOfFour: a Job of four workers, which want two GPUs each, runs at the same time and leaves nothing running.
func (s *story) jobOfFour() {
	s.Provision(nil, "g4dn.xlarge", "g4dn.12xlarge")
	worker := witness.Shortly(s.Pod("train", 2), 3*time.Second)
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: worker.Name},
		Spec: batchv1.JobSpec{
			Parallelism: ptr.To(int32(4)), Completions: ptr.To(int32(4)), BackoffLimit: ptr.To(int32(0)),
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: worker.Labels, Annotations: worker.Annotations}, Spec: worker.Spec},
		},
	}
	s.Create(job)
	s.Eventually(soon, "the Job to be complete", func() error {
		if err := s.Get(s.Context(), client.ObjectKeyFromObject(job), job); err != nil {
			return err
		}
		for _, c := range job.Status.Conditions {
			if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
				s.Fatalf("the Job failed: %s: %s", c.Reason, c.Message)
			}
		}
		if job.Status.Succeeded != 4 {
			return fmt.Errorf("%d workers have succeeded", job.Status.Succeeded)
		}
		return nil
	})
	if job.Status.Failed > 0 {
		s.Errorf("%d workers failed", job.Status.Failed)
	}
	gpus := 0
	for _, m := range s.Machines(s.T, s.Title) {
		gpus += m.GPUs
	}
	if gpus != 8 {
		s.Errorf("machines with %d GPUs were bought for four workers of two each", gpus)
	}
	s.nobodyPays()
}

// spotInterruption: EC2 takes a machine under a pod. The notice comes through SQS; another machine is bought and the pod is moved before the end.
func (s *story) spotInterruption() {
	s.Provision(nil, "g4dn.xlarge")
	s.Create(s.Deployment("training", 2, 1, nil))
	pods := s.PodsRunning(soon, 2)
	s.Settled(soon, 2)
	victim := s.ClaimOf(pods[0])
	if err := s.AWS.Interrupt(victim.Status.InstanceID); err != nil {
		s.Fatal(err)
	}
	machine := s.Ended(soon, victim)
	noticed := witness.FirstSeen(s.Record, s.ClaimsSeen, victim.UID, func(c *v1alpha1.NodeClaim) bool {
		return c.Status.Retire != nil && c.Status.Retire.Reason == v1alpha1.RetireNotice
	})
	if noticed.IsZero() {
		s.Error("the claim never said that it goes for a notice")
	}
	moved := s.PodsRunning(soon, 2)
	s.Settled(soon, 2)
	if slices.ContainsFunc(moved, func(p *corev1.Pod) bool { return p.UID == pods[0].UID || p.Spec.NodeName == victim.Status.NodeName }) {
		s.Error("the pod runs where it did")
	}
	if machine.ShuttingDownAt.After(machine.Deadline) {
		s.Errorf("machine %s was taken at its deadline; it should have been given back before", machine.ID)
	}
	s.stoppedInTime(pods[0], machine)
	if all := s.Machines(s.T, s.Title); len(all) != 3 {
		s.Errorf("%d machines were bought, want 3: two, and one for the one that was taken", len(all))
	}
}

// stoppedInTime: the pod was asked to stop while its machine could still run it to its end.
func (s *story) stoppedInTime(pod *corev1.Pod, machine wire.Instance) {
	s.Helper()
	stopped := witness.FirstSeen(s.Record, s.PodsSeen, pod.UID, func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
	if stopped.IsZero() || stopped.After(machine.ShuttingDownAt) {
		s.Errorf("pod %s was asked to stop at %s; its machine went at %s", pod.Name, witness.Clock(stopped), witness.Clock(machine.ShuttingDownAt))
	}
}

// stockout: spot runs out where it is cheapest, then everywhere; the work goes to another zone, then to on-demand.
func (s *story) stockout() {
	const kind = "g6.2xlarge" // of no other story, since stock is everybody's
	zones := []string{"us-east-1a", "us-east-1b"}
	s.Provision(func(spec *v1alpha1.ProvisionerSpec) {
		spec.Requirements[1].Values = []string{"spot", "on-demand"}
		spec.Requirements = append(spec.Requirements, corev1.NodeSelectorRequirement{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: zones})
	}, kind)
	var bought []wire.Instance
	for i, name := range []string{"first", "second", "third"} {
		s.Create(s.Pod(name, 1))
		s.PodsRunning(soon, i+1)
		bought = s.Machines(s.T, s.Title)
		last := bought[len(bought)-1]
		if len(bought) != i+1 {
			s.Fatalf("%d machines were bought for %d pods", len(bought), i+1)
		}
		if err := s.AWS.Fault(fmt.Sprintf("stockout %s/%s/%s", kind, last.Zone, last.Market)); err != nil {
			s.Fatal(err)
		}
	}
	if a, b, c := bought[0], bought[1], bought[2]; a.Market != "spot" || b.Market != "spot" || a.Zone == b.Zone || c.Market != "on-demand" {
		s.Errorf("bought %s in %s, %s in %s, %s in %s; want spot in one zone, spot in the other, then on-demand", a.Market, a.Zone, b.Market, b.Zone, c.Market, c.Zone)
	}
}

// heldAtTheLimit: of eight pods six run, and two are told which limit to raise and how far. When it is raised they run.
func (s *story) heldAtTheLimit() {
	p := s.Provision(witness.Limit("6"), "g4dn.xlarge", "g4dn.12xlarge", "g4dn.metal")
	s.Create(s.Deployment("work", 8, 1, nil))
	s.PodsRunning(soon, 6)
	s.HeldByLimit(2, 6)
	if most, at := witness.MostGPUs(s.Machines(s.T, s.Title), s.Title); most != 6 {
		s.Errorf("at most %d GPUs at %s, want exactly the limit of 6", most, witness.Clock(at))
	}
	before := p.DeepCopy()
	witness.Limit("8")(&p.Spec)
	if err := s.Patch(s.Context(), p, client.MergeFrom(before)); err != nil {
		s.Fatal(err)
	}
	s.PodsRunning(soon, 8)
	if most, at := witness.MostGPUs(s.Machines(s.T, s.Title), s.Title); most != 8 {
		s.Errorf("at most %d GPUs at %s, want exactly the limit of 8", most, witness.Clock(at))
	}
}

// oldManifest: a Provisioner of karpenter.sh/v1alpha5, unchanged, gets a pod its GPU, and costs nothing once the pod is done. Its name is
// that of the story.
func (s *story) oldManifest() {
	s.Apply(s.T, example(s.T, "karpenter-v1alpha5.yaml"))
	pod := witness.Shortly(witness.PodAsking("old-manifest", 1), 3*time.Second)
	pod.Namespace, pod.Labels[witness.LabelStory] = s.Namespace, s.Title
	s.Create(pod)
	running := s.PodsRunning(soon, 1)[0]
	node := s.Node(running.Spec.NodeName)
	for key, want := range map[string]string{
		v1alpha1.KarpenterCapacityType: "spot", v1alpha1.KarpenterProvisionerName: s.Title, v1alpha1.LabelProvisioner: s.Title,
		v1alpha1.LabelInstanceGPUCount: "1",
	} {
		if got := node.Labels[key]; got != want {
			s.Errorf("label %s of the node is %q, want %q", key, got, want)
		}
	}
	s.Succeeded(soon, pod.Name)
	s.nobodyPays()
	machines := s.Machines(s.T, s.Title)
	if len(machines) != 1 || machines[0].Market != "spot" {
		s.Errorf("bought %+v, want one spot machine", machines)
	}
	var p v1alpha1.Provisioner
	if err := s.Get(s.Context(), client.ObjectKey{Name: s.Title}, &p); err != nil {
		s.Error(errors.Join(errors.New("the native Provisioner"), err))
	}
}
