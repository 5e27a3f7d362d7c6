package stack

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// evaluation is one filling in of a template.
type evaluation struct {
	template *Template
	place    Place
	values   map[string]any // parameters: texts and lists of them
}

// noValue is what a Ref to AWS::NoValue answers: the member or property that would have it is left out.
type noValue struct{}

// condition answers a named condition; the empty name is true.
func (e *evaluation) condition(name string) (bool, error) {
	if name == "" {
		return true, nil
	}
	node, known := e.template.Conditions[name]
	if !known {
		return false, fmt.Errorf("there is no condition %s", name)
	}
	return e.truth(&node)
}

func (e *evaluation) truth(node *yaml.Node) (bool, error) {
	value, err := e.value(node)
	if err != nil {
		return false, err
	}
	truth, isTruth := value.(bool)
	if !isTruth {
		return false, fmt.Errorf("line %d: %v is no condition", node.Line, value)
	}
	return truth, nil
}

func (e *evaluation) text(node *yaml.Node) (string, error) {
	value, err := e.value(node)
	if err != nil {
		return "", err
	}
	text, isText := value.(string)
	if !isText {
		return "", fmt.Errorf("line %d: %v is no text", node.Line, value)
	}
	return text, nil
}

// value answers what a node comes to.
func (e *evaluation) value(node *yaml.Node) (any, error) {
	if tag := node.Tag; strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!") {
		return e.call(strings.TrimPrefix(tag, "!"), node)
	}
	switch node.Kind {
	case yaml.ScalarNode:
		return scalar(node)
	case yaml.SequenceNode:
		list := []any{}
		for _, member := range node.Content {
			value, err := e.value(member)
			if err != nil {
				return nil, err
			}
			if value != (noValue{}) {
				list = append(list, value)
			}
		}
		return list, nil
	case yaml.MappingNode:
		entries := map[string]any{}
		for i := 0; i < len(node.Content); i += 2 {
			value, err := e.value(node.Content[i+1])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", node.Content[i].Value, err)
			}
			if value != (noValue{}) {
				entries[node.Content[i].Value] = value
			}
		}
		return entries, nil
	}
	return nil, fmt.Errorf("line %d: neither text nor list nor map", node.Line)
}

func scalar(node *yaml.Node) (any, error) {
	switch node.Tag {
	case "!!str":
		return node.Value, nil
	case "!!int":
		return strconv.Atoi(node.Value)
	case "!!bool":
		return strconv.ParseBool(node.Value)
	}
	return nil, fmt.Errorf("line %d: %s is of the unknown kind %s", node.Line, node.Value, node.Tag)
}

// call runs an intrinsic function in its short form.
func (e *evaluation) call(function string, node *yaml.Node) (any, error) {
	wrong := func() (any, error) {
		return nil, fmt.Errorf("line %d: !%s is not used like that", node.Line, function)
	}
	if node.Kind == yaml.ScalarNode {
		return e.callOfText(function, node)
	}
	if node.Kind != yaml.SequenceNode {
		return wrong()
	}
	switch arguments := node.Content; {
	case function == "Sub" && len(arguments) == 2:
		return e.subWith(arguments[0], arguments[1])
	case function == "If" && len(arguments) == 3:
		holds, err := e.condition(arguments[0].Value)
		if err != nil {
			return nil, err
		}
		if holds {
			return e.value(arguments[1])
		}
		return e.value(arguments[2])
	case function == "Equals" && len(arguments) == 2:
		a, errA := e.text(arguments[0])
		b, errB := e.text(arguments[1])
		return a == b, errors.Join(errA, errB)
	case function == "Not" && len(arguments) == 1:
		holds, err := e.truth(arguments[0])
		return !holds, err
	case function == "Join" && len(arguments) == 2:
		return e.join(arguments[0], arguments[1])
	}
	return wrong()
}

// callOfText runs a function whose argument is a text.
func (e *evaluation) callOfText(function string, node *yaml.Node) (any, error) {
	switch function {
	case "Ref":
		if list, isList := e.values[node.Value].([]any); isList {
			return list, nil
		}
		if node.Value == "AWS::NoValue" {
			return noValue{}, nil
		}
		return e.ref(node.Value)
	case "GetAtt":
		resource, attribute, _ := strings.Cut(node.Value, ".")
		return e.attribute(resource, attribute)
	case "Sub":
		return e.sub(node.Value, nil)
	}
	return nil, fmt.Errorf("line %d: !%s is not used like that", node.Line, function)
}

