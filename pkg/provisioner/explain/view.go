package explain

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// View explains what a recorded View shows: it is decided again, so that everything is known that was.
type View struct {
	view     plan.View
	decision plan.Decision
}

// OfView decides about a View. An error is an internal fault of the planner.
func OfView(v plan.View, policy plan.Policy) (*View, error) {
	d, err := plan.Grow(v, policy)
	if err != nil {
		return nil, fmt.Errorf("deciding about the View of %s: %w", v.Now.UTC().Format(time.RFC3339), err)
	}
	return &View{view: v, decision: d}, nil
}

// Pod explains a pod by name. ErrNotFound: it did not wait for a GPU when the View was recorded.
func (v *View) Pod(namespace, name string) (Pod, error) {
	for i := range v.view.Demands {
		d := &v.view.Demands[i]
		for _, p := range d.Pods {
			if p.Namespace == namespace && p.Name == name {
				return v.pod(d, p), nil
			}
		}
	}
	return Pod{}, fmt.Errorf("pod %s/%s among those that waited for a GPU at %s: %w", namespace, name, v.view.Now.UTC().Format(time.RFC3339), ErrNotFound)
}

func (v *View) pod(d *demand.Demand, p demand.Pod) Pod {
	now := v.view.Now.UTC()
	a := Pod{Kind: "PodExplanation", Namespace: p.Namespace, Name: p.Name, UID: p.UID, Verdict: demand.Ours, Scheduler: p.Scheduler,
		Waiting: at(metav1.NewTime(p.Since)), Decided: &now, Requests: corev1.ResourceList{}}
	for name, n := range d.Requests {
		a.Requests[name] = plan.Quantity(name, n)
	}
	if p.Moving {
		a.Verdict = demand.Bound
		a.Moving = &Moving{Message: "EC2 takes the node that it runs on; this is about its successor"}
	}
	outcomes := Outcomes(v.view, v.decision)
	o := outcomes[slices.IndexFunc(outcomes, func(o Outcome) bool { return o.Pod.UID == p.UID })]
	a.Reason, a.Message = o.Reason, o.Message
	a.told(o.Planned)
	for i := range v.decision.Held {
		h := &v.decision.Held[i]
		if !slices.ContainsFunc(h.Pods, func(q demand.Pod) bool { return q.UID == p.UID }) {
			continue
		}
		a.Offerings, a.Failed = h.Offers, h.Obstacles
		for _, m := range h.Misses {
			a.Misses = append(a.Misses, ofMiss(m))
		}
	}
	a.Claims = claimsFor(p.UID, v.claims())
	return a
}

// claims answers those that there were and those that were decided.
func (v *View) claims() []v1alpha1.NodeClaim {
	list := slices.Clone(v.decision.Create)
	for _, c := range v.view.Claims {
		list = append(list, c.Object)
	}
	return list
}

// Node explains a node or NodeClaim by name, also one that the decision creates. ErrNotFound: the View has neither.
func (v *View) Node(name string) (Node, error) {
	f := NodeFacts{Now: v.view.Now}
	var node *plan.Node
	for i := range v.view.Nodes {
		if n := &v.view.Nodes[i]; n.Name == name || n.Claim == name {
			node = n
		}
	}
	for _, c := range v.claims() {
		if c.Name == name || node != nil && c.Name == node.Claim {
			f.Claim = &c
		}
	}
	if node == nil && f.Claim == nil {
		return Node{}, fmt.Errorf("node or NodeClaim %s at %s: %w", name, v.view.Now.UTC().Format(time.RFC3339), ErrNotFound)
	}
	for i := range v.view.Provisioners {
		if p := &v.view.Provisioners[i].Object; f.Claim != nil && p.Name == f.Claim.Spec.Provisioner {
			f.Provisioner = p
		}
	}
	if node != nil {
		f.Node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node.Name}}
	}
	a := OfNode(f)
	a.BoughtFor = nil // a View does not say which pods are where
	if f.Claim != nil {
		for _, ref := range f.Claim.Spec.Pods {
			a.BoughtFor = append(a.BoughtFor, BoughtFor{ref.Namespace, ref.Name, notRecorded})
		}
	}
	v.stays(&a, node, f)
	return a, nil
}

// notRecorded is where a pod of a View's claim is.
const notRecorded = "not recorded"

// stays says what keeps a node, as far as a View tells.
func (v *View) stays(a *Node, n *plan.Node, f NodeFacts) {
	a.Unknown = append(a.Unknown, "the pods on it: a View has only their number")
	if n == nil {
		return
	}
	var keeps []string
	if n.GPUPods > 0 {
		keeps = append(keeps, plural(n.GPUPods, "pod")+" on it with GPUs")
	}
	if n.DoNotDisrupt {
		keeps = append(keeps, "a pod on it or the node itself has the annotation "+v1alpha1.AnnotationDoNotDisrupt)
	}
	for _, p := range v.decision.Placed {
		if p.Node == n.Name {
			keeps = append(keeps, "pods that wait are expected on it")
			break
		}
	}
	a.Stays = append(keeps, a.Stays...)
	if !a.Ours || a.Claim.Retire != nil {
		return
	}
	switch {
	case n.GPUPods > 0:
		a.Summary = "it is in use by " + plural(n.GPUPods, "pod") + " with GPUs"
	case !n.IdleSince.IsZero() && f.Provisioner != nil:
		a.Summary = fmt.Sprintf("it is idle since %s, and goes after %s", n.IdleSince.UTC().Format("15:04:05Z"), idleAfter(f.Provisioner))
	}
}
