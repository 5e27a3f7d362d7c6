package demand

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/ephemeral"
	volumehelper "k8s.io/component-helpers/storage/volume"
)

// Storage are the objects that say where pods' volumes are, or can be.
type Storage struct {
	Claims  []*corev1.PersistentVolumeClaim
	Volumes []*corev1.PersistentVolume
	Classes []*storagev1.StorageClass
	// Nodes say which drivers run on a node and how many volumes of each it can attach.
	Nodes []*storagev1.CSINode
	// Drivers say whether they are missed where they do not run.
	Drivers []*storagev1.CSIDriver
}

// objectKey names an object in a namespace.
type objectKey struct{ namespace, name string }

// storage answers what pods' volumes ask of a node.
type storage struct {
	claims  map[objectKey]*corev1.PersistentVolumeClaim
	volumes map[string]*corev1.PersistentVolume
	// byClass are the volumes of each class, by name.
	byClass  map[string][]*corev1.PersistentVolume
	classes  map[string]*storagev1.StorageClass
	standard string                      // the class of claims that name none
	used     map[objectKey]string        // claims that a pod has or will have before all others, by that pod's name
	limits   map[string]map[string]int64 // by node, of the drivers that run there
	missed   map[string]bool             // drivers without which schedulers put no pod with such a volume onto a node
	known    map[string]*held            // by content
	contention
}

// held is what a pod's volumes ask of its node.
type held struct {
	also     []corev1.NodeSelector // sorted, unique
	attached Resources             // how many volumes of each driver are attached, by name of the resource
	shared   []SelectorKey         // of claims that other pods wait with, too; sorted, unique
	problems problems
	id       int // among all, from 1; 0: no volume asks for anything
}

// loose is what most pods' volumes ask.
var loose = &held{}

func newStorage(s Storage) *storage {
	all := &storage{
		claims: map[objectKey]*corev1.PersistentVolumeClaim{}, volumes: map[string]*corev1.PersistentVolume{},
		byClass: map[string][]*corev1.PersistentVolume{}, classes: map[string]*storagev1.StorageClass{},
		used: map[objectKey]string{}, limits: map[string]map[string]int64{}, missed: map[string]bool{}, known: map[string]*held{},
	}
	for _, c := range s.Claims {
		all.claims[objectKey{c.Namespace, c.Name}] = c
	}
	for _, v := range s.Volumes {
		class := volumehelper.GetPersistentVolumeClass(v)
		all.volumes[v.Name], all.byClass[class] = v, append(all.byClass[class], v)
	}
	var newest metav1.Time
	for _, c := range s.Classes {
		all.classes[c.Name] = c
		// Of several defaults the API server takes the newest, and of equally new ones the first by name.
		if c.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			if at := c.CreationTimestamp; all.standard == "" || newest.Before(&at) || newest.Equal(&at) && c.Name < all.standard {
				all.standard, newest = c.Name, at
			}
		}
	}
	for _, n := range s.Nodes {
		all.limits[n.Name] = map[string]int64{}
		for _, d := range n.Spec.Drivers {
			all.limits[n.Name][d.Name] = Ceiling
			if d.Allocatable != nil && d.Allocatable.Count != nil {
				all.limits[n.Name][d.Name] = int64(*d.Allocatable.Count)
			}
		}
	}
	for _, d := range s.Drivers {
		if p := d.Spec.PreventPodSchedulingIfMissing; p != nil && *p {
			all.missed[d.Name] = true
		}
	}
	return all
}

// claimed answers the claim that a volume uses; ok is false if it uses none. An ephemeral volume's claim is made from its template if it is
// not there yet, and always if the pod is to be made anew.
func (s *storage) claimed(pod *corev1.Pod, v *corev1.Volume, anew bool) (key objectKey, claim *corev1.PersistentVolumeClaim, ok bool) {
	switch {
	case v.PersistentVolumeClaim != nil:
		key = objectKey{pod.Namespace, v.PersistentVolumeClaim.ClaimName}
		return key, s.claims[key], true
	case v.Ephemeral != nil:
		key = objectKey{pod.Namespace, ephemeral.VolumeClaimName(pod, v)}
		claim = s.claims[key]
		if t := v.Ephemeral.VolumeClaimTemplate; t != nil && (claim == nil || anew) {
			claim = &corev1.PersistentVolumeClaim{ObjectMeta: *t.ObjectMeta.DeepCopy(), Spec: t.Spec}
			claim.Namespace, claim.Name = key.namespace, key.name
			if !anew {
				claim.OwnerReferences = []metav1.OwnerReference{{UID: pod.UID, Controller: new(true)}}
			}
		}
		return key, claim, true
	}
	return objectKey{}, nil, false
}

// use notes which claims a pod has, or will have before others that wait, so that a claim for one pod alone (ReadWriteOncePod) is taken.
// Pods of a later call come after those of an earlier one.
func (s *storage) use(pods []*corev1.Pod) {
	first := map[objectKey]string{}
	for _, pod := range pods {
		for i := range pod.Spec.Volumes {
			if c := pod.Spec.Volumes[i].PersistentVolumeClaim; c != nil {
				key := objectKey{pod.Namespace, c.ClaimName}
				if name, taken := first[key]; !taken || pod.Name < name {
					first[key] = pod.Name
				}
			}
		}
	}
	for key, name := range first {
		if _, taken := s.used[key]; !taken {
			s.used[key] = name
		}
	}
}

