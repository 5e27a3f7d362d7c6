package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/crds"
)

const crdIntro = `# Custom resources

Every field of Slipway's CustomResourceDefinitions: its type, default, bounds, and in what words the API server refuses a value. All are cluster-scoped.
Fields that every Kubernetes object has are left out. A field with [] is one item of a list, one with {} a value of a map.

`

func crdPage(string) (string, error) {
	var b strings.Builder
	b.WriteString(crdIntro)
	for _, raw := range append(slices.Clone(crds.Native()), crds.Karpenter()) {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(raw, &crd); err != nil {
			return "", fmt.Errorf("reading a definition: %w", err)
		}
		for _, version := range crd.Spec.Versions {
			if err := writeKind(&b, &crd, &version); err != nil {
				return "", fmt.Errorf("%s: %w", crd.Name, err)
			}
		}
	}
	return b.String(), nil
}

func writeKind(b *strings.Builder, crd *apiextensionsv1.CustomResourceDefinition, version *apiextensionsv1.CustomResourceDefinitionVersion) error {
	schema := version.Schema.OpenAPIV3Schema
	fmt.Fprintf(b, "## %s %s/%s\n\n%s\n\n", crd.Spec.Names.Kind, crd.Spec.Group, version.Name, cell(schema.Description))
	if len(crd.Spec.Names.ShortNames) > 0 {
		fmt.Fprintf(b, "Short name: %s\n\n", code(strings.Join(crd.Spec.Names.ShortNames, ", ")))
	}
	for _, rule := range schema.XValidations {
		fmt.Fprintf(b, "- %s\n", cell(rule.Message))
	}
	if len(schema.XValidations) > 0 {
		b.WriteByte('\n')
	}
	for _, part := range []string{"spec", "status"} {
		inner, ok := schema.Properties[part]
		if !ok {
			return fmt.Errorf("has no %s", part)
		}
		t := &table{head: []string{"Field", "Type", "Default", "What it means, and what is refused"}}
		if text := about(&inner); part == "spec" && text != "" {
			t.row(code(part), typeOf(&inner), "", text)
		}
		fields(t, part, &inner)
		fmt.Fprintf(b, "### %s %s\n\n%s\n", crd.Spec.Names.Kind, part, t)
	}
	return nil
}

// fields adds the fields below a schema, each with what is below it.
func fields(t *table, at string, schema *apiextensionsv1.JSONSchemaProps) {
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		s := schema.Properties[name]
		path := at + "." + name
		required := ""
		if slices.Contains(schema.Required, name) {
			required = " (required)"
		}
		standard := ""
		if s.Default != nil {
			standard = code(string(s.Default.Raw))
		}
		t.row(code(path)+required, typeOf(&s), standard, about(&s))
		below(t, path, &s)
	}
}

// below adds what is in the items of a list, the values of a map, or an object.
func below(t *table, path string, s *apiextensionsv1.JSONSchemaProps) {
	inner, mark := s, ""
	if s.Items != nil && s.Items.Schema != nil {
		inner, mark = s.Items.Schema, "[]"
	} else if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		inner, mark = s.AdditionalProperties.Schema, "{}"
	}
	if mark != "" {
		if text := about(inner); text != "" {
			t.row(code(path+mark), typeOf(inner), "", text)
		}
	}
	fields(t, path+mark, inner)
}

func typeOf(s *apiextensionsv1.JSONSchemaProps) string {
	switch {
	case s.XIntOrString:
		return "quantity"
	case s.Items != nil && s.Items.Schema != nil:
		return "list of " + typeOf(s.Items.Schema)
	case s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
		return "map of " + typeOf(s.AdditionalProperties.Schema)
	case s.Format != "" && s.Type == "string":
		return s.Format
	}
	return s.Type
}

// about is the description, the bounds, and the words of refusal.
func about(s *apiextensionsv1.JSONSchemaProps) string {
	parts := []string{cell(s.Description)}
	bound := func(what string, n *int64) {
		if n != nil {
			parts = append(parts, fmt.Sprintf("%s %d.", what, *n))
		}
	}
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			values = append(values, code(strings.Trim(string(v.Raw), `"`)))
		}
		parts = append(parts, "One of "+strings.Join(values, ", ")+".")
	}
	bound("Characters at least:", s.MinLength)
	bound("Characters at most:", s.MaxLength)
	bound("Items at most:", s.MaxItems)
	bound("Entries at least:", s.MinProperties)
	bound("Entries at most:", s.MaxProperties)
	if s.Pattern != "" {
		parts = append(parts, "Matches "+code(s.Pattern)+".")
	}
	for _, rule := range s.XValidations {
		parts = append(parts, "• "+cell(rule.Message))
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	return strings.Join(parts, "<br>")
}
