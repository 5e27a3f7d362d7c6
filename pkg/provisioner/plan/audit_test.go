package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

func audit(t *testing.T, v View, d Decision) {
	t.Helper()
	for _, fault := range faults(v, d) {
		t.Error(fault)
	}
}

// faults checks a Decision against its View by plain means: quantities instead of the ledger's integers, label selectors instead of the
// scheduler's library, one pod at a time instead of sets.
func faults(v View, d Decision) []string {
	a := &auditor{view: v, decision: d}
	a.everyPodOnce()
	a.limits()
	a.money()
	names := map[string]bool{}
	for i := range d.Create {
		c := &d.Create[i]
		if names[c.Name] || len(c.Name) > 63 || c.Name == "" {
			a.fault("claim name %q is taken, empty or too long", c.Name)
		}
		names[c.Name] = true
		a.claim(c)
	}
	for _, h := range d.Held {
		if h.Reason == "" || len(h.Message) < 20 || len(h.Pods) == 0 {
			a.fault("held %s says too little: %s %q, %d pods", h.Demand, h.Reason, h.Message, len(h.Pods))
		}
		a.counts(h)
	}
	return a.found
}

// money: interruptions make nothing cheaper, and nothing is cheaper than the bound.
func (a *auditor) money() {
	cost, expected, bound := a.decision.CostMicroUSDPerHour, a.decision.ExpectedMicroUSDPerHour, a.decision.LowerBoundMicroUSDPerHour
	if expected < cost || bound < 0 || bound > expected {
		a.fault("cost %d, with interruptions %d, bound %d: want bound <= expected >= cost", cost, expected, bound)
	}
}

// counts: what the offerings failed on adds up, the reason is among it, and a miss says what to change.
func (a *auditor) counts(h Held) {
	sum := 0
	for reason, n := range h.Obstacles {
		sum += n
		if n <= 0 {
			a.fault("held %s: %d offerings failed on %s", h.Demand, n, reason)
		}
	}
	if sum != h.Offers || h.Offers > 0 && h.Obstacles[h.Reason] == 0 {
		a.fault("held %s for %s: %d offerings, failed %v", h.Demand, h.Reason, h.Offers, h.Obstacles)
	}
	if text, offers, failed := SplitCounts(h.Message); h.Counts() != "" && strings.HasSuffix(h.Message, h.Counts()) &&
		(offers != h.Offers || !maps.Equal(failed, h.Obstacles) || text+h.Counts() != h.Message) {
		a.fault("held %s: the counts read from %q are %d, %v", h.Demand, h.Message, offers, failed)
	}
	if len(h.Misses) > 3 || slices.ContainsFunc(h.Misses, func(m Miss) bool { return len(m.Changes) == 0 }) {
		a.fault("held %s: misses %+v", h.Demand, h.Misses)
	}
}

type auditor struct {
	view     View
	decision Decision
	found    []string
}

func (a *auditor) fault(format string, args ...any) {
	a.found = append(a.found, fmt.Sprintf(format, args...))
}

// everyPodOnce is invariant 5.
func (a *auditor) everyPodOnce() {
	seen := map[types.UID]int{}
	for _, c := range a.decision.Create {
		for _, p := range c.Spec.Pods {
			seen[p.UID]++
		}
	}
	for _, p := range a.decision.Placed {
		seen[p.Pod]++
		if (p.Claim == "") == (p.Node == "") {
			a.fault("pod %s is placed on claim %q and node %q", p.Pod, p.Claim, p.Node)
		}
	}
	for _, h := range a.decision.Held {
		for _, p := range h.Pods {
			seen[p.UID]++
		}
	}
	for _, p := range podsOf(a.view) {
		if seen[p.UID] != 1 {
			a.fault("pod %s is in %d of Create, Placed and Held", p.UID, seen[p.UID])
		}
		delete(seen, p.UID)
	}
	for uid := range seen {
		a.fault("pod %s waits nowhere", uid)
	}
}

// limits is invariant 1.
func (a *auditor) limits() {
	for _, p := range a.view.Provisioners {
		for name, limit := range p.Object.Spec.Limits {
			var sum resource.Quantity
			for _, c := range a.view.Claims {
				if c.Object.Spec.Provisioner == p.Object.Name {
					sum.Add(c.Object.DebitOf()[name])
				}
			}
			for _, o := range a.view.Orphans {
				if o.Provisioner == p.Object.Name {
					sum.Add(Usage(typesByName(a.view.Types)[o.InstanceType], priceOf(&a.view, o.OfferingKey))[name])
				}
			}
			bought := false
			for _, c := range a.decision.Create {
				if q := c.Spec.Debit[name]; c.Spec.Provisioner == p.Object.Name && q.Sign() > 0 {
					sum.Add(q)
					bought = true
				}
			}
			if bought && sum.Cmp(limit) > 0 {
				a.fault("limit %s of %s is %s and would be %s", name, p.Object.Name, limit.String(), sum.String())
			}
		}
	}
}

