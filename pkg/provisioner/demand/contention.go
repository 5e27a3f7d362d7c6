package demand

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	volumehelper "k8s.io/component-helpers/storage/volume"
)

// contention is what pods that wait want of the same storage. The volume of a claim is made, or taken, where the first pod that uses it goes:
// others that use the claim have to follow, and other claims have one volume less to choose from.
type contention struct {
	users map[objectKey]int // of each claim that waits for a node: the pods that use it
	// promised is which of the volumes that lie ready each claim may count on, where several claims want them; nil: none is left for it.
	promised map[objectKey]*corev1.PersistentVolume
}

// contend looks at the claims that wait for the pods. The order of pods makes no difference.
func (s *storage) contend(pods []*corev1.Pod) {
	s.contention = contention{users: map[objectKey]int{}, promised: map[objectKey]*corev1.PersistentVolume{}}
	pods = slices.Clone(pods)
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	wanted := map[string]int{} // by class
	for _, pod := range pods {
		for key, claim := range s.waitFor(pod) {
			if s.users[key]++; s.users[key] == 1 {
				wanted[s.className(claim)]++
			}
		}
	}
	taken := map[string]*corev1.PersistentVolume{}
	for _, pod := range pods {
		for key, claim := range s.waitFor(pod) {
			class := s.className(claim)
			if _, known := s.promised[key]; known || wanted[class] < 2 || len(s.byClass[class]) == 0 {
				continue
			}
			v := s.choose(pod, claim, taken)
			if s.promised[key] = v; v != nil {
				taken[v.Name] = v
			}
		}
	}
}

// waitFor are the claims of a pod that wait for it to have a node, in the order of its volumes.
func (s *storage) waitFor(pod *corev1.Pod) func(yield func(objectKey, *corev1.PersistentVolumeClaim) bool) {
	return func(yield func(objectKey, *corev1.PersistentVolumeClaim) bool) {
		for i := range pod.Spec.Volumes {
			key, claim, ok := s.claimed(pod, &pod.Spec.Volumes[i], false)
			if !ok || claim == nil || claim.Spec.VolumeName != "" || claim.Annotations[selectedNode] != "" {
				continue
			}
			class := s.classes[s.className(claim)]
			if class == nil || class.VolumeBindingMode == nil || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer {
				continue
			}
			if !yield(key, claim) {
				return
			}
		}
	}
}

// choose answers the smallest volume that suits the claim and is not taken, as the scheduler does; rather one that lies where another
// volume of the pod does.
func (s *storage) choose(pod *corev1.Pod, claim *corev1.PersistentVolumeClaim, taken map[string]*corev1.PersistentVolume) *corev1.PersistentVolume {
	var beside, all []*corev1.PersistentVolume
	for _, v := range s.byClass[s.className(claim)] {
		if taken[v.Name] != nil || !s.suits(v, claim) {
			continue
		}
		all = append(all, v)
		if slices.ContainsFunc(s.has(pod), func(have *corev1.PersistentVolume) bool {
			return equality.Semantic.DeepEqual(have.Spec.NodeAffinity, v.Spec.NodeAffinity)
		}) {
			beside = append(beside, v)
		}
	}
	if len(beside) > 0 {
		all = beside
	}
	if len(all) == 0 {
		return nil
	}
	return slices.MinFunc(all, func(a, b *corev1.PersistentVolume) int {
		x, y := a.Spec.Capacity[corev1.ResourceStorage], b.Spec.Capacity[corev1.ResourceStorage]
		return cmp.Or(x.Cmp(y), strings.Compare(a.Name, b.Name))
	})
}

// has are the volumes that a pod has or has been promised.
func (s *storage) has(pod *corev1.Pod) []*corev1.PersistentVolume {
	var list []*corev1.PersistentVolume
	for i := range pod.Spec.Volumes {
		key, claim, ok := s.claimed(pod, &pod.Spec.Volumes[i], false)
		if !ok || claim == nil {
			continue
		}
		if v := cmp.Or(s.volumes[claim.Spec.VolumeName], s.promised[key]); v != nil {
			list = append(list, v)
		}
	}
	return list
}

// suits tells whether a claim could be bound to a volume, wherever that lies. Whether it is free and large enough says the scheduler's
// library.
func (s *storage) suits(v *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) bool {
	named, free, class := *claim, *v, s.className(claim)
	named.Spec.StorageClassName, free.Spec.NodeAffinity = &class, nil
	found, err := volumehelper.FindMatchingVolume(&named, []*corev1.PersistentVolume{&free}, &corev1.Node{}, nil, true, true)
	return err == nil && found != nil
}

// follow demands that pods which share a claim that waits go to one zone, the first of them to any: that is what a pod affinity of theirs to
// each other would say. What other drivers than EBS' make may be had in every zone.
func (s *storage) follow(h *held, key objectKey, class *storagev1.StorageClass) {
	if s.users[key] > 1 && (maker(class) == EBSDriver || class.Provisioner == noProvisioner) {
		h.shared = append(h.shared, SelectorKey("volume claim "+key.namespace+"/"+key.name))
	}
}

// share adds what follow demands. Nothing of what n has is changed.
func (n *Neighbours) share(claims []SelectorKey) {
	if len(claims) == 0 {
		return
	}
	n.Near, n.Chosen = slices.Clone(n.Near), slices.Concat(n.Chosen, claims)
	slices.Sort(n.Chosen)
	for _, key := range claims {
		n.Near = append(n.Near, Term{TopologyKey: corev1.LabelTopologyZone, Selector: key})
	}
	slices.SortFunc(n.Near, compareTerms)
}
