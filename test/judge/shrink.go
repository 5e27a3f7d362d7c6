package judge

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// shrink takes out of a world whatever its fault does not need, so that a person can see it. still tells whether a smaller world has the
// fault; it is asked at most tries times.
func shrink(w *world, tries int, still func(*world) bool) *world {
	ask := func(smaller *world) bool {
		tries--
		if tries < 0 || !still(smaller) {
			return false
		}
		w = smaller
		return true
	}
	for tries > 0 {
		smaller := false
		for i := len(w.objects) - 1; i >= 0; i-- {
			smaller = ask(w.with(slices.Delete(slices.Clone(w.objects), i, i+1))) || smaller
		}
		for i := len(w.offerings) - 1; i >= 0 && len(w.offerings) > 1; i-- {
			fewer := *w
			fewer.offerings = slices.Delete(slices.Clone(w.offerings), i, i+1)
			smaller = ask(&fewer) || smaller
		}
		for i := range w.objects {
			for _, simpler := range simplifications {
				if p, ok := w.objects[i].(*corev1.Pod); ok {
					objects := slices.Clone(w.objects)
					q := p.DeepCopy()
					if simpler(q) {
						objects[i] = q
						smaller = ask(w.with(objects)) || smaller
					}
				}
			}
		}
		if !smaller {
			break
		}
	}
	return w
}

// with is the world with other objects.
func (w *world) with(objects []client.Object) *world {
	other := *w
	other.objects = objects
	return &other
}

// simplifications take something out of a pod, and tell whether it was there.
var simplifications = []func(*corev1.Pod) bool{
	func(p *corev1.Pod) bool { return drop(&p.Spec.NodeSelector) },
	func(p *corev1.Pod) bool { return dropList(&p.Spec.Tolerations) },
	func(p *corev1.Pod) bool { return dropList(&p.Spec.TopologySpreadConstraints) },
	func(p *corev1.Pod) bool {
		s := &p.Spec.TopologySpreadConstraints
		if len(*s) < 2 {
			return false
		}
		*s = (*s)[1:]
		return true
	},
	func(p *corev1.Pod) bool { return dropList(&p.Spec.InitContainers) },
	func(p *corev1.Pod) bool { return dropList(&p.Spec.Volumes) },
	func(p *corev1.Pod) bool { return dropList(&p.Spec.Containers[0].Ports) },
	func(p *corev1.Pod) bool { return p.Spec.Affinity != nil && none(&p.Spec.Affinity.NodeAffinity) },
	func(p *corev1.Pod) bool { return p.Spec.Affinity != nil && none(&p.Spec.Affinity.PodAffinity) },
	func(p *corev1.Pod) bool { return p.Spec.Affinity != nil && none(&p.Spec.Affinity.PodAntiAffinity) },
	func(p *corev1.Pod) bool { return none(&p.Spec.Priority) },
	func(p *corev1.Pod) bool { return drop(&p.Spec.Overhead) },
}

func drop[M ~map[K]V, K comparable, V any](m *M) bool {
	there := len(*m) > 0
	*m = nil
	return there
}

func dropList[T any](list *[]T) bool {
	there := len(*list) > 0
	*list = nil
	return there
}

func none[T any](p **T) bool {
	there := *p != nil
	*p = nil
	return there
}
