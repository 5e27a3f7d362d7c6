package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// ReadQueue looks whether the interruption queue is there and can be read. A message that it meets is hidden from the controller for a second.
func (s *Survey) ReadQueue(ctx context.Context) error {
	n := &Notices{api: s.sqs, queue: s.cfg.InterruptionQueue, now: s.cfg.Now}
	url, err := n.queueURL(ctx)
	if err != nil {
		return err
	}
	// Not 0, which the SDK leaves out: the queue's own default, half a minute of a spot notice's two, would hold.
	_, err = s.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: awssdk.String(url), MaxNumberOfMessages: 1, VisibilityTimeout: 1})
	if err != nil {
		return n.queueError("sqs:ReceiveMessage", err)
	}
	return nil
}

// QueueRule is an EventBridge rule that fills the interruption queue.
type QueueRule struct {
	Name        string
	DetailTypes []string // the kinds of events that it lets through; none: any
	Enabled     bool
}

// QueueRules answers the rules of the default bus that have the queue for a target, sorted by name.
func (s *Survey) QueueRules(ctx context.Context) ([]QueueRule, error) {
	arn, err := s.queueAttribute(ctx, sqstypes.QueueAttributeNameQueueArn)
	if err != nil {
		return nil, err
	}
	var rules []QueueRule
	in := &eventbridge.ListRuleNamesByTargetInput{TargetArn: awssdk.String(arn)}
	for {
		out, err := s.events.ListRuleNamesByTarget(ctx, in)
		if err != nil {
			return nil, callError("events:ListRuleNamesByTarget", err)
		}
		for _, name := range out.RuleNames {
			rule, err := s.queueRule(ctx, name)
			if err != nil {
				return nil, err
			}
			rules = append(rules, rule)
		}
		if in.NextToken = out.NextToken; awssdk.ToString(in.NextToken) == "" {
			slices.SortFunc(rules, func(a, b QueueRule) int { return slices.Compare([]string{a.Name}, []string{b.Name}) })
			return rules, nil
		}
	}
}

// QueueAcceptsEvents says whether a statement of the queue's policy lets EventBridge send to it. Conditions are not judged.
func (s *Survey) QueueAcceptsEvents(ctx context.Context) (bool, error) {
	text, err := s.queueAttribute(ctx, sqstypes.QueueAttributeNamePolicy)
	if err != nil || text == "" {
		return false, err
	}
	return acceptsEvents(text)
}

func acceptsEvents(policy string) (bool, error) {
	type statement struct {
		Effect            string
		Principal, Action json.RawMessage
	}
	var several struct{ Statement []statement }
	if err := json.Unmarshal([]byte(policy), &several); err != nil {
		var single struct{ Statement statement } // a list may be left out around one
		if json.Unmarshal([]byte(policy), &single) != nil {
			return false, fmt.Errorf("reading the queue's policy: %w", err)
		}
		several.Statement = []statement{single.Statement}
	}
	for _, one := range several.Statement {
		sends := slices.ContainsFunc(eventSending, func(action string) bool { return bytes.Contains(bytes.ToLower(one.Action), []byte(action)) })
		anybody := bytes.Contains(one.Principal, []byte(`"*"`)) || bytes.Contains(one.Principal, []byte(`"events.amazonaws.com"`))
		if one.Effect == "Allow" && sends && anybody {
			return true, nil
		}
	}
	return false, nil
}

// eventSending are the ways in which a policy names sending, in lower case.
var eventSending = []string{`"sqs:sendmessage"`, `"sqs:*"`, `"*"`} // read only

func (s *Survey) queueAttribute(ctx context.Context, name sqstypes.QueueAttributeName) (string, error) {
	n := &Notices{api: s.sqs, queue: s.cfg.InterruptionQueue, now: s.cfg.Now}
	url, err := n.queueURL(ctx)
	if err != nil {
		return "", err
	}
	out, err := s.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: awssdk.String(url), AttributeNames: []sqstypes.QueueAttributeName{name}})
	if err != nil {
		return "", n.queueError("sqs:GetQueueAttributes", err)
	}
	return out.Attributes[string(name)], nil
}

func (s *Survey) queueRule(ctx context.Context, name string) (QueueRule, error) {
	out, err := s.events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: awssdk.String(name)})
	if err != nil {
		return QueueRule{}, callError("events:DescribeRule", err)
	}
	var pattern struct {
		DetailType []string `json:"detail-type"`
	}
	if text := awssdk.ToString(out.EventPattern); text != "" {
		if err := json.Unmarshal([]byte(text), &pattern); err != nil {
			return QueueRule{}, fmt.Errorf("reading the event pattern of rule %s: %w", name, err)
		}
	}
	return QueueRule{Name: name, DetailTypes: pattern.DetailType, Enabled: out.State != eventtypes.RuleStateDisabled}, nil
}

// MissingEvents answers the kinds of events that a controller heeds and no enabled rule lets through, sorted.
func MissingEvents(rules []QueueRule) []string {
	missing := map[string]bool{eventSpot: true, eventRebalance: true, eventState: true, eventHealth: true}
	for _, r := range rules {
		switch {
		case r.Enabled && len(r.DetailTypes) == 0:
			return nil
		case r.Enabled:
			maps.DeleteFunc(missing, func(kind string, _ bool) bool { return slices.Contains(r.DetailTypes, kind) })
		}
	}
	return slices.Sorted(maps.Keys(missing))
}
