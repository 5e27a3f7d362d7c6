package sim_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

const (
	stockEach = 2
	quotaEach = 56 // vCPUs: one 12xlarge and two xlarge
)

// world is a small cloud, and what it answered so far.
type world struct {
	c        *sim.Cloud
	clock    *clock
	answered map[string]string // token to machine
}

func (w *world) step(rt *rapid.T) {
	switch rapid.SampledFrom([]string{"launch", "launch", "launch", "terminate", "fault", "pass"}).Draw(rt, "what") {
	case "launch":
		token := fmt.Sprint("t", rapid.IntRange(0, 9).Draw(rt, "token"))
		market := rapid.SampledFrom([]cloud.Market{cloud.Spot, cloud.OnDemand}).Draw(rt, "market")
		types := rapid.SampledFrom([][]string{{"g4dn.xlarge"}, {"g5.xlarge", "g4dn.xlarge"}, {"g4dn.12xlarge", "p3.8xlarge"}}).Draw(rt, "types")
		w.launch(rt, request(token, market, types...))
	case "terminate":
		machines := w.c.Machines()
		if len(machines) > 0 {
			m := machines[rapid.IntRange(0, len(machines)-1).Draw(rt, "machine")]
			if err := w.c.Terminate(rt.Context(), m.ID); err != nil && !errors.Is(err, cloud.ErrGone) {
				rt.Fatalf("terminating: %v", err)
			}
		}
	case "fault":
		line := rapid.SampledFrom([]string{"interrupt oldest", "stockout g4dn.* for 20s", "rebalance all", "duplicate 1 notices",
			"terminate newest", "gpu never"}).Draw(rt, "line")
		inject(w.t(rt), w.c, line)
	case "pass":
		w.clock.advance(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
	}
}

// t lends rapid's T to functions for testing.TB.
func (w *world) t(rt *rapid.T) testing.TB { return borrowed{TB: nil, rt: rt} }

type borrowed struct {
	testing.TB
	rt *rapid.T
}

func (b borrowed) Helper()           {}
func (b borrowed) Fatal(args ...any) { b.rt.Fatal(args...) }

func (w *world) launch(rt *rapid.T, req cloud.LaunchRequest) {
	result, err := w.c.Launch(rt.Context(), req)
	var stockout *cloud.StockoutError
	var quota *cloud.QuotaError
	switch {
	case err == nil:
		if known := w.answered[req.Token]; known != "" && known != result.Instance.ID {
			rt.Fatalf("token %s answered %s, then %s", req.Token, known, result.Instance.ID)
		}
		w.answered[req.Token] = result.Instance.ID
	case errors.As(err, &stockout), errors.As(err, &quota), errors.Is(err, cloud.ErrTokenReused):
	default:
		rt.Fatalf("launching: %v", err)
	}
}

// check states what holds at every instant.
func (w *world) check(fail func(format string, args ...any)) {
	running := map[cloud.OfferingKey]int{}
	vCPUs := map[sim.QuotaKey]int{}
	types := map[string]cloud.InstanceType{}
	for _, t := range w.c.Types() {
		types[t.Name] = t
	}
	tokens, addresses := map[string]string{}, map[string]string{}
	for _, m := range w.c.Machines() {
		if other := tokens[m.Token]; other != "" && m.Token != "" {
			fail("token %s stands for %s and %s", m.Token, other, m.ID)
		}
		tokens[m.Token] = m.ID
		if m.State == cloud.InstanceTerminated {
			continue
		}
		running[m.Key]++
		vCPUs[sim.QuotaKey{Market: m.Key.Market, Bucket: cloud.QuotaBucket(m.Key.InstanceType)}] += types[m.Key.InstanceType].VCPUs
		if other := addresses[m.PrivateIP]; other != "" {
			fail("%s and %s have the address %s", other, m.ID, m.PrivateIP)
		}
		addresses[m.PrivateIP] = m.ID
	}
	for _, o := range w.c.Offerings() {
		if free := w.c.Free(o.OfferingKey); free < 0 || running[o.OfferingKey] > stockEach {
			fail("%s: %d machines of a stock of %d, %d free", o.OfferingKey, running[o.OfferingKey], stockEach, free)
		}
	}
	for key, used := range w.c.UsedVCPUs() {
		if used != vCPUs[key] || used > quotaEach {
			fail("quota %v: %d vCPUs are counted, %d run, %d are allowed", key, used, vCPUs[key], quotaEach)
		}
	}
}

func newWorld(t testing.TB, change func(*sim.Config)) *world {
	c, clock := open(t, func(config *sim.Config) {
		config.DefaultStock = stockEach
		config.Quotas = map[sim.QuotaKey]int{}
		for _, bucket := range []string{"G and VT", "P"} {
			config.Quotas[sim.QuotaKey{Market: cloud.Spot, Bucket: bucket}] = quotaEach
			config.Quotas[sim.QuotaKey{Market: cloud.OnDemand, Bucket: bucket}] = quotaEach
		}
		if change != nil {
			change(config)
		}
	})
	return &world{c: c, clock: clock, answered: map[string]string{}}
}

func TestWorldHolds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, nil)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			w.step(rt)
			w.check(rt.Fatalf)
		}
		w.clock.advance(time.Hour)
		inject(w.t(rt), w.c, "terminate all")
		w.clock.advance(time.Minute)
		w.check(rt.Fatalf)
		for key, used := range w.c.UsedVCPUs() {
			if used != 0 {
				rt.Fatalf("after the end of every machine %d vCPUs of %v are held", used, key)
			}
		}
	})
}

// TestWorldHolds_catches breaks the cloud in ways it can be configured to, and sees the check find it.
func TestWorldHolds_catches(t *testing.T) {
	for name, change := range map[string]func(*sim.Config){
		"tokens that are ignored": func(c *sim.Config) { c.IgnoreTokens = true },
		"a stock that is deeper":  func(c *sim.Config) { c.DefaultStock = stockEach + 1 },
		"a quota that is higher":  func(c *sim.Config) { c.Quotas, c.DefaultStock = nil, sim.Unlimited },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change)
			found := 0
			for n := range 20 {
				for range 2 {
					_, _ = w.c.Launch(t.Context(), request(fmt.Sprint(n), cloud.Spot, "g4dn.xlarge", "g5.xlarge"))
				}
				w.check(func(string, ...any) { found++ })
			}
			if found == 0 {
				t.Error("the check saw nothing")
			}
		})
	}
}
