package plan

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// maxVariants bounds the label combinations that one Provisioner's requirements on custom keys are spelled out into.
const maxVariants = 64

// pool is a Provisioner with one choice of values for the custom labels that its requirements leave open.
type pool struct {
	provisioner *Provisioner
	tier        int               // 0 is the highest weight
	variant     int               // among the pools of the Provisioner; of equal ones the first is used
	custom      map[string]string // values chosen for custom keys
	labels      map[string]string // what every node of the pool carries because of the pool
	taints      []corev1.Taint
	// requirements are those of the Provisioner with the defaults and with what the template's labels ask for.
	requirements []corev1.NodeSelectorRequirement
}

// pools spells out the usable Provisioners, highest weight first, ties by name. referenced answers the values that pending demands ask
// for under a custom key.
func pools(v *View, referenced map[string][]string) []pool {
	usable := make([]*Provisioner, 0, len(v.Provisioners))
	for i := range v.Provisioners {
		if v.Provisioners[i].NotReady == "" {
			usable = append(usable, &v.Provisioners[i])
		}
	}
	slices.SortFunc(usable, func(a, b *Provisioner) int {
		return cmp.Or(-cmp.Compare(a.Object.Spec.Weight, b.Object.Spec.Weight), cmp.Compare(a.Object.Name, b.Object.Name))
	})
	var list []pool
	tier := -1
	for i, p := range usable {
		if i == 0 || usable[i-1].Object.Spec.Weight != p.Object.Spec.Weight {
			tier++
		}
		requirements := requirementsOf(&p.Object.Spec)
		for variant, custom := range variants(p.Object.Spec, referenced) {
			labels := OwnerLabels(p.Object.Name, p.Object.Spec.NodeClassRef.Name)
			for key, value := range p.Object.Spec.Template.Labels {
				if !WellKnown(key) {
					labels[key] = value
				}
			}
			maps.Copy(labels, custom)
			list = append(list, pool{
				provisioner: p, tier: tier, variant: variant, custom: custom, labels: labels, taints: p.Object.Spec.Template.Taints,
				requirements: requirements,
			})
		}
	}
	return list
}

// requirementsOf answers what a Provisioner asks of its nodes: its requirements, what the labels of its template say about machines
// (a label narrows like a requirement with one value), and the defaults.
func requirementsOf(spec *v1alpha1.ProvisionerSpec) []corev1.NodeSelectorRequirement {
	list := slices.Clone(spec.Requirements)
	for _, key := range sortedKeys(spec.Template.Labels) {
		if WellKnown(key) {
			list = append(list, corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn,
				Values: []string{spec.Template.Labels[key]}})
		}
	}
	return defaulted(list)
}

// variants spells out the custom keys of a Provisioner's requirements: every combination of the values that they allow, so that each node
// carries one. A key that is left open (Exists, NotIn) takes the values that pending pods ask for, and stays off the nodes of those
// that do not.
func variants(spec v1alpha1.ProvisionerSpec, referenced map[string][]string) []map[string]string {
	allowed := map[string][]corev1.NodeSelectorRequirement{}
	for _, r := range spec.Requirements {
		if _, fixed := spec.Template.Labels[r.Key]; !fixed && !WellKnown(r.Key) {
			allowed[r.Key] = append(allowed[r.Key], r)
		}
	}
	list := []map[string]string{{}}
	for _, key := range slices.Sorted(maps.Keys(allowed)) {
		values := customValues(allowed[key], referenced[key])
		if len(values) == 0 {
			continue
		}
		var next []map[string]string
		if !slices.ContainsFunc(allowed[key], func(r corev1.NodeSelectorRequirement) bool { return !leavesOpen(r) }) {
			next = list
		}
		for _, value := range values {
			for _, m := range list {
				if len(next) < maxVariants {
					c := maps.Clone(m)
					c[key] = value
					next = append(next, c)
				}
			}
		}
		list = next
	}
	return list
}

