package health_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/health"
)

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	t4    = cloud.OfferingKey{InstanceType: "g4dn.xlarge", Zone: "us-east-1a", Market: cloud.Spot}
	t4b   = cloud.OfferingKey{InstanceType: "g4dn.xlarge", Zone: "us-east-1b", Market: cloud.Spot}
	a10g  = cloud.OfferingKey{InstanceType: "g5.xlarge", Zone: "us-east-1a", Market: cloud.Spot}
	v100  = cloud.OfferingKey{InstanceType: "p3.2xlarge", Zone: "us-east-1a", Market: cloud.Spot}
	t4od  = cloud.OfferingKey{InstanceType: "g4dn.xlarge", Zone: "us-east-1a", Market: cloud.OnDemand}
)

// open is an empty book; t is a *testing.T, a *testing.B or a *rapid.T.
func open(t interface{ Fatal(args ...any) }) *health.Book {
	b, err := health.New(health.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func after(d time.Duration) time.Time { return start.Add(d) }

func dry(b *health.Book, key cloud.OfferingKey, at time.Time) {
	b.Stockout([]cloud.OfferingKey{key}, at)
}

func wantStock(t *testing.T, b *health.Book, key cloud.OfferingKey, now time.Time, stock int, why health.Reason) {
	t.Helper()
	if s := b.State(key, now); s.Stock != stock || s.Closed != why {
		t.Errorf("%s after %s: stock %d, closed %q; want %d, %q", key, now.Sub(start), s.Stock, s.Closed, stock, why)
	}
}

func TestStockoutClosesLongerEachTime(t *testing.T) {
	b, now := open(t), start
	var closed []time.Duration
	for range 8 {
		dry(b, t4, now)
		s := b.State(t4, now)
		closed = append(closed, s.Until.Sub(now))
		wantStock(t, b, t4, s.Until.Add(-1), 0, health.Stockout)
		wantStock(t, b, t4, s.Until, 1, health.Open)
		wantStock(t, b, t4b, now, -1, health.Open)
		now = s.Until
	}
	for i, d := range closed {
		full := min(30*time.Second<<i, 15*time.Minute)
		if d > full || d < full*4/5 {
			t.Errorf("failure %d closes for %s, want %s less at most a fifth", i+1, d, full)
		}
	}
}

func TestSuccessDoublesWhatMayBeTried(t *testing.T) {
	b := open(t)
	dry(b, t4, start)
	now := after(time.Minute)
	for _, want := range []int{1, 2, 4, 8, 16, 32, 64, -1, -1} {
		wantStock(t, b, t4, now, want, health.Open)
		b.Launched(t4, now)
	}
	if got := b.State(t4, now).Failures; got != 0 {
		t.Errorf("Failures = %d after a success", got)
	}
	dry(b, t4, after(2*time.Minute))
	if s := b.State(t4, after(2*time.Minute)); s.Failures != 1 || s.Until.After(after(150*time.Second)) {
		t.Errorf("the next stockout after a success is the first again, not %+v", s)
	}
}

func TestLateAndDoubledReports(t *testing.T) {
	tests := map[string]struct {
		reports func(b *health.Book)
		want    int // Failures
	}{
		"a burst counts once": {func(b *health.Book) {
			for i := range 20 {
				dry(b, t4, after(time.Duration(i)*time.Second))
			}
		}, 1},
		"the same report again, when it has opened": {func(b *health.Book) { dry(b, t4, start); b.State(t4, after(time.Minute)); dry(b, t4, start) }, 1},
		"a failure from before a success":           {func(b *health.Book) { b.Launched(t4, start); dry(b, t4, after(-1)) }, 0},
		"a success from before a failure":           {func(b *health.Book) { dry(b, t4, start); b.Launched(t4, after(-1)) }, 1},
		"a success after a failure":                 {func(b *health.Book) { dry(b, t4, start); b.Launched(t4, after(1)) }, 0},
		"a failure before a success, told late": {func(b *health.Book) {
			dry(b, t4, start)
			b.Launched(t4, after(time.Minute))
			dry(b, t4, after(59*time.Second))
		}, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			tc.reports(b)
			s := b.State(t4, after(10*time.Second))
			if s.Failures != tc.want {
				t.Errorf("%+v, want %d failures", s, tc.want)
			}
			if s.Until.After(after(30 * time.Second)) {
				t.Errorf("closed until %s after the first: a report extended it", s.Until.Sub(start))
			}
		})
	}
}

func TestOneProbe(t *testing.T) {
	b := open(t)
	dry(b, t4, start)
	now := after(time.Minute)
	b.Begin("claim-1", []cloud.OfferingKey{t4, t4b}, now)
	wantStock(t, b, t4, now, 0, health.Probing)
	wantStock(t, b, t4b, now, -1, health.Open)
	if s := b.State(t4, now); s.Because != health.Stockout || !s.Until.Equal(now.Add(2*time.Minute)) {
		t.Errorf("probing: %+v", s)
	}
	b.Begin("claim-1", []cloud.OfferingKey{t4, t4b}, now) // again, after a crash
	b.End("claim-1")
	wantStock(t, b, t4, now, 1, health.Open)

	b.Begin("claim-2", []cloud.OfferingKey{t4}, now)
	wantStock(t, b, t4, now.Add(2*time.Minute-1), 0, health.Probing)
	wantStock(t, b, t4, now.Add(2*time.Minute), 1, health.Open) // the result never came
	b.Launched(t4, now.Add(time.Second))
	wantStock(t, b, t4, now.Add(time.Second), 1, health.Open) // 2 allowed, 1 under way
	b.End("claim-2")
	b.End("never begun")
	wantStock(t, b, t4, now.Add(time.Second), 2, health.Open)
}

func TestQuotaClosesItsBucket(t *testing.T) {
	b := open(t)
	b.Quota(&cloud.QuotaError{Market: cloud.Spot, Bucket: "G and VT", Message: "64 of 64 vCPUs"}, start)
	for _, key := range []cloud.OfferingKey{t4, t4b, a10g} {
		wantStock(t, b, key, after(5*time.Minute-1), 0, health.Quota)
		wantStock(t, b, key, after(5*time.Minute), 1, health.Open)
	}
	wantStock(t, b, v100, start, -1, health.Open)
	wantStock(t, b, t4od, start, -1, health.Open)
	if got := b.State(t4, start).Message; got != "64 of 64 vCPUs" {
		t.Errorf("Message = %q", got)
	}
	now := after(5 * time.Minute)
	b.Begin("claim", []cloud.OfferingKey{t4}, now)
	wantStock(t, b, a10g, now, 0, health.Probing) // one attempt tells for all of the bucket
	b.Quota(&cloud.QuotaError{Market: cloud.Spot, Bucket: "G and VT"}, now)
	wantStock(t, b, a10g, now.Add(5*time.Minute-1), 0, health.Quota)
	b.Launched(a10g, now.Add(6*time.Minute))
	wantStock(t, b, t4, now.Add(6*time.Minute), 2, health.Open)

	b.Quota(&cloud.QuotaError{Market: cloud.OnDemand}, start) // which one is not known
	wantStock(t, b, t4od, start, 0, health.Quota)
}

func TestOutageClosesAll(t *testing.T) {
	b := open(t)
	b.Outage(errors.New("connection refused"), start)
	wantStock(t, b, v100, after(3*time.Second), 0, health.Outage)
	wantStock(t, b, v100, after(5*time.Second), 1, health.Open)
	b.Outage(errors.New("connection refused"), after(5*time.Second))
	wantStock(t, b, t4, after(12*time.Second), 0, health.Outage)
	dry(b, t4, after(13*time.Second)) // an answer, too
	wantStock(t, b, v100, after(13*time.Second), -1, health.Open)
	wantStock(t, b, t4, after(13*time.Second), 0, health.Stockout)
	b.Outage(errors.New("timeout"), after(20*time.Second))
	b.Launched(v100, after(21*time.Second))
	wantStock(t, b, v100, after(21*time.Second), -1, health.Open)
}

func TestInterruption(t *testing.T) {
	b := open(t)
	b.Interrupted(t4, start)
	b.Interrupted(t4, start) // told twice
	wantStock(t, b, t4, after(5*time.Minute-1), 0, health.Interrupted)
	wantStock(t, b, t4, after(5*time.Minute), -1, health.Open)
	for at, want := range map[time.Duration]int64{0: 100, 3 * time.Hour: 75, 6 * time.Hour: 50, 12 * time.Hour: 25, 1000 * time.Hour: 0} {
		if got := b.State(t4, after(at)).RiskMilli; got != want {
			t.Errorf("risk after %s = %d, want %d", at, got, want)
		}
	}
	b.Interrupted(t4, after(6*time.Hour))
	if got := b.State(t4, after(6*time.Hour)).RiskMilli; got != 150 {
		t.Errorf("risk after another = %d, want 150", got)
	}
	for i := range 50 {
		b.Interrupted(t4, after(6*time.Hour+time.Duration(i)*time.Minute))
	}
	if got := b.State(t4, after(7*time.Hour)).RiskMilli; got > 1000 || got < 900 {
		t.Errorf("risk after many = %d, want nearly 1000", got)
	}
}

func TestRefused(t *testing.T) {
	stockout := &cloud.StockoutError{Offerings: []cloud.OfferingKey{t4}}
	quota := &cloud.QuotaError{Market: cloud.Spot, Bucket: "P"}
	denied := &cloud.DeniedError{Action: "ec2:CreateFleet"}
	type reasons map[cloud.OfferingKey]health.Reason
	tests := map[string]struct {
		err  error
		want reasons
	}{
		"none":               {nil, reasons{t4: health.Open, v100: health.Open, t4od: health.Open}},
		"stockout":           {fmt.Errorf("launching: %w", stockout), reasons{t4: health.Stockout, v100: health.Open, t4od: health.Open}},
		"stockout and quota": {fmt.Errorf("launching: %w", errors.Join(stockout, quota, errors.New("and more"))), reasons{t4: health.Stockout, v100: health.Quota, t4od: health.Open}},
		"denied":             {errors.Join(denied, stockout), reasons{t4: health.Outage, v100: health.Outage, t4od: health.Outage}},
		"throttled":          {fmt.Errorf("%w: slow down", cloud.ErrThrottled), reasons{t4: health.Open, v100: health.Open, t4od: health.Open}},
		"misconfigured":      {&cloud.MisconfiguredError{Field: "spec"}, reasons{t4: health.Open, v100: health.Open, t4od: health.Open}},
		"token":              {cloud.ErrTokenReused, reasons{t4: health.Open, v100: health.Open, t4od: health.Open}},
		"anything else":      {fmt.Errorf("launching: %w", errors.New("EOF")), reasons{t4: health.Outage, v100: health.Outage, t4od: health.Outage}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			b.Refused(tc.err, start)
			got := reasons{}
			for key := range tc.want {
				got[key] = b.State(key, start).Closed
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPolicyValidate(t *testing.T) {
	for name, change := range map[string]func(*health.Policy){
		"no first":        func(p *health.Policy) { p.StockoutFirst = 0 },
		"longest < first": func(p *health.Policy) { p.OutageLongest = time.Second },
		"negative risk":   func(p *health.Policy) { p.RiskStepMilli = -1 },
		"no budget":       func(p *health.Policy) { p.BudgetMax = 0 },
	} {
		p := health.DefaultPolicy()
		change(&p)
		if _, err := health.New(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