func (a *auditor) claim(c *v1alpha1.NodeClaim) {
	i := slices.IndexFunc(a.view.Provisioners, func(p Provisioner) bool { return p.Object.Name == c.Spec.Provisioner })
	if i < 0 || a.view.Provisioners[i].NotReady != "" {
		a.fault("claim %s is of Provisioner %s, which is not usable", c.Name, c.Spec.Provisioner)
		return
	}
	if n := len(c.Spec.Choices); n < 1 || n > 60 {
		a.fault("claim %s has %d choices", c.Name, n)
	}
	if len(c.Spec.Pods) == 0 {
		a.fault("claim %s is for nobody", c.Name)
	}
	for _, choice := range c.Spec.Choices {
		a.choice(c, &a.view.Provisioners[i], choice)
	}
	a.considered(c)
}

// considered: the shapes that a claim names are ranked, the chosen one is among them once, all offers are counted, and what is left is what the
// machine has less its overhead and the pods.
func (a *auditor) considered(c *v1alpha1.NodeClaim) {
	counted, chosen := len(c.Spec.Considered), 0
	for _, n := range c.Spec.Others {
		counted += int(n)
	}
	if offers := len(newGrowth(canonical(a.view), Foresight{}).offers); counted != offers || len(c.Spec.Considered) > maxConsidered {
		a.fault("claim %s accounts for %d of %d offers, %d named", c.Name, counted, offers, len(c.Spec.Considered))
	}
	for _, s := range c.Spec.Considered {
		if s.Verdict == v1alpha1.ShapeChosen {
			chosen++
			if s.InstanceType != c.Spec.Choices[0].InstanceType || s.Zone != c.Spec.Choices[0].Zone || s.PricePerHour != c.Spec.Choices[0].PricePerHour {
				a.fault("claim %s: chosen is %+v, bought %+v", c.Name, s, c.Spec.Choices[0])
			}
		}
		a.health(c, &s)
		free := s.Leftover[GPUResource(typesByName(a.view.Types)[s.InstanceType])]
		for _, p := range c.Spec.Pods {
			if d := a.demandOf(p.UID); d != nil {
				free.Add(*resource.NewMilliQuantity(d.Requests[v1alpha1.ResourceGPU], resource.DecimalSI))
			}
		}
		if want := int64(typesByName(a.view.Types)[s.InstanceType].GPU.Count); free.Value() != want {
			a.fault("claim %s: %s would have %s GPUs, not %d", c.Name, s.InstanceType, free.String(), want)
		}
	}
	if chosen != 1 {
		a.fault("claim %s names %d chosen shapes", c.Name, chosen)
	}
}

// health: what is said of an offering is what was seen of it.
func (a *auditor) health(c *v1alpha1.NodeClaim, s *v1alpha1.ConsideredShape) {
	key := cloud.OfferingKey{InstanceType: s.InstanceType, Zone: s.Zone, Market: cloud.Market(s.Market)}
	at := slices.IndexFunc(a.view.Offerings, func(o Offering) bool { return o.OfferingKey == key })
	if at < 0 {
		a.fault("claim %s considers %s, which is not on offer", c.Name, key)
		return
	}
	o, risk := &a.view.Offerings[at], ""
	if o.RiskMilli > 0 {
		risk = cloud.FormatDollars(o.PriceMicroUSDPerHour * o.RiskMilli / 1000)
	}
	closed := o.Closed != "" && o.Until.After(a.view.Now)
	if s.InterruptionsPerHour != risk || closed != (s.ClosedUntil != nil) || closed && !s.ClosedUntil.Time.Equal(o.Until) {
		a.fault("claim %s: %s is interrupted for %q and closed until %v, seen were %d thousandths and %v", c.Name, key, s.InterruptionsPerHour, s.ClosedUntil,
			o.RiskMilli, o.Until)
	}
}