// customValues answers the values that all requirements on one custom key allow: those that pods ask for first, each sorted.
func customValues(requirements []corev1.NodeSelectorRequirement, referenced []string) []string {
	var own []string
	for _, r := range requirements {
		switch r.Operator {
		case corev1.NodeSelectorOpIn:
			own = append(own, r.Values...)
		case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
			own = append(own, beyond(r)...)
		}
	}
	slices.Sort(own)
	own = slices.DeleteFunc(slices.Compact(own), func(value string) bool { return slices.Contains(referenced, value) })
	return slices.DeleteFunc(slices.Concat(referenced, own), func(value string) bool {
		return !satisfyAll(map[string]string{requirements[0].Key: value}, requirements)
	})
}

// beyond answers the value next to the bound of a Gt or Lt, for a node to carry where no pod asks for any.
func beyond(r corev1.NodeSelectorRequirement) []string {
	if len(r.Values) != 1 {
		return nil
	}
	bound, err := strconv.ParseInt(r.Values[0], 10, 64)
	switch {
	case err != nil:
		return nil
	case r.Operator == corev1.NodeSelectorOpGt && bound < math.MaxInt64:
		return []string{strconv.FormatInt(bound+1, 10)}
	case r.Operator == corev1.NodeSelectorOpLt && bound > 0:
		return []string{strconv.FormatInt(bound-1, 10)}
	}
	return nil
}

// leavesOpen tells whether a requirement on a custom key is content with a node that does not carry it. Exists is: what value would it be?
func leavesOpen(r corev1.NodeSelectorRequirement) bool {
	return r.Operator == corev1.NodeSelectorOpExists || satisfies(nil, r)
}

func satisfyAll(labels map[string]string, requirements []corev1.NodeSelectorRequirement) bool {
	return !slices.ContainsFunc(requirements, func(r corev1.NodeSelectorRequirement) bool { return !satisfies(labels, r) })
}

// satisfies tells whether labels satisfy a requirement, as node affinity does: an absent key satisfies NotIn and DoesNotExist, and no
// other operator.
func satisfies(labels map[string]string, r corev1.NodeSelectorRequirement) bool {
	value, has := labels[r.Key]
	switch r.Operator {
	case corev1.NodeSelectorOpIn:
		return has && slices.Contains(r.Values, value)
	case corev1.NodeSelectorOpNotIn:
		return !has || !slices.Contains(r.Values, value)
	case corev1.NodeSelectorOpExists:
		return has
	case corev1.NodeSelectorOpDoesNotExist:
		return !has
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		if !has || len(r.Values) != 1 {
			return false
		}
		have, err1 := strconv.ParseInt(value, 10, 64)
		bound, err2 := strconv.ParseInt(r.Values[0], 10, 64)
		if err1 != nil || err2 != nil {
			return false
		}
		return r.Operator == corev1.NodeSelectorOpGt && have > bound || r.Operator == corev1.NodeSelectorOpLt && have < bound
	default:
		return false
	}
}

// WellKnown tells whether a label key follows from the instance type, the place or the owner of a node, so that a requirement on it
// selects among them. Any other key is custom: a requirement on it puts the label on the node.
func WellKnown(key string) bool {
	switch key {
	case corev1.LabelInstanceTypeStable, corev1.LabelArchStable, corev1.LabelOSStable, corev1.LabelTopologyZone,
		corev1.LabelTopologyRegion, corev1.LabelInstanceType, betaArch, betaOS, corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
		v1alpha1.LabelCapacityType, v1alpha1.KarpenterCapacityType, v1alpha1.LabelZoneID, v1alpha1.LabelAccelerator,
		v1alpha1.LabelGPUProduct, v1alpha1.LabelGPUCount, v1alpha1.LabelGPUMemory, v1alpha1.LabelGPUPresent,
		v1alpha1.LabelProvisioner, v1alpha1.LabelNodeClass, v1alpha1.KarpenterProvisionerName, v1alpha1.KarpenterNodePool:
		return true
	}
	return strings.HasPrefix(key, v1alpha1.Group+"/instance-") || strings.HasPrefix(key, v1alpha1.KarpenterInstancePrefix)
}

