package nominate

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// change is a pod whose nomination is not as a decision wants it.
type change struct {
	pod demand.Pod
	to  string // the node; empty: the nomination is to be taken back
}

// changes answers what a decision asks for: every waiting pod that it places on an open node is nominated there, and no other. A
// nomination to the node of a claim that is about to open stays, though the View does not show it open yet. O(pods + nodes).
func changes(v plan.View, d plan.Decision) []change {
	place := make(map[types.UID]plan.Placed, len(d.Placed))
	for _, p := range d.Placed {
		place[p.Pod] = p
	}
	open, claimOf := make(map[string]bool, len(v.Nodes)), make(map[string]string, len(v.Nodes))
	for i := range v.Nodes {
		open[v.Nodes[i].Name], claimOf[v.Nodes[i].Name] = v.Nodes[i].Open, v.Nodes[i].Claim
	}
	var list []change
	for i := range v.Demands {
		for _, pod := range v.Demands[i].Pods {
			if pod.Moving {
				continue
			}
			to := ""
			switch p := place[pod.UID]; {
			case p.Node != "" && open[p.Node]:
				to = p.Node
			case p.Claim != "" && claimOf[pod.Nominated] == p.Claim:
				to = pod.Nominated
			}
			if to != pod.Nominated {
				list = append(list, change{pod, to})
			}
		}
	}
	return list
}

// withdrawn answers what takes back every nomination of Slipway's.
func withdrawn(v plan.View) []change {
	return changes(v, plan.Decision{})
}
