package stories_test

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// limitIsExact: of ten pods six run and four are told how much more the limit would have to be; what drains counts, so the limit
// is never exceeded (see always), and never left unused: also after spot has taken a machine, six run.
func (s *story) limitIsExact() {
	s.provision(limit("6"), "g4dn.xlarge", "g4dn.2xlarge", "g4dn.12xlarge", "g4dn.metal", "p3.2xlarge", "p3.8xlarge", "p3.16xlarge")
	work := s.deployment("work", 10, 1, nil)
	s.create(work)
	serving := s.podsRunning(60*time.Second, 6)
	s.heldByLimit(4)
	victim := s.claimOf(serving[0])
	if err := s.Interrupt(victim.Status.InstanceID); err != nil {
		s.Fatal(err)
	}
	s.ended(60*time.Second, victim)
	s.podsRunning(60*time.Second, 6)
	s.heldByLimit(4)
	most, at := mostGPUs(s.machines(s.T, s.name), s.name)
	if most != 6 {
		s.Errorf("at most %d GPUs at %s, want exactly the limit of 6", most, clock(at))
	}
	s.remove(work)
	s.eventually(60*time.Second, "the machines to go", func() error {
		if living := alive(s.machines(s.T, s.name)); len(living) > 0 {
			return fmt.Errorf("%d are alive", len(living))
		}
		return nil
	})
}

// heldByLimit waits until so many pods wait, each told which limit to raise and how far.
func (s *story) heldByLimit(count int) {
	s.Helper()
	var waiting []*corev1.Pod
	s.eventually(30*time.Second, fmt.Sprintf("%d pods to wait", count), func() error {
		waiting = slices.DeleteFunc(s.pods(s.name), func(p *corev1.Pod) bool { return p.Spec.NodeName != "" || p.DeletionTimestamp != nil })
		if len(waiting) != count {
			return fmt.Errorf("%d wait", len(waiting))
		}
		return nil
	})
	for _, p := range waiting {
		s.said(30*time.Second, p.UID, string(v1alpha1.HeldLimit), "spec.limits.gpu of Provisioner "+s.name+" is 6", "if limits.gpu of Provisioner "+s.name+" were at least 7")
	}
}
