package observed_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/observed"
)

type coded string

func (c coded) Error() string     { return "api error " + string(c) }
func (c coded) ErrorCode() string { return string(c) }

func TestOutcome(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"none":             {nil, observed.OK},
		"stockout":         {&cloud.StockoutError{}, observed.Stockout},
		"quota":            {&cloud.QuotaError{}, observed.Quota},
		"throttled":        {cloud.ErrThrottled, observed.Throttled},
		"denied":           {&cloud.DeniedError{}, observed.Denied},
		"misconfigured":    {&cloud.MisconfiguredError{}, observed.Misconfigured},
		"gone":             {cloud.ErrGone, observed.Gone},
		"token reused":     {cloud.ErrTokenReused, observed.TokenReused},
		"canceled":         {context.Canceled, observed.Canceled},
		"deadline":         {context.DeadlineExceeded, observed.Timeout},
		"outage":           {errors.New("connection refused"), observed.Failed},
		"api throttling":   {coded("RequestLimitExceeded"), observed.Throttled},
		"api denied":       {coded("UnauthorizedOperation"), observed.Denied},
		"api unknown":      {coded("InternalError"), observed.Failed},
		"port before code": {errors.Join(cloud.ErrGone, coded("UnauthorizedOperation")), observed.Gone},
		"dry run":          {coded("DryRunOperation"), observed.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			if got := observed.Outcome(tc.err); got != tc.want {
				t.Errorf("Outcome(%v) = %q; want %q", tc.err, got, tc.want)
			}
			if tc.err == nil {
				return
			}
			if got := observed.Outcome(fmt.Errorf("launching: %w", tc.err)); got != tc.want {
				t.Errorf("Outcome of the wrapped %v = %q; want %q", tc.err, got, tc.want)
			}
		})
	}
}

type ledger struct{ lines []string }

func (l *ledger) CloudOperation(operation, outcome string, took time.Duration) {
	l.lines = append(l.lines, fmt.Sprintf("%s %s %s", operation, outcome, took))
}

func (l *ledger) CloudRequest(service, operation, outcome string, took time.Duration) {
	l.lines = append(l.lines, fmt.Sprintf("%s %s %s %s", service, operation, outcome, took))
}

func (l *ledger) CatalogDegraded(sources []string) {
	l.lines = append(l.lines, fmt.Sprintf("degraded %v", sources))
}

// slow is a port whose every call takes a second, answers something and fails with err.
type slow struct{ err error }

func (s slow) wait() error { time.Sleep(time.Second); return s.err }

func (s slow) Launch(_ context.Context, req cloud.LaunchRequest) (cloud.LaunchResult, error) {
	return cloud.LaunchResult{Instance: cloud.Instance{Token: req.Token}}, s.wait()
}
func (s slow) Terminate(context.Context, string) error { return s.wait() }
func (s slow) Instance(_ context.Context, id string) (cloud.Instance, error) {
	return cloud.Instance{ID: id}, s.wait()
}
func (s slow) Instances(context.Context) ([]cloud.Instance, error) {
	return []cloud.Instance{{ID: "i-1"}}, s.wait()
}
func (s slow) Load(context.Context) (cloud.Snapshot, error) {
	return cloud.Snapshot{Degraded: []cloud.Degradation{{Source: "Pricing"}}}, s.wait()
}
func (s slow) Resolve(_ context.Context, spec cloud.TemplateSpec) (cloud.Template, error) {
	return cloud.Template{Spec: spec}, s.wait()
}
func (s slow) Release(context.Context, cloud.TemplateSpec) error { return s.wait() }
func (s slow) Receive(context.Context) ([]cloud.Notice, error) {
	return []cloud.Notice{{ID: "1"}}, s.wait()
}
func (s slow) Done(context.Context, cloud.Notice) error { return s.wait() }

func TestDecoratorsCountEachCallAndChangeNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want []string
	}{
		"fine": {nil, []string{
			"Fleet.Launch ok 1s", "Fleet.Terminate ok 1s", "Fleet.Instance ok 1s", "Fleet.Instances ok 1s",
			"Catalog.Load ok 1s", "degraded [Pricing]", "Templates.Resolve ok 1s", "Templates.Release ok 1s",
			"NoticeSource.Receive ok 1s", "NoticeSource.Done ok 1s",
		}},
		"throttled": {cloud.ErrThrottled, []string{
			"Fleet.Launch throttled 1s", "Fleet.Terminate throttled 1s", "Fleet.Instance throttled 1s", "Fleet.Instances throttled 1s",
			"Catalog.Load throttled 1s", "Templates.Resolve throttled 1s", "Templates.Release throttled 1s",
			"NoticeSource.Receive throttled 1s", "NoticeSource.Done throttled 1s",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &ledger{}
				callAll(t, slow{tc.err}, l)
				if diff := cmp.Diff(tc.want, l.lines); diff != "" {
					t.Errorf("observed (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func callAll(t *testing.T, s slow, l *ledger) {
	t.Helper()
	same := func(got, want any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, s.err) {
			t.Errorf("answer (-want +got), error %v:\n%s", err, diff)
		}
	}
	fleet := observed.Fleet(s, l)
	launched, err := fleet.Launch(t.Context(), cloud.LaunchRequest{Token: "t"})
	same(launched, cloud.LaunchResult{Instance: cloud.Instance{Token: "t"}}, err)
	same(nil, nil, fleet.Terminate(t.Context(), "i-1"))
	one, err := fleet.Instance(t.Context(), "i-1")
	same(one, cloud.Instance{ID: "i-1"}, err)
	all, err := fleet.Instances(t.Context())
	same(all, []cloud.Instance{{ID: "i-1"}}, err)
	snapshot, err := observed.Catalog(s, l).Load(t.Context())
	same(snapshot, cloud.Snapshot{Degraded: []cloud.Degradation{{Source: "Pricing"}}}, err)
	template, err := observed.Templates(s, l).Resolve(t.Context(), cloud.TemplateSpec{Name: "n"})
	same(template, cloud.Template{Spec: cloud.TemplateSpec{Name: "n"}}, err)
	same(nil, nil, observed.Templates(s, l).Release(t.Context(), cloud.TemplateSpec{Name: "n"}))
	source := observed.NoticeSource(s, l)
	received, err := source.Receive(t.Context())
	same(received, []cloud.Notice{{ID: "1"}}, err)
	same(nil, nil, source.Done(t.Context(), cloud.Notice{}))
}

func TestNoSourceStaysNone(t *testing.T) {
	if got := observed.NoticeSource(nil, &ledger{}); got != nil {
		t.Errorf("NoticeSource(nil) = %v; want nil", got)
	}
}

func TestRequestsOnTheWire(t *testing.T) {
	l := &ledger{}
	hook := observed.Requests(l)
	hook("EC2", "CreateFleet", 0.25, nil)
	hook("SQS", "ReceiveMessage", 20, coded("AccessDenied"))
	want := []string{"EC2 CreateFleet ok 250ms", "SQS ReceiveMessage denied 20s"}
	if diff := cmp.Diff(want, l.lines); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}
