package judge

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/volume"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// provision binds the pod's claims that waited for a node, as the volume controllers do after kube-scheduler has chosen one: to a volume
// that is there and fits, or to a new one in the node's zone.
func (s *scheduler) provision(pod *corev1.Pod, name string) error {
	node := s.node(name)
	if node == nil {
		return fmt.Errorf("node %s is not there", name)
	}
	for _, claim := range s.claims(pod) {
		if claim.Spec.VolumeName != "" {
			continue
		}
		pv, err := volume.FindMatchingVolume(claim, s.volumes(), node, nil, true, true)
		if err != nil {
			return fmt.Errorf("finding a volume for claim %s: %w", claim.Name, err)
		}
		if pv == nil {
			pv = provisioned(claim, node)
		}
		s.tie(claim, pv.DeepCopy())
	}
	return nil
}

func (s *scheduler) node(name string) *corev1.Node {
	i := slices.IndexFunc(s.nodes, func(n *corev1.Node) bool { return n.Name == name })
	if i < 0 {
		return nil
	}
	return s.nodes[i]
}

// claims are those of the pod's volumes, of ephemeral ones included.
func (s *scheduler) claims(pod *corev1.Pod) []*corev1.PersistentVolumeClaim {
	var list []*corev1.PersistentVolumeClaim
	for i := range pod.Spec.Volumes {
		name := ""
		switch v := &pod.Spec.Volumes[i]; {
		case v.PersistentVolumeClaim != nil:
			name = v.PersistentVolumeClaim.ClaimName
		case v.Ephemeral != nil:
			name = pod.Name + "-" + v.Name
		default:
			continue
		}
		item, there, err := s.stores[reflect.TypeFor[*corev1.PersistentVolumeClaim]()].GetByKey(pod.Namespace + "/" + name)
		if err == nil && there {
			list = append(list, item.(*corev1.PersistentVolumeClaim))
		}
	}
	return list
}

// volumes are in the order of their names.
func (s *scheduler) volumes() []*corev1.PersistentVolume {
	var list []*corev1.PersistentVolume
	for _, o := range s.list(&corev1.PersistentVolume{}) {
		list = append(list, o.(*corev1.PersistentVolume))
	}
	return list
}

// list answers the objects of a type in the order of their names.
func (s *scheduler) list(kind client.Object) []client.Object {
	var list []client.Object
	for _, item := range s.stores[reflect.TypeOf(kind)].List() {
		list = append(list, item.(client.Object))
	}
	slices.SortFunc(list, func(a, b client.Object) int {
		return cmp.Or(strings.Compare(a.GetNamespace(), b.GetNamespace()), strings.Compare(a.GetName(), b.GetName()))
	})
	return list
}

// provisioned is the volume that EBS' driver makes for a claim of a pod on the node.
func provisioned(claim *corev1.PersistentVolumeClaim, node *corev1.Node) *corev1.PersistentVolume {
	pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-of-" + claim.Namespace + "-" + claim.Name}}
	pv.Spec.AccessModes, pv.Spec.Capacity = claim.Spec.AccessModes, claim.Spec.Resources.Requests
	pv.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driverEBS, VolumeHandle: pv.Name}
	if claim.Spec.StorageClassName != nil {
		pv.Spec.StorageClassName = *claim.Spec.StorageClassName
	}
	if zone, ok := node.Labels[corev1.LabelTopologyZone]; ok {
		pv.Spec.NodeAffinity = inZones(zone)
	}
	return pv
}

// tie binds a claim and a volume to each other.
func (s *scheduler) tie(claim *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) {
	s.version++
	claim = claim.DeepCopy()
	bindTo(claim, pv)
	claim.ResourceVersion, pv.ResourceVersion = strconv.Itoa(s.version), strconv.Itoa(s.version)
	s.stores.put(claim)
	s.stores.put(pv)
}

func bindTo(claim *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) {
	claim.Spec.VolumeName, claim.Status.Phase = pv.Name, corev1.ClaimBound
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, volume.AnnBindCompleted, "yes")
	pv.Spec.ClaimRef = &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID}
	pv.Status.Phase = corev1.VolumeBound
}

// ephemeralClaims are the claims that the controller of ephemeral volumes makes for pods that wait and have none yet.
func ephemeralClaims(w *world) []client.Object {
	there := map[client.ObjectKey]bool{}
	each(w, func(c *corev1.PersistentVolumeClaim) { there[client.ObjectKeyFromObject(c)] = true })
	var list []client.Object
	each(w, func(p *corev1.Pod) {
		for i := range p.Spec.Volumes {
			v := &p.Spec.Volumes[i]
			if v.Ephemeral == nil || there[client.ObjectKey{Namespace: p.Namespace, Name: p.Name + "-" + v.Name}] {
				continue
			}
			c := &corev1.PersistentVolumeClaim{Spec: v.Ephemeral.VolumeClaimTemplate.Spec}
			c.Namespace, c.Name = p.Namespace, p.Name+"-"+v.Name
			c.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID, Controller: new(true)}}
			list = append(list, c)
		}
	})
	return list
}

// driverEBS is the CSI driver of the volumes in the generated clusters.
const driverEBS = "ebs.csi.aws.com"

// inZones is the node affinity of a volume that lives in one of the zones.
func inZones(zones ...string) *corev1.VolumeNodeAffinity {
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: zones}},
	}}}}
}
