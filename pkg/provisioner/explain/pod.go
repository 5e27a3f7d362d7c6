package explain

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// OfPod explains a pod by what its own status and the NodeClaims say.
func OfPod(pod *corev1.Pod, claims []v1alpha1.NodeClaim) Pod {
	a := Pod{
		Kind: "PodExplanation", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Verdict: demand.Classify(pod),
		Requests: resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{}),
		Node:     cmp.Or(pod.Spec.NodeName, pod.Status.NominatedNodeName), Claims: claimsFor(pod.UID, claims),
	}
	says := sentences[a.Verdict]
	a.Summary, a.Remedy = says.says, says.remedy
	if c := conditionOf(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		a.Waiting, a.Scheduler = at(c.LastTransitionTime), c.Message
	}
	switch a.Verdict {
	case demand.Ours:
		a.decided(conditionOf(pod, v1alpha1.PodNodePlanned))
	case demand.Bound:
		a.State, a.Summary = Bound, "it is bound to node "+a.Node
		a.Moving = moving(pod.Spec.NodeName, claims)
	default:
		a.State = NotOurs
	}
	return a
}

// decided fills in what the controller said about a pod of ours.
func (a *Pod) decided(c *corev1.PodCondition) {
	if c == nil {
		a.State = Undecided
		a.Remedy = "Slipway decides within a second; if it does not, see that its controller runs and is the leader"
		return
	}
	a.Reason, a.Message = v1alpha1.Reason(c.Reason), c.Message
	if when := c.LastProbeTime; !when.IsZero() {
		a.Decided = at(when)
	}
	a.told(c.Status == corev1.ConditionTrue)
	_, a.Offerings, a.Failed = plan.SplitCounts(c.Message)
}

// told sets the state of a pod that something was decided about.
func (a *Pod) told(planned bool) {
	a.State, a.Summary = Held, "no node can be launched for it now"
	if planned {
		a.State, a.Summary = Planned, "a node is on its way for it"
		if a.Reason == v1alpha1.PlannedRoom {
			a.Summary = "a node that is open has room for it"
		}
	}
}

func conditionOf(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == kind {
			return c
		}
	}
	return nil
}

// at answers nil for a time that is not known.
func at(t metav1.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	utc := t.UTC()
	return &utc
}

// moving tells whether EC2 is about to take the node that a pod runs on.
func moving(node string, claims []v1alpha1.NodeClaim) *Moving {
	for i := range claims {
		r := claims[i].Status.Retire
		if claims[i].Status.NodeName != node || r == nil || r.Reason != v1alpha1.RetireNotice {
			continue
		}
		m := Moving{Node: node, Message: r.Message}
		if r.Deadline != nil {
			m.Deadline = at(*r.Deadline)
		}
		return &m
	}
	return nil
}

// claimsFor answers the claims that were made for a pod, the newest first.
func claimsFor(pod types.UID, claims []v1alpha1.NodeClaim) []Claim {
	var list []v1alpha1.NodeClaim
	for i := range claims {
		if boughtFor(&claims[i], pod) {
			list = append(list, claims[i])
		}
	}
	slices.SortFunc(list, func(a, b v1alpha1.NodeClaim) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	var answers []Claim
	for i := range list {
		answers = append(answers, OfClaim(&list[i]))
	}
	return answers
}

// OfClaim says what a claim buys and how far it has come.
func OfClaim(c *v1alpha1.NodeClaim) Claim {
	a := Claim{
		Name: c.Name, Provisioner: c.Spec.Provisioner, Market: c.Spec.Market, GPUs: c.Spec.GPUs, InstanceID: c.Status.InstanceID,
		Node: c.Status.NodeName, Pods: len(c.Spec.Pods), Why: c.Spec.Why,
		InstanceType: c.Status.InstanceType, Zone: c.Status.Zone, PricePerHour: c.Status.PricePerHour,
	}
	if len(c.Spec.Choices) > 0 {
		first := c.Spec.Choices[0]
		a.InstanceType, a.Zone = cmp.Or(a.InstanceType, first.InstanceType), cmp.Or(a.Zone, first.Zone)
		a.PricePerHour = cmp.Or(a.PricePerHour, first.PricePerHour)
	}
	a.Phases = append(a.Phases, Phase{Name: "Created", At: at(c.CreationTimestamp)})
	phases := []string{v1alpha1.ConditionLaunched, v1alpha1.ConditionJoined, v1alpha1.ConditionReady}
	if r := c.Status.Retire; r != nil || c.DeletionTimestamp != nil {
		phases = append(phases, v1alpha1.ConditionFenced, v1alpha1.ConditionDrained)
		a.Retire = retirement(c)
	}
	for _, name := range phases {
		a.Phases = append(a.Phases, phase(c, name))
	}
	return a
}

func retirement(c *v1alpha1.NodeClaim) *Retirement {
	if r := c.Status.Retire; r != nil {
		answer := Retirement{Reason: r.Reason, Message: r.Message, Since: at(r.Since)}
		if r.Deadline != nil {
			answer.Deadline = at(*r.Deadline)
		}
		return &answer
	}
	return &Retirement{Reason: v1alpha1.RetireDeleted, Message: "the NodeClaim is being deleted", Since: at(*c.DeletionTimestamp)}
}

func phase(c *v1alpha1.NodeClaim, name string) Phase {
	for _, condition := range c.Status.Conditions {
		switch {
		case condition.Type != name:
		case condition.Status == metav1.ConditionTrue:
			return Phase{Name: name, At: at(condition.LastTransitionTime)}
		default:
			return Phase{Name: name, Reason: condition.Reason, Message: condition.Message}
		}
	}
	return Phase{Name: name}
}

// ofMiss puts a miss of a plan into an answer.
func ofMiss(m plan.Miss) Miss {
	a := Miss{Provisioner: m.Provisioner, InstanceType: m.Offering.InstanceType, Zone: m.Offering.Zone, Market: string(m.Offering.Market),
		PricePerHour: cloud.FormatDollars(m.PriceMicroUSDPerHour), Text: m.String()}
	for _, c := range m.Changes {
		change := Change{Kind: string(c.Kind), Text: c.String(), Provisioner: c.Provisioner, Resource: c.Resource, Need: c.Need, Have: c.Have,
			Field: c.Field, Requirement: c.Requirement, Taint: c.Taint, Claims: c.Claims}
		change.Until = at(metav1.NewTime(c.Until))
		a.Changes = append(a.Changes, change)
	}
	return a
}
