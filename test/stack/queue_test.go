package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
)

// attempt is a request for the queue, and whether it must be let through.
type attempt struct {
	by      policy.Caller
	action  string
	context map[string][]string
	want    bool
}

// attempts are made by principals whose own policies allow them everything of SQS.
func attempts() map[string]attempt {
	events, user := policy.Caller{Service: "events.amazonaws.com"}, policy.Caller{ARN: "arn:aws:iam::123456789012:user/a"}
	from := func(rule, account string) map[string][]string {
		return map[string][]string{"aws:SourceArn": {"arn:aws:events:us-east-1:" + account + ":rule/" + rule}, "aws:SourceAccount": {account}, "aws:SecureTransport": {"true"}}
	}
	own := from("SpotInterruptionRule", "123456789012")
	plain := from("SpotInterruptionRule", "123456789012")
	plain["aws:SecureTransport"] = []string{"false"}
	foreign := from("SpotInterruptionRule", "123456789012")
	foreign["aws:SourceAccount"] = []string{"210987654321"}
	secure := map[string][]string{"aws:SecureTransport": {"true"}}
	return map[string]attempt{
		"EventBridge for a rule of the stack":  {events, "sqs:SendMessage", own, true},
		"EventBridge for another rule":         {events, "sqs:SendMessage", from("other", "123456789012"), false},
		"EventBridge for another account":      {events, "sqs:SendMessage", foreign, false},
		"EventBridge without TLS":              {events, "sqs:SendMessage", plain, false},
		"EventBridge that reads":               {events, "sqs:ReceiveMessage", own, false},
		"another service":                      {policy.Caller{Service: "sns.amazonaws.com"}, "sqs:SendMessage", own, false},
		"a user of the account":                {user, "sqs:SendMessage", secure, false},
		"a user who says they come of a rule":  {user, "sqs:SendMessage", own, false},
		"the controller":                       {policy.Caller{ARN: "arn:aws:sts::123456789012:assumed-role/SlipwayController-prod/x"}, "sqs:SendMessage", secure, false},
		"the controller that reads":            {policy.Caller{ARN: "arn:aws:sts::123456789012:assumed-role/SlipwayController-prod/x"}, "sqs:ReceiveMessage", secure, true},
		"the controller that reads, plain":     {policy.Caller{ARN: "arn:aws:sts::123456789012:assumed-role/SlipwayController-prod/x"}, "sqs:ReceiveMessage", plain, false},
		"an administrator of the queue's rule": {user, "sqs:SetQueueAttributes", secure, true},
		"anybody":                              {policy.Caller{}, "sqs:SendMessage", secure, false},
	}
}

// wrong answers the attempts that a queue's policy decides otherwise than it should.
func wrong(document []byte) ([]string, error) {
	queue, err := policy.ParseResource(document)
	if err != nil {
		return nil, err
	}
	own, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`))
	if err != nil {
		return nil, err
	}
	var found []string
	for name, a := range attempts() {
		err := queue.Check(own, a.by, policy.Request{Action: a.action, Resource: "arn:aws:sqs:us-east-1:123456789012:queue", Context: a.context})
		if (err == nil) != a.want {
			found = append(found, fmt.Sprintf("%s: %s: %v", name, a.action, err))
		}
	}
	slices.Sort(found)
	return found, nil
}

// TestWhoSendsToTheQueue: EventBridge for the stack's rules, and nobody else, whatever IAM allows them.
func TestWhoSendsToTheQueue(t *testing.T) {
	document, err := QueuePolicy("prod", "queue")
	if err != nil {
		t.Fatal(err)
	}
	found, err := wrong(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range found {
		t.Error(one)
	}
}

// TestWhoSendsToTheQueue_catches takes each statement and each condition away.
func TestWhoSendsToTheQueue_catches(t *testing.T) {
	document, err := QueuePolicy("prod", "queue")
	if err != nil {
		t.Fatal(err)
	}
	all := mutations(t, bytes.Join([][]byte{[]byte("["), document, []byte("]")}, nil))
	if len(all) < 7 {
		t.Fatalf("only %d changes were made", len(all))
	}
	for _, m := range all {
		var one []json.RawMessage
		if err := json.Unmarshal(m.document, &one); err != nil {
			t.Fatal(err)
		}
		if found, err := wrong(one[0]); err != nil || len(found) == 0 {
			t.Errorf("%s: nobody notices: %v", m.name, err)
		}
	}
}