func (e *evaluation) join(between, list *yaml.Node) (any, error) {
	value, err := e.value(list)
	if err != nil {
		return nil, err
	}
	members, isList := value.([]any)
	if !isList {
		return nil, fmt.Errorf("line %d: what !Join joins is no list", list.Line)
	}
	var texts []string
	for _, member := range members {
		text, isText := member.(string)
		if !isText {
			return nil, fmt.Errorf("line %d: !Join joins texts only", list.Line)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, between.Value), nil
}

func (e *evaluation) subWith(text, variables *yaml.Node) (any, error) {
	values, err := e.value(variables)
	if err != nil {
		return nil, err
	}
	known, isMap := values.(map[string]any)
	if !isMap {
		return nil, fmt.Errorf("line %d: the variables of !Sub are no map", variables.Line)
	}
	return e.sub(text.Value, known)
}

var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`) // read only

// sub fills in ${Name}, ${Resource.Attribute} and ${Variable}.
func (e *evaluation) sub(text string, variables map[string]any) (string, error) {
	var errs []error
	filled := placeholder.ReplaceAllStringFunc(text, func(found string) string {
		name := placeholder.FindStringSubmatch(found)[1]
		if value, known := variables[name].(string); known {
			return value
		}
		var value string
		var err error
		if resource, attribute, dotted := strings.Cut(name, "."); dotted {
			value, err = e.attribute(resource, attribute)
		} else {
			value, err = e.ref(name)
		}
		errs = append(errs, err)
		return value
	})
	return filled, errors.Join(errs...)
}

// ref answers what a name stands for: a pseudo parameter, a parameter, or a resource's physical name.
func (e *evaluation) ref(name string) (string, error) {
	switch name {
	case "AWS::Partition":
		return e.place.Partition, nil
	case "AWS::Region":
		return e.place.Region, nil
	case "AWS::AccountId":
		return e.place.Account, nil
	case "AWS::URLSuffix":
		return e.place.URLSuffix, nil
	}
	if value, known := e.values[name].(string); known {
		return value, nil
	}
	d, err := e.standing(name)
	if err != nil {
		return "", err
	}
	switch d.Type {
	case "AWS::SQS::Queue":
		queue, err := e.named(d, "QueueName")
		return "https://sqs." + e.place.Region + "." + e.place.URLSuffix + "/" + e.place.Account + "/" + queue, err
	case "AWS::IAM::Role":
		return e.named(d, "RoleName")
	case "AWS::IAM::ManagedPolicy":
		policy, err := e.named(d, "ManagedPolicyName")
		return e.arn("iam", "", "policy/"+policy), err
	}
	return "", fmt.Errorf("what a Ref to the %s %s answers is not known here", d.Type, name)
}

// attribute answers an attribute of a resource.
func (e *evaluation) attribute(name, attribute string) (string, error) {
	d, err := e.standing(name)
	if err != nil {
		return "", err
	}
	switch d.Type + " " + attribute {
	case "AWS::SQS::Queue Arn":
		queue, err := e.named(d, "QueueName")
		return e.arn("sqs", e.place.Region, queue), err
	case "AWS::SQS::Queue QueueName":
		return e.named(d, "QueueName")
	case "AWS::IAM::Role Arn":
		role, err := e.named(d, "RoleName")
		return e.arn("iam", "", "role/"+role), err
	case "AWS::Events::Rule Arn":
		return e.arn("events", e.place.Region, "rule/"+name), nil
	}
	return "", fmt.Errorf("the attribute %s of the %s %s is not known here", attribute, d.Type, name)
}

// standing answers a resource that the conditions let in.
func (e *evaluation) standing(name string) (declared, error) {
	d, known := e.template.Resources[name]
	if !known {
		return d, fmt.Errorf("there is no parameter or resource %s", name)
	}
	wanted, err := e.condition(d.Condition)
	if err == nil && !wanted {
		err = fmt.Errorf("resource %s is left out by condition %s", name, d.Condition)
	}
	return d, err
}

// named answers the property that gives a resource its physical name.
func (e *evaluation) named(d declared, property string) (string, error) {
	for i := 0; i < len(d.Properties.Content); i += 2 {
		if d.Properties.Content[i].Value == property {
			return e.text(d.Properties.Content[i+1])
		}
	}
	return "", fmt.Errorf("a %s without %s has no name that is known here", d.Type, property)
}

func (e *evaluation) arn(service, region, resource string) string {
	return strings.Join([]string{"arn", e.place.Partition, service, region, e.place.Account, resource}, ":")
}