// of answers what the volumes of a pod that waits ask. anew: the pod stands for its successor.
func (s *storage) of(pod *corev1.Pod, anew bool) *held {
	if !UsesVolumes(pod) {
		return loose
	}
	var h held
	names := map[string]bool{}
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		field := "spec.volumes[" + v.Name + "]"
		if v.AWSElasticBlockStore != nil {
			h.problems.add(field+".awsElasticBlockStore", "the pod does not say in which zone the volume is; use a PersistentVolumeClaim")
		}
		key, claim, ok := s.claimed(pod, v, anew)
		if !ok {
			continue
		}
		if v.Ephemeral != nil {
			field += ".ephemeral"
		} else {
			field += ".persistentVolumeClaim"
		}
		switch owner := s.used[key]; {
		case claim == nil:
			h.problems.add(field, "claim %s in namespace %s does not exist, so the scheduler does not place the pod; create it", key.name, key.namespace)
			continue
		case v.Ephemeral != nil && !anew && ephemeral.VolumeIsForPod(pod, claim) != nil:
			h.problems.add(field, "claim %s in namespace %s was not made for the pod, so the scheduler does not place it; delete that claim", key.name, key.namespace)
		case slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteOncePod) && owner != "" && owner != pod.Name:
			h.problems.add(field, "claim %s is for one pod alone (ReadWriteOncePod) and pod %s in namespace %s has it; wait for that pod's end, "+
				"or use ReadWriteOnce", key.name, owner, key.namespace)
		}
		s.claim(&h, field, claim)
		if driver, handle := s.attached(claim); driver != "" && !names[driver+"/"+handle] {
			names[driver+"/"+handle] = true
			h.attached = h.attached.Add(Resources{AttachableVolumes(driver): 1})
		}
	}
	return s.only(&h)
}

// tied tells whether a volume may live in one place.
func tied(v corev1.Volume) bool {
	return v.PersistentVolumeClaim != nil || v.Ephemeral != nil || v.AWSElasticBlockStore != nil
}

// UsesVolumes tells whether the pod has a volume that Storage decides about.
func UsesVolumes(pod *corev1.Pod) bool { return slices.ContainsFunc(pod.Spec.Volumes, tied) }

// only answers one and the same for the same content.
func (s *storage) only(h *held) *held {
	slices.SortFunc(h.also, compareSelectors)
	h.also = slices.CompactFunc(h.also, func(a, b corev1.NodeSelector) bool { return compareSelectors(a, b) == 0 })
	slices.Sort(h.shared)
	h.shared = slices.Compact(h.shared)
	var content encoding
	for i := range h.also {
		content = content.nodeSelector(&h.also[i])
	}
	content = content.number(int64(len(h.shared)))
	for _, key := range h.shared {
		content = content.text(string(key))
	}
	content = content.amountsOf(h.attached).text(h.problems.String())
	if known, ok := s.known[string(content)]; ok {
		return known
	}
	h.id = len(s.known) + 1
	s.known[string(content)] = h
	return h
}

// AttachableVolumes is the resource in which volumes of a CSI driver are counted that are attached to a node. Kubernetes gave it this
// name where it was a resource of nodes.
func AttachableVolumes(driver string) corev1.ResourceName {
	return corev1.ResourceName(corev1.ResourceAttachableVolumesPrefix + "csi-" + driver)
}

// misses tells whether a driver does not run on a node, and pods with its volumes are kept off for that (VolumeLimitScaling, on since
// Kubernetes 1.37, where the driver's object says preventPodSchedulingIfMissing).
func (s *storage) misses(node, driver string) bool {
	_, runs := s.limits[node][driver]
	return !runs && s.missed[driver]
}

// left answers how many more volumes a node can attach, of each driver that is asked for, and how many that would be more if the drivers
// ran there that it misses. A driver without a limit there has none.
func (s *storage) left(node string, pods []*corev1.Pod, drivers map[string]bool) (left, missing Resources) {
	left, missing = Resources{}, Resources{}
	for driver := range drivers {
		limit, told := s.limits[node][driver]
		switch {
		case s.misses(node, driver):
			missing[AttachableVolumes(driver)] = Ceiling
		case !told:
			limit = Ceiling
		}
		left.set(AttachableVolumes(driver), limit)
	}
	counted := map[string]bool{}
	for _, pod := range pods {
		s.eachAttached(pod, func(driver, handle string) {
			if drivers[driver] && !counted[driver+"/"+handle] {
				counted[driver+"/"+handle] = true
				left[AttachableVolumes(driver)]--
			}
		})
	}
	return left, missing
}

// eachAttached calls f with the driver and a name of each of a pod's volumes that a driver attaches.
func (s *storage) eachAttached(pod *corev1.Pod, f func(driver, handle string)) {
	for i := range pod.Spec.Volumes {
		if _, claim, ok := s.claimed(pod, &pod.Spec.Volumes[i], false); ok && claim != nil {
			if driver, handle := s.attached(claim); driver != "" {
				f(driver, handle)
			}
		}
	}
}

// MissingDriver answers a driver of the pods' volumes that does not run on a node yet and without which no scheduler puts such a pod there;
// empty: there is none.
func MissingDriver(s Storage, node string, pods []*corev1.Pod) string {
	all, first := newStorage(s), ""
	for _, pod := range pods {
		all.eachAttached(pod, func(driver, _ string) {
			if all.misses(node, driver) && (first == "" || driver < first) {
				first = driver
			}
		})
	}
	return first
}
