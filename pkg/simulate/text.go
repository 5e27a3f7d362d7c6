package simulate

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes the Result for people.
func (r *Result) WriteText(w io.Writer) error {
	t := &textWriter{w: w}
	t.summary(r)
	t.nodes(r.Nodes)
	t.existing(r.Existing)
	t.held(r.Held)
	t.rest(r)
	return t.err
}

// textWriter keeps the first error.
type textWriter struct {
	w   io.Writer
	err error
}

func (t *textWriter) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

// table writes rows in columns; the first is the head.
func (t *textWriter) table(rows [][]string) {
	columns := tabwriter.NewWriter(t.w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if t.err == nil {
			_, t.err = fmt.Fprintln(columns, "  "+strings.Join(row, "\t"))
		}
	}
	if t.err == nil {
		t.err = columns.Flush()
	}
}

func (t *textWriter) summary(r *Result) {
	s := &r.Summary
	t.line("%s in %s for %s: $%s/h", plural(s.Nodes, "node"), r.Region, plural(s.OnNewNodes, "pod"), s.CostPerHour)
	if s.ExpectedPerHour != "" {
		t.line("  expected     $%s/h, with interruptions, starts and idle time", s.ExpectedPerHour)
	}
	switch {
	case s.GapPercent == nil:
	case *s.GapPercent == 0:
		t.line("  lower bound  $%s/h: proven, no plan that serves as well is cheaper", s.LowerBoundPerHour)
	default:
		t.line("  lower bound  $%s/h, so at most %g %% above the optimum", s.LowerBoundPerHour, *s.GapPercent)
	}
	if s.Nodes > 0 {
		t.line("  GPUs         %d of %d used", s.GPUsUsed, s.GPUs)
	}
	t.line("  pods         %d on new nodes, %d on what is there, %d held", s.OnNewNodes, s.OnExisting, s.Held)
	if r.Replay == nil {
		return
	}
	switch p := r.Replay; {
	case p.Changed:
		t.line("  replay       not compared with the recorded decision: flags changed the View")
	case p.Same:
		t.line("  replay       the same decision as recorded by slipway %s", p.Program)
	default:
		t.line("  replay       another decision than recorded by slipway %s", p.Program)
	}
}

func (t *textWriter) nodes(nodes []NodeGroup) {
	if len(nodes) == 0 {
		return
	}
	t.line("\nNodes to launch")
	rows := [][]string{{"NODES", "TYPE", "ZONE", "MARKET", "$/H EACH", "GPUS USED", "CPU", "MEMORY", "PROVISIONER", "PODS ON EACH"}}
	for _, n := range nodes {
		rows = append(rows, []string{fmt.Sprint(n.Copies), n.InstanceType, n.Zone, n.Market, n.PricePerHour, n.GPU.text(), n.CPUMilli.percent(),
			n.MemoryMiB.percent(), n.Provisioner, contentText(n.Pods)})
	}
	t.table(rows)
}

func (t *textWriter) existing(list []Existing) {
	if len(list) == 0 {
		return
	}
	t.line("\nPlaces on what is there")
	rows := [][]string{{"NODE", "TYPE", "ZONE", "GPUS USED", "PODS"}}
	for _, x := range list {
		name := x.Name
		if x.OnItsWay {
			name += " (on its way)"
		}
		rows = append(rows, []string{name, cmp.Or(x.InstanceType, "-"), cmp.Or(x.Zone, "-"), x.GPU.text(), contentText(x.Pods)})
	}
	t.table(rows)
}

func (t *textWriter) held(list []HeldPods) {
	if len(list) == 0 {
		return
	}
	t.line("\nHeld")
	for _, h := range list {
		t.line("  %s: %s of %s: %s", h.Workload, plural(h.Pods, "pod"), plural(int(h.GPUs), "GPU"), h.Reason)
		t.line("      %s", h.Message)
	}
}

func (t *textWriter) rest(r *Result) {
	if r.Replay != nil && len(r.Replay.Differences) > 0 {
		t.line("\nDifferences (recorded, today)")
		for _, d := range r.Replay.Differences {
			t.line("  %s: %s, %s", d.Path, cmp.Or(d.Recorded, "-"), cmp.Or(d.Today, "-"))
		}
		if r.Replay.More > 0 {
			t.line("  and %d more", r.Replay.More)
		}
	}
	if len(r.NotConsidered) > 0 {
		t.line("\nNot Slipway's business")
		for _, n := range r.NotConsidered {
			t.line("  %s: %s (%s)", n.Workload, plural(n.Pods, "pod"), n.Why)
		}
	}
	if len(r.Skipped) > 0 {
		t.line("\nSkipped")
		for _, s := range r.Skipped {
			t.line("  %s: %s", s.Object, s.Why)
		}
	}
	if len(r.Assumptions) > 0 {
		t.line("\nAssumed")
		for _, a := range r.Assumptions {
			t.line("  %s", a)
		}
	}
}

func (g GPU) text() string { return fmt.Sprintf("%d/%d %s", g.Used, g.Count, cmp.Or(g.Name, "-")) }

func (f Fill) percent() string {
	if f.Capacity <= 0 {
		return "-"
	}
	return fmt.Sprintf("%d%%", (f.Daemons+f.Pods)*100/f.Capacity)
}

func contentText(list []Content) string {
	words := make([]string, len(list))
	for i, c := range list {
		words[i] = c.Workload
		if c.Pods > 1 {
			words[i] = fmt.Sprintf("%d x %s", c.Pods, c.Workload)
		}
	}
	if len(words) > 4 {
		words = append(slices.Clone(words[:3]), fmt.Sprintf("%d more workloads", len(words)-3))
	}
	return strings.Join(words, ", ")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
