package carryover

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// awsDomain is the domain of the labels that Karpenter gave nodes on AWS.
const awsDomain = "karpenter.k8s.aws/"

// category is the label whose values users of v1alpha5 took for families as well.
const category = v1alpha1.LabelInstanceCategory

// requirements carries spec.requirements, then the labels that describe a machine, which narrowed likewise, then the defaults.
func (c *carrying) requirements() {
	for i, r := range c.in.Spec.Requirements {
		c.require(fmt.Sprintf("spec.requirements[%d]", i), r)
	}
	for _, key := range slices.Sorted(maps.Keys(c.in.Spec.Labels)) {
		if DescribesMachine(key) {
			c.require("spec.labels["+key+"]", corev1.NodeSelectorRequirement{
				Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{c.in.Spec.Labels[key]}})
		}
	}
	c.byDefault(corev1.LabelOSStable, "linux")
	c.byDefault(corev1.LabelArchStable, "amd64")
	c.byDefault(v1alpha1.LabelCapacityType, "on-demand")
	if n := len(c.out.Spec.Requirements); n > maxRequirements {
		c.loseClosing("spec.requirements", "with labels and defaults there are %d requirements, and at most %d can be carried: "+
			"join those of the same key", n, maxRequirements)
		c.out.Spec.Requirements = c.out.Spec.Requirements[:maxRequirements]
	}
}

func (c *carrying) add(key string, operator corev1.NodeSelectorOperator, values []string) {
	r := corev1.NodeSelectorRequirement{Key: key, Operator: operator, Values: values}
	same := func(o corev1.NodeSelectorRequirement) bool {
		return o.Key == r.Key && o.Operator == r.Operator && slices.Equal(o.Values, r.Values)
	}
	if !slices.ContainsFunc(c.out.Spec.Requirements, same) {
		c.out.Spec.Requirements = append(c.out.Spec.Requirements, r)
	}
}

// byDefault says what v1alpha5 meant when no requirement named the key.
func (c *carrying) byDefault(key, value string) {
	named := func(r corev1.NodeSelectorRequirement) bool { return r.Key == key }
	if !slices.ContainsFunc(c.out.Spec.Requirements, named) {
		c.add(key, corev1.NodeSelectorOpIn, []string{value})
	}
}

// require carries one requirement under the key that Slipway calls it by.
func (c *carrying) require(field string, r corev1.NodeSelectorRequirement) {
	key := NativeKey(r.Key)
	switch {
	case key == category:
		c.requireCategory(field, r)
	case !strings.HasPrefix(key, awsDomain):
		c.add(key, r.Operator, r.Values)
	case r.Operator == corev1.NodeSelectorOpDoesNotExist || r.Operator == corev1.NodeSelectorOpNotIn:
		// No node of Slipway's has the label, so it holds by itself.
	default:
		c.loseClosing(field, "nodes do not carry the label %s: remove the requirement, or use one of %s",
			r.Key, strings.Join(v1alpha1.WellKnownLabels(), ", "))
	}
}

// requireCategory carries a requirement on instance-category, whose values may be categories (g), families (g4dn), or both.
//
// NotIn over both is "not these categories and not these families": two requirements. In over both is an "or", which requirements
// cannot say; it is kept only as far as its categories go, which is less than was allowed, unless they cover the families anyway.
func (c *carrying) requireCategory(field string, r corev1.NodeSelectorRequirement) {
	var categories, families []string
	for _, value := range r.Values {
		if strings.ContainsAny(value, "0123456789") {
			families = append(families, value)
		} else {
			categories = append(categories, value)
		}
	}
	if r.Operator != corev1.NodeSelectorOpIn && r.Operator != corev1.NodeSelectorOpNotIn || len(families) == 0 {
		c.add(category, r.Operator, r.Values)
		return
	}
	if len(categories) > 0 {
		c.add(category, r.Operator, categories)
	}
	if len(categories) == 0 || r.Operator == corev1.NodeSelectorOpNotIn {
		c.add(v1alpha1.LabelInstanceFamily, r.Operator, families)
		return
	}
	uncovered := slices.DeleteFunc(families, func(family string) bool { return slices.Contains(categories, categoryOf(family)) })
	if len(uncovered) > 0 {
		c.lose(field, "%s are families among categories, and one requirement cannot mean both, so only %s is used: "+
			"list families only, or write a second Provisioner for them", strings.Join(uncovered, ", "), strings.Join(categories, ", "))
	}
}

// categoryOf is the letters that a family starts with: g of g4dn.
func categoryOf(family string) string {
	if i := strings.IndexAny(family, "0123456789"); i >= 0 {
		return family[:i]
	}
	return family
}

// NativeKey is what Slipway calls a label. A key of Karpenter's AWS domain comes back unchanged if nodes do not carry it.
func NativeKey(key string) string {
	switch key {
	case v1alpha1.KarpenterCapacityType:
		return v1alpha1.LabelCapacityType
	case "beta.kubernetes.io/os":
		return corev1.LabelOSStable
	case "beta.kubernetes.io/arch":
		return corev1.LabelArchStable
	case corev1.LabelInstanceType:
		return corev1.LabelInstanceTypeStable
	case corev1.LabelFailureDomainBetaZone, "topology.ebs.csi.aws.com/zone":
		return corev1.LabelTopologyZone
	case corev1.LabelFailureDomainBetaRegion:
		return corev1.LabelTopologyRegion
	}
	if name, ok := strings.CutPrefix(key, awsDomain); ok && slices.Contains(v1alpha1.WellKnownLabels(), v1alpha1.Group+"/"+name) {
		return v1alpha1.Group + "/" + name
	}
	return key
}

// DescribesMachine tells whether a label follows from the machine, so that choosing its value chooses among machines.
func DescribesMachine(key string) bool {
	switch native := NativeKey(key); native {
	case corev1.LabelOSStable, corev1.LabelArchStable, corev1.LabelInstanceTypeStable, corev1.LabelTopologyZone,
		corev1.LabelTopologyRegion, v1alpha1.LabelZoneID, v1alpha1.LabelAccelerator,
		v1alpha1.LabelGPUProduct, v1alpha1.LabelGPUCount, v1alpha1.LabelGPUMemory, v1alpha1.LabelGPUPresent:
		return true
	default:
		return strings.HasPrefix(native, awsDomain) || slices.Contains(v1alpha1.WellKnownLabels(), native)
	}
}

func sortedNames(list corev1.ResourceList) []corev1.ResourceName {
	return slices.Sorted(maps.Keys(list))
}
