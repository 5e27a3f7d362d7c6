package aws

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

func event(source, detailType, detail string) string {
	return `{"version":"0","id":"12345678-1234-1234-1234-123456789012","detail-type":"` + detailType + `","source":"` + source +
		`","account":"123456789012","time":"2026-08-01T12:00:00Z","region":"us-east-1","resources":[],"detail":` + detail + `}`
}

const (
	warning   = "EC2 Spot Instance Interruption Warning"
	rebalance = "EC2 Instance Rebalance Recommendation"
	change    = "EC2 Instance State-change Notification"
)

var twoMachines = event("aws.health", "AWS Health Event", `{"service":"EC2","eventTypeCategory":"scheduledChange","eventTypeCode":"AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED",
	"startTime":"Sat, 15 Aug 2026 00:00:00 GMT","affectedEntities":[{"entityValue":"i-0aaaaaaaaaaaaaaaa"},{"entityValue":"vol-1"},{"entityValue":"i-0bbbbbbbbbbbbbbbb"},{"entityValue":"i-0aaaaaaaaaaaaaaaa"}]}`)

func TestParseEnvelope(t *testing.T) {
	const id = "i-0123456789abcdef0"
	retirement := time.Date(2026, 8, 15, 0, 0, 0, 0, time.UTC)
	one := func(n cloud.Notice) []cloud.Notice {
		n.ID = "m1"
		return []cloud.Notice{n}
	}
	for name, tc := range map[string]struct {
		body string
		want []cloud.Notice
	}{
		"spot interruption": {event("aws.ec2", warning, `{"instance-id":"`+id+`","instance-action":"terminate"}`),
			one(cloud.Notice{Kind: cloud.SpotInterruption, InstanceID: id, At: noon, Deadline: noon.Add(2 * time.Minute), Detail: warning})},
		"rebalance": {event("aws.ec2", rebalance, `{"instance-id":"`+id+`"}`),
			one(cloud.Notice{Kind: cloud.Rebalance, InstanceID: id, At: noon, Detail: rebalance})},
		"stopping": {event("aws.ec2", change, `{"instance-id":"`+id+`","state":"stopping"}`),
			one(cloud.Notice{Kind: cloud.StateChange, InstanceID: id, At: noon, State: cloud.InstanceStopping, Detail: change})},
		"running": {event("aws.ec2", change, `{"instance-id":"`+id+`","state":"running"}`),
			one(cloud.Notice{Kind: cloud.Irrelevant, At: noon, Detail: change})},
		"two machines": {twoMachines, []cloud.Notice{
			{ID: "m1/i-0aaaaaaaaaaaaaaaa", Kind: cloud.ScheduledChange, InstanceID: "i-0aaaaaaaaaaaaaaaa", At: noon, Deadline: retirement, Detail: "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED"},
			{ID: "m1/i-0bbbbbbbbbbbbbbbb", Kind: cloud.ScheduledChange, InstanceID: "i-0bbbbbbbbbbbbbbbb", At: noon, Deadline: retirement, Detail: "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED"},
		}},
		"health of another service": {event("aws.health", "AWS Health Event", `{"service":"RDS","eventTypeCategory":"scheduledChange"}`),
			one(cloud.Notice{Kind: cloud.Irrelevant, At: noon, Detail: "AWS Health Event"})},
		"something else": {event("aws.s3", "Object Created", `{}`),
			one(cloud.Notice{Kind: cloud.Irrelevant, At: noon, Detail: "Object Created"})},
		"somebody's own event of that name": {event("com.example", warning, `{"instance-id":"`+id+`"}`),
			one(cloud.Notice{Kind: cloud.Irrelevant, At: noon, Detail: warning})},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, parseEnvelope("m1", []byte(tc.body))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestGarbageIsUnreadableWithTheCause(t *testing.T) {
	for body, want := range map[string]string{
		"":                                "reading the event",
		"hello":                           "reading the event",
		"[]":                              "reading the event",
		"{}":                              "detail-type or source is missing",
		event("aws.ec2", warning, `{}`):   "is not the ID of an instance",
		event("aws.ec2", warning, `null`): "no detail",
		event("aws.ec2", warning, `"x"`):  "reading the event's detail",
		event("aws.ec2", warning, `{"instance-id":"i-1; rm -rf"}`):                      "is not the ID of an instance",
		event("aws.ec2", change, `{"instance-id":"i-0123456789","state":"odd"}`):        "unknown",
		strings.Replace(event("aws.ec2", warning, `{}`), "2026-08-01T", "yesterday", 1): "reading the event",
	} {
		got := parseEnvelope("m1", []byte(body))
		if len(got) != 1 || got[0].Kind != cloud.Unreadable || got[0].ID != "m1" || !strings.Contains(got[0].Detail, want) {
			t.Errorf("%q: got %+v, want Unreadable with %q", body, got, want)
		}
	}
}

func FuzzParseEnvelope(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", twoMachines, event("aws.ec2", warning, `{"instance-id":"i-0123456789abcdef0"}`),
		event("aws.ec2", change, `{"instance-id":"i-0123456789abcdef0","state":"terminated"}`),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		notices := parseEnvelope("m1", body)
		if len(notices) == 0 {
			t.Fatal("a message without a notice would never be acknowledged")
		}
		seen := map[string]bool{}
		for _, n := range notices {
			acts := n.Kind != cloud.Irrelevant && n.Kind != cloud.Unreadable
			if acts != (n.InstanceID != "") || acts && !instanceIDForm.MatchString(n.InstanceID) {
				t.Errorf("kind %s with instance %q", n.Kind, n.InstanceID)
			}
			if seen[n.ID] {
				t.Errorf("two notices have ID %s", n.ID)
			}
			seen[n.ID] = true
			if n.Kind == cloud.Unreadable && n.Detail == "" {
				t.Error("unreadable without a cause")
			}
		}
		if !json.Valid(body) && notices[0].Kind != cloud.Unreadable {
			t.Errorf("no JSON, but %s", notices[0].Kind)
		}
	})
}

