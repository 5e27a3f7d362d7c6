package binpack

import (
	"fmt"
	"slices"
	"strings"
)

// drawPlan draws a plan for people. A node's GPUs are a bar of one letter each, the first of the demand's name, '.' where free.
func drawPlan(p Problem, plan Plan) string {
	var b strings.Builder
	nodes := 0
	for _, n := range plan.Nodes {
		nodes += n.Copies
	}
	fmt.Fprintf(&b, "$%s per hour, %d new nodes", dollars(plan.CostMicroUSDPerHour), nodes)
	if plan.WorthMicroUSDPerHour > 0 {
		fmt.Fprintf(&b, ", room worth $%s", dollars(plan.WorthMicroUSDPerHour))
	}
	b.WriteString("\n")
	for _, f := range plan.Fills {
		fmt.Fprintf(&b, "\n  bin   %-22s %s\n", p.Bins[f.Bin].Name, drawLoad(p, p.Bins[f.Bin].Free, f.Contents))
	}
	for _, n := range plan.Nodes {
		o := p.Offerings[n.Offerings[0]]
		fmt.Fprintf(&b, "\n  %2d x  %-22s %s\n", n.Copies, o.Name, drawLoad(p, p.Shapes[o.Shape].Capacity, n.Contents))
		fmt.Fprintf(&b, "        $%s each", dollars(o.PriceMicroUSDPerHour))
		for _, i := range n.Offerings[1:] {
			fmt.Fprintf(&b, ", or %s at $%s", p.Offerings[i].Name, dollars(p.Offerings[i].PriceMicroUSDPerHour))
		}
		b.WriteString("\n")
		if len(n.Expected) > 0 {
			fmt.Fprintf(&b, "        room for %s\n", drawContents(p, n.Expected))
		}
	}
	for _, h := range plan.Held {
		fmt.Fprintf(&b, "\n  held  %d %s: %s%s\n", h.Count, p.Demands[h.Demand].Name, h.Reason, drawHeld(p, h))
	}
	return b.String()
}

func drawContents(p Problem, contents []Content) string {
	var names []string
	for _, c := range contents {
		names = append(names, fmt.Sprintf("%d %s", c.Count, p.Demands[c.Demand].Name))
	}
	return strings.Join(names, ", ")
}

func drawLoad(p Problem, capacity Vector, contents []Content) string {
	var bar []string
	used := make(Vector, len(capacity))
	for _, c := range contents {
		d := p.Demands[c.Demand]
		for r := range used {
			used[r] += d.Size[r] * int64(c.Count)
		}
		if p.GPU >= 0 {
			bar = append(bar, strings.Repeat(d.Name[:1], int(min(64, d.Size[p.GPU]*int64(c.Count)))))
		}
	}
	out := ""
	if p.GPU >= 0 {
		out = "[" + strings.Join(bar, "") + strings.Repeat(".", int(min(64, max(0, capacity[p.GPU]-used[p.GPU])))) + "] "
	}
	out += drawContents(p, contents) + " ("
	for r, q := range used {
		if r > 0 {
			out += ", "
		}
		out += fmt.Sprintf("%s %d/%d", p.Resources[r], q, capacity[r])
	}
	return out + ")"
}

func drawHeld(p Problem, h Held) string {
	var out []string
	if h.Nearest >= 0 {
		out = append(out, "nearest "+p.Offerings[h.Nearest].Name)
	}
	if h.Limit >= 0 {
		out = append(out, "limit "+p.Limits[h.Limit].Name)
	}
	if h.Resource >= 0 {
		out = append(out, "too little "+p.Resources[h.Resource])
	}
	var failed []string
	for r, n := range h.Failed {
		if n > 0 {
			failed = append(failed, fmt.Sprintf("%d %s", n, Reason(r)))
		}
	}
	if len(failed) > 0 {
		out = append(out, "offerings: "+strings.Join(failed, ", "))
	}
	if len(out) == 0 {
		return ""
	}
	return "; " + strings.Join(slices.Clip(out), "; ")
}

func dollars(micro int64) string {
	return fmt.Sprintf("%d.%03d", micro/1_000_000, micro%1_000_000/1000)
}
