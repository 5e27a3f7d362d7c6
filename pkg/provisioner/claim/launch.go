package claim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// launch buys the machine. What is known about it stands in the condition Launched:
//
//	absent    nothing is on record: a claim that this process has not created may have a machine
//	Unknown   a machine may exist: a launch was begun (and perhaps a crash or a lost reply followed)
//	False     the cloud has said that there is none
//	True      status.instanceID is it
//
// Until it is True its LastTransitionTime is the time of the latest attempt.
func (s *scope) launch(ctx context.Context) (bool, error) {
	if s.claim.Status.InstanceID != "" {
		return true, nil
	}
	if s.claim.Status.Retire != nil {
		return false, nil
	}
	if wait := s.backoff(); wait > 0 {
		s.again(wait)
		return false, nil
	}
	if m, known := s.r.attempts.machine(s.claim.UID); known {
		if m.recorded {
			s.again(staleWait)
			return false, nil
		}
		s.bought(m.instance)
		return true, nil
	}
	fresh := s.r.attempts.takeFresh(s.claim.Name)
	doubt := !fresh && s.inDoubt()
	if doubt {
		if found, err := s.adopt(ctx); found {
			return true, nil
		} else if err != nil {
			return false, s.launchRefused(fmt.Errorf("looking for the machine of an earlier attempt: %w", err), doubt)
		}
		if c := s.condition(v1alpha1.ConditionLaunched); c != nil && c.Reason == string(v1alpha1.ReasonTokenReused) {
			return false, s.awaitReused()
		}
	}
	return s.buy(ctx, fresh, doubt)
}

// buy asks the cloud for the machine: fresh, if nobody has before; in doubt, if an earlier attempt may have bought one that does not show.
func (s *scope) buy(ctx context.Context, fresh, doubt bool) (bool, error) {
	req, err := s.launchRequest()
	if err != nil {
		return false, s.launchLater(v1alpha1.ReasonNodeClassNotReady, err, doubt)
	}
	if !fresh || s.now.Sub(s.claim.CreationTimestamp.Time) > unannounced {
		if err := s.intend(ctx); err != nil {
			return false, err
		}
	}
	result, err := s.ask(ctx, req)
	if ctx.Err() != nil && err != nil {
		return false, err // shutting down: whoever comes next looks for the machine
	}
	if err != nil {
		return false, s.launchRefused(err, doubt)
	}
	s.r.attempts.bought(s.claim.UID, result.Instance)
	s.bought(result.Instance)
	return true, nil
}

// ask asks the cloud for the machine, and tells health of the attempt and what came of it.
func (s *scope) ask(ctx context.Context, req cloud.LaunchRequest) (cloud.LaunchResult, error) {
	ctx, cancel := context.WithTimeout(ctx, launchTimeout)
	defer cancel()
	keys := make([]cloud.OfferingKey, len(req.Choices))
	for i, c := range req.Choices {
		keys[i] = cloud.OfferingKey{InstanceType: c.InstanceType, Zone: c.Zone, Market: req.Market}
	}
	health := s.r.cfg.Health
	health.Begin(req.Token, keys, s.now)
	defer health.End(req.Token)
	result, err := s.r.cfg.Fleet.Launch(ctx, req)
	if err != nil {
		return result, err
	}
	if len(result.Stockouts) > 0 {
		health.Stockout(result.Stockouts, s.now)
	}
	health.Launched(result.Instance.OfferingKey, s.now)
	return result, nil
}

// inDoubt tells whether a machine may exist that is not on record.
func (s *scope) inDoubt() bool {
	c := s.condition(v1alpha1.ConditionLaunched)
	return c == nil || c.Status == metav1.ConditionUnknown
}

// intend stores that a launch is about to happen. It is refused unless this pass has seen the claim's latest state, so a repeated
// launch is never based on a stale cache, and never begins once the claim is deleted.
func (s *scope) intend(ctx context.Context) error {
	before := s.claim.DeepCopy()
	s.setAttempt(metav1.ConditionUnknown, v1alpha1.ReasonLaunching, "asking the cloud for a machine")
	if err := s.r.cfg.Client.Status().Patch(ctx, s.claim, locked(before)); err != nil {
		return fmt.Errorf("noting the intent to launch: %w", err)
	}
	s.before = s.claim.DeepCopy()
	return nil
}

// setAttempt sets Launched to a status other than True, with the present as its transition time whatever it was before.
func (s *scope) setAttempt(status metav1.ConditionStatus, reason v1alpha1.Reason, message string) {
	s.set(v1alpha1.ConditionLaunched, status, reason, message)
	s.condition(v1alpha1.ConditionLaunched).LastTransitionTime = metav1.NewTime(s.now)
}

// backoff is how long the next attempt has to wait. It doubles as the claim grows older, up to 15 s, and is counted from the latest
// attempt: the claim's own status is among what wakes its reconciler.
func (s *scope) backoff() time.Duration {
	c := s.condition(v1alpha1.ConditionLaunched)
	if c == nil {
		return 0
	}
	switch v1alpha1.Reason(c.Reason) {
	case v1alpha1.ReasonThrottled, v1alpha1.ReasonOutage, v1alpha1.ReasonNodeClassNotReady, v1alpha1.ReasonMisconfigured:
		age := c.LastTransitionTime.Sub(s.claim.CreationTimestamp.Time)
		return c.LastTransitionTime.Add(min(max(age, time.Second), 15*time.Second) + s.jitter()).Sub(s.now)
	}
	return 0
}

