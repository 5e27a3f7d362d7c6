package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/cloud"
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

func (g *growth) hold(d *demand.Demand, pods []demand.Pod, reason v1alpha1.Reason, message string) {
	g.decision.Held = append(g.decision.Held, Held{Demand: d.Key, Pods: slices.Clone(pods), Reason: reason, Message: message})
}

// holdSolved records what the solver could not place.
func (g *growth) holdSolved(d *demand.Demand, pods []demand.Pod, h binpack.Held, p binpack.Problem) {
	reason := heldReason[h.Reason]
	held := Held{Demand: d.Key, Pods: slices.Clone(pods), Reason: reason, Obstacles: map[v1alpha1.Reason]int{}}
	for r, n := range h.Failed {
		if n > 0 {
			held.Obstacles[heldReason[binpack.Reason(r)]] = n
		}
	}
	var nearest *offer
	if h.Nearest >= 0 {
		nearest = &g.offers[h.Nearest]
		held.Provisioner = nearest.pool.provisioner.Object.Name
	}
	switch {
	case h.Reason == binpack.ReasonConstraint && len(g.offers) == 0:
		held.Reason, held.Message = v1alpha1.HeldNoProvisioner, g.noProvisioner()
	case h.Reason == binpack.ReasonConstraint:
		held.Message = g.noOffering(d) + g.notReady()
	case h.Reason == binpack.ReasonNoShape:
		held.Message = g.tooLarge(d, nearest, p, h.Resource)
	case h.Reason == binpack.ReasonLimit:
		held.Provisioner = g.limits[h.Limit].provisioner
		held.Message = g.overLimit(nearest, g.limits[h.Limit], p, h)
	case h.Reason == binpack.ReasonGang:
		held.Message = "it could be placed, but not together with the rest of its gang"
	default:
		held.Message = g.closedMessage(h, p)
	}
	g.decision.Held = append(g.decision.Held, held)
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

// noOffering names what keeps a demand off everything on offer: the first of its wishes that no offer grants, or their combination.
func (g *growth) noOffering(d *demand.Demand) string {
	for _, key := range sortedKeys(d.Select.NodeSelector) {
		want := d.Select.NodeSelector[key]
		r := corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{want}}
		if !slices.ContainsFunc(g.offers, func(o offer) bool { return satisfies(o.labels, r) }) {
			return fmt.Sprintf("no node that a Provisioner may launch has the label %s=%s%s; change the pod's nodeSelector or a Provisioner's requirements",
				key, want, g.offeredValues(key))
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
	if !selected {
		return "no node that a Provisioner may launch satisfies the pod's nodeSelector and required node affinity together; change them or a Provisioner's requirements"
	}
	return "every matching node would carry a taint that the pod does not tolerate; add a toleration, or use a Provisioner without it: " +
		strings.Join(sortedKeys(taints), ", ")
}

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
	case len(values) > 8:
		return fmt.Sprintf(" (on offer: %s and %d more)", strings.Join(values[:8], ", "), len(values)-8)
	default:
		return fmt.Sprintf(" (on offer: %s)", strings.Join(values, ", "))
	}
}

func (g *growth) tooLarge(d *demand.Demand, nearest *offer, p binpack.Problem, dimension int) string {
	if nearest == nil || dimension < 0 {
		return "no instance type that the pod may use is large enough for it; ask for less, or allow larger types in a Provisioner"
	}
	name := corev1.ResourceName(p.Resources[dimension])
	has := max(0, g.capacity(nearest)[name])
	return fmt.Sprintf("no instance type that the pod may use is large enough: it asks for %s, and the nearest, %s, leaves %s to pods; "+
		"ask for less, or allow larger types in Provisioner %s", show(name, d.Requests[name]), nearest.kind.Name, show(name, has),
		nearest.pool.provisioner.Object.Name)
}

func (g *growth) overLimit(nearest *offer, l limit, p binpack.Problem, h binpack.Held) string {
	bought := int64(0)
	for _, c := range g.decision.Create {
		if c.Spec.Provisioner == l.provisioner {
			bought += amount(l.resource, c.Spec.Debit[l.resource])
		}
	}
	use := l.used + bought
	text := fmt.Sprintf("spec.limits.%s of Provisioner %s is %s and %s of it is in use, launching or draining", l.resource, l.provisioner,
		showLimit(l.resource, l.ceiling), showLimit(l.resource, use))
	if nearest == nil {
		return text + "; raise it"
	}
	for _, c := range p.Offerings[h.Nearest].Charges {
		if c.Limit == h.Limit {
			return fmt.Sprintf("%s; the pod would fit %s if the limit were at least %s", text, nearest.source.OfferingKey,
				showLimit(l.resource, use+c.Amount))
		}
	}
	return text + "; raise it"
}

// closedMessage says why nothing that the pod fits can be bought now, when the next try is, and what would help.
func (g *growth) closedMessage(h binpack.Held, p binpack.Problem) string {
	what, remedy := "EC2 has no capacity for anything that the pod fits", "allow more instance types, zones or markets to have more chances"
	switch h.Reason {
	case binpack.ReasonQuota:
		what, remedy = "the account's quota for what the pod fits is used up", "ask for a higher one in Service Quotas"
	case binpack.ReasonOutage:
		what, remedy = "EC2 does not answer, or denies, what the pod needs", "see the log of the controller and the role it runs under"
	}
	next := g.nextTry(h, p)
	switch {
	case next == nil:
		return what + " at the moment; " + remedy
	case next.source.Until.After(g.view.Now):
		return fmt.Sprintf("%s; the next try, of %s, is after %s; %s", what, next.source.OfferingKey, clock(next.source.Until), remedy)
	default:
		return fmt.Sprintf("%s; a try of %s is under way; %s", what, next.source.OfferingKey, remedy)
	}
}

// nextTry answers the offer large enough for the held demand that opens first, the cheapest of those that do at the same time; nil: none
// is known to.
func (g *growth) nextTry(h binpack.Held, p binpack.Problem) *offer {
	d := p.Demands[h.Demand]
	allowed := d.Levels[len(d.Levels)-1].Offerings
	var next *offer
	for i := range g.offers {
		o := &g.offers[i]
		if !allowed.Has(i) || !g.waiting[h.Demand].demand.Requests.Fits(g.capacity(o)) || o.source.Closed == "" && o.source.Stock < 0 {
			continue
		}
		if next == nil || cmp.Or(o.source.Until.Compare(next.source.Until),
			cmp.Compare(o.source.PriceMicroUSDPerHour, next.source.PriceMicroUSDPerHour)) < 0 {
			next = o
		}
	}
	return next
}

// clock writes a time of the near future for people.
func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// show writes an amount of a node's resource for people.
func show(name corev1.ResourceName, amount int64) string {
	switch {
	case name == corev1.ResourceCPU:
		return fmt.Sprintf("%s cpu", resource.NewMilliQuantity(amount, resource.DecimalSI))
	case name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage:
		return fmt.Sprintf("%s %s", resource.NewQuantity(amount<<20, resource.BinarySI), name)
	case name == v1alpha1.ResourceGPU || name == v1alpha1.ResourceAMDGPU:
		return fmt.Sprintf("%s %s", resource.NewMilliQuantity(amount, resource.DecimalSI), name)
	default:
		return fmt.Sprintf("%d %s", amount, name)
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
