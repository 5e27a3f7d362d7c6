package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/aws"
)

// credentials says whether there is any use in asking AWS more.
func (s *survey) credentials(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	who, err := s.AWS.Identity(ctx)
	if err != nil {
		s.Report(Result{Check: "credentials", Status: Fail, Message: err.Error(),
			Remedy: "give the pod its role (EKS Pod Identity or IRSA), or set AWS_PROFILE here; nothing else of AWS is looked at"})
		return false
	}
	s.ok("credentials", "%s in account %s, region %s", who.ARN, who.Account, s.AWS.Region)
	return true
}

func (s *survey) cluster(ctx context.Context) {
	version, err := s.AWS.KubernetesVersion(ctx)
	if err != nil {
		s.failed("cluster", err)
		return
	}
	s.ok("cluster", "EKS describes it: Kubernetes %s", version)
}

func (s *survey) catalogue(ctx context.Context) {
	snapshot, err := s.AWS.Catalog.Load(ctx)
	if err != nil {
		s.failed("catalogue", err)
		return
	}
	for _, d := range snapshot.Degraded {
		s.Report(Result{Check: "catalogue " + d.Source, Status: Warn, Message: d.Message})
	}
	zones := map[string]bool{}
	for _, o := range snapshot.Offerings {
		zones[o.Zone] = true
	}
	s.snapshot = snapshot
	s.ok("catalogue", "%d GPU instance types in %d zones have a price", len(snapshot.Types), len(zones))
}

func (s *survey) queue(ctx context.Context) {
	if s.Queue == "" {
		s.Report(Result{Check: "queue", Status: Warn, Message: "no interruption queue is named: spot takes nodes without warning",
			Remedy: "make one with deploy/cloudformation or deploy/terraform, and set --interruption-queue here and interruptionQueue of the chart"})
		return
	}
	err := s.AWS.ReadQueue(ctx)
	if denied := (*cloud.DeniedError)(nil); errors.As(err, &denied) {
		s.Report(Result{Check: "queue", Status: Fail, Message: denied.Error(),
			Remedy: "see that the name is right: the policy allows " + denied.Action + " on one queue only; that of deploy/cloudformation is named slipway- and the cluster's name"})
		return
	}
	if err != nil {
		s.failed("queue", err)
		return
	}
	s.queueRead = true
	s.ok("queue", "%s is there and can be read", s.Queue)
}

func (s *survey) rules(ctx context.Context) {
	if !s.queueRead {
		return
	}
	accepts, err := s.AWS.QueueAcceptsEvents(ctx)
	switch {
	case err != nil:
		s.unseen("queue policy", err)
	case !accepts:
		s.Report(Result{Check: "queue policy", Status: Warn, Message: "no statement of the queue's policy lets events.amazonaws.com send to it: no notice arrives",
			Remedy: "give the queue the policy that it has in deploy/cloudformation and deploy/terraform"})
	default:
		s.ok("queue policy", "EventBridge may send to the queue")
	}
	rules, err := s.AWS.QueueRules(ctx)
	if err != nil {
		s.unseen("queue rules", err)
		return
	}
	if missing := aws.MissingEvents(rules); len(missing) > 0 {
		s.Report(Result{Check: "queue rules", Status: Warn, Message: "no enabled EventBridge rule sends these to the queue: " + strings.Join(missing, ", "),
			Remedy: "make the rules with deploy/cloudformation or deploy/terraform, or enable them"})
		return
	}
	s.ok("queue rules", "%d EventBridge rules fill it with every event that is heeded", len(rules))
}

func (s *survey) spotRole(ctx context.Context) {
	has, err := s.AWS.HasSpotRole(ctx)
	switch {
	case err != nil:
		s.unseen("spot role", err)
	case !has:
		s.Report(Result{Check: "spot role", Status: Warn, Message: "the account has no role " + aws.SpotRole + ": spot launches fail where nobody may make it",
			Remedy: "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"})
	default:
		s.ok("spot role", "the account has %s", aws.SpotRole)
	}
}

func (s *survey) quotas(ctx context.Context) {
	quotas, err := s.AWS.VCPUQuotas(ctx)
	if err != nil {
		s.unseen("quotas", err)
		return
	}
	status := Warn
	if !slices.ContainsFunc(quotas, func(q aws.VCPUQuota) bool { return q.Limit >= q.Smallest }) {
		status = Fail // as in a new account
	}
	for _, q := range quotas {
		check := "quota " + q.Code
		said := fmt.Sprintf("%s: %d of %d vCPUs are in use", q.Name, q.Used, q.Limit)
		if q.Limit-q.Used >= q.Smallest {
			s.ok(check, "%s", said)
			continue
		}
		s.Report(Result{Check: check, Status: status, Message: said + fmt.Sprintf("; the smallest such machine takes %d", q.Smallest),
			Remedy: fmt.Sprintf("aws service-quotas request-service-quota-increase --region %s --service-code ec2 --quota-code %s --desired-value N, unless none is wanted", s.AWS.Region, q.Code)})
	}
}
