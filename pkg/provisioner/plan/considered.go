package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// maxConsidered bounds the shapes that a claim names.
const maxConsidered = 5

// rank looks at every offer for the pods of one planned node and fills in what the claim says about why it is this one.
// O(offers + contents x words of a set).
func (s *search) rank(n *binpack.Node, spec *v1alpha1.NodeClaimSpec) {
	first := n.Offerings[0]
	j := s.judge(n, spec)
	listed := map[likeShape]bool{}
	var others tally
	chosen := false
	for _, i := range s.byPrice {
		if !j.allowed.Has(i) {
			others.constrained++
			continue
		}
		verdict := j.verdict(i)
		kept := len(spec.Considered) < maxConsidered && (chosen || i == first || len(spec.Considered) < maxConsidered-1)
		if verdict == v1alpha1.HeldNoShape || !kept {
			others.add(verdict)
			continue
		}
		o := &s.g.offers[i]
		like := likeShape{o.pool.provisioner, o.kind, o.source.Market, verdict}
		if listed[like] {
			others.add(verdict)
			continue
		}
		listed[like] = true
		chosen = chosen || i == first
		spec.Considered = append(spec.Considered, j.shape(i, spec, verdict))
	}
	spec.Others = others.counts()
}

// tally counts verdicts. By price they come in runs, so that a map is asked once for each.
type tally struct {
	all         map[v1alpha1.Reason]int32
	last        v1alpha1.Reason
	run         int32
	constrained int32
}

func (t *tally) add(verdict v1alpha1.Reason) {
	if verdict != t.last {
		t.end()
		t.last = verdict
	}
	t.run++
}

func (t *tally) end() {
	if t.all == nil {
		t.all = map[v1alpha1.Reason]int32{}
	}
	if t.run > 0 {
		t.all[t.last] += t.run
	}
	t.run = 0
}

func (t *tally) counts() map[v1alpha1.Reason]int32 {
	t.end()
	if t.constrained > 0 {
		t.all[v1alpha1.HeldConstraint] += t.constrained
	}
	return t.all
}

// judgement is what is thought of each offer for the pods of one planned node.
type judgement struct {
	s       *search
	n       *binpack.Node
	size    binpack.Vector // of all pods together
	room    []int64        // what the limits would have without the node
	allowed binpack.Set    // the offers that all of the pods accept
	liked   binpack.Set    // those that they like no less than the chosen one
	fits    []bool         // by shape
}

func (s *search) judge(n *binpack.Node, spec *v1alpha1.NodeClaimSpec) *judgement {
	j := &judgement{s: s, n: n, room: s.roomWithout(spec), allowed: s.everything(), liked: s.everything(), fits: make([]bool, len(s.p.Shapes))}
	for _, c := range n.Contents {
		d := &s.p.Demands[c.Demand]
		for r, q := range d.Size {
			j.size = append(j.size, make([]int64, max(0, r+1-len(j.size)))...)
			j.size[r] += q * int64(c.Count)
		}
		best := level(d, n.Offerings[0])
		intersectAny(j.liked, d.Levels[:best+1])
		intersectAny(j.allowed, d.Levels)
	}
	for i := range j.fits {
		j.fits[i] = copies(j.size, s.p.Shapes[i].Capacity) > 0
	}
	return j
}

// intersectAny leaves in the set what some of the levels accepts.
func intersectAny(set binpack.Set, levels []binpack.Level) {
	for w := range set {
		var any uint64
		for l := range levels {
			any |= levels[l].Offerings[w]
		}
		set[w] &= any
	}
}

// likeShape tells zones of one type apart only where they fare differently.
type likeShape struct {
	provisioner *Provisioner
	kind        *cloud.InstanceType
	market      cloud.Market
	verdict     v1alpha1.Reason
}

// roomWithout answers what limits have left if one claim of this kind were not created.
func (s *search) roomWithout(spec *v1alpha1.NodeClaimSpec) []int64 {
	room := slices.Clone(s.left.Room)
	for i, l := range s.g.limits {
		if l.provisioner == spec.Provisioner {
			room[i] += amount(l.resource, spec.Debit[l.resource])
		}
	}
	return room
}

// verdict of an offer that all of the pods accept.
func (j *judgement) verdict(i int) v1alpha1.Reason {
	first := j.n.Offerings[0]
	o, chosen := &j.s.p.Offerings[i], &j.s.p.Offerings[first]
	switch {
	case i == first:
		return v1alpha1.ShapeChosen
	case slices.Contains(j.n.Offerings, i):
		return v1alpha1.ShapeAccepted
	case !j.fits[o.Shape]:
		return v1alpha1.HeldNoShape
	}
	if reason := j.obstacle(i); reason != "" {
		return reason
	}
	switch {
	case o.Tier > chosen.Tier:
		return v1alpha1.ShapeLowerWeight
	case !j.liked.Has(i):
		return v1alpha1.ShapeDisliked
	case o.PriceMicroUSDPerHour >= chosen.PriceMicroUSDPerHour:
		return v1alpha1.ShapeDearer
	default:
		return v1alpha1.ShapePassedOver
	}
}

