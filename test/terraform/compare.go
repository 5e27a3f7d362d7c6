package terraform

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/slipway-sh/slipway/test/stack"
)

// Stack says a plan in CloudFormation's words: resources by their logical names in deploy/cloudformation, outputs by theirs.
func (p *Plan) Stack() (*stack.Stack, error) {
	s := &stack.Stack{Resources: map[string]stack.Resource{}, Outputs: map[string]string{}}
	for _, i := range p.Instances {
		if err := said(s, i); err != nil {
			return nil, fmt.Errorf("%s.%s[%s]: %w", i.Type, i.Name, i.Key, err)
		}
	}
	for name, value := range p.Outputs {
		if !value.IsNull() {
			s.Outputs[camel(name)] = value.AsString()
		}
	}
	return s, nil
}

// Attachments and targets, which CloudFormation has inside of others, find those by what they refer to.
func said(s *stack.Stack, i Instance) error {
	switch i.Type {
	case "aws_iam_role_policy_attachment":
		return inside(s, "AWS::IAM::Role", "RoleName", i.Arguments["role"], "ManagedPolicyArns", i.Arguments["policy_arn"].AsString())
	case "aws_cloudwatch_event_target":
		return inside(s, "AWS::Events::Rule", "", i.Arguments["rule"], "Targets",
			map[string]any{"Id": i.Arguments["target_id"].AsString(), "Arn": i.Arguments["arn"].AsString()})
	}
	form, known := forms[i.Type]
	if !known {
		return fmt.Errorf("it has no counterpart")
	}
	name := camel(i.Name) + form.suffix
	if strings.HasPrefix(form.suffix, "!") {
		name = i.Key + form.suffix[1:]
	}
	properties := map[string]any{}
	for argument, property := range form.properties {
		value, given := i.Arguments[argument]
		if !given {
			continue
		}
		text, err := ctyjson.Marshal(value, value.Type())
		if err != nil {
			return err
		}
		var plain any
		if err := json.Unmarshal(text, &plain); err != nil {
			return err
		}
		properties[property] = plain
	}
	if i.Type == "aws_sqs_queue_policy" {
		properties["Queues"] = []any{properties["Queues"]}
	}
	if _, twice := s.Resources[name]; twice {
		return fmt.Errorf("there are two %s", name)
	}
	s.Resources[name] = stack.Resource{Type: form.kind, Properties: properties}
	return nil
}

func inside(s *stack.Stack, kind, property string, of cty.Value, list string, member any) error {
	for name, r := range s.Resources {
		if r.Type == kind && (property == "" && name == of.AsString() || property != "" && r.Properties[property] == of.AsString()) {
			members, _ := r.Properties[list].([]any)
			r.Properties[list] = append(members, member)
			return nil
		}
	}
	return fmt.Errorf("there is no %s %s", kind, of.AsString())
}

// form is a resource in CloudFormation's words. Its logical name is the resource's with the suffix, or after a ! the key's.
type form struct {
	kind, suffix string
	properties   map[string]string // by argument
}

var forms = map[string]form{ // read only
	"aws_cloudwatch_event_rule": {"AWS::Events::Rule", "!Rule", map[string]string{"description": "Description", "event_pattern": "EventPattern"}},
	"aws_eks_access_entry": {"AWS::EKS::AccessEntry", "AccessEntry", map[string]string{
		"cluster_name": "ClusterName", "principal_arn": "PrincipalArn", "type": "Type"}},
	"aws_eks_pod_identity_association": {"AWS::EKS::PodIdentityAssociation", "Association", map[string]string{
		"cluster_name": "ClusterName", "namespace": "Namespace", "service_account": "ServiceAccount", "role_arn": "RoleArn"}},
	"aws_iam_policy": {"AWS::IAM::ManagedPolicy", "!Policy", map[string]string{
		"name": "ManagedPolicyName", "description": "Description", "policy": "PolicyDocument"}},
	"aws_iam_role": {"AWS::IAM::Role", "Role", map[string]string{
		"name": "RoleName", "description": "Description", "assume_role_policy": "AssumeRolePolicyDocument"}},
	"aws_sqs_queue": {"AWS::SQS::Queue", "Queue", map[string]string{
		"name": "QueueName", "message_retention_seconds": "MessageRetentionPeriod", "sqs_managed_sse_enabled": "SqsManagedSseEnabled"}},
	"aws_sqs_queue_policy": {"AWS::SQS::QueuePolicy", "QueuePolicy", map[string]string{"queue_url": "Queues", "policy": "PolicyDocument"}},
}

func camel(name string) string {
	var words strings.Builder
	for _, word := range strings.Split(name, "_") {
		words.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return words.String()
}

// plain answers a stack's resources so that two that mean the same are the same: documents as values, and lists of texts, which are sets to AWS,
// sorted.
func plain(s *stack.Stack) (map[string]any, error) {
	text, err := json.Marshal(s.Resources)
	if err != nil {
		return nil, err
	}
	var resources map[string]any
	if err := json.Unmarshal(text, &resources); err != nil {
		return nil, err
	}
	for name, r := range resources {
		resources[name] = sorted(r)
	}
	return resources, nil
}

func sorted(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, member := range v {
			v[key] = sorted(member)
		}
	case []any:
		texts := true
		for i, member := range v {
			v[i] = sorted(member)
			_, isText := member.(string)
			texts = texts && isText
		}
		if texts {
			slices.SortFunc(v, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		}
	case string:
		var document map[string]any
		if json.Unmarshal([]byte(v), &document) == nil {
			return sorted(document)
		}
	}
	return value
}
