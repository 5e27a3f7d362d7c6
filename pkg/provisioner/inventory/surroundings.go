package inventory

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// surroundings are the pods that wait, those whose node the cloud is about to take (their successors will need a place, and its launch
// must not wait until they have been evicted), and what is around them.
func surroundings(l *lists, placed podsByNode, claims []plan.Claim, nodes []plan.Node) demand.Surroundings {
	s := demand.Surroundings{Waiting: make([]*corev1.Pod, 0, 64), Namespaces: make(map[string]map[string]string, len(l.namespaces.Items))}
	for i := range l.pods.Items {
		if p := &l.pods.Items[i]; p.Spec.NodeName == "" && !slices.Contains(placed.nominated[p.Status.NominatedNodeName], p) {
			s.Waiting = append(s.Waiting, p)
		}
	}
	for _, by := range []map[string][]*corev1.Pod{placed.bound, placed.nominated} {
		for _, pods := range by {
			s.Placed = append(s.Placed, pods...) // in any order: none reaches the demands
		}
	}
	for i := range l.namespaces.Items {
		s.Namespaces[l.namespaces.Items[i].Name] = l.namespaces.Items[i].Labels
	}
	noticed := map[string]bool{}
	for _, c := range claims {
		if r := c.Object.Status.Retire; r != nil && r.Reason == v1alpha1.RetireNotice {
			noticed[c.Object.Name] = true
		}
	}
	for _, n := range nodes {
		if n.Claim != "" && noticed[n.Claim] {
			s.Moving = append(s.Moving, placed.bound[n.Name]...)
		}
	}
	return s
}

// keepCompany says of each node what the pods on it are to those that wait.
func keepCompany(nodes []plan.Node, pods podsByNode, around *demand.Neighbourhood) {
	for i := range nodes {
		c := around.Company(pods.of(nodes[i].Name))
		nodes[i].Chosen, nodes[i].Lasting, nodes[i].Apart, nodes[i].Ports = c.Chosen, c.Lasting, c.Apart, c.Ports
	}
}
