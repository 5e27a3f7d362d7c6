package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Provisioner says which nodes may be launched, for which pods, how many, and how they go away.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=slipway
type Provisioner struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ProvisionerSpec   `json:"spec"`
	Status ProvisionerStatus `json:"status,omitempty"`
}

// ProvisionerList is a list of Provisioners.
//
// +kubebuilder:object:root=true
type ProvisionerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Provisioner `json:"items"`
}

// ProvisionerSpec is the wish.
type ProvisionerSpec struct {
	// nodeClassRef names the EC2NodeClass that machines are made from.
	// +kubebuilder:default={name: default}
	NodeClassRef NodeClassRef `json:"nodeClassRef,omitempty"`
	// requirements narrow the instance types, zones and markets, and label the nodes, as node affinity does.
	// +listType=atomic
	// +optional
	Requirements []corev1.NodeSelectorRequirement `json:"requirements,omitempty"`
	// limits are hard ceilings over all nodes of this Provisioner that run, are launching or are draining.
	// +optional
	Limits Limits `json:"limits,omitempty"`
	// weight orders Provisioners that could serve the same pod: the highest is used first.
	// +optional
	Weight int32 `json:"weight,omitempty"`
	// template is what every node of this Provisioner gets.
	// +optional
	Template NodeTemplate `json:"template,omitempty"`
	// disruption says when nodes go away on their own.
	// +kubebuilder:default={}
	// +optional
	Disruption Disruption `json:"disruption,omitempty"`
}

// NodeClassRef names an EC2NodeClass.
type NodeClassRef struct {
	// name of the EC2NodeClass.
	Name string `json:"name"`
}

// Limits are hard ceilings by resource name: gpu (physical GPUs), nodes, costPerHour (dollars per hour), cpu, memory, or
// any extended resource.
type Limits map[corev1.ResourceName]resource.Quantity

// The limits that are not resources of a node, and the short word for GPUs of any vendor.
const (
	LimitGPU         corev1.ResourceName = "gpu"
	LimitNodes       corev1.ResourceName = "nodes"
	LimitCostPerHour corev1.ResourceName = "costPerHour"
)

// NodeTemplate is what every node gets.
type NodeTemplate struct {
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// taints keep pods off that do not tolerate them.
	// +listType=atomic
	// +optional
	Taints []corev1.Taint `json:"taints,omitempty"`
	// startupTaints are on a node at first and are removed by somebody else (a CNI, a CSI driver); pods need not tolerate them
	// for a node to be launched, and a node is ready only once they are gone.
	// +listType=atomic
	// +optional
	StartupTaints []corev1.Taint `json:"startupTaints,omitempty"`
	// kubelet settings that change what a node offers.
	// +optional
	Kubelet *Kubelet `json:"kubelet,omitempty"`
}

// Kubelet holds kubelet settings; unset means the image's default.
type Kubelet struct {
	// +optional
	ClusterDNS []string `json:"clusterDNS,omitempty"`
	// +optional
	MaxPods *int32 `json:"maxPods,omitempty"`
	// +optional
	PodsPerCore *int32 `json:"podsPerCore,omitempty"`
	// +optional
	SystemReserved map[string]string `json:"systemReserved,omitempty"`
	// +optional
	KubeReserved map[string]string `json:"kubeReserved,omitempty"`
	// +optional
	EvictionHard map[string]string `json:"evictionHard,omitempty"`
	// +optional
	EvictionSoft map[string]string `json:"evictionSoft,omitempty"`
	// +optional
	EvictionSoftGracePeriod map[string]metav1.Duration `json:"evictionSoftGracePeriod,omitempty"`
	// evictionMaxPodGracePeriod in seconds.
	// +optional
	EvictionMaxPodGracePeriod *int32 `json:"evictionMaxPodGracePeriod,omitempty"`
	// +optional
	ImageGCHighThresholdPercent *int32 `json:"imageGCHighThresholdPercent,omitempty"`
	// +optional
	ImageGCLowThresholdPercent *int32 `json:"imageGCLowThresholdPercent,omitempty"`
	// +optional
	CPUCFSQuota *bool `json:"cpuCFSQuota,omitempty"`
}

// Never is the value of a duration field that switches it off.
const Never = "Never"

// Disruption says when nodes go away on their own. Durations are Go durations ("60s", "720h") or "Never".
type Disruption struct {
	// idleAfter is how long a node must have had no GPU pod before it is retired.
	// +kubebuilder:default="60s"
	// +optional
	IdleAfter string `json:"idleAfter,omitempty"`
	// expireAfter is the age at which a node is drained and replaced, PodDisruptionBudgets respected.
	// +kubebuilder:default="Never"
	// +optional
	ExpireAfter string `json:"expireAfter,omitempty"`
}

// ProvisionerStatus is what is.
type ProvisionerStatus struct {
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// resources in use, launching and draining nodes included, in the words of spec.limits.
	// +optional
	Resources corev1.ResourceList `json:"resources,omitempty"`
	// nodes in use, launching and draining included.
	// +optional
	Nodes int32 `json:"nodes,omitempty"`
	// costPerHour in dollars of the nodes in use, as a decimal number.
	// +optional
	CostPerHour string `json:"costPerHour,omitempty"`
	// heldPods is how many pods wait that this Provisioner was considered for and could not serve.
	// +optional
	HeldPods int32 `json:"heldPods,omitempty"`
}
