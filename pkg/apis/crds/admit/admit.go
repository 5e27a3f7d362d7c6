// Package admit answers what an API server would say to a CRD and to objects of it, without an API server.
//
// It runs the server's own code in the server's order: the CRD must be valid and its CEL rules within their cost budget; an object
// is pruned, defaulted, checked against the schema and then, unless that is badly broken, against the rules. It is what makes
// thousands of objects a second checkable in property tests. It leaves out what an API server does besides: names, versions, ratcheting
// of fields that an update leaves alone, and webhooks.
//
// It may import apiextensions-apiserver, and is for tests: nothing of the product imports it.
package admit

import (
	"context"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// CRD checks objects of the first version of one CustomResourceDefinition. It is safe for concurrent use.
type CRD struct {
	structural *structuralschema.Structural
	schema     schemavalidation.SchemaValidator
	rules      *cel.Validator
}

// Load reads a CustomResourceDefinition from YAML. The error lists everything for which an API server would refuse it.
func Load(manifest []byte) (*CRD, error) {
	var v1 apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(manifest, &v1); err != nil {
		return nil, fmt.Errorf("reading the definition: %w", err)
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&v1.Spec)
	v1.Status.StoredVersions = []string{v1.Spec.Versions[0].Name}
	var definition apiextensions.CustomResourceDefinition
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&v1, &definition, nil); err != nil {
		return nil, fmt.Errorf("converting %s: %w", v1.Name, err)
	}
	if errs := crdvalidation.ValidateCustomResourceDefinition(context.Background(), &definition); len(errs) > 0 {
		return nil, fmt.Errorf("checking %s: %w", v1.Name, errs.ToAggregate())
	}
	return newCRD(&v1)
}

func newCRD(v1 *apiextensionsv1.CustomResourceDefinition) (*CRD, error) {
	var schema apiextensions.JSONSchemaProps
	source := v1.Spec.Versions[0].Schema.OpenAPIV3Schema
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(source, &schema, nil); err != nil {
		return nil, fmt.Errorf("converting the schema of %s: %w", v1.Name, err)
	}
	structural, err := structuralschema.NewStructural(&schema)
	if err != nil {
		return nil, fmt.Errorf("reading the schema of %s: %w", v1.Name, err)
	}
	validator, _, err := schemavalidation.NewSchemaValidator(&schema)
	if err != nil {
		return nil, fmt.Errorf("compiling the schema of %s: %w", v1.Name, err)
	}
	return &CRD{structural: structural, schema: validator, rules: cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

// Create prunes and defaults the object in place, and answers why it would be refused; nil if it would not be.
func (c *CRD) Create(object map[string]any) field.ErrorList {
	c.prepare(object)
	errs := schemavalidation.ValidateCustomResource(nil, object, c.schema)
	return append(errs, c.afterSchema(object, nil, errs)...)
}

// Update prunes and defaults the object in place, and answers why it would be refused in the place of old.
func (c *CRD) Update(object, old map[string]any) field.ErrorList {
	c.prepare(object)
	errs := schemavalidation.ValidateCustomResourceUpdate(nil, object, old, c.schema)
	return append(errs, c.afterSchema(object, old, errs)...)
}

func (c *CRD) prepare(object map[string]any) {
	pruning.Prune(object, c.structural, true)
	defaulting.PruneNonNullableNullsWithoutDefaults(object, c.structural)
	defaulting.Default(object, c.structural)
}

func (c *CRD) afterSchema(object, old map[string]any, found field.ErrorList) field.ErrorList {
	errs := listtype.ValidateListSetsAndMaps(nil, c.structural, object)
	for _, e := range found {
		switch e.Type {
		// The server runs no rule on objects whose form it cannot rely on.
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return errs
		}
	}
	var before any
	if old != nil {
		before = old
	}
	refused, _ := c.rules.Validate(context.Background(), nil, c.structural, object, before, celconfig.RuntimeCELCostBudget)
	return append(errs, refused...)
}
