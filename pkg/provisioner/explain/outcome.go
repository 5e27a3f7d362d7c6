package explain

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// Outcome is what was decided about one pod, in the words of its condition and event.
type Outcome struct {
	Pod     v1alpha1.PodRef
	Moving  bool // it runs, and the outcome is its successor's
	Planned bool // a node is launched or expected for it; false: it is held
	New     bool // its node is launched by this very decision
	Reason  v1alpha1.Reason
	Message string
}

// Outcomes answers what a decision about a View says of each pod: those of new claims, those that have a place, those that are held.
func Outcomes(v plan.View, d plan.Decision) []Outcome {
	pods, claims := map[types.UID]demand.Pod{}, map[string]*v1alpha1.NodeClaim{}
	for _, d := range v.Demands {
		for _, p := range d.Pods {
			pods[p.UID] = p
		}
	}
	for i := range v.Claims {
		claims[v.Claims[i].Object.Name] = &v.Claims[i].Object
	}
	list := make([]Outcome, 0, len(pods))
	of := func(p demand.Pod, o Outcome) {
		o.Pod, o.Moving = v1alpha1.PodRef{Namespace: p.Namespace, Name: p.Name, UID: p.UID}, p.Moving
		list = append(list, o)
	}
	for i := range d.Create {
		for _, ref := range d.Create[i].Spec.Pods {
			of(pods[ref.UID], Outcome{Planned: true, New: true, Reason: v1alpha1.PlannedLaunch, Message: launching(&d.Create[i])})
		}
	}
	for _, p := range d.Placed {
		reason, message := place(p, claims)
		of(pods[p.Pod], Outcome{Planned: true, Reason: reason, Message: message})
	}
	for i := range d.Held {
		for _, p := range d.Held[i].Pods {
			of(p, Outcome{Reason: d.Held[i].Reason, Message: d.Held[i].Message})
		}
	}
	return list
}

func launching(c *v1alpha1.NodeClaim) string {
	return fmt.Sprintf("launching a node for this pod (NodeClaim %s): %s", c.Name, c.Spec.Why)
}

// place says where a pod is expected; of the claim that was launched for it the same as when it was.
func place(p plan.Placed, claims map[string]*v1alpha1.NodeClaim) (v1alpha1.Reason, string) {
	if p.Node != "" {
		return v1alpha1.PlannedRoom, "expected on node " + p.Node + ", which has room for it"
	}
	if c := claims[p.Claim]; c != nil && boughtFor(c, p.Pod) {
		return v1alpha1.PlannedLaunch, launching(c)
	}
	return v1alpha1.PlannedOnItsWay, "expected on the node of NodeClaim " + p.Claim + ", which is on its way and has room for it"
}

func boughtFor(c *v1alpha1.NodeClaim, pod types.UID) bool {
	return slices.ContainsFunc(c.Spec.Pods, func(ref v1alpha1.PodRef) bool { return ref.UID == pod })
}
