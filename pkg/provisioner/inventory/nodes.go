package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// refusalLasts is how long a pod that its scheduler refused to bind to the node bought for it gets no other node.
const refusalLasts = 10 * time.Minute

// nodes reads what is free on each node, and remembers since when it has been so.
func (m *Mirror) nodes(items []corev1.Node, pods map[string][]*corev1.Pod, claims []plan.Claim, now time.Time) []plan.Node {
	owner := map[string]*plan.Claim{}
	for i := range claims {
		if id := claims[i].Object.Status.ProviderID; id != "" {
			owner[id] = &claims[i]
		}
	}
	memory := make(map[string]nodeMemory, len(items))
	list := make([]plan.Node, 0, len(items))
	for i := range items {
		node := &items[i]
		n := read(node, pods[node.Name])
		if c := owner[node.Spec.ProviderID]; c != nil && node.Spec.ProviderID != "" {
			n.Claim = c.Object.Name
			n.Open = n.Open && !c.Leaving
		}
		memory[n.Name] = m.remember(&n, now)
		list = append(list, n)
	}
	m.memory = memory
	slices.SortFunc(list, func(a, b plan.Node) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// read answers a node as its objects show it.
func read(node *corev1.Node, pods []*corev1.Pod) plan.Node {
	n := plan.Node{
		Name: node.Name, Labels: node.Labels, Taints: node.Spec.Taints, CreatedAt: node.CreationTimestamp.Time,
		Free:         demand.FromList(node.Status.Allocatable, demand.RoundDown),
		Open:         open(node),
		DoNotDisrupt: doNotDisrupt(node.Annotations),
	}
	for _, pod := range pods {
		n.Free = n.Free.Sub(demand.Requests(pod))
		if demand.AsksForGPU(pod) {
			n.GPUPods++
		}
		n.DoNotDisrupt = n.DoNotDisrupt || doNotDisrupt(pod.Annotations)
	}
	return n
}

func doNotDisrupt(annotations map[string]string) bool {
	return annotations[v1alpha1.AnnotationDoNotDisrupt] == "true" || annotations[v1alpha1.KarpenterDoNotDisrupt] == "true" ||
		annotations[v1alpha1.KarpenterDoNotEvict] == "true"
}

// open tells whether the scheduler may put pods on the node.
func open(node *corev1.Node) bool {
	if node.DeletionTimestamp != nil || node.Spec.Unschedulable {
		return false
	}
	for _, t := range node.Spec.Taints {
		if t.Key == v1alpha1.TaintRetiring || t.Key == v1alpha1.TaintUnregistered {
			return false
		}
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// remember fills in since when the node has been unchanged and idle. After a restart both clocks start anew: a node may be kept a little
// longer than idleAfter, never shorter.
func (m *Mirror) remember(n *plan.Node, now time.Time) nodeMemory {
	before, known := m.memory[n.Name]
	signature := fmt.Sprint(n.Open, n.Free)
	after := nodeMemory{signature: signature, quiet: now}
	if known && before.signature == signature {
		after.quiet = before.quiet
	}
	if n.GPUPods == 0 && n.Open {
		after.idle = now
		if known && !before.idle.IsZero() {
			after.idle = before.idle
		}
	}
	n.QuietSince, n.IdleSince = after.quiet, after.idle
	return after
}

// noteRefusals finds the pods that wait although the node that was bought for them has been open, with room for them, for longer than
// Patience.
func (m *Mirror) noteRefusals(v *plan.View) {
	nodes := map[string]*plan.Node{}
	for i := range v.Nodes {
		nodes[v.Nodes[i].Claim] = &v.Nodes[i]
	}
	type waiting struct {
		demand *demand.Demand
		pod    demand.Pod
	}
	byUID := map[types.UID]waiting{}
	for i := range v.Demands {
		for _, p := range v.Demands[i].Pods {
			byUID[p.UID] = waiting{&v.Demands[i], p}
		}
	}
	for _, c := range v.Claims {
		n := nodes[c.Object.Name]
		if n == nil || !n.Open || v.Now.Sub(n.QuietSince) <= plan.Patience {
			continue
		}
		for _, ref := range c.Object.Spec.Pods {
			w, waits := byUID[ref.UID]
			if waits && !w.pod.Moving && w.demand.Requests.Fits(n.Free) {
				if old, noted := m.refused[ref.UID]; !noted || !old.Until.After(v.Now) {
					m.refused[ref.UID] = plan.Refusal{Node: n.Name, Message: w.pod.Scheduler, Until: v.Now.Add(refusalLasts)}
				}
			}
		}
	}
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
	return kept
}
