package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
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

// held is pods of a demand that stay pending.
func (g *growth) held(d *demand.Demand, pods []demand.Pod, reason v1alpha1.Reason) Held {
	return Held{Demand: d.Key, Pods: slices.Clone(pods), Reason: reason, Offers: len(g.offers)}
}

// fail counts what the offers failed on.
func (h *Held) fail(failed [binpack.NumReasons]int) {
	h.Obstacles = map[v1alpha1.Reason]int{}
	for r, n := range failed {
		if n > 0 {
			h.Obstacles[heldReason[binpack.Reason(r)]] = n
		}
	}
}

// hold records pods that the solver has no say in: nothing on offer would change that.
func (g *growth) hold(d *demand.Demand, pods []demand.Pod, reason v1alpha1.Reason, message string) {
	h := g.held(d, pods, reason)
	if h.Offers > 0 {
		h.Obstacles = map[v1alpha1.Reason]int{reason: h.Offers}
	}
	h.Message = message + h.Counts()
	g.decision.Held = append(g.decision.Held, h)
}

// stuck is pods that stay pending, as the search sees them.
type stuck struct {
	demand *demand.Demand
	item   *item
	size   binpack.Vector
	open   binpack.Set // the offers that are no matter of selection or neighbours
	why    binpack.Held
	// takes tells whether the domains of a place would take one; nil: domains do not matter. Where some would not, blame is the rule, and full are
	// those that would.
	takes func(labels map[string]string) bool
	blame topology.Blame
	full  []*topology.Cell
	// lacking is what the machine that comes nearest has nothing of.
	lacking []Change
}

// holdSolved records what the solver could not place. Where selection leaves an offer and neighbours none, these are why.
func (s *search) holdSolved(d *demand.Demand, pods []demand.Pod, it *item, h binpack.Held) {
	held := &s.p.Demands[h.Demand]
	open := held.Levels[len(held.Levels)-1].Offerings
	if h.Reason == binpack.ReasonConstraint && (it.holding != "" || empty(open) && !empty(it.selected())) {
		s.holdByRule(&leftover{demand: d, pods: pods, item: it})
		return
	}
	s.hold(&stuck{demand: d, item: it, size: held.Size, open: open, why: h}, pods)
}

func (s *search) hold(k *stuck, pods []demand.Pod) {
	g := s.g
	held := g.held(k.demand, pods, heldReason[k.why.Reason])
	held.fail(k.why.Failed)
	var waiting int
	held.Misses, held.Reason, waiting = s.nearest(k)
	if waiting > 0 {
		held.count(v1alpha1.HeldLimit, -waiting)
		held.count(v1alpha1.HeldDraining, waiting)
	}
	if k.why.Nearest >= 0 {
		held.Provisioner = g.offers[k.why.Nearest].pool.provisioner.Object.Name
	}
	if k.why.Limit >= 0 {
		held.Provisioner = g.limits[k.why.Limit].provisioner
	}
	if len(g.offers) == 0 {
		held.Reason = v1alpha1.HeldNoProvisioner
	}
	held.Message = s.message(k, &held)
	g.decision.Held = append(g.decision.Held, held)
}

// count moves the number of offers that failed on a reason.
func (h *Held) count(reason v1alpha1.Reason, by int) {
	if h.Obstacles[reason] += by; h.Obstacles[reason] <= 0 {
		delete(h.Obstacles, reason)
	}
}

// message is the one text about a held demand, in events, conditions and answers: what is in the way, what would help, the counts.
func (s *search) message(k *stuck, h *Held) string {
	if k.blame.Rule == topology.RuleSpread && h.Reason != v1alpha1.HeldConstraint {
		return s.g.blame(k.blame, because(k.why.Reason)) + h.Remedy("") + h.Counts()
	}
	where := ""
	if k.blame.Rule != "" && h.Reason != v1alpha1.HeldConstraint {
		where = k.blame.Rule + " leaves the pod " + cellNames(k.full) + " only: "
	}
	return where + s.reasoned(k, h)
}

// reasoned is a message where no rule about neighbours is in the way.
func (s *search) reasoned(k *stuck, h *Held) string {
	switch h.Reason {
	case v1alpha1.HeldNoProvisioner:
		return s.g.noProvisioner() + h.Remedy("")
	case v1alpha1.HeldConstraint:
		return s.noOffering(k.demand) + s.g.notReady() + h.Remedy("; change the pod, or a Provisioner's requirements") + h.Counts()
	case v1alpha1.HeldNoShape:
		return h.tooLarge(k.lacking) + h.Counts()
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
		there := demand.Selection{Also: d.Select.Also[i : i+1]}.Matcher()
		if !slices.ContainsFunc(g.offers, func(o offer) bool { return there.Matches(o.labels, nil) }) {
			return "a volume of the pod can be used on nodes with " + showPlaces(d.Select.Also[i].NodeSelectorTerms) +
				" only, and no Provisioner may launch one"
		}
	}
	wanted := d.Select.Matcher()
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
	case len(taints) > 0:
		return "every matching node would carry a taint that the pod does not tolerate: " + strings.Join(sortedKeys(taints), ", ")
	case !selected && len(d.Select.Also) > 0:
		return "no node that a Provisioner may launch satisfies the pod's nodeSelector, its required node affinity and where its volumes are together"
	}
	return "no node that a Provisioner may launch satisfies the pod's nodeSelector and required node affinity together"
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
