package v1alpha1

import corev1 "k8s.io/api/core/v1"

// Conditions of pods.
const (
	// PodNominated is the condition of a pod whose status.nominatedNodeName Slipway has set: its message is that node's name and nothing
	// else, and it stays when the pod is bound. It tells Slipway's nominations from a preemption's, whoever leads. Status True.
	PodNominated = corev1.PodConditionType(Group + "/Nominated")
	// PodNodePlanned is a pod's condition while it waits for a GPU: True if a node is launched or expected for it, False if it is held. Its
	// reason is why it is held, or one of those of NodePlanned. It stays on a pod that got its node, and goes from a pod that was held and waits no more.
	PodNodePlanned = corev1.PodConditionType(Group + "/NodePlanned")
)

// Condition types of a NodeClaim, in the order in which they become True.
const (
	ConditionLaunched = "Launched" // the machine was bought; status.instanceID is set
	ConditionJoined   = "Joined"   // its Node exists and carries its labels and taints
	ConditionReady    = "Ready"    // NodeClaim: it shows exactly its GPUs and is open for pods. Provisioner, EC2NodeClass: usable
	ConditionFenced   = "Fenced"   // no new pod comes onto it
	ConditionDrained  = "Drained"  // no pod that must be moved is left on it
)

// Condition types of a Provisioner and an EC2NodeClass, besides Ready.
const (
	ConditionCarriedOver  = "CarriedOver"  // v1alpha5 Provisioner: every field of it was carried into a native one
	ConditionActive       = "Active"       // v1alpha5 Provisioner: what users of v1alpha5 call Ready
	ConditionCatalogFresh = "CatalogFresh" // EC2NodeClass: prices and types come from live sources
)

// Reason is why a pod is held, a claim waits or fails, or an object is not usable. The same words stand in conditions, events, the
// reason label of metrics and the answers of `slipway explain`.
type Reason string

// Why pods are held.
const (
	HeldConstraint    Reason = "NoMatchingOffering"    // no type, zone or market of any Provisioner satisfies the pod's requirements
	HeldNoShape       Reason = "NoInstanceTypeFits"    // those that match are all too small
	HeldLimit         Reason = "LimitReached"          // it would fit, a Provisioner's limit is in the way
	HeldDraining      Reason = "LimitDraining"         // as before, but only until nodes that are leaving are gone
	HeldStockout      Reason = "InsufficientCapacity"  // EC2 has none at the moment
	HeldQuota         Reason = "QuotaReached"          // the account's quota is used up
	HeldOutage        Reason = "CloudUnavailable"      // EC2 does not answer, or denies
	HeldGang          Reason = "GangIncomplete"        // placeable on its own, but not its whole gang
	HeldUnsupported   Reason = "UnsupportedConstraint" // the pod asks for something that Slipway does not understand yet
	HeldNotBound      Reason = "SchedulerRefused"      // a node was launched for it and kube-scheduler did not bind it there
	HeldNoProvisioner Reason = "NoProvisioner"         // there is no usable Provisioner
)

// Why a pod's NodePlanned is True.
const (
	PlannedLaunch   Reason = "NodeLaunching" // a node is launched for it: the message names the claim and why it is this shape
	PlannedOnItsWay Reason = "NodeOnItsWay"  // it is expected on a node that was launched for others
	PlannedRoom     Reason = "NodeHasRoom"   // it is expected on a node that is open
)

// Why a shape that has room for a claim's pods is, or is not, what is bought; besides those it may be closed or over a limit, as above.
const (
	ShapeChosen      Reason = "Chosen"            // it is the one that is bought
	ShapeAccepted    Reason = "AlsoAccepted"      // EC2 may give it instead
	ShapeDearer      Reason = "Dearer"            // expected to cost as much or more
	ShapeLowerWeight Reason = "LowerWeight"       // its Provisioner comes later
	ShapeDisliked    Reason = "AgainstPreference" // a pod prefers another
	ShapePassedOver  Reason = "PassedOver"        // cheaper for these pods alone, dearer for all that were planned together
)

// Why claims, Provisioners and EC2NodeClasses are in the state that a condition tells.
const (
	ReasonOK                Reason = "OK"                      // all is well
	ReasonLaunching         Reason = "Launching"               // EC2 is asked for a machine
	ReasonLaunched          Reason = "Launched"                // the machine was bought
	ReasonWaitingForNode    Reason = "WaitingForNode"          // the machine has not joined the cluster yet
	ReasonWaitingForGPUs    Reason = "WaitingForGPUs"          // the node does not show all its GPUs yet: the device plugin makes them seen
	ReasonWaitingForTaint   Reason = "WaitingForStartupTaint"  // a startup taint is still on the node: whoever put it into the Provisioner has something that removes it
	ReasonWaitingForDriver  Reason = "WaitingForDriver"        // the node does not run a CSI driver yet that a pod's volume needs, and that keeps such pods off until then
	ReasonNodeNotReady      Reason = "NodeNotReady"            // the kubelet has not said that the node is ready
	ReasonStockout          Reason = Reason(HeldStockout)      // EC2 has none at the moment
	ReasonQuota             Reason = Reason(HeldQuota)         // the account's quota is used up
	ReasonOutage            Reason = Reason(HeldOutage)        // EC2 does not answer, or denies
	ReasonDenied            Reason = "AccessDenied"            // the controller's role lacks a permission, which the message names
	ReasonMisconfigured     Reason = "Misconfigured"           // something in the EC2NodeClass or the Provisioner is wrong: the message names the field
	ReasonThrottled         Reason = "Throttled"               // AWS asks for fewer requests; it is tried again
	ReasonNodeClassNotReady Reason = "NodeClassNotReady"       // the EC2NodeClass of a Provisioner is missing or not ready
	ReasonNoMatchingTypes   Reason = "NoMatchingInstanceTypes" // no instance type satisfies the requirements of a Provisioner
	ReasonNotCarried        Reason = "FieldsNotCarried"        // a v1alpha5 Provisioner has fields without a meaning here: the message names each, with the remedy
	ReasonNameTaken         Reason = "NameTaken"               // there is a native Provisioner of that name that somebody else made
	ReasonNotReported       Reason = "NotReported"             // whoever knows has not said anything yet
	ReasonDegraded          Reason = "SourceUnavailable"       // prices or types come from older facts, since a source does not answer
	ReasonDraining          Reason = "Draining"                // pods are leaving the node
	ReasonBlocked           Reason = "EvictionBlocked"         // a PodDisruptionBudget keeps a pod on the node
	ReasonTokenReused       Reason = "LaunchTokenReused"       // EC2 knows the claim's token from a request with other content; its machine has to be found
	ReasonGPUsMissing       Reason = "GPUsMissing"             // a node that was ready shows fewer GPUs than it did
	ReasonUnfenced          Reason = "RetirementWithdrawn"     // the node was to be retired, and then was not
	ReasonTerminating       Reason = "Terminating"             // EC2 was asked to end the machine
)