// offer is one thing that a pool can buy, with the labels that its node would carry.
type offer struct {
	pool   *pool
	kind   *cloud.InstanceType
	source *Offering
	labels map[string]string
}

// suits tells whether a node of the pool can have the custom labels that a pod selects on: the same for all of its offers, so that what no
// type or zone would change is not asked of each.
func (p *pool) suits(selector map[string]string) bool {
	for key, value := range selector {
		if !WellKnown(key) && p.labels[key] != value {
			return false
		}
	}
	return true
}

// offers lists what the pools can buy: every offering of a type with GPUs that satisfies the pool's requirements, in a zone that the
// EC2NodeClass has a subnet in and for an architecture that it has an image for.
func offers(v *View, list []pool) []offer {
	types := map[string]*cloud.InstanceType{}
	base := map[string]map[string]string{}
	for i := range v.Types {
		if t := &v.Types[i]; t.GPU.Count > 0 {
			types[t.Name], base[t.Name] = t, TypeLabels(*t)
		}
	}
	var all []offer
	for i := range list {
		p := &list[i]
		for j := range v.Offerings {
			o := &v.Offerings[j]
			t := types[o.InstanceType]
			if t == nil || !slices.Contains(p.provisioner.Zones, o.Zone) || !slices.Contains(p.provisioner.Architectures, t.Architecture) {
				continue
			}
			labels := make(map[string]string, 64)
			maps.Copy(labels, base[t.Name])
			maps.Copy(labels, PlaceLabels(o.OfferingKey, v.Region, o.ZoneID))
			maps.Copy(labels, p.labels)
			if p.serves(labels) {
				all = append(all, offer{pool: p, kind: t, source: o, labels: labels})
			}
		}
	}
	return all
}

// serves tells whether a node with these labels is one that the pool's requirements describe.
func (p *pool) serves(labels map[string]string) bool {
	return !slices.ContainsFunc(p.requirements, func(r corev1.NodeSelectorRequirement) bool { return p.refuses(r, labels) })
}

// refuses tells whether one of the pool's requirements is not met by a node with these labels.
func (p *pool) refuses(r corev1.NodeSelectorRequirement, labels map[string]string) bool {
	if _, spelled := p.custom[r.Key]; spelled {
		return false
	}
	_, has := labels[r.Key]
	open := !WellKnown(r.Key) && !has && leavesOpen(r)
	return !open && !satisfies(labels, r)
}

// defaulted adds what a Provisioner means when it is silent: on-demand capacity and amd64 machines, as Karpenter does. Nobody should
// get a spot node, or an image for another architecture, without having asked for it.
func defaulted(requirements []corev1.NodeSelectorRequirement) []corev1.NodeSelectorRequirement {
	has := func(keys ...string) bool {
		return slices.ContainsFunc(requirements, func(r corev1.NodeSelectorRequirement) bool { return slices.Contains(keys, r.Key) })
	}
	list := slices.Clone(requirements)
	if !has(v1alpha1.LabelCapacityType, v1alpha1.KarpenterCapacityType) {
		list = append(list, corev1.NodeSelectorRequirement{Key: v1alpha1.LabelCapacityType, Operator: corev1.NodeSelectorOpIn,
			Values: []string{string(cloud.OnDemand)}})
	}
	if !has(corev1.LabelArchStable) {
		list = append(list, corev1.NodeSelectorRequirement{Key: corev1.LabelArchStable, Operator: corev1.NodeSelectorOpIn,
			Values: []string{"amd64"}})
	}
	return list
}

// daemon is a DaemonSet with its compiled node selection.
type daemon struct {
	requests demand.Resources
	match    *demand.Matcher
	about    demand.Daemon
}

func typesByName(types []cloud.InstanceType) map[string]cloud.InstanceType {
	m := make(map[string]cloud.InstanceType, len(types))
	for _, t := range types {
		m[t.Name] = t
	}
	return m
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
