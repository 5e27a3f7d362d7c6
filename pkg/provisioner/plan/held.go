package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// heldReason translates the solver's reasons into those that users see.
var heldReason = map[binpack.Reason]v1alpha1.Reason{
	binpack.ReasonConstraint: v1alpha1.HeldConstraint,
	binpack.ReasonNoShape:    v1alpha1.HeldNoShape,
	binpack.ReasonLimit:      v1alpha1.HeldLimit,
	binpack.ReasonStockout:   v1alpha1.HeldStockout,
	binpack.ReasonQuota:      v1alpha1.HeldQuota,
	binpack.ReasonOutage:     v1alpha1.HeldOutage,
	binpack.ReasonGang:       v1alpha1.HeldGang,
}

// hold records pods that the solver has no say in: nothing on offer would change that.
func (g *growth) hold(d *demand.Demand, pods []demand.Pod, reason v1alpha1.Reason, message string) {
	h := Held{Demand: d.Key, Pods: slices.Clone(pods), Reason: reason, Message: message, Offers: len(g.offers)}
	if h.Offers > 0 {
		h.Obstacles = map[v1alpha1.Reason]int{reason: h.Offers}
	}
	g.decision.Held = append(g.decision.Held, h)
}

// holdSolved records what the solver could not place.
func (s *search) holdSolved(d *demand.Demand, pods []demand.Pod, h binpack.Held) {
	g := s.g
	held := Held{Demand: d.Key, Pods: slices.Clone(pods), Offers: len(g.offers), Obstacles: map[v1alpha1.Reason]int{}}
	for r, n := range h.Failed {
		if n > 0 {
			held.Obstacles[heldReason[binpack.Reason(r)]] = n
		}
	}
	var waiting int
	held.Misses, held.Reason, waiting = s.nearest(d, h)
	if waiting > 0 {
		held.count(v1alpha1.HeldLimit, -waiting)
		held.count(v1alpha1.HeldDraining, waiting)
	}
	if h.Nearest >= 0 {
		held.Provisioner = g.offers[h.Nearest].pool.provisioner.Object.Name
	}
	if h.Limit >= 0 {
		held.Provisioner = g.limits[h.Limit].provisioner
	}
	if len(g.offers) == 0 {
		held.Reason = v1alpha1.HeldNoProvisioner
	}
	held.Message = s.message(d, &held)
	g.decision.Held = append(g.decision.Held, held)
}

// count moves the number of offers that failed on a reason.
func (h *Held) count(reason v1alpha1.Reason, by int) {
	if h.Obstacles[reason] += by; h.Obstacles[reason] <= 0 {
		delete(h.Obstacles, reason)
	}
}

// message is the one text about a held demand, in events, conditions and answers: what is in the way, what would help, the counts.
func (s *search) message(d *demand.Demand, h *Held) string {
	switch h.Reason {
	case v1alpha1.HeldNoProvisioner:
		return s.g.noProvisioner() + h.Remedy("")
	case v1alpha1.HeldConstraint:
		return s.noOffering(d) + s.g.notReady() + h.Remedy("; change the pod, or a Provisioner's requirements") + h.Counts()
	case v1alpha1.HeldNoShape:
		return h.tooLarge() + h.Counts()
	case v1alpha1.HeldLimit, v1alpha1.HeldDraining:
		return h.overLimit() + h.Counts()
	case v1alpha1.HeldGang:
		return "it could be placed, but not together with the rest of its gang" + h.Counts()
	default:
		return h.closed() + h.Counts()
	}
}

// noProvisioner says why nothing at all can be bought.
func (g *growth) noProvisioner() string {
	if len(g.view.Provisioners) == 0 {
		return "there is no Provisioner; create one (and an EC2NodeClass) that allows GPU instance types"
	}
	var because []string
	for _, p := range g.view.Provisioners {
		text := p.NotReady
		if text == "" {
			text = "its requirements match no GPU instance type, zone and market on offer; widen them"
		}
		because = append(because, "Provisioner "+p.Object.Name+": "+text)
	}
	return strings.Join(because, "; ")
}

// notReady tells of Provisioners that might have served, had they been usable; empty if all are.
func (g *growth) notReady() string {
	text := ""
	for _, p := range g.view.Provisioners {
		if p.NotReady != "" {
			text += "; Provisioner " + p.Object.Name + " cannot be used: " + p.NotReady
		}
	}
	return text
}

// noOffering names what keeps a demand off everything on offer: what it asks and nothing on offer grants, or all of it together.
func (s *search) noOffering(d *demand.Demand) string {
	g := s.g
	for _, key := range sortedKeys(d.Select.NodeSelector) {
		want := d.Select.NodeSelector[key]
		if empty(s.granting(corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{want}}, false)) {
			return fmt.Sprintf("no node that a Provisioner may launch has the label %s=%s%s", key, want, g.offeredValues(key))
		}
	}
	if r := d.Select.Required; r != nil && len(r.NodeSelectorTerms) == 1 {
		for _, e := range r.NodeSelectorTerms[0].MatchExpressions {
			if empty(s.granting(e, false)) {
				return fmt.Sprintf("no node that a Provisioner may launch satisfies the pod's required node affinity %s%s",
					showRequirement(Change{Requirement: &e}), g.offeredValues(e.Key))
			}
		}
	}
	for i := range d.Select.Also {
		there := demand.Selection{Also: d.Select.Also[i : i+1]}.Matcher(nil)
		if !slices.ContainsFunc(g.offers, func(o offer) bool { return there.Matches(o.labels, nil) }) {
			return "a volume of the pod can be used on nodes with " + showPlaces(d.Select.Also[i].NodeSelectorTerms) +
				" only, and no Provisioner may launch one"
		}
	}
	wanted := d.Select.Matcher(nil)
	taints := map[string]bool{}
	selected := false
	for i := range g.offers {
		if o := &g.offers[i]; wanted.Matches(o.labels, nil) {
			selected = true
			for _, t := range o.pool.taints {
				if !wanted.Tolerates([]corev1.Taint{t}) {
					taints[t.ToString()] = true
				}
			}
		}
	}
	switch {
	case !selected && len(d.Select.Also) > 0:
		return "no node that a Provisioner may launch satisfies the pod's nodeSelector, its required node affinity and where its volumes are together"
	case !selected:
		return "no node that a Provisioner may launch satisfies the pod's nodeSelector and required node affinity together"
	}
	return "every matching node would carry a taint that the pod does not tolerate: " + strings.Join(sortedKeys(taints), ", ")
}

// maxOffered bounds the values on offer that a message lists.
const maxOffered = 8

// offeredValues lists what the offers carry under a label, to show a typing error.
func (g *growth) offeredValues(key string) string {
	set := map[string]bool{}
	for _, o := range g.offers {
		if v, ok := o.labels[key]; ok {
			set[v] = true
		}
	}
	values := sortedKeys(set)
	switch {
	case len(values) == 0:
		return " (none carries that key)"
	case len(values) > maxOffered:
		return fmt.Sprintf(" (on offer: %s and %d more)", strings.Join(values[:maxOffered], ", "), len(values)-maxOffered)
	default:
		return fmt.Sprintf(" (on offer: %s)", strings.Join(values, ", "))
	}
}
