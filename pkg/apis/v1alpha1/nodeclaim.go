package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// NodeClaim is the durable promise of one node. Its UID is the cloud's launch token, so one claim is one machine. It counts
// against every limit from its creation until its machine is gone.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=slipway,shortName=nc
// +kubebuilder:printcolumn:name="Provisioner",type=string,JSONPath=`.spec.provisioner`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.status.instanceType`
// +kubebuilder:printcolumn:name="Zone",type=string,JSONPath=`.status.zone`
// +kubebuilder:printcolumn:name="Market",type=string,JSONPath=`.spec.market`
// +kubebuilder:printcolumn:name="GPUs",type=integer,JSONPath=`.spec.gpus`
// +kubebuilder:printcolumn:name="$/h",type=string,JSONPath=`.status.pricePerHour`
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.status.nodeName`
// +kubebuilder:printcolumn:name="Launched",type=string,JSONPath=`.status.conditions[?(@.type=="Launched")].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Retire reason",type=string,JSONPath=`.status.retire.reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Instance",type=string,priority=1,JSONPath=`.status.instanceID`
// +kubebuilder:printcolumn:name="Why",type=string,priority=1,JSONPath=`.spec.why`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name labels the node, so it has at most 63 characters: choose a shorter name"
type NodeClaim struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec is immutable: delete the NodeClaim, and Slipway creates another for pods that still wait"
	Spec   NodeClaimSpec   `json:"spec"`
	Status NodeClaimStatus `json:"status,omitempty"`
}

// NodeClaimList is a list of NodeClaims.
//
// +kubebuilder:object:root=true
type NodeClaimList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NodeClaim `json:"items"`
}

// NodeClaimSpec is immutable.
type NodeClaimSpec struct {
	// provisioner that the claim is charged to.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Provisioner  string       `json:"provisioner"`
	NodeClassRef NodeClassRef `json:"nodeClassRef"`
	// market in which the machine is bought.
	// +kubebuilder:validation:Enum=spot;on-demand;reserved
	Market string `json:"market"`
	// gpus is the number of physical GPUs that every choice has and that the node must show to be ready.
	// +kubebuilder:validation:XValidation:rule="self >= 0",message="gpus must not be negative: count physical GPUs"
	GPUs int32 `json:"gpus"`
	// choices are the acceptable instance types and zones, best first; all have the same number of GPUs.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=60
	// +listType=atomic
	Choices []InstanceChoice `json:"choices"`
	// labels, taints and startupTaints that the node gets besides those of its instance type and zone.
	// +kubebuilder:validation:MaxProperties=200
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// +kubebuilder:validation:MaxProperties=200
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// +kubebuilder:validation:MaxItems=100
	// +optional
	// +listType=atomic
	Taints []corev1.Taint `json:"taints,omitempty"`
	// +kubebuilder:validation:MaxItems=100
	// +optional
	// +listType=atomic
	StartupTaints []corev1.Taint `json:"startupTaints,omitempty"`
	// +optional
	Kubelet *Kubelet `json:"kubelet,omitempty"`
	// debit is what the claim takes of each limit until its machine is known: the most that any of its choices takes.
	// +kubebuilder:validation:MaxProperties=64
	Debit corev1.ResourceList `json:"debit"`
	// pods that the node was bought for.
	// +kubebuilder:validation:MaxItems=1000
	// +optional
	// +listType=atomic
	Pods []PodRef `json:"pods,omitempty"`
	// why this shape, in one sentence for people.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Why string `json:"why,omitempty"`
	// considered are the shapes that could have held the pods when the claim was made, best first: by the weight of their Provisioner, then by
	// what they are expected to cost. The chosen one is among them.
	// +kubebuilder:validation:MaxItems=5
	// +optional
	// +listType=atomic
	Considered []ConsideredShape `json:"considered,omitempty"`
	// others counts the offerings that are not in considered, by the verdict on them or what they failed on.
	// +kubebuilder:validation:MaxProperties=32
	// +optional
	Others map[Reason]int32 `json:"others,omitempty"`
}

