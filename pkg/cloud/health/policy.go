package health

import (
	"errors"
	"fmt"
	"hash/fnv"
	"time"
)

// Policy is how long what is remembered. All durations are > 0.
type Policy struct {
	// StockoutFirst is how long an offering is closed after its first stockout; it doubles up to StockoutLongest.
	StockoutFirst, StockoutLongest time.Duration
	// QuotaClosed is how long a quota's bucket is closed. It does not double: quotas are raised, and machines end, at any time.
	QuotaClosed time.Duration
	// OutageFirst is how long everything is closed after the first outage; it doubles up to OutageLongest.
	OutageFirst, OutageLongest time.Duration
	// InterruptionAvoided is how long an offering whose machine was taken is not used for the replacement.
	InterruptionAvoided time.Duration
	// RiskStepMilli is what one interruption adds to the price, in thousandths; RiskMaxMilli bounds the sum. Both >= 0.
	RiskStepMilli, RiskMaxMilli int64
	// RiskHalfLife is the time in which that halves.
	RiskHalfLife time.Duration
	// AttemptTimeout is how long an attempt without a result counts as under way.
	AttemptTimeout time.Duration
	// BudgetMax: an offering that may be tried more often than this at once is unbounded again. >= 1.
	BudgetMax int
	// ForgetAfter: an offering that was open for so long without any news is as good as one never tried.
	ForgetAfter time.Duration
}

// DefaultPolicy answers the values used in production.
func DefaultPolicy() Policy {
	return Policy{
		StockoutFirst:       30 * time.Second,
		StockoutLongest:     15 * time.Minute,
		QuotaClosed:         5 * time.Minute,
		OutageFirst:         5 * time.Second,
		OutageLongest:       2 * time.Minute,
		InterruptionAvoided: 5 * time.Minute,
		RiskStepMilli:       100,
		RiskMaxMilli:        1000,
		RiskHalfLife:        6 * time.Hour,
		AttemptTimeout:      2 * time.Minute,
		BudgetMax:           64,
		ForgetAfter:         time.Hour,
	}
}

// Validate answers what is wrong with the policy, nil if nothing.
func (p Policy) Validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"StockoutFirst", p.StockoutFirst}, {"QuotaClosed", p.QuotaClosed}, {"OutageFirst", p.OutageFirst},
		{"InterruptionAvoided", p.InterruptionAvoided}, {"RiskHalfLife", p.RiskHalfLife},
		{"AttemptTimeout", p.AttemptTimeout}, {"ForgetAfter", p.ForgetAfter},
	} {
		if f.value <= 0 {
			errs = append(errs, fmt.Errorf("%s must be positive, not %s", f.name, f.value))
		}
	}
	if p.StockoutLongest < p.StockoutFirst || p.OutageLongest < p.OutageFirst {
		errs = append(errs, errors.New("the longest time must not be below the first"))
	}
	if p.RiskStepMilli < 0 || p.RiskMaxMilli < 0 {
		errs = append(errs, errors.New("RiskStepMilli and RiskMaxMilli must not be negative"))
	}
	if p.BudgetMax < 1 {
		errs = append(errs, fmt.Errorf("BudgetMax must be at least 1, not %d", p.BudgetMax))
	}
	return errors.Join(errs...)
}

// backoff is first · 2^(n-1), at most longest, less up to a fifth. What is taken off follows from the name and n, so that
// offerings that closed together do not open together, and the same history gives the same times. n >= 1.
func backoff(first, longest time.Duration, name string, n int) time.Duration {
	d := first
	for i := 1; i < n && d < longest; i++ {
		d *= 2
	}
	d = min(d, longest)
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s#%d", name, n) // a hash never fails
	const parts = 1 << 10
	return d - d/5*time.Duration(h.Sum64()%parts)/parts
}
