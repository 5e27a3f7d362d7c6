package stories_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/test/stage"
	"github.com/slipway-sh/slipway/test/witness"
)

// account answers how somebody else speaks to the same AWS account.
func (s *story) account() awssdk.Config {
	return awssdk.Config{
		Region: stage.Region, BaseEndpoint: awssdk.String(s.AWS.URL), Credentials: credentials.NewStaticCredentialsProvider(wire.Administrator, "secret", ""),
	}
}

// terminate ends a machine as a person at the EC2 console does.
func (s *story) terminate(id string) {
	s.Helper()
	s.Spare(id)
	if _, err := ec2.NewFromConfig(s.account()).TerminateInstances(s.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}}); err != nil {
		s.Fatalf("terminating %s by hand: %v", id, err)
	}
}

// deletedByHand: somebody terminates a machine. Its claim ends, its pod's successor gets another, and nothing is left over.
func (s *story) deletedByHand() {
	s.Provision(nil, "g4dn.xlarge")
	s.Create(s.Deployment("server", 2, 1, nil))
	pods := s.PodsRunning(60*time.Second, 2)
	s.Settled(30*time.Second, 2)
	victim := s.ClaimOf(pods[0])
	s.terminate(victim.Status.InstanceID)
	s.Ended(30*time.Second, victim) // also one that was launched a moment ago: its GPUs count until then
	s.PodsRunning(60*time.Second, 2)
	s.Settled(30*time.Second, 2)
	if all := s.Machines(s.T, s.Title); len(all) != 3 {
		s.Errorf("%d machines were launched, want 3: two, and one for the one that was deleted", len(all))
	}
}

// garbageInTheQueue: what nobody can read, or is about machines that nobody knows, is counted and dropped. It moves nothing, and a
// real notice behind it is heard.
func (s *story) garbageInTheQueue() {
	s.Provision(nil, "g4dn.xlarge")
	s.Create(s.Deployment("server", 1, 1, nil))
	pod := s.PodsRunning(60*time.Second, 1)[0]
	claim := s.ClaimOf(pod)
	warning := func(id string) string {
		return fmt.Sprintf(`{"version":"0","id":"1","detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","account":"123456789012",`+
			`"time":%q,"region":"us-east-1","detail":{"instance-id":%q,"instance-action":"terminate"}}`,
			time.Now().Add(-10*time.Minute).UTC().Format(time.RFC3339), id)
	}
	unreadable := []string{"garbage", "{", "[]", "{}", "null", warning(claim.Status.InstanceID)[:150], strings.Repeat("x", 10_000), warning("not-an-instance")}
	unknown := []string{warning("i-0123456789abcdef0"), warning("i-0123456789abcdef0")}
	before := s.metric(s.T, "slipway_notices_total", `kind="Unreadable"`, `outcome="ignored"`)
	queue := s.send(append(append(slices.Clone(unreadable), unreadable...), unknown...))
	s.Eventually(30*time.Second, "the queue to drain", func() error { return s.empty(queue) })
	if got := s.metric(s.T, "slipway_notices_total", `kind="Unreadable"`, `outcome="ignored"`) - before; got < float64(2*len(unreadable)) {
		s.Errorf("%g unreadable notices were counted, want %d", got, 2*len(unreadable))
	}
	if got := s.metric(s.T, "slipway_notices_total", `outcome="unknown_instance"`); got < float64(len(unknown)) {
		s.Errorf("%g notices about unknown machines were counted, want %d", got, len(unknown))
	}
	for _, c := range s.Claims(s.Title) {
		if c.UID != claim.UID || c.Status.Retire != nil || c.DeletionTimestamp != nil {
			s.Errorf("claim %s: retire %+v, deleted %v; garbage must move nothing", c.Name, c.Status.Retire, c.DeletionTimestamp)
		}
	}
	if now := s.Pods(s.Title); len(now) != 1 || now[0].UID != pod.UID || !witness.Running(now[0]) {
		s.Error("the pod does not run where it did")
	}
	if err := s.AWS.Interrupt(claim.Status.InstanceID); err != nil {
		s.Fatal(err)
	}
	s.Ended(60*time.Second, claim)
	s.PodsRunning(60*time.Second, 1)
}

