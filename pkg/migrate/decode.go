package migrate

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	kjson "sigs.k8s.io/json"

	"github.com/slipway-sh/slipway/pkg/manifest"
)

// decode reads a document into a source. Of what cannot be read each field is named, with what may stand there: json's own errors
// tell of the first only, and of a quantity not where it stands.
func decode(d manifest.Document, l *ledger, into any) error {
	err := kjson.UnmarshalCaseSensitivePreserveInts(d.JSON, into)
	if err == nil {
		return nil
	}
	var errs []error
	for _, leaf := range l.leaves {
		text, broken := json.Marshal(alone(leaf))
		if broken != nil {
			return err
		}
		if kjson.UnmarshalCaseSensitivePreserveInts(text, fresh(into)) != nil {
			value, _ := json.Marshal(leaf.value)                                                                         // it was marshalled just now
			errs = append(errs, fmt.Errorf("%s is %s: %s", leaf.path, value, remedy(json.Unmarshal(text, fresh(into))))) // its errors have types
		}
	}
	if len(errs) == 0 {
		return err
	}
	return errors.Join(errs...)
}

// fresh is an empty value of what is pointed to.
func fresh(into any) any { return reflect.New(reflect.TypeOf(into).Elem()).Interface() }

// alone is a document with one leaf.
func alone(l leaf) any {
	value := l.value
	for _, word := range slices.Backward(l.path) {
		if strings.HasPrefix(word, "[") {
			value = []any{value}
		} else {
			value = map[string]any{word: value}
		}
	}
	return value
}

func remedy(err error) string {
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return "it cannot stand here"
	case errors.Is(err, resource.ErrFormatWrong):
		return "write a quantity, such as 8, 500m or 400Gi"
	case !errors.As(err, &wrong):
		return err.Error()
	}
	switch wrong.Type.Kind() {
	case reflect.String:
		return "write text, in quotes"
	case reflect.Bool:
		return "write true or false"
	case reflect.Slice:
		return "write a list"
	case reflect.Struct, reflect.Map:
		return "write fields below it"
	}
	return "write a whole number"
}

// operators are those that Karpenter and node affinity have.
var operators = []corev1.NodeSelectorOperator{corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpExists,
	corev1.NodeSelectorOpDoesNotExist, corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt, "Gte", "Lte"}

// unknownOperator refuses a requirement that nobody understands: to import it as one that admits nothing would hide the mistake.
func unknownOperator(requirements []corev1.NodeSelectorRequirement, at path) error {
	for i, r := range requirements {
		if !slices.Contains(operators, r.Operator) {
			return fmt.Errorf("%s is %q: write one of %v", at.with(index(i), "operator"), r.Operator, operators)
		}
	}
	return nil
}
