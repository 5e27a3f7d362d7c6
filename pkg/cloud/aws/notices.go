package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

var _ cloud.NoticeSource = (*Notices)(nil)

type queueAPI interface {
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
}

const (
	longPollSeconds = 20
	// visibilitySeconds is short: after a crash the next leader must have most of a spot notice's two minutes left.
	visibilitySeconds = 30
	messagesPerPoll   = 10
	// forgetAfter bounds what is remembered of messages that nobody acknowledged here (another replica may have).
	forgetAfter = time.Hour
)

// Notices implements cloud.NoticeSource on an SQS queue that EventBridge fills. A message about several machines is
// several notices, and is deleted when each of them is done.
type Notices struct {
	api   queueAPI
	queue string
	now   func() time.Time

	mu   sync.Mutex
	url  string
	open map[string]*openMessage // by receipt
}

// openMessage counts what is left to be done of a message about several machines.
type openMessage struct {
	left map[string]bool // by notice ID
	at   time.Time
}

// Receive implements cloud.NoticeSource.
func (n *Notices) Receive(ctx context.Context) ([]cloud.Notice, error) {
	url, err := n.queueURL(ctx)
	if err != nil {
		return nil, fmt.Errorf("receiving notices: %w", err)
	}
	out, err := n.api.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: awssdk.String(url), MaxNumberOfMessages: messagesPerPoll,
		WaitTimeSeconds: longPollSeconds, VisibilityTimeout: visibilitySeconds,
	})
	if err != nil {
		return nil, fmt.Errorf("receiving notices: %w", n.queueError("sqs:ReceiveMessage", err))
	}
	var all []cloud.Notice
	for _, m := range out.Messages {
		notices := parseEnvelope(awssdk.ToString(m.MessageId), []byte(awssdk.ToString(m.Body)))
		for i := range notices {
			notices[i].Receipt = awssdk.ToString(m.ReceiptHandle)
		}
		n.remember(notices)
		all = append(all, notices...)
	}
	return all, nil
}

// Done implements cloud.NoticeSource. Asking twice is harmless.
func (n *Notices) Done(ctx context.Context, notice cloud.Notice) error {
	if !n.lastOfMessage(notice) {
		return nil
	}
	url, err := n.queueURL(ctx)
	if err != nil {
		return fmt.Errorf("acknowledging notice %s: %w", notice.ID, err)
	}
	_, err = n.api.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: awssdk.String(url), ReceiptHandle: awssdk.String(notice.Receipt)})
	if err != nil {
		return fmt.Errorf("acknowledging notice %s: %w", notice.ID, n.queueError("sqs:DeleteMessage", err))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.open, notice.Receipt)
	return nil
}

// remember notes messages about several machines, and forgets old ones.
func (n *Notices) remember(notices []cloud.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	maps.DeleteFunc(n.open, func(_ string, m *openMessage) bool { return now.Sub(m.at) > forgetAfter })
	if len(notices) < 2 {
		return
	}
	if n.open == nil {
		n.open = map[string]*openMessage{}
	}
	left := map[string]bool{}
	for _, notice := range notices {
		left[notice.ID] = true
	}
	n.open[notices[0].Receipt] = &openMessage{left: left, at: now}
}

// lastOfMessage notes that a notice is done and says whether its message is done with it. It stays true until the
// message is deleted, so that a failed deletion can be tried again.
func (n *Notices) lastOfMessage(notice cloud.Notice) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.open[notice.Receipt]
	if m == nil {
		return true
	}
	delete(m.left, notice.ID)
	return len(m.left) == 0
}

func (n *Notices) queueURL(ctx context.Context) (string, error) {
	n.mu.Lock()
	url := n.url
	n.mu.Unlock()
	if url != "" {
		return url, nil
	}
	out, err := n.api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: awssdk.String(n.queue)})
	if err != nil {
		return "", n.queueError("sqs:GetQueueUrl", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.url = awssdk.ToString(out.QueueUrl)
	return n.url, nil
}

// queueError tells a queue that is not there from other errors; its address is looked up again next time.
func (n *Notices) queueError(action string, err error) error {
	var missing *sqstypes.QueueDoesNotExist
	if errors.As(err, &missing) || slices.Contains([]string{"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}, errorCode(err)) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.url = ""
		return &cloud.MisconfiguredError{Field: "interruption queue", Message: fmt.Sprintf(
			"there is no SQS queue %q in this account and region; create it with its EventBridge rules, correct the name, or leave it empty to go without notices", n.queue)}
	}
	return callError(action, err)
}
