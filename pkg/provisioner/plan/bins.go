package plan

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// Patience is how long a free place that a waiting pod seems to fit may stay unused before it is no longer counted as a place for that
// pod: its scheduler sees something that Slipway does not. kube-scheduler retries an unschedulable pod at the latest 10 s (its
// podMaxBackoff) after a node changed, so three times that.
const Patience = 30 * time.Second

// bin is a node, or a claim whose node is still on its way, with what is free on it.
type bin struct {
	index  int // among the bins
	node   *Node
	claim  *Claim              // nil for nodes of others
	labels []map[string]string // every label set that it may turn out to have; a pod must accept all
	taints []corev1.Taint
	free   demand.Resources
}

func (b *bin) name() string {
	if b.node != nil {
		return "node " + b.node.Name
	}
	return "claim " + b.claim.Object.Name
}

// accepts tells whether a pod's selection takes the bin whatever it turns out to be.
func (b *bin) accepts(l *demand.Matcher) bool {
	if b.node != nil {
		return l.MatchesNode(b.node.Name, b.labels[0], b.taints)
	}
	return !slices.ContainsFunc(b.labels, func(labels map[string]string) bool { return !l.Matches(labels, b.taints) })
}

// score answers how much a pod prefers the bin at the least, whatever it turns out to be.
func (b *bin) score(s *demand.Scorer) int64 {
	if b.node != nil {
		return s.Score(b.node.Name, b.labels[0])
	}
	least := s.Score("", b.labels[0])
	for _, labels := range b.labels[1:] {
		least = min(least, s.Score("", labels))
	}
	return least
}

// neglected tells whether an open node has been left unused by the pods' scheduler for too long.
func (b *bin) neglected(v *View, pods []demand.Pod) bool {
	if b.node == nil {
		return false
	}
	since := v.Now
	for _, p := range pods {
		if !p.Moving && p.Since.Before(since) {
			since = p.Since
		}
	}
	if b.node.QuietSince.After(since) {
		since = b.node.QuietSince
	}
	return v.Now.Sub(since) > Patience
}

// findBins lists the claims on their way, the open nodes, and those fenced nodes whose retirement can be taken back (a pod that is placed
// there makes Shrink do so), each by name: what is on its way was bought for somebody, and what is open is to be had at once.
func (g *growth) findBins() []bin {
	claims := map[string]*Claim{}
	for i := range g.view.Claims {
		claims[g.view.Claims[i].Object.Name] = &g.view.Claims[i]
	}
	open, bound := map[string]bool{}, map[string]demand.Resources{}
	var nodes, fenced []bin
	for i := range g.view.Nodes {
		n := &g.view.Nodes[i]
		bound[n.Claim] = n.Bound
		claim := claims[n.Claim]
		b := bin{node: n, claim: claim, labels: []map[string]string{n.Labels}, taints: n.Taints, free: maps.Clone(n.Free)}
		switch {
		case n.Fenced && claim != nil && retractable(&claim.Object):
			b.taints = slices.DeleteFunc(slices.Clone(n.Taints), func(t corev1.Taint) bool { return t.Key == v1alpha1.TaintRetiring })
			fenced = append(fenced, b)
		case n.Open && (claim == nil || !claim.Leaving):
			open[n.Claim] = true
			nodes = append(nodes, b)
		}
	}
	var list []bin
	types := typesByName(g.view.Types)
	for i := range g.view.Claims {
		c := &g.view.Claims[i]
		if c.Leaving || open[c.Object.Name] || ready(&c.Object) && !g.opening(&c.Object) {
			continue
		}
		if b, ok := g.onItsWay(c, types); ok {
			// Nothing is bound to a node that is not open, but one that has just opened may be shown as it was before.
			b.free = b.free.Sub(bound[c.Object.Name])
			list = append(list, b)
		}
	}
	list = slices.Concat(list, nodes, fenced)
	for i := range list {
		list[i].index = i
	}
	return list
}

// retractable tells whether a claim is to be retired for nothing but being idle, and not deleted yet.
func retractable(c *v1alpha1.NodeClaim) bool {
	return c.DeletionTimestamp == nil && c.Status.Retire != nil && c.Status.Retire.Reason == v1alpha1.RetireIdle
}

// openingLasts is how long a node that is ready by its claim may still be shown closed: the caches of claims and nodes do not move
// together. To take its places for lost in that moment would buy them a second time, or hold pods for a limit that is not reached.
const openingLasts = 10 * time.Second

// opening tells whether the claim's node has been opened so lately that it may not show yet.
func (g *growth) opening(c *v1alpha1.NodeClaim) bool {
	for _, cond := range c.Status.Conditions {
		if cond.Type == v1alpha1.ConditionReady {
			return g.view.Now.Sub(cond.LastTransitionTime.Time) < openingLasts
		}
	}
	return false
}

// ready tells whether the claim's node was open for pods before: then it is not on its way, it is in trouble.
func ready(c *v1alpha1.NodeClaim) bool {
	for _, cond := range c.Status.Conditions {
		if cond.Type == v1alpha1.ConditionReady {
			return cond.Status == "True"
		}
	}
	return false
}

// onItsWay predicts the node of a claim: the machine that was bought, or before that the least of its choices.
func (g *growth) onItsWay(c *Claim, types map[string]cloud.InstanceType) (bin, bool) {
	b := bin{claim: c, taints: c.Object.Spec.Taints}
	choices := c.Object.Spec.Choices
	if _, known := types[c.Object.Status.InstanceType]; known {
		choices = []v1alpha1.InstanceChoice{{InstanceType: c.Object.Status.InstanceType, Zone: c.Object.Status.Zone}}
	}
	for _, choice := range choices {
		t, known := types[choice.InstanceType]
		if !known {
			continue // EC2 does not describe the type any more: the other choices must do for a guess
		}
		labels := TypeLabels(t)
		key := cloud.OfferingKey{InstanceType: t.Name, Zone: choice.Zone, Market: cloud.Market(c.Object.Spec.Market)}
		maps.Copy(labels, PlaceLabels(key, g.view.Region, g.zoneID(key)))
		maps.Copy(labels, OwnerLabels(c.Object.Spec.Provisioner, c.Object.Spec.NodeClassRef.Name))
		maps.Copy(labels, c.Object.Spec.Labels)
		b.labels = append(b.labels, labels)
		free := Allocatable(t, c.Object.Spec.Kubelet, g.disk(c.Object.Spec.Provisioner))
		b.free = least(b.free, g.left(free, shapeKey{c.Object.Spec.Provisioner, t.Name}, labels, b.taints))
	}
	return b, len(b.labels) > 0
}

func (g *growth) zoneID(key cloud.OfferingKey) string {
	for _, o := range g.view.Offerings {
		if o.Zone == key.Zone {
			return o.ZoneID
		}
	}
	return ""
}

func (g *growth) disk(provisioner string) Disk {
	for _, p := range g.view.Provisioners {
		if p.Object.Name == provisioner {
			return p.Disk
		}
	}
	return Disk{}
}

// least answers the smaller amount of each resource; a nil first argument counts as unbounded.
func least(a, b demand.Resources) demand.Resources {
	if a == nil {
		return b
	}
	r := demand.Resources{}
	for name, have := range a {
		r[name] = min(have, b[name])
	}
	return r
}
