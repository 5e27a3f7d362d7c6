package health

import "time"

// unbounded is a budget without a limit.
const unbounded = -1

// gate is the state machine of the package comment, for an offering, a quota's bucket or the whole cloud.
//
// Invariant: budget is unbounded or >= 1; failures >= 0.
type gate struct {
	reason   Reason
	message  string
	failures int // since the last success
	// until is when it opened, or will.
	until       time.Time
	failedAt    time.Time // the last failure that counted
	succeededAt time.Time
	// budget is how many attempts may be under way at once when it is not closed.
	budget int
	// flights are the attempts under way that began since it closed last, by token.
	flights map[string]time.Time
}

// fail closes the gate. It does nothing for what the gate knows already: an attempt from before it closed or while it is closed
// (so reports that are late, doubled, or of one burst count once), or from before the last success.
func (g *gate) fail(at time.Time, message string, p *Policy, closed func(n int) time.Duration) {
	if !g.failedAt.IsZero() && !at.After(g.failedAt) || at.Before(g.until) || at.Before(g.succeededAt) {
		return
	}
	g.failures = g.failuresAt(at, p) + 1
	g.failedAt, g.until = at, at.Add(closed(g.failures))
	g.message, g.budget, g.flights = message, 1, nil
}

// succeed opens the gate, for twice as many attempts as before. A success from before the last failure says nothing.
func (g *gate) succeed(at time.Time, p *Policy) {
	if at.Before(g.failedAt) {
		return
	}
	switch {
	case g.budget == unbounded || 2*g.budget > p.BudgetMax || g.forgotten(at, p):
		g.budget = unbounded
	default:
		g.budget *= 2
	}
	g.opened(at)
}

// clear opens the gate for any number.
func (g *gate) clear(at time.Time) {
	if at.Before(g.failedAt) {
		return
	}
	g.budget = unbounded
	g.opened(at)
}

func (g *gate) opened(at time.Time) {
	g.failures, g.until, g.message = 0, time.Time{}, ""
	if at.After(g.succeededAt) {
		g.succeededAt = at
	}
}

// forgotten tells whether the last news is so old that it says nothing about the present.
func (g *gate) forgotten(now time.Time, p *Policy) bool {
	last := g.until
	if g.succeededAt.After(last) {
		last = g.succeededAt
	}
	return now.Sub(last) > p.ForgetAfter
}

func (g *gate) failuresAt(now time.Time, p *Policy) int {
	if g.forgotten(now, p) {
		return 0
	}
	return g.failures
}

func (g *gate) closed(now time.Time) bool { return now.Before(g.until) }

// stock is how many more attempts may begin now.
func (g *gate) stock(now time.Time, p *Policy) int {
	switch {
	case g.closed(now):
		return 0
	case g.budget == unbounded || g.forgotten(now, p):
		return unbounded
	}
	flying, _ := g.flying(now, p)
	return max(0, g.budget-flying)
}

// flying is how many attempts are under way, and when the first of them is given up.
func (g *gate) flying(now time.Time, p *Policy) (count int, first time.Time) {
	for _, began := range g.flights {
		end := began.Add(p.AttemptTimeout)
		if !now.Before(end) {
			continue
		}
		count++
		if first.IsZero() || end.Before(first) {
			first = end
		}
	}
	return count, first
}

func (g *gate) begin(token string, now time.Time) {
	if g.flights == nil {
		g.flights = map[string]time.Time{}
	}
	g.flights[token] = now
}
