package explain

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// maxRows bounds the pods that a text lists, maxKept the causes that keep a node; -o json lists all.
const (
	maxRows = 20
	maxKept = 5
)

// WriteText draws the answer for people; now is for ages.
func (a Node) WriteText(to io.Writer, now time.Time) error {
	p := newPage(12)
	name := a.Name
	if name == "" {
		name = "(none yet)"
	}
	p.line("Node", name)
	p.say("State", a.Summary)
	for i, s := range a.Stays[:min(len(a.Stays), maxKept)] {
		p.say([]string{"Kept by", ""}[min(i, 1)], s)
	}
	if more := len(a.Stays) - maxKept; more > 0 {
		p.line("", fmt.Sprintf("and %d more", more))
	}
	if a.Claim != nil {
		p.line("Provisioner", a.Claim.Provisioner)
		a.Claim.text(p, now)
		p.say("Why", a.Claim.Why)
		a.shapes(p)
	}
	a.limitRows(p)
	a.podRows(p)
	for i, u := range a.Unknown {
		p.say([]string{"Unknown", ""}[min(i, 1)], u)
	}
	_, err := io.WriteString(to, p.b.String())
	return err
}

// shapes is the table of what could have been bought.
func (a Node) shapes(p *page) {
	if len(a.Considered) == 0 {
		return
	}
	p.line("", "")
	rows := [][]string{{"TYPE", "ZONE", "MARKET", "$/H", "EXPECTED", "HEALTH", "LEFT OVER", "VERDICT"}}
	for _, c := range a.Considered {
		verdict := string(c.Verdict)
		if c.Provisioner != "" {
			verdict += " (Provisioner " + c.Provisioner + ")"
		}
		rows = append(rows, []string{c.InstanceType, c.Zone, c.Market, c.PricePerHour, cmp.Or(c.ExpectedPerHour, "-"), health(c), leftover(c.Leftover), verdict})
	}
	p.table("Considered", rows)
	var others []string
	for _, r := range sortedKeys(a.Others) {
		others = append(others, fmt.Sprintf("%d %s", a.Others[r], r))
	}
	if len(others) > 0 {
		p.say("", "others: "+strings.Join(others, ", "))
	}
}

// health is what EC2 has done lately with an offering.
func health(c v1alpha1.ConsideredShape) string {
	switch {
	case c.ClosedUntil != nil:
		return "closed to " + c.ClosedUntil.UTC().Format("15:04:05Z")
	case c.Verdict == v1alpha1.HeldStockout || c.Verdict == v1alpha1.HeldQuota || c.Verdict == v1alpha1.HeldOutage:
		return "closed"
	case c.InterruptionsPerHour != "":
		return "interrupted, +" + c.InterruptionsPerHour
	}
	return "ok"
}

// leftover is short: whole GPUs, CPUs and GiB.
func leftover(free corev1.ResourceList) string {
	var gpus int64
	for name, q := range free {
		if name == v1alpha1.ResourceGPU || name == v1alpha1.ResourceAMDGPU {
			gpus += q.Value()
		}
	}
	return fmt.Sprintf("%d GPU, %.1f cpu, %.1f GiB", gpus, free.Cpu().AsApproximateFloat64(), free.Memory().AsApproximateFloat64()/(1<<30))
}

func (a Node) limitRows(p *page) {
	if len(a.Limits) == 0 {
		return
	}
	p.line("", "")
	rows := [][]string{{"LIMIT", "TAKES", "USED", "OF"}}
	for _, l := range a.Limits {
		rows = append(rows, []string{string(l.Resource), l.Takes, l.Used, l.Limit})
	}
	p.table("Limits", rows)
}

// podRows lists the pods on the node, and those that it was bought for and that are elsewhere.
func (a Node) podRows(p *page) {
	rows := [][]string{{"POD", "GPUS", "NOTE"}}
	for _, pod := range a.Pods {
		rows = append(rows, []string{pod.Namespace + "/" + pod.Name, fmt.Sprint(pod.GPUs), pod.Keeps})
	}
	for _, b := range a.BoughtFor {
		if b.Where != "here" {
			rows = append(rows, []string{b.Namespace + "/" + b.Name, "-", "bought for it" + whereWords(b.Where)})
		}
	}
	if len(rows) == 1 {
		return
	}
	p.line("", "")
	more := len(rows) - 1 - maxRows
	p.table("Pods", rows[:min(len(rows), maxRows+1)])
	if more > 0 {
		p.line("", fmt.Sprintf("and %d more", more))
	}
}

func whereWords(where string) string {
	switch where {
	case "waiting", "gone":
		return ", it is " + where
	case notRecorded:
		return ""
	default:
		return ", it is on node " + where
	}
}