// ConsideredShape is an offering that has room for a claim's pods, and why it is or is not what is bought.
type ConsideredShape struct {
	// +kubebuilder:validation:MaxLength=63
	InstanceType string `json:"instanceType"`
	// +kubebuilder:validation:MaxLength=63
	Zone string `json:"zone"`
	// +kubebuilder:validation:MaxLength=63
	Market string `json:"market"`
	// provisioner, if it is another than the claim's.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Provisioner string `json:"provisioner,omitempty"`
	// pricePerHour in dollars, as a decimal number.
	// +kubebuilder:validation:MaxLength=32
	PricePerHour string `json:"pricePerHour"`
	// expectedPerHour is what the order follows, where it is more than the price: with interruptions, and with what is paid for while nobody
	// uses the machine, its start and the time until it is found idle.
	// +kubebuilder:validation:MaxLength=32
	// +optional
	ExpectedPerHour string `json:"expectedPerHour,omitempty"`
	// interruptionsPerHour is the part of expectedPerHour that is for interruptions, in dollars. Empty: none were seen lately.
	// +kubebuilder:validation:MaxLength=32
	// +optional
	InterruptionsPerHour string `json:"interruptionsPerHour,omitempty"`
	// closedUntil is when EC2 is asked again for what it has refused lately.
	// +optional
	ClosedUntil *metav1.Time `json:"closedUntil,omitempty"`
	// verdict: Chosen, AlsoAccepted, Dearer, LowerWeight, AgainstPreference, PassedOver, or why it could not be bought: InsufficientCapacity,
	// QuotaReached, CloudUnavailable, LimitReached.
	// +kubebuilder:validation:MaxLength=63
	Verdict Reason `json:"verdict"`
	// leftover is what would be free on the node beside the pods.
	// +kubebuilder:validation:MaxProperties=16
	// +optional
	Leftover corev1.ResourceList `json:"leftover,omitempty"`
}

// InstanceChoice is an instance type in a zone, and its price.
type InstanceChoice struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	InstanceType string `json:"instanceType"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Zone string `json:"zone"`
	// pricePerHour in dollars, as a decimal number.
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]+([.][0-9]+)?$')",message="pricePerHour must be a decimal number that is not negative, such as 0.526: correct it"
	PricePerHour string `json:"pricePerHour"`
}

// PodRef names a pod that a node was bought for.
type PodRef struct {
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// +kubebuilder:validation:MaxLength=253
	Name string    `json:"name"`
	UID  types.UID `json:"uid"`
}

// NodeClaimStatus is what is.
type NodeClaimStatus struct {
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// +optional
	ProviderID string `json:"providerID,omitempty"`
	// +optional
	InstanceID string `json:"instanceID,omitempty"`
	// +optional
	InstanceType string `json:"instanceType,omitempty"`
	// +optional
	Zone string `json:"zone,omitempty"`
	// +optional
	NodeName string `json:"nodeName,omitempty"`
	// +optional
	ImageID string `json:"imageID,omitempty"`
	// pricePerHour in dollars of the machine that was bought, as a decimal number.
	// +optional
	PricePerHour string `json:"pricePerHour,omitempty"`
	// usage is what the claim takes of each limit now that its machine is known.
	// +optional
	Usage corev1.ResourceList `json:"usage,omitempty"`
	// retire says that the node is to go, and why.
	// +optional
	Retire *Retirement `json:"retire,omitempty"`
}

// Retirement is why a node goes away and by when.
type Retirement struct {
	Reason RetireReason `json:"reason"`
	// message for people.
	// +optional
	Message string `json:"message,omitempty"`
	// since is when it was decided.
	Since metav1.Time `json:"since"`
	// deadline, if set, is when the cloud takes the machine; every pod is asked to stop before it.
	// +optional
	Deadline *metav1.Time `json:"deadline,omitempty"`
}

// RetireReason is why a node goes away.
type RetireReason string

// The reasons for which a node goes away.
const (
	RetireIdle       RetireReason = "Idle"         // no GPU pod for idleAfter
	RetireExpired    RetireReason = "Expired"      // older than expireAfter
	RetireNotice     RetireReason = "Notice"       // EC2 takes the machine
	RetireGone       RetireReason = "Gone"         // the machine is gone already
	RetireLaunch     RetireReason = "LaunchFailed" // EC2 gave no machine, and the claim is given up
	RetireJoin       RetireReason = "NeverJoined"  // the machine did not join the cluster in time
	RetireNeverReady RetireReason = "NeverReady"   // the node did not show all its GPUs in time
	RetireDeleted    RetireReason = "Deleted"      // a person or another controller deleted the claim or the node
)

// DebitOf is a claim's charge against limits: its usage once the machine is known, its debit before.
func (c *NodeClaim) DebitOf() corev1.ResourceList {
	if len(c.Status.Usage) > 0 {
		return c.Status.Usage
	}
	return c.Spec.Debit
}
