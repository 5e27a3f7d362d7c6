package health

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Book is what is remembered of all offerings of a region. Reports and questions may come from any goroutine, in any order:
// a report's time decides what it means, so that late and repeated ones do no harm.
type Book struct {
	policy Policy

	mu        sync.Mutex
	whole     gate
	buckets   map[bucket]*gate
	offerings map[cloud.OfferingKey]*record
	attempts  map[string]attempt
}

// bucket is a quota. An empty name is every quota of the market.
type bucket struct {
	market cloud.Market
	name   string
}

type record struct {
	gate         gate
	risk         risk
	avoidedUntil time.Time
}

type attempt struct {
	keys  []cloud.OfferingKey
	began time.Time
}

// New answers an empty Book: every offering is open. The error is the policy's.
func New(p Policy) (*Book, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("reading the health policy: %w", err)
	}
	return &Book{
		policy:    p,
		whole:     gate{reason: Outage, budget: unbounded},
		buckets:   map[bucket]*gate{},
		offerings: map[cloud.OfferingKey]*record{},
		attempts:  map[string]attempt{},
	}, nil
}

// Begin says that a launch that may take any of the keys is under way, so that nobody else tries what may be tried only once. The
// token names the attempt, as the claim's UID does; beginning it again replaces it. Without End it is given up after
// AttemptTimeout.
func (b *Book) Begin(token string, keys []cloud.OfferingKey, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(token)
	b.attempts[token] = attempt{keys: slices.Clone(keys), began: now}
	for _, key := range keys {
		for _, g := range b.gates(key) {
			g.begin(token, now)
		}
	}
}

// End says that the attempt is over, whatever came of it. An unknown token is harmless.
func (b *Book) End(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(token)
}

func (b *Book) end(token string) {
	for _, key := range b.attempts[token].keys {
		for _, g := range b.gates(key) {
			delete(g.flights, token)
		}
	}
	delete(b.attempts, token)
}

// Launched says that the cloud sold a machine of this offering: it and its quota are open, for twice as many as before.
func (b *Book) Launched(key cloud.OfferingKey, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	// Remembered even of what never failed, so that the late report of an earlier failure is known to be old.
	b.record(key)
	b.bucket(bucket{key.Market, ""})
	b.bucket(bucket{key.Market, cloud.QuotaBucket(key.InstanceType)})
	for _, g := range b.gates(key) {
		if g == &b.whole {
			g.clear(at)
			continue
		}
		g.succeed(at, &b.policy)
	}
}

// Stockout says that each of the offerings was tried and the cloud had none.
func (b *Book) Stockout(keys []cloud.OfferingKey, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole.clear(at) // it answered
	for _, key := range keys {
		b.record(key).gate.fail(at, "", &b.policy, func(n int) time.Duration {
			return backoff(b.policy.StockoutFirst, b.policy.StockoutLongest, key.String(), n)
		})
	}
}

// Quota says that an account quota is used up: the whole bucket is closed for its market, all of the market's if the error
// names no bucket.
func (b *Book) Quota(err *cloud.QuotaError, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole.clear(at)
	b.bucket(bucket{err.Market, err.Bucket}).fail(at, err.Message, &b.policy, func(int) time.Duration { return b.policy.QuotaClosed })
}

// Outage says that the cloud did not answer, or denied the call: everything is closed for some seconds, longer each time.
func (b *Book) Outage(err error, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole.fail(at, err.Error(), &b.policy, func(n int) time.Duration {
		return backoff(b.policy.OutageFirst, b.policy.OutageLongest, "outage", n)
	})
}

// Refused reports the error of a launch: each stockout and quota that it holds, also where several are joined. A denial, or an
// error that holds none of cloud's, is an Outage. What says nothing about offerings (throttling, a mistake in the request, a
// token used before) changes nothing. nil is no refusal.
func (b *Book) Refused(err error, at time.Time) {
	if err == nil {
		return
	}
	var outage error
	if !b.refused(err, at, &outage) {
		outage = err
	}
	if outage != nil { // last, for the others say that the cloud answered
		b.Outage(outage, at)
	}
}

// refused walks the tree of an error and answers whether it met one of cloud's.
func (b *Book) refused(err error, at time.Time, outage *error) bool {
	switch e := err.(type) { //nolint:errorlint // the tree is walked here, since errors.As stops at the first of several
	case *cloud.StockoutError:
		b.Stockout(e.Offerings, at)
		return true
	case *cloud.QuotaError:
		b.Quota(e, at)
		return true
	case *cloud.DeniedError:
		*outage = e
		return true
	case *cloud.MisconfiguredError:
		return true
	case interface{ Unwrap() []error }:
		known := false
		for _, inner := range e.Unwrap() {
			known = b.refused(inner, at, outage) || known
		}
		return known
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return b.refused(inner, at, outage)
		}
	}
	return errors.Is(err, cloud.ErrThrottled) || errors.Is(err, cloud.ErrTokenReused) || errors.Is(err, cloud.ErrGone)
}

// Interrupted says that the cloud takes, or took, a machine of this offering: it is avoided for a while, and dearer for longer.
func (b *Book) Interrupted(key cloud.OfferingKey, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.record(key)
	if r.risk.interrupted(at, &b.policy) {
		r.avoidedUntil = at.Add(b.policy.InterruptionAvoided)
	}
}

// Prune forgets what makes no difference any more, so that the Book stays small; call it now and then. It changes no answer, as
// long as no report comes later than ForgetAfter.
func (b *Book) Prune(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	past := now.Add(-b.policy.ForgetAfter)
	for token, a := range b.attempts {
		if now.Sub(a.began) >= b.policy.AttemptTimeout {
			b.end(token)
		}
	}
	for k, g := range b.buckets {
		if g.forgotten(past, &b.policy) {
			delete(b.buckets, k)
		}
	}
	for k, r := range b.offerings {
		if r.gate.forgotten(past, &b.policy) && r.risk.value(now, &b.policy) == 0 && !now.Before(r.avoidedUntil) {
			delete(b.offerings, k)
		}
	}
}

func (b *Book) record(key cloud.OfferingKey) *record {
	r, ok := b.offerings[key]
	if !ok {
		r = &record{gate: gate{reason: Stockout, budget: unbounded}}
		b.offerings[key] = r
	}
	return r
}

func (b *Book) bucket(k bucket) *gate {
	g, ok := b.buckets[k]
	if !ok {
		g = &gate{reason: Quota, budget: unbounded}
		b.buckets[k] = g
	}
	return g
}

// gates are those that a launch of the offering passes, widest first.
func (b *Book) gates(key cloud.OfferingKey) []*gate {
	gates := []*gate{&b.whole}
	for _, name := range []string{"", cloud.QuotaBucket(key.InstanceType)} {
		if g, ok := b.buckets[bucket{key.Market, name}]; ok {
			gates = append(gates, g)
		}
	}
	if r, ok := b.offerings[key]; ok {
		gates = append(gates, &r.gate)
	}
	return gates
}
