package wire

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
)

// rules are those that deploy/cloudformation makes: name to the kind of event.
var rules = map[string][2]string{ // read only
	"HealthRule":           {"aws.health", "AWS Health Event"},
	"RebalanceRule":        {"aws.ec2", "EC2 Instance Rebalance Recommendation"},
	"SpotInterruptionRule": {"aws.ec2", "EC2 Spot Instance Interruption Warning"},
	"StateChangeRule":      {"aws.ec2", "EC2 Instance State-change Notification"},
}

func (s *Server) listRuleNamesByTarget(_ *http.Request, in struct{ TargetArn string }) (any, error) {
	names := []string{}
	if in.TargetArn == s.arn("sqs", s.Cloud.Region(), s.QueueName) {
		names = slices.DeleteFunc(slices.Sorted(maps.Keys(rules)), func(name string) bool { return name == s.WithoutRule })
	}
	return map[string]any{"RuleNames": names}, nil
}

func (s *Server) describeRule(_ *http.Request, in struct{ Name string }) (any, error) {
	rule, known := rules[in.Name]
	if !known {
		return nil, badRequest("ResourceNotFoundException", "Rule %s does not exist on EventBus default.", in.Name)
	}
	pattern, err := json.Marshal(map[string][]string{"source": {rule[0]}, "detail-type": {rule[1]}})
	if err != nil {
		return nil, err
	}
	return map[string]any{"Name": in.Name, "Arn": s.arn("events", s.Cloud.Region(), "rule/"+in.Name), "State": "ENABLED",
		"EventBusName": "default", "EventPattern": string(pattern)}, nil
}
