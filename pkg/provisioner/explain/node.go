package explain

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// NodeFacts is what a node is explained by. Any of them may be missing.
type NodeFacts struct {
	Now         time.Time
	Node        *corev1.Node // nil: it has not joined yet, or is gone
	Claim       *v1alpha1.NodeClaim
	Provisioner *v1alpha1.Provisioner
	Pods        []corev1.Pod // on the node
	Others      []corev1.Pod // that the node was bought for and that are not on it; those that are gone are not here
}

// OfNode explains a node, or a claim whose node is not there yet.
func OfNode(f NodeFacts) Node {
	a := Node{Kind: "NodeExplanation", Ours: f.Claim != nil}
	if f.Node != nil {
		a.Name = f.Node.Name
	}
	a.pods(f)
	if f.Claim == nil {
		a.Summary = "Slipway did not launch this node, and never removes it; pods that fit onto it are expected there"
		return a
	}
	claim := OfClaim(f.Claim)
	a.Claim, a.Considered, a.Others = &claim, f.Claim.Spec.Considered, f.Claim.Spec.Others
	a.Name = cmp.Or(a.Name, f.Claim.Status.NodeName)
	a.boughtFor(f)
	if f.Provisioner != nil {
		a.limits(f)
	}
	a.Summary = a.summary(f)
	return a
}

// summary is what the node does, in one sentence.
func (a *Node) summary(f NodeFacts) string {
	last := a.Claim.Phases[slices.IndexFunc(a.Claim.Phases, func(p Phase) bool { return p.Name == v1alpha1.ConditionReady })]
	users := slices.DeleteFunc(slices.Clone(a.Pods), func(p NodePod) bool { return p.GPUs == 0 })
	switch {
	case a.Claim.Retire != nil:
		return fmt.Sprintf("it is going: %s, %s", a.Claim.Retire.Reason, a.Claim.Retire.Message)
	case last.At == nil && a.Claim.InstanceID == "":
		return "its machine is being bought"
	case last.At == nil && a.Claim.Node == "":
		return "its machine is booting"
	case last.At == nil:
		return "it has joined and is not open for pods yet"
	case len(users) > 0:
		return "it is in use by " + plural(len(users), "pod") + " with GPUs"
	case len(a.Stays) > 0:
		return "it is idle (no pod on it asks for a GPU) and kept"
	default:
		return "it is idle: no pod on it asks for a GPU, so it goes after " + idleAfter(f.Provisioner)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// pods lists what is on the node and what of that keeps it.
func (a *Node) pods(f NodeFacts) {
	for i := range f.Pods {
		p := &f.Pods[i]
		if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		requests := demand.RequestsOnNode(p)
		on := NodePod{Namespace: p.Namespace, Name: p.Name, GPUs: (requests[v1alpha1.ResourceGPU] + requests[v1alpha1.ResourceAMDGPU]) / 1000}
		key := doNotDisrupt(p.Annotations)
		switch {
		case demand.UsesGPU(p, f.Now):
			on.Keeps = "it uses " + plural(int(on.GPUs), "GPU")
		case key != "" && p.DeletionTimestamp == nil:
			on.Keeps = "annotation " + key
		}
		a.Pods = append(a.Pods, on)
		if on.Keeps != "" {
			a.Stays = append(a.Stays, fmt.Sprintf("pod %s/%s: %s", on.Namespace, on.Name, on.Keeps))
		}
	}
	slices.SortFunc(a.Pods, func(x, y NodePod) int {
		return cmp.Or(cmp.Compare(y.GPUs, x.GPUs), cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name))
	})
	slices.Sort(a.Stays)
	if f.Node != nil {
		if key := doNotDisrupt(f.Node.Annotations); key != "" {
			a.Stays = append(a.Stays, "the node: annotation "+key)
		}
	}
	if f.Provisioner != nil && len(a.Stays) == 0 && f.Provisioner.Spec.Disruption.IdleAfter == v1alpha1.Never {
		a.Stays = append(a.Stays, fmt.Sprintf("Provisioner %s: disruption.idleAfter is Never", f.Provisioner.Name))
	}
}

// doNotDisrupt answers the annotation by which an object asks not to be disturbed.
func doNotDisrupt(annotations map[string]string) string {
	for _, key := range []string{v1alpha1.AnnotationDoNotDisrupt, v1alpha1.KarpenterDoNotDisrupt, v1alpha1.KarpenterDoNotEvict} {
		if annotations[key] == "true" {
			return key
		}
	}
	return ""
}

// boughtFor says where the pods are that the node was bought for.
func (a *Node) boughtFor(f NodeFacts) {
	for _, ref := range f.Claim.Spec.Pods {
		where := "gone"
		same := func(p corev1.Pod) bool { return p.UID == ref.UID }
		if slices.ContainsFunc(f.Pods, same) {
			where = "here"
		} else if i := slices.IndexFunc(f.Others, same); i >= 0 {
			where = cmp.Or(f.Others[i].Spec.NodeName, "waiting")
		}
		a.BoughtFor = append(a.BoughtFor, BoughtFor{ref.Namespace, ref.Name, where})
	}
}

// limits says what of its Provisioner's limits the node takes.
func (a *Node) limits(f NodeFacts) {
	debit := f.Claim.DebitOf()
	for _, name := range sortedKeys(f.Provisioner.Spec.Limits) {
		takes, does := debit[name]
		if !does {
			continue
		}
		limit := f.Provisioner.Spec.Limits[name]
		use := LimitUse{Resource: name, Takes: decimal(takes), Limit: decimal(limit)}
		switch name {
		case v1alpha1.LimitNodes:
			use.Used = fmt.Sprint(f.Provisioner.Status.Nodes)
		case v1alpha1.LimitCostPerHour:
			use.Used = f.Provisioner.Status.CostPerHour
		default:
			used := f.Provisioner.Status.Resources[name]
			use.Used = decimal(used)
		}
		a.Limits = append(a.Limits, use)
	}
}

// idleAfter is how long an idle node of a Provisioner stays, as far as that is known.
func idleAfter(p *v1alpha1.Provisioner) string {
	if p == nil {
		return "its Provisioner's disruption.idleAfter"
	}
	return cmp.Or(p.Spec.Disruption.IdleAfter, "60s") + " (disruption.idleAfter)"
}
