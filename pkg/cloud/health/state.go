package health

import (
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Reason is why an offering is not to be tried now. Open is the empty one.
type Reason string

// The reasons, the one that closes most first: a State names the first that applies.
const (
	Open        Reason = ""
	Outage      Reason = "Outage"      // the cloud does not answer, or denies
	Quota       Reason = "Quota"       // the account's quota is used up
	Stockout    Reason = "Stockout"    // the cloud had none
	Interrupted Reason = "Interrupted" // the cloud took such a machine a moment ago
	Probing     Reason = "Probing"     // as many attempts as are allowed are under way
)

// State is what is known of an offering at a time. Closed is Open exactly if Stock is not 0.
type State struct {
	Closed Reason
	// Because, while Probing, is what closed it before: Outage, Quota or Stockout. Otherwise it is Closed.
	Because Reason
	// Until is when it opens if nothing is heard till then; zero if it is open.
	Until time.Time
	// Stock is how many nodes may be tried now; -1: any number. A quota's or an outage's is shared by all offerings that it closes.
	Stock int
	// RiskMilli is what its interruptions are expected to cost, in thousandths of its price.
	RiskMilli int64
	// Failures is how often in a row what closes it has failed; while it is open, how often it has run out of stock.
	Failures int
	// Message is what the cloud said, if it is closed and said anything.
	Message string
}

// Stock answers how many nodes of the offering may be tried now; -1: any number.
func (b *Book) Stock(key cloud.OfferingKey, now time.Time) int { return b.State(key, now).Stock }

// State answers what is known of the offering.
func (b *Book) State(key cloud.OfferingKey, now time.Time) State {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := State{Stock: unbounded}
	r := b.offerings[key]
	if r != nil {
		s.RiskMilli, s.Failures = r.risk.value(now, &b.policy), r.gate.failuresAt(now, &b.policy)
	}
	gates := b.gates(key)
	for _, g := range gates {
		if g.closed(now) {
			return s.closed(g, g.reason, g.until)
		}
	}
	if r != nil && now.Before(r.avoidedUntil) {
		s.Closed, s.Because, s.Until, s.Stock = Interrupted, Interrupted, r.avoidedUntil, 0
		return s
	}
	for _, g := range gates {
		n := g.stock(now, &b.policy)
		if n == 0 {
			_, until := g.flying(now, &b.policy)
			return s.closed(g, Probing, until)
		}
		if n != unbounded && (s.Stock == unbounded || n < s.Stock) {
			s.Stock = n
		}
	}
	return s
}

func (s State) closed(g *gate, why Reason, until time.Time) State {
	s.Closed, s.Because, s.Until, s.Stock = why, g.reason, until, 0
	s.Failures, s.Message = g.failures, g.message
	return s
}
