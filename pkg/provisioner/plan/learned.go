package plan

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// shapeKey names what Learned is about.
type shapeKey struct{ provisioner, instanceType string }

func learned(list []Learned) map[shapeKey]demand.Resources {
	m := make(map[shapeKey]demand.Resources, len(list))
	for _, l := range list {
		m[shapeKey{l.Provisioner, l.InstanceType}] = l.Free
	}
	return m
}

// capacity is what a node of an offer leaves to pods.
func (g *growth) capacity(o *offer) demand.Resources {
	p := o.pool.provisioner
	free := Allocatable(*o.kind, p.Object.Spec.Template.Kubelet, p.Disk)
	return g.left(free, shapeKey{p.Object.Name, o.kind.Name}, o.labels, o.pool.taints)
}

// left is what is left of allocatable after the DaemonSets that would run on a node with these labels and taints, or less where a
// node of that shape was seen to leave less. GPUs are not learned: a node with fewer than its type has is broken, and the next is not.
func (g *growth) left(allocatable demand.Resources, shape shapeKey, labels map[string]string, taints []corev1.Taint) demand.Resources {
	free := allocatable.Clone()
	for _, d := range g.daemons {
		if d.match.Matches(labels, taints) {
			free = free.Sub(d.requests)
		}
	}
	// How many volumes of another driver than EBS' a node will take shows once it is there.
	for _, name := range g.attached {
		if _, told := allocatable[name]; !told {
			free[name] = demand.Ceiling
		}
	}
	seen := g.learned[shape]
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage, corev1.ResourcePods} {
		if n, told := seen[name]; told {
			free[name] = min(free[name], n)
		}
	}
	return free
}
