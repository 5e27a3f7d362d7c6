package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// timeline prints what happens, each line with the seconds since the start.
type timeline struct {
	out   io.Writer
	start time.Time

	mu   sync.Mutex
	last counts
	when time.Time // of the last row
}

// rowEvery bounds the rows: more than two a second nobody reads.
const rowEvery = 500 * time.Millisecond

func newTimeline(out io.Writer) *timeline { return &timeline{out: out, start: time.Now()} }

func (t *timeline) title(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "\n== %s\n", fmt.Sprintf(format, args...))
}

func (t *timeline) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%7.1fs  %s\n", time.Since(t.start).Seconds(), fmt.Sprintf(format, args...))
}

// counts is where pods and nodes stand at a moment.
type counts struct {
	pending, held, bound, running                            int
	claims, launched, joined, ready, draining, gpus, dollars int
}

func (t *timeline) header() {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%8s  %s  %s\n", "", "──────────── pods ───────────", "─────────────────── nodes ──────────────────────")
	fmt.Fprintf(t.out, "%8s  %8s %6s %6s %7s %7s %8s %7s %9s %8s %5s %7s\n", "", "pending", "held", "bound", "running", "claims", "launched",
		"joined", "GPUs-ok", "draining", "GPUs", "$/h")
	t.last, t.when = counts{}, time.Time{}
}

// row prints where things stand, if that has changed. The last row of all, with nothing left, is never left out.
func (t *timeline) row(c counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c == t.last || time.Since(t.when) < rowEvery && c.claims > 0 {
		return
	}
	t.last, t.when = c, time.Now()
	fmt.Fprintf(t.out, "%7.1fs  %8d %6d %6d %7d %7d %8d %7d %9d %8d %5d %7.2f\n", time.Since(t.start).Seconds(), c.pending, c.held,
		c.bound, c.running, c.claims, c.launched, c.joined, c.ready, c.draining, c.gpus, float64(c.dollars)/1e6)
}
