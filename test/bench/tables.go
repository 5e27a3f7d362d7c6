package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// rewrite puts text between the lines "<!-- name -->" and "<!-- /name -->" of a page.
func rewrite(path, name, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the page to put the table into: %w", err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
	from, to := bytes.Index(page, []byte(begin)), bytes.Index(page, []byte(end))
	if from < 0 || to < from {
		return fmt.Errorf("%s has no lines %q and %q, in this order", path, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	next := string(page[:from]) + begin + text + string(page[to:])
	if err := os.WriteFile(path, []byte(next), 0o644); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

func machine() string {
	return fmt.Sprintf("%d cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// packingTable is the table of docs/benchmarks.md.
func packingTable(rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s.\n\n", machine())
	b.WriteString("| mix | pods | classes | types | bound $/h | first | s | answer | certificate | s | Karpenter | s | cheaper by | first sooner by |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %.0f | %.4f | %.3f | **%.4f** | %.4f | %.3f |", r.Mix, r.Pods, r.Classes, r.Types, float64(r.LowerBound)/1e6,
			r.over(r.First.CostMicroUSD), r.First.Seconds, r.over(r.Answer.CostMicroUSD), r.certificate(), r.Answer.Seconds)
		if k := r.Karpenter; k != nil {
			fmt.Fprintf(&b, " %.3f%s | %.2f | %.1f %% | %.0fx |\n", r.over(k.CostMicroUSD), left(k.PodsLeft), k.Seconds,
				100*(1-float64(r.Answer.CostMicroUSD)/float64(k.CostMicroUSD)), k.Seconds/r.First.Seconds)
		} else {
			b.WriteString(" | | | |\n")
		}
	}
	return b.String()
}

// left says that a cost is not that of all pods.
func left(pods int) string {
	if pods == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d pods left)", pods)
}

// diverseTable is the table of Karpenter's own benchmark.
func diverseTable(rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s.\n\n", machine())
	b.WriteString("| pods | classes | Slipway pods/s | $/h | nodes | left | Karpenter pods/s | $/h | nodes | left | faster | cost ratio |\n")
	b.WriteString("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		a, k := r.Answer, r.Karpenter
		fmt.Fprintf(&b, "| %d | %d | %.0f | %.2f | %d | %d | %.0f | %.2f | %d | %d | %.0fx | %.3f |\n", r.Pods, r.Classes, float64(r.Pods)/a.Seconds,
			float64(a.CostMicroUSD)/1e6, a.Nodes, a.PodsLeft, float64(r.Pods)/k.Seconds, float64(k.CostMicroUSD)/1e6, k.Nodes, k.PodsLeft,
			k.Seconds/a.Seconds, float64(a.CostMicroUSD)/float64(k.CostMicroUSD))
	}
	return b.String()
}