func (a *auditor) choice(c *v1alpha1.NodeClaim, p *Provisioner, choice v1alpha1.InstanceChoice) {
	t := typesByName(a.view.Types)[choice.InstanceType]
	key := cloud.OfferingKey{InstanceType: t.Name, Zone: choice.Zone, Market: cloud.Market(c.Spec.Market)}
	at := slices.IndexFunc(a.view.Offerings, func(o Offering) bool { return o.OfferingKey == key })
	if at < 0 {
		a.fault("claim %s: %s is not on offer", c.Name, key)
		return
	}
	o := a.view.Offerings[at]
	if o.Stock == 0 || o.Closed != "" && (o.Until.IsZero() || o.Until.After(a.view.Now)) {
		a.fault("claim %s: %s is closed", c.Name, key)
	}
	if t.GPU.Count != int(c.Spec.GPUs) || t.GPU.Count == 0 {
		a.fault("claim %s of %d GPUs: %s has %d", c.Name, c.Spec.GPUs, t.Name, t.GPU.Count)
	}
	if !slices.Contains(p.Zones, key.Zone) || !slices.Contains(p.Architectures, t.Architecture) {
		a.fault("claim %s: %s is in no subnet, or there is no image for it", c.Name, key)
	}
	for name, q := range Usage(t, o.PriceMicroUSDPerHour) {
		if debit := c.Spec.Debit[name]; debit.Cmp(q) < 0 {
			a.fault("claim %s debits %s of %s, %s takes %s", c.Name, debit.String(), name, t.Name, q.String())
		}
	}
	node := merged(merged(TypeLabels(t), PlaceLabels(key, a.view.Region, o.ZoneID)), OwnerLabels(p.Object.Name, "default"))
	for name, value := range c.Spec.Labels {
		if have, ok := node[name]; ok && have != value {
			a.fault("claim %s: label %s=%s on %s", c.Name, name, value, key)
		}
	}
	node = merged(node, c.Spec.Labels)
	if !a.described(p, node) {
		a.fault("claim %s: %s is not what Provisioner %s describes", c.Name, key, p.Object.Name)
	}
	a.contents(c, p, t, node)
}

// contents checks that the node would take all pods of a claim, besides its DaemonSets.
func (a *auditor) contents(c *v1alpha1.NodeClaim, p *Provisioner, t cloud.InstanceType, node map[string]string) {
	free := Allocatable(t, p.Object.Spec.Template.Kubelet, p.Disk)
	for _, d := range a.view.Daemons {
		if accepts(d.Select, node, c.Spec.Taints) {
			free = free.Sub(d.Requests)
		}
	}
	for _, ref := range c.Spec.Pods {
		d := a.demandOf(ref.UID)
		if d == nil {
			a.fault("claim %s is for pod %s, which does not wait", c.Name, ref.UID)
			continue
		}
		if !accepts(d.Select, node, c.Spec.Taints) {
			a.fault("claim %s: pod %s does not accept %s", c.Name, ref.UID, t.Name)
		}
		free = free.Sub(d.Requests)
	}
	for name, n := range free {
		if n < 0 {
			a.fault("claim %s: %s lacks %d of %s", c.Name, t.Name, -n, name)
		}
	}
}

func (a *auditor) demandOf(uid types.UID) *demand.Demand {
	for i := range a.view.Demands {
		if slices.ContainsFunc(a.view.Demands[i].Pods, func(p demand.Pod) bool { return p.UID == uid }) {
			return &a.view.Demands[i]
		}
	}
	return nil
}

// described tells whether a node is what a Provisioner asks for. Exists on a key of one's own is a wish that only pods give a value.
func (a *auditor) described(p *Provisioner, node map[string]string) bool {
	market, arch := false, false
	for _, r := range p.Object.Spec.Requirements {
		market = market || r.Key == v1alpha1.LabelCapacityType || r.Key == v1alpha1.KarpenterCapacityType
		arch = arch || r.Key == corev1.LabelArchStable
		if own := !WellKnown(r.Key) && r.Operator == corev1.NodeSelectorOpExists; !own && !holds(r, node) {
			return false
		}
	}
	for key, value := range p.Object.Spec.Template.Labels {
		market = market || key == v1alpha1.LabelCapacityType
		if node[key] != value {
			return false
		}
	}
	return (market || node[v1alpha1.LabelCapacityType] == "on-demand") && (arch || node[corev1.LabelArchStable] == "amd64")
}

func accepts(s demand.Selection, node map[string]string, taints []corev1.Taint) bool {
	for key, value := range s.NodeSelector {
		if node[key] != value {
			return false
		}
	}
	if s.Required != nil && !slices.ContainsFunc(s.Required.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool {
		return !slices.ContainsFunc(t.MatchExpressions, func(r corev1.NodeSelectorRequirement) bool { return !holds(r, node) })
	}) {
		return false
	}
	for _, t := range taints {
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !slices.ContainsFunc(s.Tolerations, func(o corev1.Toleration) bool {
			return (o.Key == t.Key || o.Key == "") && (o.Effect == t.Effect || o.Effect == "") &&
				(o.Operator == corev1.TolerationOpExists || o.Value == t.Value)
		}) {
			return false
		}
	}
	return true
}

// holds asks the label selector library, which reads absent keys as node affinity does.
func holds(r corev1.NodeSelectorRequirement, node map[string]string) bool {
	op := map[corev1.NodeSelectorOperator]selection.Operator{
		corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn, corev1.NodeSelectorOpExists: selection.Exists,
		corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist, corev1.NodeSelectorOpGt: selection.GreaterThan,
		corev1.NodeSelectorOpLt: selection.LessThan,
	}[r.Operator]
	q, err := labels.NewRequirement(r.Key, op, r.Values)
	return err == nil && q.Matches(labels.Set(maps.Clone(node)))
}
