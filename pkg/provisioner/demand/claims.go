package demand

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	volumehelper "k8s.io/component-helpers/storage/volume"
)

// Names that Kubernetes' storage has no constants for outside of itself.
const (
	bindCompleted = "pv.kubernetes.io/bind-completed"
	selectedNode  = "volume.kubernetes.io/selected-node"
	noProvisioner = "kubernetes.io/no-provisioner"
	inTreeEBS     = "kubernetes.io/aws-ebs"
)

// EBSDriver is the CSI driver of EBS volumes, to which those of Kubernetes' old built-in plugin have been migrated.
const EBSDriver = "ebs.csi.aws.com"

// placeKeys are labels of places under the names that storage drivers give them, with those that every node of EC2 carries. A driver
// labels a node only when it runs there, so a node that does not exist yet could not be told by its own.
var placeKeys = map[string]string{
	"topology.ebs.csi.aws.com/zone":     corev1.LabelTopologyZone,
	corev1.LabelFailureDomainBetaZone:   corev1.LabelTopologyZone,
	corev1.LabelFailureDomainBetaRegion: corev1.LabelTopologyRegion,
}

// claim adds what a claim asks of the node, as kube-scheduler's VolumeBinding and VolumeZone do.
func (s *storage) claim(h *held, field string, c *corev1.PersistentVolumeClaim) {
	switch {
	case c.DeletionTimestamp != nil:
		h.problems.add(field, "claim %s is being deleted, so the scheduler does not place the pod; make it anew", c.Name)
	case c.Status.Phase == corev1.ClaimLost:
		h.problems.add(field, "claim %s has lost volume %s, so the scheduler does not place the pod; make it anew", c.Name, c.Spec.VolumeName)
	case c.Spec.VolumeName == "":
		s.unbound(h, field, c)
	case c.Annotations[bindCompleted] == "" && c.Status.Phase != corev1.ClaimBound:
		h.problems.add(field, "claim %s is not bound to volume %s yet; see the events of the claim", c.Name, c.Spec.VolumeName)
	case s.volumes[c.Spec.VolumeName] == nil:
		h.problems.add(field, "volume %s of claim %s does not exist, so the scheduler does not place the pod", c.Spec.VolumeName, c.Name)
	default:
		h.at(s.volumes[c.Spec.VolumeName])
	}
}

// attached answers the CSI driver that attaches a claim's volume, if one does, and a name that no other volume of the driver has.
func (s *storage) attached(c *corev1.PersistentVolumeClaim) (driver, handle string) {
	switch v := s.volumes[c.Spec.VolumeName]; {
	case v == nil:
		class := s.classes[s.className(c)]
		if class == nil || class.Provisioner == noProvisioner {
			return "", ""
		}
		return maker(class), c.Namespace + "/" + c.Name
	case v.Spec.CSI != nil:
		return v.Spec.CSI.Driver, v.Spec.CSI.VolumeHandle
	case v.Spec.AWSElasticBlockStore != nil:
		return EBSDriver, v.Spec.AWSElasticBlockStore.VolumeID
	}
	return "", ""
}

func (s *storage) className(c *corev1.PersistentVolumeClaim) string {
	if volumehelper.PersistentVolumeClaimHasClass(c) {
		return volumehelper.GetPersistentVolumeClaimClass(c)
	}
	return s.standard
}

// maker answers the CSI driver that makes a class' volumes.
func maker(class *storagev1.StorageClass) string {
	if class.Provisioner == inTreeEBS {
		return EBSDriver
	}
	return class.Provisioner
}

// at demands a node from which the volume can be reached: by its node affinity and by its labels of zone and region.
func (h *held) at(v *corev1.PersistentVolume) {
	if a := v.Spec.NodeAffinity; a != nil && a.Required != nil {
		h.demand(a.Required.NodeSelectorTerms)
	}
	for _, key := range []string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion} {
		if value, has := v.Labels[key]; has {
			r := corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: strings.Split(value, "__")}
			h.demand([]corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{r}}})
		}
	}
}

