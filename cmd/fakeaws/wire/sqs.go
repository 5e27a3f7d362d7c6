package wire

import (
	"crypto/md5" //nolint:gosec // SQS's checksum is MD5
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

const queueMissing = "QueueDoesNotExist"

func noQueue() error {
	return badRequest(queueMissing, "The specified queue does not exist.")
}

func (s *Server) getQueueURL(r *http.Request, in struct{ QueueName string }) (any, error) {
	if in.QueueName != s.QueueName {
		return nil, noQueue()
	}
	return map[string]string{"QueueUrl": fmt.Sprintf("http://%s/%s/%s", r.Host, s.Account, s.QueueName)}, nil
}

// checkQueue refuses URLs of other queues.
func (s *Server) checkQueue(url string) error {
	if !strings.HasSuffix(url, "/"+s.Account+"/"+s.QueueName) {
		return noQueue()
	}
	return nil
}

type receiveInput struct {
	QueueUrl            string
	MaxNumberOfMessages *int
	VisibilityTimeout   *int
	WaitTimeSeconds     *int
}

// within answers a number of a request, or the fallback, if it is in SQS's range.
func within(name string, n *int, fallback, least, most int) (int, error) {
	if n == nil {
		return fallback, nil
	}
	if *n < least || *n > most {
		return 0, badRequest("InvalidParameterValue", "Value %d for parameter %s is invalid. Reason: must be between %d and %d.", *n, name, least, most)
	}
	return *n, nil
}

func (s *Server) receiveMessage(r *http.Request, in receiveInput) (any, error) {
	if err := s.checkQueue(in.QueueUrl); err != nil {
		return nil, err
	}
	count, err := within("MaxNumberOfMessages", in.MaxNumberOfMessages, 1, 1, 10)
	if err != nil {
		return nil, err
	}
	hidden, err := within("VisibilityTimeout", in.VisibilityTimeout, int(sim.DefaultVisibility/time.Second), 0, 43200)
	if err != nil {
		return nil, err
	}
	wait, err := within("WaitTimeSeconds", in.WaitTimeSeconds, 0, 0, 20)
	if err != nil {
		return nil, err
	}
	deadline := s.Cloud.Now().Add(time.Duration(wait) * time.Second)
	for {
		messages := s.Cloud.Take(count, time.Duration(hidden)*time.Second)
		left := deadline.Sub(s.Cloud.Now())
		if len(messages) > 0 || left <= 0 {
			return map[string]any{"Messages": s.render(messages)}, nil
		}
		if err := s.Cloud.Await(r.Context(), left); err != nil {
			return nil, fmt.Errorf("waiting for messages: %w", err)
		}
	}
}

func (s *Server) render(messages []sim.Message) []any {
	rendered := []any{}
	for _, m := range messages {
		body := m.Body
		if m.Notice.Kind != cloud.Unreadable {
			body = s.envelope(m)
		}
		rendered = append(rendered, map[string]any{
			"MessageId": m.ID, "ReceiptHandle": m.Receipt, "Body": body, "MD5OfBody": checksum(body),
			"Attributes": map[string]string{
				"SentTimestamp": strconv.FormatInt(m.SentAt.UnixMilli(), 10), "ApproximateReceiveCount": strconv.Itoa(m.Deliveries),
			},
		})
	}
	return rendered
}

func checksum(body string) string {
	sum := md5.Sum([]byte(body)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// envelope is a notice as EventBridge puts it into the queue.
func (s *Server) envelope(m sim.Message) string {
	n := m.Notice
	kind, detail := "EC2 Instance State-change Notification", map[string]string{"instance-id": n.InstanceID, "state": string(n.State)}
	switch n.Kind {
	case cloud.SpotInterruption:
		kind, detail = "EC2 Spot Instance Interruption Warning", map[string]string{"instance-id": n.InstanceID, "instance-action": "terminate"}
	case cloud.Rebalance:
		kind, detail = "EC2 Instance Rebalance Recommendation", map[string]string{"instance-id": n.InstanceID}
	}
	body, err := json.Marshal(map[string]any{
		"version": "0", "id": n.ID, "detail-type": kind, "source": "aws.ec2", "account": s.Account, "region": s.Cloud.Region(),
		"time": n.At.UTC().Format(time.RFC3339), "resources": []string{s.arn("ec2", s.Cloud.Region(), "instance/"+n.InstanceID)}, "detail": detail,
	})
	if err != nil {
		panic(err) // strings and maps of them always have a JSON form
	}
	return string(body)
}

type receiptInput struct{ QueueUrl, ReceiptHandle string }

func (s *Server) deleteMessage(_ *http.Request, in receiptInput) (any, error) {
	if err := s.checkQueue(in.QueueUrl); err != nil {
		return nil, err
	}
	s.Cloud.Acknowledge(in.ReceiptHandle)
	return map[string]any{}, nil
}

type deleteBatchInput struct {
	QueueUrl string
	Entries  []struct{ Id, ReceiptHandle string }
}

func (s *Server) deleteMessageBatch(_ *http.Request, in deleteBatchInput) (any, error) {
	if err := s.checkQueue(in.QueueUrl); err != nil {
		return nil, err
	}
	done := []any{}
	for _, entry := range in.Entries {
		s.Cloud.Acknowledge(entry.ReceiptHandle)
		done = append(done, map[string]string{"Id": entry.Id})
	}
	return map[string]any{"Successful": done, "Failed": []any{}}, nil
}

type visibilityInput struct {
	QueueUrl, ReceiptHandle string
	VisibilityTimeout       int
}

func (s *Server) changeMessageVisibility(_ *http.Request, in visibilityInput) (any, error) {
	if err := s.checkQueue(in.QueueUrl); err != nil {
		return nil, err
	}
	if !s.Cloud.Hide(in.ReceiptHandle, time.Duration(in.VisibilityTimeout)*time.Second) {
		return nil, badRequest("MessageNotInflight", "The message referred to is not in flight.")
	}
	return map[string]any{}, nil
}

func (s *Server) getQueueAttributes(_ *http.Request, in struct{ QueueUrl string }) (any, error) {
	if err := s.checkQueue(in.QueueUrl); err != nil {
		return nil, err
	}
	return map[string]any{"Attributes": map[string]string{"Policy": s.QueuePolicy,
		"ApproximateNumberOfMessages": strconv.Itoa(s.Cloud.QueueLength()), "QueueArn": s.arn("sqs", s.Cloud.Region(), s.QueueName),
		"VisibilityTimeout": strconv.Itoa(int(sim.DefaultVisibility / time.Second)),
	}}, nil
}

func (s *Server) sendMessage(_ *http.Request, in struct{ QueueUrl, MessageBody string }) (any, error) {
	if err := s.checkQueue(in.QueueUrl); err != nil {
		return nil, err
	}
	if in.MessageBody == "" {
		return nil, badRequest("MissingParameter", "The request must contain the parameter MessageBody.")
	}
	return map[string]string{"MessageId": s.Cloud.Send(in.MessageBody), "MD5OfMessageBody": checksum(in.MessageBody)}, nil
}
