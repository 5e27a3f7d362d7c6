package v1alpha1

// Events' own words. Events use those of conditions, reasons, and why a node goes away besides.
const (
	EventNodePlanned     = "NodePlanned"          // Pod: a node is launched or expected for it, with the claim and why it is this shape
	EventPlanNotFollowed = "PlanNotFollowed"      // Provisioner: pods are not bound where nodes were bought for them, and what helps
	EventInterrupted     = "Interrupted"          // Node, NodeClaim, its pods: EC2 takes the machine, and when
	EventRebalance       = "RebalanceRecommended" // Node, NodeClaim: EC2 says that this spot machine is more at risk than before; nothing is done yet
	EventMachineGone     = "MachineGone"          // Node, NodeClaim: somebody else ended the machine
	EventStopped         = "StoppedForNotice"     // Pod: it is asked to stop at once, since EC2 takes the machine
	EventTerminated      = "Terminated"           // NodeClaim: its machine is gone
	EventOrphaned        = "Orphaned"             // Node: its machine has no NodeClaim and is terminated, once no GPU pod is on it
	EventInUse           = "InUse"                // EC2NodeClass: it is being deleted, and waits for the NodeClaims that refer to it
	EventWebhookDown     = "WebhookUnavailable"   // Provisioner (karpenter.sh/v1alpha5): an admission webhook that does not answer keeps its status from being written
	EventLeftBehind      = "LeftBehind"           // EC2NodeClass: it is gone, and what was made for it in the account could not be removed
)
