package inventory

import (
	"cmp"
	"maps"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// refusalLasts is how long a pod that its scheduler refused to bind to the node bought for it gets no other node.
const refusalLasts = 10 * time.Minute

// noteRefusals finds the pods that wait although the node that was bought for them has been open, with room for them, for longer than
// Patience. A node is held against a pod once: after that, the pod gets another try, and then only that node counts. A CSI driver that the
// node misses is no lack of room, since the next node would miss it, too, and nothing to be patient about: the node has waited for it.
func (m *Mirror) noteRefusals(v *plan.View, missing map[string]demand.Resources) {
	nodes := map[string]*plan.Node{}
	for i := range v.Nodes {
		nodes[v.Nodes[i].Claim] = &v.Nodes[i]
	}
	bought := lastBought(v.Claims)
	for i := range v.Demands {
		d := &v.Demands[i]
		for _, p := range d.Pods {
			claim := bought[p.UID]
			if claim == nil || p.Moving {
				continue
			}
			n := nodes[claim.Name]
			if n == nil || !n.Open || m.refused[p.UID].Node == n.Name {
				continue
			}
			message := cmp.Or(p.Scheduler, "it does not say why")
			switch lacks := missing[n.Name]; {
			case d.Requests.Fits(n.Free):
				if patient(v.Now, n, p) {
					continue
				}
			case lacks != nil && d.Requests.Fits(n.Free.Add(lacks)):
				message = withoutDriver(d.Requests, lacks)
			default:
				continue
			}
			m.refused[p.UID] = plan.Refusal{Node: n.Name, Message: message, Until: v.Now.Add(refusalLasts)}
		}
	}
}

// withoutDriver is what kube-scheduler says of a node that misses a driver. Its message may be older than the node.
func withoutDriver(requests, missing demand.Resources) string {
	for _, name := range requests.Names() {
		if missing[name] > 0 {
			return strings.TrimPrefix(string(name), string(demand.AttachableVolumes(""))) + " CSI driver is not installed on the node"
		}
	}
	return ""
}

// patient tells whether the pod's scheduler may still be about to find the node.
func patient(now time.Time, n *plan.Node, p demand.Pod) bool {
	since := n.QuietSince
	if p.Since.After(since) {
		since = p.Since
	}
	return now.Sub(since) <= plan.Patience
}

// lastBought answers the newest claim that was bought for each pod. What the API server has not dated yet is the newest.
func lastBought(claims []plan.Claim) map[types.UID]*v1alpha1.NodeClaim {
	newest := map[types.UID]*v1alpha1.NodeClaim{}
	for i := range claims {
		c := &claims[i].Object
		for _, ref := range c.Spec.Pods {
			if old := newest[ref.UID]; old == nil || c.CreationTimestamp.IsZero() ||
				!old.CreationTimestamp.IsZero() && old.CreationTimestamp.Before(&c.CreationTimestamp) {
				newest[ref.UID] = c
			}
		}
	}
	return newest
}

// refusalsOf answers the refusals of pods that still wait, and forgets the others.
func (m *Mirror) refusalsOf(demands []demand.Demand) map[types.UID]plan.Refusal {
	kept := map[types.UID]plan.Refusal{}
	for _, d := range demands {
		for _, p := range d.Pods {
			if r, ok := m.refused[p.UID]; ok {
				kept[p.UID] = r
			}
		}
	}
	m.refused = kept
	return maps.Clone(kept)
}
