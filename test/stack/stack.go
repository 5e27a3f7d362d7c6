package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Resource is a resource as it would be made: Properties are strings, booleans, integers, lists and maps.
type Resource struct {
	Type       string
	Properties map[string]any
}

// Stack is a template with its parameters filled in.
type Stack struct {
	Resources map[string]Resource
	Outputs   map[string]string
}

// Make fills a template in. It answers every resource that its conditions let in, and every output.
func (t *Template) Make(place Place, given map[string]string) (*Stack, error) {
	values, err := t.settle(given)
	if err != nil {
		return nil, err
	}
	e := &evaluation{template: t, place: place, values: values}
	if err := e.rules(); err != nil {
		return nil, err
	}
	s := &Stack{Resources: map[string]Resource{}, Outputs: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(t.Resources)) {
		d := t.Resources[name]
		wanted, err := e.condition(d.Condition)
		if err != nil {
			return nil, fmt.Errorf("resource %s: %w", name, err)
		}
		if !wanted {
			continue
		}
		value, err := e.value(&d.Properties)
		if err != nil {
			return nil, fmt.Errorf("resource %s: %w", name, err)
		}
		properties, isMap := value.(map[string]any)
		if !isMap {
			return nil, fmt.Errorf("resource %s: its properties are no map", name)
		}
		s.Resources[name] = Resource{Type: d.Type, Properties: properties}
	}
	return s, e.outputs(s)
}

func (e *evaluation) rules() error {
	for _, name := range slices.Sorted(maps.Keys(e.template.Rules)) {
		r := e.template.Rules[name]
		applies, err := e.truth(&r.RuleCondition)
		if err != nil {
			return fmt.Errorf("rule %s: %w", name, err)
		}
		for _, a := range r.Assertions {
			holds, err := e.truth(&a.Assert)
			if err != nil {
				return fmt.Errorf("rule %s: %w", name, err)
			}
			if applies && !holds {
				return fmt.Errorf("rule %s: %s", name, a.AssertDescription)
			}
		}
	}
	return nil
}

func (e *evaluation) outputs(s *Stack) error {
	for name, o := range e.template.Outputs {
		wanted, err := e.condition(o.Condition)
		if err != nil {
			return fmt.Errorf("output %s: %w", name, err)
		}
		if !wanted {
			continue
		}
		if s.Outputs[name], err = e.text(&o.Value); err != nil {
			return fmt.Errorf("output %s: %w", name, err)
		}
	}
	return nil
}

// Document answers a property that holds a policy, as JSON: CloudFormation takes it as a map or as text.
func (r Resource) Document(property string) (json.RawMessage, error) {
	if text, isText := r.Properties[property].(string); isText {
		if !json.Valid([]byte(text)) {
			return nil, fmt.Errorf("%s of a %s is not JSON", property, r.Type)
		}
		return json.RawMessage(text), nil
	}
	text, err := json.Marshal(r.Properties[property])
	if err != nil {
		return nil, fmt.Errorf("writing %s of a %s: %w", property, r.Type, err)
	}
	return text, nil
}

// Policies answers the documents of the managed policies in the stack, by logical name.
func (s *Stack) Policies() (map[string]json.RawMessage, error) {
	policies := map[string]json.RawMessage{}
	for name, r := range s.Resources {
		if r.Type != "AWS::IAM::ManagedPolicy" {
			continue
		}
		document, err := r.Document("PolicyDocument")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		policies[name] = document
	}
	return policies, nil
}

// ControllerPolicies answers what a stack for a cluster at the Fake place allows the controller: a list of policies, as JSON.
func ControllerPolicies(cluster, queue string) ([]byte, error) {
	return controllerPolicies(map[string]string{"ClusterName": cluster, "QueueName": queue})
}

// VolumeKey and ImagePrefix are what WidestPolicies gives to the stack beside names.
const (
	VolumeKey   = "arn:aws:kms:us-east-1:123456789012:key/0b1c2d3e-1111-2222-3333-444455556666"
	ImagePrefix = "/team/images"
)

// WidestPolicies is ControllerPolicies for a stack whose every optional right is asked for.
func WidestPolicies(cluster, queue string) ([]byte, error) {
	return controllerPolicies(map[string]string{"ClusterName": cluster, "QueueName": queue, "VolumeKeyArns": VolumeKey, "ImageParameterPrefix": ImagePrefix})
}

func controllerPolicies(parameters map[string]string) ([]byte, error) {
	s, err := fake(parameters)
	if err != nil {
		return nil, err
	}
	policies, err := s.Policies()
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		list = append(list, policies[name])
	}
	return json.Marshal(list)
}

// QueuePolicy answers the policy of the interruption queue in a stack for a cluster at the Fake place, as JSON.
func QueuePolicy(cluster, queue string) ([]byte, error) {
	s, err := fake(map[string]string{"ClusterName": cluster, "QueueName": queue})
	if err != nil {
		return nil, err
	}
	return s.Resources["InterruptionQueuePolicy"].Document("PolicyDocument")
}

func fake(parameters map[string]string) (*Stack, error) {
	t, err := Slipway()
	if err != nil {
		return nil, err
	}
	s, err := t.Make(Fake(), parameters)
	if err != nil {
		return nil, fmt.Errorf("making a stack for cluster %s: %w", parameters["ClusterName"], err)
	}
	return s, nil
}
