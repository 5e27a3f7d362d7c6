package explain

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// width is where long sentences are broken, label included.
const width = 100

// page is an answer for people: labels on the left, lines beside them.
type page struct {
	b     strings.Builder
	label int
}

func newPage(label int) *page { return &page{label: label} }

// line writes one line beside a label; a label that is empty continues the one above.
func (p *page) line(label, text string) {
	fmt.Fprintln(&p.b, strings.TrimRight(fmt.Sprintf("%-*s%s", p.label, label, text), " "))
}

// say writes a sentence beside a label, one line for each of its parts between semicolons, more where that is too long.
func (p *page) say(label, text string) {
	for _, part := range strings.Split(text, "; ") {
		indent := ""
		for _, line := range wrap(part, width-p.label) {
			if line != "" {
				p.line(label, indent+line)
				label, indent = "", "  "
			}
		}
	}
}

func wrap(text string, most int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > most-2 {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// table writes rows of cells in aligned columns.
func (p *page) table(label string, rows [][]string) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // into memory
	for _, line := range strings.Split(strings.TrimRight(b.String(), "\n"), "\n") {
		if line != "" {
			p.line(label, line)
			label = ""
		}
	}
}

// WriteText draws the answer for people; now is for ages.
func (a Pod) WriteText(to io.Writer, now time.Time) error {
	p := newPage(12)
	p.line("Pod", a.Namespace+"/"+a.Name)
	p.line("Asks for", showList(a.Requests))
	p.say("State", stateWord(a)+": "+a.Summary)
	if a.State != Held {
		p.say("", a.Remedy)
	}
	if a.Moving != nil {
		p.say("Moving", movingText(a.Moving))
	}
	text, _, _ := plan.SplitCounts(a.Message)
	switch {
	case a.State == Held:
		p.say("Because", text)
	case a.Message != "" && len(a.Claims) == 0:
		p.say("Expected", text)
	}
	a.failed(p)
	for i := range a.Claims {
		a.Claims[i].text(p, now)
		if a.State == Planned && a.Claims[i].Retire == nil {
			p.say("Why", a.Claims[i].Why)
		}
	}
	if len(a.Claims) > 0 {
		p.line("", "")
	}
	if a.State != Bound && a.State != NotOurs && a.Waiting != nil {
		p.line("Waiting", "since "+clock(*a.Waiting, now))
		p.say("Scheduler", a.Scheduler)
	}
	for _, u := range a.Unknown {
		p.say("Unknown", u)
	}
	_, err := io.WriteString(to, strings.TrimRight(p.b.String(), "\n")+"\n")
	return err
}

func stateWord(a Pod) string {
	switch a.State {
	case NotOurs:
		return "not Slipway's business (" + string(a.Verdict) + ")"
	case Held:
		return "held, " + string(a.Reason)
	case Planned:
		return "planned, " + string(a.Reason)
	case Undecided:
		return "not decided yet"
	default:
		return "has its node"
	}
}

func movingText(m *Moving) string {
	text := cmp.Or(m.Message, "EC2 takes its node")
	if m.Deadline != nil {
		text += ", by " + m.Deadline.UTC().Format("15:04:05Z")
	}
	return text
}

// failed is the table of what offerings failed on.
func (a Pod) failed(p *page) {
	reasons := slices.SortedFunc(slices.Values(sortedKeys(a.Failed)), func(x, y v1alpha1.Reason) int {
		return cmp.Or(cmp.Compare(a.Failed[y], a.Failed[x]), cmp.Compare(x, y))
	})
	if len(reasons) == 0 {
		return
	}
	var rows [][]string
	for _, r := range reasons {
		rows = append(rows, []string{fmt.Sprintf("%d of %d", a.Failed[r], a.Offerings), string(r), meaning[r]})
	}
	p.table("Offerings", rows)
}

// meaning says what an offering failed on.
var meaning = map[v1alpha1.Reason]string{
	v1alpha1.HeldConstraint:  "type, zone, market, label or taint is not what the pod accepts",
	v1alpha1.HeldNoShape:     "too small",
	v1alpha1.HeldLimit:       "a limit of its Provisioner is in the way",
	v1alpha1.HeldDraining:    "a limit is in the way until nodes that are leaving are gone",
	v1alpha1.HeldStockout:    "EC2 has none at the moment",
	v1alpha1.HeldQuota:       "the account's quota is used up",
	v1alpha1.HeldOutage:      "EC2 does not answer, or denies it",
	v1alpha1.HeldUnsupported: "the pod asks for something that is not supported",
	v1alpha1.HeldNotBound:    "its scheduler did not bind it to the node that it got",
	v1alpha1.ShapeDearer:     "dearer",
	v1alpha1.ShapeAccepted:   "accepted as well",
}

func (c *Claim) text(p *page, now time.Time) {
	p.line("", "")
	p.line("NodeClaim", fmt.Sprintf("%s, %s in %s (%s), $%s/h, for %s", c.Name, c.InstanceType, c.Zone, c.Market, c.PricePerHour, plural(c.Pods, "pod")))
	var rows [][]string
	var before *time.Time
	for _, phase := range c.Phases {
		row := []string{phase.Name, "", ""}
		switch {
		case phase.At != nil:
			row[1] = clock(*phase.At, now)
			if before != nil {
				row[2] = "after " + short(phase.At.Sub(*before))
			}
			before = phase.At
			row = append(row, c.where(phase.Name))
		case phase.Reason != "":
			row[1], row[2] = "waiting", phase.Reason
			row = append(row, phase.Message)
		default:
			continue
		}
		rows = append(rows, row)
	}
	p.table("", rows)
	if c.Retire != nil {
		p.say("Retired", fmt.Sprintf("%s: %s", c.Retire.Reason, c.Retire.Message))
	}
}

// where is what a phase has brought.
func (c *Claim) where(phase string) string {
	switch phase {
	case v1alpha1.ConditionLaunched:
		return c.InstanceID
	case v1alpha1.ConditionJoined:
		return c.Node
	}
	return ""
}

// clock writes a time with its age.
func clock(t, now time.Time) string {
	return fmt.Sprintf("%s (%s ago)", t.UTC().Format("2006-01-02 15:04:05Z"), short(now.Sub(t)))
}

// short writes a duration as kubectl does: its two largest units.
func short(d time.Duration) string {
	d = max(0, d.Round(time.Second))
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	}
}

// showList writes resources in a line, GPUs first.
func showList(list corev1.ResourceList) string {
	var gpus, others []string
	for _, name := range sortedKeys(list) {
		q := list[name]
		switch {
		case q.IsZero() || name == corev1.ResourcePods:
		case name == v1alpha1.ResourceGPU || name == v1alpha1.ResourceAMDGPU:
			gpus = append(gpus, q.String()+" "+string(name))
		default:
			others = append(others, q.String()+" "+string(name))
		}
	}
	return strings.Join(append(gpus, others...), ", ")
}
