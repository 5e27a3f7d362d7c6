package health_test

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/health"
)

// answering is what a planner asks, so that a property can be run on a planted bug.
type answering interface {
	Stockout(keys []cloud.OfferingKey, at time.Time)
	Stock(key cloud.OfferingKey, now time.Time) int
}

// forgetful is a book that an ever dry offering is tried from again after 3 minutes, as Karpenter does.
type forgetful struct{ until time.Time }

func (f *forgetful) Stockout(_ []cloud.OfferingKey, at time.Time) { f.until = at.Add(3 * time.Minute) }
func (f *forgetful) Stock(_ cloud.OfferingKey, now time.Time) int {
	if now.Before(f.until) {
		return 0
	}
	return -1
}

// attemptsOnDry counts the attempts on an offering without capacity in the given time by a planner that looks every step.
func attemptsOnDry(b answering, length, step time.Duration) int {
	attempts := 0
	for now := start; now.Before(start.Add(length)); now = now.Add(step) {
		if b.Stock(t4, now) != 0 {
			attempts++
			b.Stockout([]cloud.OfferingKey{t4}, now)
		}
	}
	return attempts
}

// dryBound is O(log) until the close time has reached its longest, then linear: 30 s, 1, 2, 4, 8 min, then 15 min, each less a fifth.
func dryBound(length time.Duration) int {
	return 6 + int(math.Ceil(float64(length)/float64(12*time.Minute)))
}

func TestDryOfferingIsTriedSeldom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.IntRange(1, 24*60).Draw(t, "minutes")) * time.Minute
		step := time.Duration(rapid.IntRange(1, 600).Draw(t, "step in s")) * time.Second
		if n := attemptsOnDry(open(t), length, step); n > dryBound(length) {
			t.Fatalf("%d attempts in %s, at most %d allowed", n, length, dryBound(length))
		}
	})
}

func TestDryOfferingIsTriedSeldom_catches(t *testing.T) {
	if n := attemptsOnDry(&forgetful{}, 12*time.Hour, time.Second); n <= dryBound(12*time.Hour) {
		t.Errorf("%d attempts at a fixed 3 minutes were not caught", n)
	}
}

var keys = []cloud.OfferingKey{t4, t4b, a10g, v100, t4od}

// drawEvent draws something that can happen to a book.
func drawEvent(t *rapid.T, now time.Time) func(b *health.Book) {
	key := rapid.SampledFrom(keys).Draw(t, "key")
	at := now.Add(-time.Duration(rapid.IntRange(0, 90).Draw(t, "late by s")) * time.Second)
	token := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "token")
	return rapid.SampledFrom([]func(b *health.Book){
		func(b *health.Book) { b.Launched(key, at) },
		func(b *health.Book) { dry(b, key, at) },
		func(b *health.Book) {
			b.Quota(&cloud.QuotaError{Market: key.Market, Bucket: cloud.QuotaBucket(key.InstanceType)}, at)
		},
		func(b *health.Book) { b.Outage(errors.New("no answer"), at) },
		func(b *health.Book) { b.Interrupted(key, at) },
		func(b *health.Book) { b.Begin(token, []cloud.OfferingKey{key, t4}, now) },
		func(b *health.Book) { b.End(token) },
	}).Draw(t, "event")
}

// Whatever happens: a state is consistent, pruning changes no answer, and without news everything opens again.
func TestBookProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, pruned, now := open(t), open(t), start
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "pause in s")) * time.Second)
			event := drawEvent(t, now)
			event(b)
			event(pruned)
			pruned.Prune(now)
			for _, key := range keys {
				s := b.State(key, now)
				if (s.Closed == health.Open) != (s.Stock != 0) || s.Until.IsZero() != (s.Closed == health.Open) || s.Stock < -1 ||
					!s.Until.IsZero() && !s.Until.After(now) || s.RiskMilli < 0 || s.RiskMilli > 1000 {
					t.Fatalf("%s: inconsistent: %+v", key, s)
				}
				if s.Until.After(now.Add(15 * time.Minute)) {
					t.Fatalf("%s: closed for longer than the longest: %+v", key, s)
				}
				if diff := cmp.Diff(s, pruned.State(key, now)); diff != "" {
					t.Fatalf("%s: pruning shows:\n%s", key, diff)
				}
			}
		}
		for _, key := range keys {
			if n := b.Stock(key, now.Add(15*time.Minute)); n == 0 {
				t.Fatalf("%s is closed without news", key)
			}
			if n := b.Stock(key, now.Add(2*time.Hour)); n != -1 {
				t.Fatalf("%s has stock %d long after the last news", key, n)
			}
		}
	})
}

func TestBookIsSafeForConcurrentUse(t *testing.T) {
	b := open(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				now, key := after(time.Duration(j)*time.Second), keys[(i+j)%len(keys)]
				token := fmt.Sprint(i)
				b.Begin(token, keys, now)
				b.State(key, now)
				dry(b, key, now)
				b.Launched(key, now)
				b.Interrupted(key, now)
				b.Outage(errors.New("x"), now)
				b.End(token)
				b.Prune(now)
			}
		})
	}
	wg.Wait()
}

func BenchmarkState(b *testing.B) {
	book := open(b)
	dry(book, t4, start)
	book.Quota(&cloud.QuotaError{Market: cloud.Spot, Bucket: "P"}, start)
	b.ReportAllocs()
	for b.Loop() {
		book.State(t4, start)
		book.State(v100, start)
		book.State(a10g, start)
	}
}
