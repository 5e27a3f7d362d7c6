package sim

import (
	"maps"
	"slices"
	"time"
)

// journalKept bounds how many calls a Journal lists; the counts are exact whatever it is.
const journalKept = 50_000

// Call is one call that reached the cloud.
type Call struct {
	At     time.Time
	Name   string            // the EC2 action: CreateFleet
	Token  string            // the client token, where the call has one
	Tags   map[string]string // the tags that a launch asked for
	Result string            // machine ID or the error, where the call has one
}

// Journal is what was called, for reports.
type Journal struct {
	Counts map[string]int // calls by name
	Calls  []Call         // oldest first; the last 50 000
}

type journal struct {
	counts map[string]int
	calls  []Call
	first  int // ordinal of calls[0]
}

func newJournal() journal { return journal{counts: map[string]int{}} }

// record answers the call's ordinal, by which its result can be filled in.
func (j *journal) record(call Call) int {
	j.counts[call.Name]++
	if len(j.calls) >= 2*journalKept {
		j.calls = slices.Clone(j.calls[journalKept:])
		j.first += journalKept
	}
	j.calls = append(j.calls, call)
	return j.first + len(j.calls) - 1
}

func (j *journal) result(ordinal int, result string) {
	if i := ordinal - j.first; i >= 0 && i < len(j.calls) {
		j.calls[i].Result = result
	}
}

// Journal answers the calls so far. Only calls that were admitted by name count: those of the port, and those for which
// a wire adapter called Admit.
func (c *Cloud) Journal() Journal {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.journal.calls
	if len(calls) > journalKept {
		calls = calls[len(calls)-journalKept:]
	}
	return Journal{Counts: maps.Clone(c.journal.counts), Calls: slices.Clone(calls)}
}

// Admit records a call that arrived and answers the error that the cloud's present mood has for it: ErrThrottled, a
// *DeniedError, ErrOutage, or nil. finish fills in the call's result, and may be left uncalled.
func (c *Cloud) Admit(call Call) (finish func(result string), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	ordinal, err := c.admit(call)
	return func(result string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.journal.result(ordinal, result)
	}, err
}

func (c *Cloud) admit(call Call) (ordinal int, err error) {
	call.At = c.now
	ordinal = c.journal.record(call)
	if err := c.faults.refusal(call.Name, c.now); err != nil {
		c.journal.result(ordinal, err.Error())
		return ordinal, err
	}
	return ordinal, nil
}
