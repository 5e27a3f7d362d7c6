package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// receiveBatch is how many notices Receive answers at most, as SQS does.
const receiveBatch = 10

// Message is an entry of the cluster's queue: a notice, or a body that someone put there.
type Message struct {
	ID      string
	Receipt string // of the latest delivery
	SentAt  time.Time
	// Notice is what the message means. Its kind is Unreadable where Body was put into the queue by hand.
	Notice cloud.Notice
	Body   string // empty for the cloud's own notices
	// Deliveries counts how often the message was received, this time included.
	Deliveries int
}

type queue struct {
	messages []*queued // oldest first
	ordinal  int
	wake     chan struct{} // closed, and replaced, when a message arrives
}

type queued struct {
	Message
	hiddenUntil time.Time
}

func newQueue() queue { return queue{wake: make(chan struct{})} }

// notify puts a notice into the queue, as often as the faults ask for.
func (c *Cloud) notify(n cloud.Notice, body string) string {
	n.At = c.now
	c.enqueue(n, body)
	if c.faults.duplicates > 0 {
		c.faults.duplicates--
		c.enqueue(n, body)
	}
	close(c.queue.wake)
	c.queue.wake = make(chan struct{})
	return c.queue.messages[len(c.queue.messages)-1].ID
}

func (c *Cloud) enqueue(n cloud.Notice, body string) {
	c.queue.ordinal++
	n.ID = fmt.Sprintf("00000000-0000-4000-8000-%012x", c.queue.ordinal)
	c.queue.messages = append(c.queue.messages, &queued{Message: Message{ID: n.ID, SentAt: c.now, Notice: n, Body: body}})
}

// noticeState sends the notice of a machine's new state. EC2 sends it for every state; the port's users act on some.
func (c *Cloud) noticeState(m *machine) {
	if c.config.QuietStates {
		return
	}
	n := cloud.Notice{Kind: cloud.StateChange, InstanceID: m.ID, State: m.State}
	if m.Alive() {
		n.Kind = cloud.Irrelevant
	}
	c.notify(n, "")
}

// Interrupt warns that a spot machine will be taken at the end of Config.NoticeLead, and takes it then. ErrGone: there is
// no such machine, or it is ending already. A machine that was warned keeps its deadline.
func (c *Cloud) Interrupt(instanceID string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	m, found := c.machines[instanceID]
	if !found || !m.Alive() {
		return cloud.ErrGone
	}
	if m.Key.Market != cloud.Spot {
		return fmt.Errorf("interrupting %s: it is %s; only spot is interrupted", instanceID, m.Key.Market)
	}
	c.interrupt(m)
	return nil
}

func (c *Cloud) interrupt(m *machine) {
	if !m.InterruptedAt.IsZero() {
		return
	}
	m.InterruptedAt, m.Deadline = c.now, c.now.Add(c.config.NoticeLead)
	c.notify(cloud.Notice{Kind: cloud.SpotInterruption, InstanceID: m.ID, Deadline: m.Deadline}, "")
	c.after(c.config.NoticeLead, func() { c.shutDown(m, "Server.SpotInstanceTermination") })
}

// Rebalance recommends to leave a machine. ErrGone as for Interrupt.
func (c *Cloud) Rebalance(instanceID string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	m, found := c.machines[instanceID]
	if !found || !m.Alive() {
		return cloud.ErrGone
	}
	c.rebalance(m)
	return nil
}

func (c *Cloud) rebalance(m *machine) {
	c.notify(cloud.Notice{Kind: cloud.Rebalance, InstanceID: m.ID}, "")
}

// Send puts a body into the queue, which the port will call unreadable, and answers the message's ID.
func (c *Cloud) Send(body string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	return c.send(body)
}

func (c *Cloud) send(body string) string {
	return c.notify(cloud.Notice{Kind: cloud.Unreadable, Detail: body}, body)
}

// Take receives up to count messages that are not hidden, and hides them for visibility.
func (c *Cloud) Take(count int, visibility time.Duration) []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	return c.take(count, visibility)
}

func (c *Cloud) take(count int, visibility time.Duration) []Message {
	var taken []Message
	for _, q := range c.queue.messages {
		if len(taken) == count {
			break
		}
		if q.hiddenUntil.After(c.now) {
			continue
		}
		q.Deliveries++
		q.Receipt = fmt.Sprintf("%s.%d", q.ID, q.Deliveries)
		q.hiddenUntil = c.now.Add(visibility)
		taken = append(taken, q.Message)
	}
	return taken
}

// Acknowledge removes the message of a receipt and says whether there was one. Any delivery's receipt will do.
func (c *Cloud) Acknowledge(receipt string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	id := receipt[:max(0, strings.LastIndexByte(receipt, '.'))]
	before := len(c.queue.messages)
	c.queue.messages = slices.DeleteFunc(c.queue.messages, func(q *queued) bool { return q.ID == id })
	return len(c.queue.messages) < before
}

// Await waits, at most for limit, until there may be something to Take. Without Config.Wait it answers at once.
func (c *Cloud) Await(ctx context.Context, limit time.Duration) error {
	c.mu.Lock()
	c.settle()
	wait, wake := c.config.Wait, c.queue.wake
	for _, q := range c.queue.messages {
		limit = min(limit, max(0, q.hiddenUntil.Sub(c.now)))
	}
	if due, any := c.agenda.next(); any {
		limit = min(limit, max(0, due.Sub(c.now)))
	}
	c.mu.Unlock()
	if wait == nil || limit <= 0 {
		return ctx.Err()
	}
	return wait(ctx, limit, wake)
}

// Receive is cloud.NoticeSource's.
func (c *Cloud) Receive(ctx context.Context) ([]cloud.Notice, error) {
	if _, err := c.Admit(Call{Name: "ReceiveMessage"}); err != nil {
		return nil, err
	}
	deadline := c.Now().Add(c.config.LongPoll)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if messages := c.Take(receiveBatch, c.config.Visibility); len(messages) > 0 {
			return notices(messages), nil
		}
		left := deadline.Sub(c.Now())
		if left <= 0 || c.config.Wait == nil {
			return nil, nil
		}
		if err := c.Await(ctx, left); err != nil {
			return nil, err
		}
	}
}

func notices(messages []Message) []cloud.Notice {
	answer := make([]cloud.Notice, len(messages))
	for i, m := range messages {
		answer[i] = m.Notice
		answer[i].Receipt = m.Receipt
		if m.Notice.Kind == cloud.Irrelevant {
			answer[i].Detail = fmt.Sprintf("%s is %s", m.Notice.InstanceID, m.Notice.State)
			answer[i].InstanceID, answer[i].State = "", ""
		}
	}
	return answer
}

// Done is cloud.NoticeSource's. Acknowledging twice is harmless.
func (c *Cloud) Done(ctx context.Context, n cloud.Notice) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := c.Admit(Call{Name: "DeleteMessage"}); err != nil {
		return err
	}
	c.Acknowledge(n.Receipt)
	return nil
}

// QueueLength is how many messages are in the queue, hidden ones included.
func (c *Cloud) QueueLength() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	return len(c.queue.messages)
}

// Hide hides the message of a receipt for d from now, and says whether there is one.
func (c *Cloud) Hide(receipt string, d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	for _, q := range c.queue.messages {
		if q.Receipt == receipt {
			q.hiddenUntil = c.now.Add(d)
			return true
		}
	}
	return false
}
