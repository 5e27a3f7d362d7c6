package telemetry

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// The actions of events: what Slipway was doing.
const (
	actionPlan      = "Planning"
	actionLaunch    = "Launching"
	actionJoin      = "Joining"
	actionRetire    = "Retiring"
	actionDrain     = "Draining"
	actionTerminate = "Terminating"
	actionResolve   = "Resolving"
)

// Held tells a pod why it gets no node.
func (e *Events) Held(pod client.Object, reason v1alpha1.Reason, message string) {
	e.warn(pod, string(reason), actionPlan, message)
}

// Planned tells a pod that a node is launched for it; why is the claim's sentence for people.
func (e *Events) Planned(pod client.Object, claim, why string) {
	e.normal(pod, "NodePlanned", actionPlan, fmt.Sprintf("launching a node for this pod (NodeClaim %s): %s", claim, why))
}

// Launched tells a claim which machine it has.
func (e *Events) Launched(claim *v1alpha1.NodeClaim) {
	s := claim.Status
	e.normal(claim, "Launched", actionLaunch, fmt.Sprintf("%s is %s in %s (%s) at $%s/h",
		s.InstanceID, s.InstanceType, s.Zone, claim.Spec.Market, s.PricePerHour))
}

// LaunchFailed tells a claim why it has no machine.
func (e *Events) LaunchFailed(claim client.Object, reason v1alpha1.Reason, message string) {
	e.warn(claim, string(reason), actionLaunch, message)
}

// Joined tells a claim the Node that its machine became.
func (e *Events) Joined(claim client.Object, node string) {
	e.normal(claim, "Joined", actionJoin, "joined as Node "+node)
}

// Ready tells a claim or a Node that it is open for pods.
func (e *Events) Ready(about client.Object, gpus int32) {
	e.normal(about, "Ready", actionJoin, fmt.Sprintf("shows its %d GPUs and is open for pods", gpus))
}

// NeverJoined tells a claim that its machine is given up because it did not become a Node in time.
func (e *Events) NeverJoined(claim client.Object, message string) {
	e.warn(claim, string(v1alpha1.RetireJoin), actionJoin, message)
}

// NeverReady tells a claim that its node is given up because it did not become ready in time.
func (e *Events) NeverReady(claim client.Object, message string) {
	e.warn(claim, string(v1alpha1.RetireNeverReady), actionJoin, message)
}

// Retiring tells a claim or a Node that it goes away and why.
func (e *Events) Retiring(about client.Object, reason v1alpha1.RetireReason, message string) {
	e.normal(about, "Retiring", actionRetire, fmt.Sprintf("%s: %s", reason, message))
}

// Interrupted tells a Node, a claim or a pod that the cloud takes the node; zero: it did not say when.
func (e *Events) Interrupted(about client.Object, deadline time.Time) {
	e.warn(about, "Interrupted", actionRetire, takes(deadline))
}

// RebalanceRecommended tells a Node or a claim that its machine is at risk.
func (e *Events) RebalanceRecommended(about client.Object) {
	e.normal(about, "RebalanceRecommended", actionRetire,
		"EC2 says that this spot machine is more likely to be taken than before; nothing is done until it gives a deadline")
}

// MachineGone tells a Node or a claim that its machine was ended by somebody else.
func (e *Events) MachineGone(about client.Object, message string) {
	e.warn(about, "MachineGone", actionRetire, message)
}

// Evicting tells a pod that it is moved off its node and why.
func (e *Events) Evicting(pod *corev1.Pod, why string) {
	e.normal(pod, "Evicting", actionDrain, fmt.Sprintf("moving this pod off Node %s: %s", pod.Spec.NodeName, why))
}

// EvictionBlocked tells a pod what keeps it on a node that is to go.
func (e *Events) EvictionBlocked(pod *corev1.Pod, message string) {
	e.warn(pod, string(v1alpha1.ReasonBlocked), actionDrain, message)
}

// Terminated tells a claim that its machine is gone.
func (e *Events) Terminated(claim client.Object, instanceID string) {
	e.normal(claim, "Terminated", actionTerminate, "machine "+instanceID+" is gone")
}

// Usable tells an EC2NodeClass or a Provisioner that it can be launched from.
func (e *Events) Usable(about client.Object, message string) {
	e.normal(about, "Ready", actionResolve, message)
}

// NotUsable tells an EC2NodeClass or a Provisioner why it cannot be launched from.
func (e *Events) NotUsable(about client.Object, reason v1alpha1.Reason, message string) {
	e.warn(about, string(reason), actionResolve, message)
}

// InUse tells an EC2NodeClass that is being deleted which claims it waits for.
func (e *Events) InUse(nodeClass *v1alpha1.EC2NodeClass, message string) {
	e.warn(nodeClass, "InUse", actionTerminate, message)
}