// obstacle answers the first one to buying an offer that fits; empty: none.
func (j *judgement) obstacle(i int) (reason v1alpha1.Reason) {
	j.s.p.Obstacles(&binpack.Remains{Room: j.room, Stock: j.s.left.Stock}, j.size, i, func(r binpack.Reason, _ int) {
		if reason == "" {
			reason = heldReason[r]
		}
	})
	return reason
}

// level answers the strictest level of a demand that has an offer, -1 if none has.
func level(d *binpack.Demand, offering int) int {
	return slices.IndexFunc(d.Levels, func(l binpack.Level) bool { return l.Offerings.Has(offering) })
}

// shape describes an offer with what it would leave.
func (j *judgement) shape(i int, spec *v1alpha1.NodeClaimSpec, verdict v1alpha1.Reason) v1alpha1.ConsideredShape {
	o := &j.s.g.offers[i]
	c := v1alpha1.ConsideredShape{
		InstanceType: o.kind.Name, Zone: o.source.Zone, Market: string(o.source.Market), Verdict: verdict,
		PricePerHour: cloud.FormatDollars(o.source.PriceMicroUSDPerHour), Leftover: corev1.ResourceList{},
	}
	if name := o.pool.provisioner.Object.Name; name != spec.Provisioner {
		c.Provisioner = name
	}
	if expected := j.s.p.Offerings[i].PriceMicroUSDPerHour; expected > o.source.PriceMicroUSDPerHour {
		c.ExpectedPerHour = cloud.FormatDollars(expected)
	}
	if risk := o.source.PriceMicroUSDPerHour * o.source.RiskMilli / 1000; risk > 0 {
		c.InterruptionsPerHour = cloud.FormatDollars(risk)
	}
	if until := o.source.Until; j.s.g.closed(o.source) != binpack.Open && !until.IsZero() {
		c.ClosedUntil = new(metav1.NewTime(until))
	}
	free := j.s.g.capacity(o)
	for r, name := range j.s.p.Resources {
		free[corev1.ResourceName(name)] -= j.size[r]
	}
	for _, name := range []corev1.ResourceName{GPUResource(*o.kind), corev1.ResourceCPU, corev1.ResourceMemory} {
		c.Leftover[name] = Quantity(name, free[name])
	}
	return c
}

// reasons answers why for the copies of a node, which hold equally many pods.
func reasons(spec *v1alpha1.NodeClaimSpec, expected int) func(pods int, moving bool) string {
	said := map[bool]string{}
	return func(pods int, moving bool) string {
		if said[moving] == "" {
			said[moving] = why(spec, pods, expected, moving)
		}
		return said[moving]
	}
}

// why says in one sentence what the node is bought for, what it leaves, and what would have come next. moving: its first pod is one that
// still runs on a node which EC2 takes.
func why(spec *v1alpha1.NodeClaimSpec, pods, expected int, moving bool) string {
	at := slices.IndexFunc(spec.Considered, func(c v1alpha1.ConsideredShape) bool { return c.Verdict == v1alpha1.ShapeChosen })
	chosen := &spec.Considered[at]
	count := "1 pod"
	if pods != 1 {
		count = fmt.Sprintf("%d pods", pods)
	}
	text := fmt.Sprintf("%s in %s (%s) at $%s/h for %s", chosen.InstanceType, chosen.Zone, chosen.Market, chosen.PricePerHour, count)
	if moving {
		text += " of a node that EC2 takes"
	}
	text += ", leaving " + showLeftover(chosen.Leftover)
	if expected > 0 {
		text += fmt.Sprintf(" (room for %d more that may come, from what came lately)", expected)
	}
	for _, c := range spec.Considered[:at] {
		if c.Verdict != v1alpha1.ShapeAccepted {
			text += fmt.Sprintf("; %s in %s (%s) at $%s/h would come first: %s", c.InstanceType, c.Zone, c.Market, c.PricePerHour, c.Verdict)
			break
		}
	}
	for _, c := range spec.Considered[at+1:] {
		if c.InstanceType != chosen.InstanceType || c.Market != chosen.Market {
			return text + fmt.Sprintf("; next is %s (%s) at $%s/h", c.InstanceType, c.Market, c.PricePerHour)
		}
	}
	return text
}

// showLeftover is short: whole GPUs, whole CPUs or tenths, and GiB.
func showLeftover(free corev1.ResourceList) string {
	var items []string
	for _, name := range sortedKeys(free) {
		q := free[name]
		switch name {
		case corev1.ResourceCPU:
			items = append(items, fmt.Sprintf("%.1f cpu", float64(q.MilliValue())/1000))
		case corev1.ResourceMemory:
			items = append(items, fmt.Sprintf("%.1f GiB", float64(q.Value())/(1<<30)))
		default:
			items = append([]string{fmt.Sprintf("%d GPU", q.Value())}, items...)
		}
	}
	return strings.Join(items, ", ")
}
