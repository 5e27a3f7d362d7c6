package notice

import (
	"cmp"
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

const (
	// spotWarning is how long before it takes a spot machine EC2 says so; it stands in for a deadline that a notice does not tell.
	spotWarning = 2 * time.Minute
	// settles is how long a notice about an unknown machine comes again while claims are launching: one of them may have it, and its
	// status not say so yet, or not any more, if the controller ended between the launch and the write.
	settles = 2 * time.Minute
	// reasonTimeout bounds the wait for the reason of a machine's end.
	reasonTimeout = 3 * time.Second
	// detailLimit is how much of a message that cannot be read is logged, in bytes.
	detailLimit = 512
)

// handle does what a notice asks for.
func (l *Listener) handle(ctx context.Context, n cloud.Notice, b *batch) (telemetry.NoticeOutcome, error) {
	switch n.Kind {
	case cloud.SpotInterruption, cloud.ScheduledChange, cloud.StateChange, cloud.Rebalance:
	case cloud.Unreadable:
		if l.seen.first("unreadable/" + n.ID) {
			log.FromContext(ctx).Info("A notice cannot be read and is dropped", "detail", n.Detail[:min(detailLimit, len(n.Detail))])
		}
		return telemetry.NoticeIgnored, nil
	default:
		return telemetry.NoticeIgnored, nil
	}
	if n.Kind == cloud.StateChange && !ending(n.State) {
		return telemetry.NoticeIgnored, nil
	}
	claim, launching, err := b.find(ctx, n.InstanceID)
	switch {
	case err != nil:
		return "", err
	case claim == nil && launching && n.Kind != cloud.Rebalance && l.cfg.Now().Sub(n.At) < settles:
		return telemetry.NoticeWaits, nil
	case claim == nil:
		return telemetry.NoticeUnknown, nil
	}
	e := &effect{Listener: l, notice: n, claim: claim}
	switch n.Kind {
	case cloud.Rebalance:
		return telemetry.NoticeHandled, e.recommend(ctx)
	case cloud.StateChange:
		return telemetry.NoticeHandled, e.gone(ctx)
	default:
		return telemetry.NoticeHandled, e.taken(ctx)
	}
}

func ending(s cloud.InstanceState) bool {
	switch s {
	case cloud.InstanceStopping, cloud.InstanceStopped, cloud.InstanceShuttingDown, cloud.InstanceTerminated:
		return true
	}
	return false
}

// effect is what one notice does to one claim.
type effect struct {
	*Listener
	notice cloud.Notice
	claim  *v1alpha1.NodeClaim
}

// recommend passes the rebalance recommendation on to people.
func (e *effect) recommend(ctx context.Context) error {
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	e.cfg.Events.RebalanceRecommended(e.claim)
	if node != nil {
		e.cfg.Events.RebalanceRecommended(node)
	}
	return nil
}

// taken is for a machine that the cloud takes.
func (e *effect) taken(ctx context.Context) error {
	now := e.cfg.Now()
	e.count(now)
	node, err := e.fence(ctx)
	if err != nil {
		return err
	}
	deadline := e.deadline(now)
	found, err := e.retire(ctx, v1alpha1.Retirement{
		Reason: v1alpha1.RetireNotice, Message: e.message(deadline), Since: seconds(now), Deadline: optional(deadline),
	})
	if err != nil || !found {
		return err
	}
	if err := e.delete(ctx); err != nil {
		return err
	}
	e.cfg.Grow.Wake()
	e.cfg.Events.Interrupted(e.claim, deadline)
	if node == nil {
		return nil
	}
	e.cfg.Events.Interrupted(node, deadline)
	pods, err := e.gpuPods(ctx, node.Name)
	for i := range pods {
		e.cfg.Events.Interrupted(&pods[i], deadline)
	}
	return err
}

// gone is for a machine that is ending or has ended. Most such notices follow from what Slipway itself did: then the claim is being
// deleted already and nothing is left to do.
func (e *effect) gone(ctx context.Context) error {
	if e.claim.DeletionTimestamp != nil && e.claim.Status.Retire != nil {
		return nil
	}
	now := e.cfg.Now()
	node, err := e.fence(ctx)
	if err != nil {
		return err
	}
	message := fmt.Sprintf("machine %s is %s, and Slipway did not ask for it", e.notice.InstanceID, e.notice.State)
	if reason := e.endReason(ctx); reason != "" {
		message += ": " + reason
	}
	found, err := e.retire(ctx, v1alpha1.Retirement{Reason: v1alpha1.RetireGone, Message: message, Since: seconds(now)})
	if err != nil || !found {
		return err
	}
	if err := e.delete(ctx); err != nil {
		return err
	}
	e.cfg.Grow.Wake()
	if e.claim.Status.Retire.Reason != v1alpha1.RetireGone {
		return nil
	}
	e.cfg.Events.MachineGone(e.claim, message)
	if node != nil {
		e.cfg.Events.MachineGone(node, message)
	}
	return nil
}

// endReason asks the cloud why the machine ends, and for the answer no longer than it takes when all is well.
func (e *effect) endReason(ctx context.Context) string {
	if e.cfg.Machines == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, reasonTimeout)
	defer cancel()
	machine, err := e.cfg.Machines.Instance(ctx, e.notice.InstanceID)
	return cmp.Or(machine.StateReason, cloud.EndReason(err))
}

// count counts an interruption once, however often its notice comes.
func (e *effect) count(now time.Time) {
	retire := e.claim.Status.Retire
	if retire != nil && retire.Reason == v1alpha1.RetireNotice || !e.seen.first("interrupted/"+e.claim.Status.InstanceID) {
		return
	}
	e.cfg.Metrics.Interrupted(e.claim.Spec.Provisioner, e.notice.Kind)
	if s := e.claim.Status; s.InstanceType != "" && s.Zone != "" {
		key := cloud.OfferingKey{InstanceType: s.InstanceType, Zone: s.Zone, Market: cloud.Market(e.claim.Spec.Market)}
		e.cfg.Health.Interrupted(key, now)
	}
}

// deadline is when the cloud takes the machine; zero: it did not say. Maintenance may be announced, or announced again, when its window
// has begun. The machine goes at any moment then, but it is there, and its pods get the time that a spot machine's get.
func (e *effect) deadline(now time.Time) time.Time {
	if d := e.notice.Deadline; e.notice.Kind == cloud.ScheduledChange && !d.IsZero() && d.Before(now.Add(spotWarning)) {
		return now.Add(spotWarning)
	}
	if e.notice.Deadline.IsZero() && e.notice.Kind == cloud.SpotInterruption {
		said := now
		if !e.notice.At.IsZero() {
			said = e.notice.At
		}
		return said.Add(spotWarning)
	}
	return e.notice.Deadline
}

func (e *effect) message(deadline time.Time) string {
	what := "EC2 takes this spot machine back"
	if e.notice.Kind == cloud.ScheduledChange {
		what = "EC2 has scheduled maintenance: " + cmp.Or(e.notice.Detail, "no details given")
	}
	if deadline.IsZero() {
		return what
	}
	return what + " at " + deadline.UTC().Format(time.RFC3339)
}

// delete asks for the end of exactly this claim, not of a later one of the same name.
func (e *effect) delete(ctx context.Context) error {
	if e.claim.DeletionTimestamp != nil {
		return nil
	}
	err := e.cfg.Client.Delete(ctx, e.claim, client.Preconditions{UID: &e.claim.UID})
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // conflict: another claim has the name
		return nil
	}
	return fmt.Errorf("deleting NodeClaim %s: %w", e.claim.Name, err)
}