// fakeQueue holds messages until they are deleted.
type fakeQueue struct {
	messages map[string]string // body by receipt
	missing  bool
	failing  error // of DeleteMessage
}

func (q *fakeQueue) GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	if q.missing {
		return nil, &sqstypes.QueueDoesNotExist{}
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: awssdk.String("http://queue")}, nil
}

func (q *fakeQueue) ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if q.missing {
		return nil, &sqstypes.QueueDoesNotExist{}
	}
	out := &sqs.ReceiveMessageOutput{}
	for receipt, body := range q.messages {
		out.Messages = append(out.Messages, sqstypes.Message{MessageId: awssdk.String("m-" + receipt), ReceiptHandle: awssdk.String(receipt), Body: awssdk.String(body)})
	}
	return out, nil
}

func (q *fakeQueue) DeleteMessage(_ context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	if q.failing != nil {
		return nil, q.failing
	}
	delete(q.messages, awssdk.ToString(in.ReceiptHandle))
	return &sqs.DeleteMessageOutput{}, nil
}

func TestAMessageIsDeletedWhenAllItsNoticesAreDone(t *testing.T) {
	q := &fakeQueue{messages: map[string]string{"r1": twoMachines}}
	n := &Notices{api: q, queue: "interruptions", now: func() time.Time { return noon }}
	notices, err := n.Receive(t.Context())
	if err != nil || len(notices) != 2 {
		t.Fatalf("got %v, %v", notices, err)
	}
	for range 2 { // a repetition is harmless
		if err := n.Done(t.Context(), notices[0]); err != nil || len(q.messages) != 1 {
			t.Fatalf("the message went after one of two notices: %v", err)
		}
	}
	q.failing = errUnreachable
	if err := n.Done(t.Context(), notices[1]); !errors.Is(err, errUnreachable) {
		t.Errorf("got %v, want the failure", err)
	}
	q.failing = nil
	if err := n.Done(t.Context(), notices[1]); err != nil || len(q.messages) != 0 || len(n.open) != 0 {
		t.Errorf("left %v, remembered %v, %v", q.messages, n.open, err)
	}
}

func TestAGarbageMessageCanBeAcknowledged(t *testing.T) {
	q := &fakeQueue{messages: map[string]string{"r1": "garbage"}}
	n := &Notices{api: q, queue: "interruptions", now: func() time.Time { return noon }}
	notices, err := n.Receive(t.Context())
	if err != nil || len(notices) != 1 || notices[0].Kind != cloud.Unreadable {
		t.Fatalf("got %v, %v", notices, err)
	}
	if err := n.Done(t.Context(), notices[0]); err != nil || len(q.messages) != 0 {
		t.Errorf("left %v, %v", q.messages, err)
	}
}

func TestAMissingQueueIsAMisconfigurationUntilItIsThere(t *testing.T) {
	q := &fakeQueue{}
	n := &Notices{api: q, queue: "interruptions", now: func() time.Time { return noon }}
	for _, missing := range []bool{true, false, true, false} {
		q.missing = missing
		_, err := n.Receive(t.Context())
		var misconfigured *cloud.MisconfiguredError
		if errors.As(err, &misconfigured) != missing || err != nil && !strings.Contains(err.Error(), `"interruptions"`) {
			t.Errorf("missing %t: got %v", missing, err)
		}
	}
}

func TestWhatNobodyAcknowledgesIsForgotten(t *testing.T) {
	now := noon
	q := &fakeQueue{messages: map[string]string{"r1": twoMachines}}
	n := &Notices{api: q, queue: "interruptions", now: func() time.Time { return now }}
	for receipt := range 3 {
		q.messages = map[string]string{string(rune('a' + receipt)): twoMachines}
		if _, err := n.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(2 * time.Hour)
	}
	if len(n.open) != 1 {
		t.Errorf("remembered %d messages, want the last", len(n.open))
	}
}
