package e2e

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
}
