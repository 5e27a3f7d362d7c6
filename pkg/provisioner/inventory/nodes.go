package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// nodes reads what is free on each node, and remembers since when it has been so.
func (m *Mirror) nodes(items []corev1.Node, pods podsByNode, claims []plan.Claim, now time.Time) []plan.Node {
	owner := map[string]*plan.Claim{}
	for i := range claims {
		if id := claims[i].Object.Status.ProviderID; id != "" {
			owner[id] = &claims[i]
		}
	}
	memory := make(map[string]nodeMemory, len(items))
	list := make([]plan.Node, 0, len(items))
	lessons := map[shape]demand.Resources{}
	for i := range items {
		node := &items[i]
		n := read(node, pods.of(node.Name), now)
		idle := n.GPUPods == 0
		if c := owner[node.Spec.ProviderID]; c != nil && node.Spec.ProviderID != "" {
			n.Claim = c.Object.Name
			n.Fenced = retractable(&c.Object) && openBut(node, v1alpha1.TaintRetiring)
			n.Open = n.Open && !c.Leaving
			if ready := meta.IsStatusConditionTrue(c.Object.Status.Conditions, v1alpha1.ConditionReady); !ready {
				idle = false
			} else if n.Open {
				learn(lessons, c, node, pods.of(node.Name))
			}
		}
		memory[n.Name] = m.remember(&n, idle, now)
		list = append(list, n)
	}
	m.memory = memory
	m.keepLessons(lessons, now)
	slices.SortFunc(list, func(a, b plan.Node) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// read answers a node as its objects show it. Nominated pods take their place already: their scheduler makes room for them.
func read(node *corev1.Node, pods []*corev1.Pod, now time.Time) plan.Node {
	n := plan.Node{
		Name: node.Name, Labels: node.Labels, Taints: node.Spec.Taints, CreatedAt: node.CreationTimestamp.Time,
		Free:         demand.FromList(node.Status.Allocatable, demand.RoundDown),
		Open:         openBut(node, ""),
		DoNotDisrupt: doNotDisrupt(node.Annotations),
	}
	for _, pod := range pods {
		requests := demand.RequestsOnNode(pod)
		n.Free = n.Free.Sub(requests)
		if !comesWithNode(pod) {
			n.Bound = n.Bound.Add(requests)
		}
		if demand.UsesGPU(pod, now) {
			n.GPUPods++
		}
		n.DoNotDisrupt = n.DoNotDisrupt || pod.DeletionTimestamp == nil && doNotDisrupt(pod.Annotations)
	}
	return n
}

// retractable tells whether a claim is to be retired for nothing but being idle.
func retractable(c *v1alpha1.NodeClaim) bool {
	return c.DeletionTimestamp == nil && c.Status.Retire != nil && c.Status.Retire.Reason == v1alpha1.RetireIdle
}

func doNotDisrupt(annotations map[string]string) bool {
	return annotations[v1alpha1.AnnotationDoNotDisrupt] == "true" || annotations[v1alpha1.KarpenterDoNotDisrupt] == "true" ||
		annotations[v1alpha1.KarpenterDoNotEvict] == "true"
}

// passing are the taints of a node that is not open yet, or not any more, rather than of one that is for certain pods only. Kubernetes
// puts the latter three on and takes them off a moment after spec.unschedulable and the node's conditions have changed: a node that
// seemed open to nobody in that moment would be bought a second time.
var passing = []string{
	v1alpha1.TaintRetiring, v1alpha1.TaintUnregistered,
	corev1.TaintNodeUnschedulable, corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable,
}

// openBut tells whether the scheduler may put pods on the node, as far as the node itself says, or might without our taint of that key.
func openBut(node *corev1.Node, taint string) bool {
	if node.DeletionTimestamp != nil || node.Spec.Unschedulable {
		return false
	}
	if slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key != taint && slices.Contains(passing, t.Key) }) {
		return false
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// remember fills in since when the node has been unchanged and idle. What lets pods onto it is looked at, too: a place that was closed to
// a pod until now has not been left unused. After a restart both clocks start anew: a node may be kept a little longer than
// idleAfter, never shorter.
func (m *Mirror) remember(n *plan.Node, idle bool, now time.Time) nodeMemory {
	before, known := m.memory[n.Name]
	signature := fmt.Sprint(n.Open, n.Free, n.Taints, n.Labels)
	after := nodeMemory{signature: signature, quiet: now}
	if known && before.signature == signature {
		after.quiet = before.quiet
	}
	if idle {
		after.idle = now
		if known && !before.idle.IsZero() {
			after.idle = before.idle
		}
	}
	n.QuietSince, n.IdleSince = after.quiet, after.idle
	return after
}
