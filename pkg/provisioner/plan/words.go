package plan

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// String says what would have to be otherwise, behind "the pod would fit": "g4dn.xlarge/us-east-1b/spot without nodeSelector disk=fast".
func (m Miss) String() string { return m.Offering.String() + m.changes() }

// changes is what stands behind the offering in String.
func (m Miss) changes() string {
	var without, with, once, unless, less []string
	for _, c := range m.Changes {
		switch c.Kind {
		case Drop:
			without = append(without, c.String())
		case Tolerate:
			with = append(with, c.String())
		case Reopen, Leave:
			once = append(once, "once "+c.String())
		case AskLess:
			less = append(less, c.String())
		default:
			unless = append(unless, c.String())
		}
	}
	if len(less) > 0 {
		unless = slices.Insert(unless, 0, list("it asked for at most ", less))
	}
	if len(unless) > 0 {
		once = append(once, list("if ", unless))
	}
	return list(" without ", without) + list(" with a toleration of ", with) + list(" ", once)
}

func list(before string, items []string) string {
	if len(items) == 0 {
		return ""
	}
	return before + strings.Join(items, " and ")
}

// String is the change in words that stand behind "without" (Drop), "with a toleration of" (Tolerate), "it asked for at most" (AskLess), "once"
// (Reopen, Leave) or "if" (RaiseLimit, Allow).
func (c Change) String() string {
	switch c.Kind {
	case Drop:
		return strings.TrimSpace(c.Field + " " + showRequirement(c))
	case Tolerate:
		return c.Taint.ToString()
	case RaiseLimit:
		return fmt.Sprintf("limits.%s of Provisioner %s were at least %s", c.Resource, c.Provisioner, showLimit(c.Resource, c.Need))
	case AskLess:
		return show(c.Resource, c.Have)
	case Allow:
		return fmt.Sprintf("Provisioner %s allowed %s %s", c.Provisioner, c.Requirement.Key, c.Requirement.Values[0])
	case Leave:
		return c.leaving()
	default:
		return c.reopening()
	}
}

func showRequirement(c Change) string {
	r := c.Requirement
	switch {
	case r == nil:
		return ""
	case c.Field == FieldNodeSelector:
		return r.Key + "=" + r.Values[0]
	default:
		return strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Key, r.Operator, few(r.Values)))
	}
}

// few lists values, not too many.
func few(values []string) string {
	if len(values) > maxOffered {
		return fmt.Sprintf("%s and %d more", strings.Join(values[:maxOffered], ", "), len(values)-maxOffered)
	}
	return strings.Join(values, ", ")
}

func (c Change) leaving() string {
	if len(c.Claims) == 0 {
		return "machines without a NodeClaim are gone"
	}
	text := "NodeClaim " + c.Claims[0] + " is gone"
	if len(c.Claims) > 1 {
		text = "NodeClaims " + strings.Join(c.Claims, ", ") + " are gone"
	}
	if !c.Until.IsZero() {
		text += ", by " + clock(c.Until)
	}
	return text
}

func (c Change) reopening() string {
	what := "EC2 has it again"
	switch c.Reason {
	case v1alpha1.HeldQuota:
		what = "the quota has room for it"
	case v1alpha1.HeldOutage:
		what = "EC2 answers"
	}
	if c.Until.IsZero() {
		return what + " (a try is under way)"
	}
	return what + " (next try after " + clock(c.Until) + ")"
}

// Remedy names the nearest misses in words, behind a semicolon; if there is none it answers otherwise.
func (h *Held) Remedy(otherwise string) string {
	text := ""
	for i, m := range h.Misses {
		switch {
		case i == 0:
			text = "; the pod would fit " + m.String()
		case m.Offering == h.Misses[i-1].Offering:
			text += ", or" + m.changes()
		default:
			text += ", or " + m.String()
		}
	}
	return cmp.Or(text, otherwise)
}

// Counts says what the offerings failed on, most first: " [8 offerings: 6 NoMatchingOffering, 2 LimitReached]"; empty without any.
func (h *Held) Counts() string {
	reasons := slices.SortedFunc(maps.Keys(h.Obstacles), func(a, b v1alpha1.Reason) int {
		return cmp.Or(cmp.Compare(h.Obstacles[b], h.Obstacles[a]), cmp.Compare(a, b))
	})
	switch len(reasons) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(" [%d offerings: all %s]", h.Offers, reasons[0])
	}
	items := make([]string, len(reasons))
	for i, r := range reasons {
		items[i] = fmt.Sprintf("%d %s", h.Obstacles[r], r)
	}
	return fmt.Sprintf(" [%d offerings: %s]", h.Offers, strings.Join(items, ", "))
}