// send puts messages into the queue, and answers its URL.
func (s *story) send(bodies []string) string {
	s.Helper()
	api := sqs.NewFromConfig(s.account())
	queue, err := api.GetQueueUrl(s.Context(), &sqs.GetQueueUrlInput{QueueName: awssdk.String(stage.QueueName)})
	if err != nil {
		s.Fatalf("finding the queue: %v", err)
	}
	for _, body := range bodies {
		if _, err := api.SendMessage(s.Context(), &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: awssdk.String(body)}); err != nil {
			s.Fatalf("sending %q: %v", body, err)
		}
	}
	return *queue.QueueUrl
}

func (s *story) empty(queue string) error {
	attributes, err := sqs.NewFromConfig(s.account()).GetQueueAttributes(s.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: awssdk.String(queue), AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessages},
	})
	if err != nil {
		return err
	}
	if left := attributes.Attributes["ApproximateNumberOfMessages"]; left != "0" {
		return fmt.Errorf("%s messages are left", left)
	}
	return nil
}

// The promises about a notice, which a loaded test machine is given a second more to keep. Creation times are whole seconds, rounded down.
const (
	fencedWithin   = 3 * time.Second
	replacedWithin = 3 * time.Second
	noticeMargin   = 100 * time.Second
)

// spotInterruption: EC2 takes a machine whose pod must not be disrupted and whose budget allows nothing. The node is closed at once, the
// replacement bought at once, the pod left alone as long as may be and then stopped in time, and its successor runs.
func (s *story) spotInterruption() {
	s.Provision(nil, "g4dn.xlarge")
	s.Create(s.BudgetOfNone(), s.Deployment("training", 1, 1, func(p *corev1.Pod) {
		p.Annotations = map[string]string{v1alpha1.KarpenterDoNotDisrupt: "true"}
	}))
	pod := s.PodsRunning(60*time.Second, 1)[0]
	claim := s.ClaimOf(pod)
	node := s.Node(claim.Status.NodeName)
	if err := s.AWS.Interrupt(claim.Status.InstanceID); err != nil {
		s.Fatal(err)
	}
	machine := s.Machine(s.T, claim.Status.InstanceID)
	var replacement *v1alpha1.NodeClaim
	s.Eventually(30*time.Second, "a replacement", func() error {
		for _, c := range s.Claims(s.Title) {
			if c.UID != claim.UID {
				replacement = c
				return nil
			}
		}
		return errors.New("there is none")
	})
	if took := replacement.CreationTimestamp.Sub(machine.InterruptedAt); took > replacedWithin {
		s.Errorf("the replacement came %s after the notice", took)
	}
	fence := witness.FirstSeen(s.Record, s.NodesSeen, node.UID, func(n *corev1.Node) bool {
		return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == v1alpha1.TaintRetiring })
	})
	if took := fence.Sub(machine.InterruptedAt); fence.IsZero() || took > fencedWithin {
		s.Errorf("fenced at %s, %s after the notice", witness.Clock(fence), took)
	}
	var stopped time.Time
	s.Eventually(60*time.Second, "the pod to be asked to stop", func() error {
		stopped = witness.FirstSeen(s.Record, s.PodsSeen, pod.UID, func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
		if stopped.IsZero() {
			return errors.New("it was not")
		}
		return nil
	})
	s.Logf("fenced %s, replaced %s and stopped %s after the notice", fence.Sub(machine.InterruptedAt),
		replacement.CreationTimestamp.Sub(machine.InterruptedAt), stopped.Sub(machine.InterruptedAt))
	if last := machine.Deadline.Add(-noticeMargin); stopped.After(last) {
		s.Errorf("the pod was asked to stop at %s, after the deadline minus the margin, %s", witness.Clock(stopped), witness.Clock(last))
	}
	if least := machine.InterruptedAt.Add(5 * time.Second); stopped.Before(least) {
		s.Errorf("the pod was stopped at %s although its budget and its annotation could be kept longer", witness.Clock(stopped))
	}
	s.Ended(60*time.Second, claim)
	if successor := s.PodsRunning(60*time.Second, 1)[0]; s.ClaimOf(successor).UID != replacement.UID {
		s.Errorf("the successor does not run on the replacement")
	}
}
