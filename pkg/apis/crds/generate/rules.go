package main

import (
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// Lengths that Kubernetes itself allows: 253 for the domain of a key, a slash, 63 for its name; 63 for a label's value.
const (
	maxKey   = 253 + 1 + 63
	maxLabel = 63
)

// guarding says how the fields of one CRD are guarded.
type guarding struct {
	// group of the CRD: only Slipway's own refuses labels of old, since v1alpha5 took them.
	group string
	// boundsOnly is for NodeClaims, which Slipway writes itself: they carry labels and taints that users must not choose.
	boundsOnly bool
}

// guard walks a schema and guards what it knows by name and form. O(fields).
func (g guarding) guard(name string, s *apiextensionsv1.JSONSchemaProps) {
	switch {
	case isObjectOf(s, "key", "operator", "values"):
		g.guardRequirement(s)
		return
	case isObjectOf(s, "key", "effect", "value"):
		g.guardTaint(s)
		return
	case s.AdditionalProperties != nil:
		g.guardMap(name, s)
		return
	}
	for field, property := range s.Properties {
		g.guard(field, &property)
		s.Properties[field] = property
	}
	if s.Items != nil && s.Items.Schema != nil {
		g.guard(name, s.Items.Schema)
	}
}

func isObjectOf(s *apiextensionsv1.JSONSchemaProps, fields ...string) bool {
	return !slices.ContainsFunc(fields, func(f string) bool { _, ok := s.Properties[f]; return !ok })
}

func bound(s *apiextensionsv1.JSONSchemaProps, field string, length int64) {
	property := s.Properties[field]
	property.MaxLength = &length
	s.Properties[field] = property
}

func rule(fieldPath, expression, message string) apiextensionsv1.ValidationRule {
	return apiextensionsv1.ValidationRule{Rule: expression, Message: message, FieldPath: fieldPath}
}

// quoted is a CEL list of strings.
func quoted(words ...string) string {
	return "['" + strings.Join(words, "','") + "']"
}

// ownedKeys are labels that Slipway or the kubelet gives every node, so nobody chooses them.
func ownedKeys() []string {
	return []string{v1alpha1.LabelProvisioner, v1alpha1.KarpenterProvisionerName, v1alpha1.KarpenterNodePool, "kubernetes.io/hostname"}
}

func (g guarding) guardRequirement(s *apiextensionsv1.JSONSchemaProps) {
	bound(s, "key", maxKey)
	bound(s, "operator", 63)
	values := s.Properties["values"]
	values.MaxItems = new(int64(100))
	values.Items.Schema.MaxLength = new(int64(maxLabel))
	s.Properties["values"] = values
	s.XValidations = append(s.XValidations, operatorRules()...)
	s.XValidations = append(s.XValidations, keyRules("self.key", ".key", "requirements key")...)
	s.XValidations = append(s.XValidations, valueRules()...)
	if g.group == v1alpha1.Group {
		s.XValidations = append(s.XValidations, rule(".key", "!self.key.matches('^(failure-domain[.])?beta[.]kubernetes[.]io/')",
			"requirements key is a label of old: use kubernetes.io/os, kubernetes.io/arch, node.kubernetes.io/instance-type, topology.kubernetes.io/zone or topology.kubernetes.io/region"))
	}
}

func operatorRules() []apiextensionsv1.ValidationRule {
	return []apiextensionsv1.ValidationRule{
		rule(".operator", "self.operator in ['In','NotIn','Exists','DoesNotExist','Gt','Lt']",
			"requirements operator is not known: use In, NotIn, Exists, DoesNotExist, Gt or Lt"),
		rule(".values", "!(self.operator in ['In','NotIn']) || (has(self.values) && self.values.size() > 0)",
			"requirements values must not be empty with operator In or NotIn: add a value, or use Exists or DoesNotExist"),
		rule(".values", "!(self.operator in ['Exists','DoesNotExist']) || !has(self.values) || self.values.size() == 0",
			"requirements values must be empty with operator Exists or DoesNotExist: remove them, or use In or NotIn"),
		rule(".values", "!(self.operator in ['Gt','Lt']) || (has(self.values) && self.values.size() == 1 && self.values[0].matches('^[0-9]{1,18}$'))",
			"requirements values must be exactly one integer that is not negative with operator Gt or Lt: write for example [\"4\"]"),
		rule(".values", "!has(self.values) || self.values.all(v, !format.labelValue().validate(v).hasValue())",
			"requirements values must be label values (at most 63 letters, digits, '-', '_' and '.'): correct the value"),
	}
}

// keyRules refuse keys that are no label names, or whose label is not for users to choose.
func keyRules(key, fieldPath, called string) []apiextensionsv1.ValidationRule {
	known := v1alpha1.WellKnownLabels()
	return []apiextensionsv1.ValidationRule{
		rule(fieldPath, key+".size() > 0", called+" must not be empty: name a node label such as slipway.sh/instance-family"),
		rule(fieldPath, key+".size() == 0 || !format.qualifiedName().validate("+key+").hasValue()",
			called+" must be a qualified label name (a name of at most 63 characters, with or without domain/ before it): correct it"),
		rule(fieldPath, "!("+key+" in "+quoted(ownedKeys()...)+")",
			called+" names a label that every node gets by itself: remove it, pods may still select on it"),
		rule(fieldPath, "!"+key+".startsWith('slipway.sh/') || "+key+" in "+quoted(slices.Concat(known, ownedKeys())...),
			called+" is in Slipway's own domain and not known: use one of "+strings.Join(known, ", ")+", or a domain of your own"),
	}
}

func valueRules() []apiextensionsv1.ValidationRule {
	only := func(keys []string, words ...string) string {
		return "!(self.key in " + quoted(keys...) + ") || !(self.operator in ['In','NotIn']) || !has(self.values) || self.values.all(v, v in " + quoted(words...) + ")"
	}
	return []apiextensionsv1.ValidationRule{
		rule(".values", only([]string{v1alpha1.LabelCapacityType, v1alpha1.KarpenterCapacityType}, "spot", "on-demand", "reserved"),
			"requirements values of capacity-type must be spot, on-demand or reserved: correct the value"),
		rule(".values", "!(self.key in ['kubernetes.io/os','beta.kubernetes.io/os']) || self.operator != 'In' || !has(self.values) || self.values.all(v, v == 'linux')",
			"requirements values of kubernetes.io/os must be linux, since Slipway launches no other nodes: write linux, or remove the requirement"),
		rule(".values", only([]string{"kubernetes.io/arch", "beta.kubernetes.io/arch"}, "amd64", "arm64"),
			"requirements values of kubernetes.io/arch must be amd64 or arm64: correct the value"),
	}
}

func (g guarding) guardTaint(s *apiextensionsv1.JSONSchemaProps) {
	bound(s, "key", maxKey)
	bound(s, "value", maxLabel)
	bound(s, "effect", 63)
	if g.boundsOnly {
		return
	}
	s.XValidations = append(s.XValidations,
		rule(".effect", "self.effect in ['NoSchedule','PreferNoSchedule','NoExecute']",
			"taints effect is not known: use NoSchedule, PreferNoSchedule or NoExecute"),
		rule(".key", "!format.qualifiedName().validate(self.key).hasValue()",
			"taints key must be a qualified name such as nvidia.com/gpu: correct it"),
		rule(".value", "!has(self.value) || !format.labelValue().validate(self.value).hasValue()",
			"taints value must be a label value (at most 63 letters, digits, '-', '_' and '.'): correct it"),
		rule(".key", "!self.key.matches('^(slipway[.]sh|node[.]kubernetes[.]io|node[.]cloudprovider[.]kubernetes[.]io)/') && !(self.key in ['karpenter.sh/unregistered','karpenter.sh/disrupted','karpenter.sh/disruption'])",
			"taints key is reserved for Slipway or Kubernetes: use a domain of your own"))
}

// guardMap bounds the values of the maps that rules read, and gives node labels the rules of requirements' keys.
func (g guarding) guardMap(name string, s *apiextensionsv1.JSONSchemaProps) {
	value := s.AdditionalProperties.Schema
	switch name {
	case "labels":
		value.MaxLength = new(int64(maxLabel))
		if g.boundsOnly {
			return
		}
		for _, r := range keyRules("k", "", "labels key") {
			s.XValidations = append(s.XValidations, rule("", "self.all(k, "+r.Rule+")", r.Message))
		}
		s.XValidations = append(s.XValidations,
			rule("", "self.all(k, !format.labelValue().validate(self[k]).hasValue())",
				"labels values must be at most 63 letters, digits, '-', '_' and '.': correct the value"),
			rule("", "self.all(k, !(k in "+quoted(v1alpha1.LabelCapacityType, v1alpha1.KarpenterCapacityType)+") || self[k] in ['spot','on-demand','reserved'])",
				"labels: capacity-type must be spot, on-demand or reserved: correct the value"),
			rule("", "self.all(k, !(k in ['kubernetes.io/os','beta.kubernetes.io/os']) || self[k] == 'linux')",
				"labels: kubernetes.io/os must be linux, since Slipway launches no other nodes: remove the label"),
			rule("", "self.all(k, !(k in ['kubernetes.io/arch','beta.kubernetes.io/arch']) || self[k] in ['amd64','arm64'])",
				"labels: kubernetes.io/arch must be amd64 or arm64: correct the value"))
	case "annotations":
		if g.boundsOnly {
			return
		}
		s.XValidations = append(s.XValidations, rule("", "self.all(k, !format.qualifiedName().validate(k).hasValue())",
			"annotations keys must be qualified names such as example.com/team: correct the key"))
	case "tags":
		value.MaxLength = new(int64(256))
	default: // limits, reservations and thresholds: quantities, percentages and durations
		value.MaxLength = new(int64(64))
	}
}