// tooLarge says what of a pod is too large for every type that it may use, or what the nearest type has nothing of.
func (h *Held) tooLarge(lacking []Change) string {
	which := "a Provisioner"
	if h.Provisioner != "" {
		which = "Provisioner " + h.Provisioner
	}
	if len(lacking) > 0 {
		return "no instance type that the pod may use has " + strings.Join(needs(lacking), " and ") + h.Remedy("") + "; allow types that do in " + which
	}
	var asks []string
	if len(h.Misses) > 0 {
		asks = needs(h.Misses[0].Changes)
	}
	return "no instance type that the pod may use is large enough" + list(" for ", asks) + h.Remedy("") + "; ask for less, or allow larger types in " + which
}

// needs writes what a pod asks too much of.
func needs(changes []Change) []string {
	var asks []string
	for _, c := range changes {
		if c.Kind == AskLess {
			asks = append(asks, show(c.Resource, c.Need))
		}
	}
	return asks
}

// overLimit says which limit is in the way, and what takes it.
func (h *Held) overLimit() string {
	if len(h.Misses) == 0 {
		return "a limit of Provisioner " + h.Provisioner + " is in the way; raise it"
	}
	i := slices.IndexFunc(h.Misses[0].Changes, func(c Change) bool { return c.Kind == RaiseLimit || c.Kind == Leave })
	c := h.Misses[0].Changes[i]
	return fmt.Sprintf("spec.limits.%s of Provisioner %s is %s and %s of it is in use, launching or draining", c.Resource, c.Provisioner,
		showLimit(c.Resource, c.Have), showLimit(c.Resource, c.Used)) + h.Remedy("; raise it")
}

// closed says why nothing that the pod fits can be bought now, when the next try is, and what would help.
func (h *Held) closed() string {
	switch h.Reason {
	case v1alpha1.HeldQuota:
		return "the account's quota for what the pod fits is used up" + h.Remedy("") + "; ask for a higher one in Service Quotas"
	case v1alpha1.HeldOutage:
		return "EC2 does not answer, or denies, what the pod needs" + h.Remedy("") + "; slipway preflight says which call is denied, and the log of the controller what EC2 answered"
	default:
		return "EC2 has no capacity at the moment for anything that the pod fits" + h.Remedy("") +
			"; allow more instance types, zones or markets to have more chances"
	}
}

// clock writes a time of the near future for people.
func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// show writes an amount of a node's resource for people.
func show(name corev1.ResourceName, amount int64) string {
	q := Quantity(name, amount)
	return q.String() + " " + string(name)
}

// Quantity is an amount of a node's resource as Kubernetes writes it.
func Quantity(name corev1.ResourceName, amount int64) resource.Quantity {
	switch name {
	case corev1.ResourceCPU, v1alpha1.ResourceGPU, v1alpha1.ResourceAMDGPU:
		return *resource.NewMilliQuantity(amount, resource.DecimalSI)
	case corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return *resource.NewQuantity(amount<<20, resource.BinarySI)
	default:
		return *resource.NewQuantity(amount, resource.DecimalSI)
	}
}

// showLimit writes an amount of a limit for people, as it would stand in spec.limits.
func showLimit(name corev1.ResourceName, amount int64) string {
	switch name {
	case v1alpha1.LimitCostPerHour:
		return cloud.FormatDollars(amount)
	case corev1.ResourceCPU:
		return resource.NewMilliQuantity(amount, resource.DecimalSI).String()
	case corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return resource.NewQuantity(amount<<20, resource.BinarySI).String()
	default:
		return fmt.Sprint(amount)
	}
}

// counts is what Counts writes.
var counts = regexp.MustCompile(`^(.*) \[(\d+) offerings: (.*)\]$`)

// SplitCounts takes what Counts added off a message again: the text before it, how many offerings there were, and what they failed on. A
// message without counts is answered whole, with none.
func SplitCounts(message string) (text string, offers int, failed map[v1alpha1.Reason]int) {
	parts := counts.FindStringSubmatch(message)
	if parts == nil {
		return message, 0, nil
	}
	offers, err := strconv.Atoi(parts[2])
	if err != nil {
		return message, 0, nil
	}
	failed = map[v1alpha1.Reason]int{}
	if reason, all := strings.CutPrefix(parts[3], "all "); all {
		failed[v1alpha1.Reason(reason)] = offers
		return parts[1], offers, failed
	}
	for _, item := range strings.Split(parts[3], ", ") {
		number, reason, _ := strings.Cut(item, " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			return message, 0, nil
		}
		failed[v1alpha1.Reason(reason)] = n
	}
	return parts[1], offers, failed
}
