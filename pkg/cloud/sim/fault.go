package sim

import (
	"path"
	"strings"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Verb is what a Fault does.
type Verb string

// The verbs, in the words of the script.
const (
	Interrupt     Verb = "interrupt"     // spot warns, and takes the machine at the deadline
	Rebalance     Verb = "rebalance"     // spot recommends to leave
	Terminate     Verb = "terminate"     // someone ends the machine by hand
	Stockout      Verb = "stockout"      // offerings have no stock
	Stock         Verb = "stock"         // offerings have stock for Count machines
	Price         Verb = "price"         // offerings cost PriceMicroUSD
	Quota         Verb = "quota"         // Bucket's quota in Market is Count vCPUs
	Throttle      Verb = "throttle"      // calls answer ErrThrottled
	Deny          Verb = "deny"          // calls answer a *DeniedError
	Fail          Verb = "fail"          // calls answer ErrOutage
	LoseReply     Verb = "lose reply"    // the reply of launch Count gets lost
	IgnoreTokens  Verb = "ignore tokens" // every launch is a new one
	DelayBoot     Verb = "boot delay"    // machines run Delay after their launch
	DelayJoin     Verb = "join delay"    // machines join Delay after they run, or never
	DelayGPU      Verb = "gpu delay"     // GPUs show Delay after the machine joined, or never
	MissGPU       Verb = "gpu missing"   // Count of a machine's GPUs never show
	DuplicateNext Verb = "duplicate"     // the next Count notices are delivered twice
	Send          Verb = "send"          // Text is put into the queue
)

// When is what a Fault waits for.
type When string

// What a Fault can wait for.
const (
	Now           When = ""
	At            When = "at"    // Wait after it was armed
	Every         When = "every" // each time that Wait has passed
	AfterLaunches When = "after" // Launches more machines were launched
)

// Fault is one thing that goes wrong: a line of a script. Which fields count depends on Verb.
type Fault struct {
	Line     int // in the script; 0 if it is of none
	When     When
	Wait     time.Duration
	Launches int

	Verb          Verb
	Which         string  // oldest, newest, all, or an instance ID
	Offering      Pattern // empty: every offering
	Call          string  // action name; empty: every call
	Market        cloud.Market
	Bucket        string
	Count         int
	PriceMicroUSD int64
	Delay         time.Duration
	Never         bool
	Text          string
	For           time.Duration // how long it lasts; 0: until it is replaced
}

// Pattern selects offerings: type/zone/market, each a glob (path.Match). Missing parts, and an empty Pattern, match all.
type Pattern string

// Matches says whether the pattern selects the offering.
func (p Pattern) Matches(key cloud.OfferingKey) bool {
	if p == "" {
		return true
	}
	have := []string{key.InstanceType, key.Zone, string(key.Market)}
	for i, part := range strings.SplitN(string(p), "/", len(have)) {
		if matched, err := path.Match(part, have[i]); err != nil || !matched {
			return false
		}
	}
	return true
}

// faults is what is wrong at present.
type faults struct {
	active       []activeFault // oldest first
	armed        []armedFault  // waiting for launches
	ignoreTokens bool
	duplicates   int
}

type activeFault struct {
	Fault
	until time.Time // zero: no end
}

type armedFault struct {
	Fault
	launches int
}

func (a activeFault) on(now time.Time) bool { return a.until.IsZero() || now.Before(a.until) }

// arm makes a fault wait for its trigger, counted from now.
func (c *Cloud) arm(f Fault) {
	switch f.When {
	case At:
		c.after(f.Wait, func() { c.apply(f) })
	case Every:
		c.after(f.Wait, func() { c.apply(f); c.arm(f) })
	case AfterLaunches:
		c.faults.armed = append(c.faults.armed, armedFault{Fault: f, launches: c.launches + f.Launches})
	default:
		c.apply(f)
	}
}

// launchedOne lets the faults happen that waited for the launch that was just made.
func (c *Cloud) launchedOne() {
	waiting := c.faults.armed
	c.faults.armed = nil
	for _, a := range waiting {
		if c.launches >= a.launches {
			c.apply(a.Fault)
			continue
		}
		c.faults.armed = append(c.faults.armed, a)
	}
}

func (c *Cloud) apply(f Fault) {
	switch f.Verb {
	case Interrupt, Rebalance, Terminate:
		for _, m := range c.targets(f) {
			c.strike(f.Verb, m)
		}
	case Stock, Price:
		for key := range c.offerings {
			if f.Offering.Matches(key) {
				c.reoffer(f, key)
			}
		}
	case Quota:
		c.quotas[QuotaKey{Market: f.Market, Bucket: f.Bucket}] = f.Count
	case DuplicateNext:
		c.faults.duplicates += f.Count
	case Send:
		c.send(f.Text)
	default:
		c.activate(f)
	}
}

func (c *Cloud) activate(f Fault) {
	a := activeFault{Fault: f}
	if f.For > 0 {
		a.until = c.now.Add(f.For)
		c.after(f.For, func() {}) // so that Next tells of the end
	}
	kept := c.faults.active[:0]
	for _, old := range c.faults.active {
		if old.on(c.now) {
			kept = append(kept, old)
		}
	}
	c.faults.active = append(kept, a)
}

func (c *Cloud) reoffer(f Fault, key cloud.OfferingKey) {
	if f.Verb == Stock {
		c.stock[key] = f.Count
		return
	}
	o := c.offerings[key]
	o.PriceMicroUSDPerHour = f.PriceMicroUSD
	c.offerings[key] = o
}

func (c *Cloud) strike(verb Verb, m *machine) {
	switch verb {
	case Interrupt:
		c.interrupt(m)
	case Rebalance:
		c.rebalance(m)
	case Terminate:
		c.shutDown(m, "Client.UserInitiatedShutdown")
	}
}

// targets answers the machines that a fault means: those that are alive and, for an interruption, spot and not warned yet.
func (c *Cloud) targets(f Fault) []*machine {
	var fit []*machine
	for _, id := range c.order {
		m := c.machines[id]
		byID := strings.HasPrefix(f.Which, "i-")
		switch {
		case !m.Alive(), byID && f.Which != id, !f.Offering.Matches(m.Key):
		case f.Verb != Terminate && m.Key.Market != cloud.Spot:
		case f.Verb == Interrupt && !m.InterruptedAt.IsZero():
		default:
			fit = append(fit, m)
		}
	}
	switch {
	case len(fit) == 0:
		return nil
	case f.Which == "oldest":
		return fit[:1]
	case f.Which == "newest":
		return fit[len(fit)-1:]
	}
	return fit
}

// latest answers the newest fault of the verbs that is on and wanted; nil if there is none.
func (s *faults) latest(now time.Time, wanted func(Fault) bool, verbs ...Verb) *Fault {
	for i := len(s.active) - 1; i >= 0; i-- {
		a := &s.active[i]
		for _, verb := range verbs {
			if a.Verb == verb && a.on(now) && wanted(a.Fault) {
				return &a.Fault
			}
		}
	}
	return nil
}

func (s *faults) refusal(call string, now time.Time) error {
	f := s.latest(now, func(f Fault) bool { return f.Call == "" || f.Call == call }, Throttle, Deny, Fail)
	if f == nil {
		return nil
	}
	switch f.Verb {
	case Throttle:
		return cloud.ErrThrottled
	case Deny:
		return &cloud.DeniedError{Action: call, Message: "You are not authorized to perform this operation."}
	}
	return ErrOutage
}

func (s *faults) outOfStock(key cloud.OfferingKey, now time.Time) bool {
	return s.latest(now, func(f Fault) bool { return f.Offering.Matches(key) }, Stockout) != nil
}

func (s *faults) tokensIgnored(now time.Time) bool {
	return s.ignoreTokens || s.latest(now, func(Fault) bool { return true }, IgnoreTokens) != nil
}

func (s *faults) loses(launch int) bool {
	return s.latest(time.Time{}, func(f Fault) bool { return f.Count == launch }, LoseReply) != nil
}

// delay answers the delay that holds for a new machine, and false if what it delays will never happen.
func (s *faults) delay(verb Verb, key cloud.OfferingKey, drawn time.Duration) (time.Duration, bool) {
	f := s.latest(time.Time{}, func(f Fault) bool { return f.Offering.Matches(key) }, verb)
	switch {
	case f == nil:
		return drawn, true
	case f.Never:
		return 0, false
	}
	return f.Delay, true
}

func (s *faults) missingGPUs(key cloud.OfferingKey) int {
	if f := s.latest(time.Time{}, func(f Fault) bool { return f.Offering.Matches(key) }, MissGPU); f != nil {
		return f.Count
	}
	return 0
}
