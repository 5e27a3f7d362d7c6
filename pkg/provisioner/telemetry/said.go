package telemetry

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// The actions of events: what Slipway was doing.
const (
	actionPlan      = "Planning"
	actionRetire    = "Retiring"
	actionTerminate = "Terminating"
	actionResolve   = "Resolving"
)

// Held tells a pod why it gets no node.
func (e *Events) Held(pod client.Object, reason v1alpha1.Reason, message string) {
	e.warn(pod, string(reason), actionPlan, message)
}

// Planned tells a pod that a node is launched for it; message is that of its condition.
func (e *Events) Planned(pod client.Object, message string) {
	e.normal(pod, v1alpha1.EventNodePlanned, actionPlan, message)
}

// PlanNotFollowed tells a Provisioner that pods are not bound where its nodes were bought for them, and what helps.
func (e *Events) PlanNotFollowed(provisioner client.Object, message string) {
	e.warn(provisioner, v1alpha1.EventPlanNotFollowed, actionPlan, message)
}

// Interrupted tells a Node, a claim or a pod that the cloud takes the node; zero: it did not say when.
func (e *Events) Interrupted(about client.Object, deadline time.Time) {
	e.warn(about, v1alpha1.EventInterrupted, actionRetire, takes(deadline))
}

// RebalanceRecommended tells a Node or a claim that its machine is at risk.
func (e *Events) RebalanceRecommended(about client.Object) {
	e.normal(about, v1alpha1.EventRebalance, actionRetire,
		"EC2 says that this spot machine is more likely to be taken than before; nothing is done until it gives a deadline")
}

// MachineGone tells a Node or a claim that its machine was ended by somebody else.
func (e *Events) MachineGone(about client.Object, message string) {
	e.warn(about, v1alpha1.EventMachineGone, actionRetire, message)
}

// Usable tells an EC2NodeClass or a Provisioner that it can be launched from.
func (e *Events) Usable(about client.Object, message string) {
	e.normal(about, v1alpha1.ConditionReady, actionResolve, message)
}

// NotUsable tells an EC2NodeClass or a Provisioner why it cannot be launched from.
func (e *Events) NotUsable(about client.Object, reason v1alpha1.Reason, message string) {
	e.warn(about, string(reason), actionResolve, message)
}

// InUse tells an EC2NodeClass that is being deleted which claims it waits for.
func (e *Events) InUse(nodeClass *v1alpha1.EC2NodeClass, message string) {
	e.warn(nodeClass, v1alpha1.EventInUse, actionTerminate, message)
}

// WebhookUnavailable tells a v1alpha5 Provisioner which webhook keeps its status from being written, and the remedy.
func (e *Events) WebhookUnavailable(provisioner client.Object, message string) {
	e.warn(provisioner, v1alpha1.EventWebhookDown, actionResolve, message)
}

// LeftBehind tells an EC2NodeClass that goes what of it stays in the account, and why.
func (e *Events) LeftBehind(nodeClass *v1alpha1.EC2NodeClass, message string) {
	e.warn(nodeClass, v1alpha1.EventLeftBehind, actionTerminate, message)
}