// demand adds one more node selector that must hold.
func (h *held) demand(terms []corev1.NodeSelectorTerm) {
	var translated []corev1.NodeSelectorTerm
	for _, t := range terms {
		t = *t.DeepCopy()
		for i := range t.MatchExpressions {
			t.MatchExpressions[i].Key = cmp.Or(placeKeys[t.MatchExpressions[i].Key], t.MatchExpressions[i].Key)
		}
		translated = append(translated, t)
	}
	selector := corev1.NodeSelector{NodeSelectorTerms: requiredTerms(translated)}
	selector.NodeSelectorTerms = slices.CompactFunc(selector.NodeSelectorTerms, func(a, b corev1.NodeSelectorTerm) bool { return compareNodeTerms(a, b) == 0 })
	h.also = append(h.also, selector)
}

// unbound reads a claim without a volume: it must be one that waits for its first pod. The pod can go where its class can make a volume or
// where one lies ready.
func (s *storage) unbound(h *held, field string, c *corev1.PersistentVolumeClaim) {
	name := s.className(c)
	class := s.classes[name]
	switch {
	case name == "":
		h.problems.add(field, "claim %s is bound to no volume and has no StorageClass; bind it, or name a class", c.Name)
	case class == nil:
		h.problems.add(field, "StorageClass %s of claim %s does not exist; create it", name, c.Name)
	case class.VolumeBindingMode == nil || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer:
		h.problems.add(field, "claim %s is not bound yet, and its StorageClass %s does not wait for the pod; see the events of the claim", c.Name, name)
	case c.Annotations[selectedNode] != "": // being made there
		h.demand([]corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{c.Annotations[selectedNode]}}}}})
	default:
		s.first(h, field, c, class)
	}
}

// first demands a node where the class can make a volume for its first pod, or where one lies ready.
func (s *storage) first(h *held, field string, c *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) {
	made := class.Provisioner != "" && class.Provisioner != noProvisioner
	anywhere, places := s.ready(c)
	s.follow(h, objectKey{c.Namespace, c.Name}, class)
	switch {
	case anywhere, made && len(class.AllowedTopologies) == 0:
	case made:
		h.demand(slices.Concat(places, allowed(class)))
	case len(places) == 0:
		h.problems.add(field, "StorageClass %s makes no volumes, and none that is available suits claim %s; create one", class.Name, c.Name)
	default:
		h.demand(places)
	}
}

// ready answers where volumes lie that the claim could be bound to: all that suit it, or the one that it may count on.
func (s *storage) ready(c *corev1.PersistentVolumeClaim) (anywhere bool, places []corev1.NodeSelectorTerm) {
	list := s.byClass[s.className(c)]
	if v, contended := s.promised[objectKey{c.Namespace, c.Name}]; contended {
		list = slices.DeleteFunc([]*corev1.PersistentVolume{v}, func(v *corev1.PersistentVolume) bool { return v == nil })
	}
	for _, v := range list {
		if !s.suits(v, c) {
			continue
		}
		if a := v.Spec.NodeAffinity; a == nil || a.Required == nil {
			anywhere = true
		} else {
			places = append(places, a.Required.NodeSelectorTerms...)
		}
	}
	return anywhere, places
}

// allowed are the places in which a class makes volumes.
func allowed(class *storagev1.StorageClass) []corev1.NodeSelectorTerm {
	var terms []corev1.NodeSelectorTerm
	for _, t := range class.AllowedTopologies {
		var term corev1.NodeSelectorTerm
		for _, e := range t.MatchLabelExpressions {
			term.MatchExpressions = append(term.MatchExpressions, corev1.NodeSelectorRequirement{Key: e.Key, Operator: corev1.NodeSelectorOpIn, Values: e.Values})
		}
		terms = append(terms, term)
	}
	return terms
}

func compareSelectors(a, b corev1.NodeSelector) int {
	return slices.CompareFunc(a.NodeSelectorTerms, b.NodeSelectorTerms, compareNodeTerms)
}

func compareNodeTerms(a, b corev1.NodeSelectorTerm) int {
	return cmp.Or(slices.CompareFunc(a.MatchExpressions, b.MatchExpressions, compareRequirements),
		slices.CompareFunc(a.MatchFields, b.MatchFields, compareRequirements))
}