// adopt finds the machine that an earlier attempt has bought, and answers whether there is one.
func (s *scope) adopt(ctx context.Context) (bool, error) {
	instances, err := s.r.cfg.Fleet.Instances(ctx)
	if err != nil {
		return false, err
	}
	instances = slices.DeleteFunc(slices.Clone(instances), func(i cloud.Instance) bool { return i.Token != string(s.claim.UID) })
	if len(instances) == 0 {
		return false, nil
	}
	s.bought(slices.MinFunc(instances, preferred))
	return true, nil
}

// preferred orders machines of one claim, of which there is more than one only where a cloud ignores tokens: those that live
// first, then the oldest. The orphan sweep ends the others.
func preferred(a, b cloud.Instance) int {
	if alive(a) != alive(b) {
		if alive(a) {
			return -1
		}
		return 1
	}
	if c := a.LaunchedAt.Compare(b.LaunchedAt); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

func alive(i cloud.Instance) bool {
	return i.State == cloud.InstancePending || i.State == cloud.InstanceRunning
}

// launchRefused sorts an attempt's error. doubt says that an attempt before this one may have bought a machine: then the
// condition stays Unknown whatever this one's answer is, and release looks for the machine before it lets the claim go.
func (s *scope) launchRefused(err error, doubt bool) error {
	var (
		stockout *cloud.StockoutError
		quota    *cloud.QuotaError
		wrong    *cloud.MisconfiguredError
		denied   *cloud.DeniedError
	)
	s.r.cfg.Health.Refused(err, s.now)
	switch {
	case errors.As(err, &stockout):
		return s.launchFailed(v1alpha1.ReasonStockout, err, doubt)
	case errors.As(err, &quota):
		return s.launchFailed(v1alpha1.ReasonQuota, err, doubt)
	case errors.As(err, &wrong):
		// Nothing else would be planned in its place, so failing at once would only make the same claim again, over and over. And
		// some mistakes mend themselves: an instance profile takes a moment to be known everywhere.
		if s.now.Sub(s.claim.CreationTimestamp.Time) < misconfiguredPatience {
			return s.launchLater(v1alpha1.ReasonMisconfigured, err, doubt)
		}
		return s.launchFailed(v1alpha1.ReasonMisconfigured, err, doubt)
	case errors.As(err, &denied):
		return s.launchFailed(v1alpha1.ReasonDenied, err, doubt)
	case errors.Is(err, cloud.ErrThrottled):
		return s.launchLater(v1alpha1.ReasonThrottled, err, doubt)
	case errors.Is(err, cloud.ErrTokenReused):
		s.setAttempt(metav1.ConditionUnknown, v1alpha1.ReasonTokenReused, err.Error())
		s.again(pollInterval)
		return nil
	}
	return s.launchLater(v1alpha1.ReasonOutage, err, true)
}

// launchLater leaves it to a later attempt, with the same token.
func (s *scope) launchLater(reason v1alpha1.Reason, err error, doubt bool) error {
	age := s.now.Sub(s.claim.CreationTimestamp.Time)
	if age >= s.r.cfg.Deadlines.Launch {
		return s.launchFailed(reason, fmt.Errorf("not launched within %s: %w", s.r.cfg.Deadlines.Launch, err), doubt)
	}
	s.noteRefusal(reason, err, doubt)
	s.again(s.backoff())
	return nil
}

// launchFailed gives the claim up: demand is planned anew at once, elsewhere.
func (s *scope) launchFailed(reason v1alpha1.Reason, err error, doubt bool) error {
	s.noteRefusal(reason, err, doubt)
	s.say(corev1.EventTypeWarning, string(reason), "%s", err)
	s.r.cfg.Meter.ClaimLaunchFailed(reason)
	s.retire(v1alpha1.RetireLaunch, err.Error())
	return nil
}

func (s *scope) noteRefusal(reason v1alpha1.Reason, err error, doubt bool) {
	status := metav1.ConditionFalse
	if doubt {
		status = metav1.ConditionUnknown
	}
	s.setAttempt(status, reason, err.Error())
}

// awaitReused gives the machine of a reused token time to show; asking the cloud again would be refused again.
func (s *scope) awaitReused() error {
	c := s.condition(v1alpha1.ConditionLaunched)
	if s.now.Sub(c.LastTransitionTime.Time) < visibleWithin {
		s.again(pollInterval)
		return nil
	}
	return s.launchFailed(v1alpha1.ReasonTokenReused, errors.New(c.Message+"; no machine with this token has shown"), true)
}

// bought notes the claim's machine.
func (s *scope) bought(i cloud.Instance) {
	status := &s.claim.Status
	price, micro := s.price(i.OfferingKey)
	status.InstanceID, status.ProviderID, status.ImageID = i.ID, i.ProviderID, i.ImageID
	status.InstanceType, status.Zone = i.InstanceType, i.Zone
	status.PricePerHour = price
	status.Usage = s.usage(i.InstanceType, micro)
	if s.reach(v1alpha1.ConditionLaunched, v1alpha1.ReasonLaunched, fmt.Sprintf("%s is a %s %s in %s for $%s/h",
		i.ID, i.Market, i.InstanceType, i.Zone, price)) {
		s.r.cfg.Meter.ClaimLaunched(s.now.Sub(s.claim.CreationTimestamp.Time))
	}
}
