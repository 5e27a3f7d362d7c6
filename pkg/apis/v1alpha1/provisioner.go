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
// +kubebuilder:resource:scope=Cluster,categories=slipway,shortName=prov
// +kubebuilder:printcolumn:name="NodeClass",type=string,JSONPath=`.spec.nodeClassRef.name`
// +kubebuilder:printcolumn:name="Weight",type=integer,JSONPath=`.spec.weight`
// +kubebuilder:printcolumn:name="GPUs",type=string,JSONPath=`.status.resources.gpu`
// +kubebuilder:printcolumn:name="GPU limit",type=string,JSONPath=`.spec.limits.gpu`
// +kubebuilder:printcolumn:name="Nodes",type=integer,JSONPath=`.status.nodes`
// +kubebuilder:printcolumn:name="$/h",type=string,JSONPath=`.status.costPerHour`
// +kubebuilder:printcolumn:name="Held",type=integer,JSONPath=`.status.heldPods`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name labels every node, so it has at most 63 characters: choose a shorter name"
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
	// Requirements of the same key must all hold. Labels of two vocabularies are understood: slipway.sh/* and karpenter.k8s.aws/*.
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +optional
	Requirements []corev1.NodeSelectorRequirement `json:"requirements,omitempty"`
	// limits are hard ceilings over all nodes of this Provisioner that run, are launching or are draining.
	// +optional
	Limits Limits `json:"limits,omitempty"`
	// weight, 0 to 100, orders Provisioners that could serve the same pod: the highest is used first.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 100",message="weight must be between 0 and 100: the highest weight is used first"
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
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() > 0",message="nodeClassRef.name must not be empty: name an EC2NodeClass, or leave nodeClassRef out for the one called default"
	Name string `json:"name"`
}

// Limits are hard ceilings by resource name: gpu (physical GPUs), nodes, costPerHour (dollars per hour), cpu, memory, or
// any extended resource. A limit of 0 launches nothing; a key that is not there is not limited.
//
// +kubebuilder:validation:MaxProperties=32
// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['gpu','nodes','costPerHour','cpu','memory'] || (k.contains('/') && !format.qualifiedName().validate(k).hasValue()))",message="limits knows gpu, nodes, costPerHour, cpu, memory and extended resources: use one of them, or a qualified name such as nvidia.com/gpu"
// +kubebuilder:validation:XValidation:rule="self.all(k, !isQuantity(string(self[k])) || sign(quantity(string(self[k]))) >= 0)",message="limits must not be negative: set 0 to launch nothing, or remove the key to lift the limit"
// +kubebuilder:validation:XValidation:rule="self.all(k, !(k in ['gpu','nodes','pods'] || k.contains('/')) || !isQuantity(string(self[k])) || quantity(string(self[k])).isInteger())",message="limits of gpu, nodes, pods and extended resources count whole things: use a whole number"
type Limits map[corev1.ResourceName]resource.Quantity

// The limits that are not resources of a node, and the short word for GPUs of any vendor.
const (
	LimitGPU         corev1.ResourceName = "gpu"
	LimitNodes       corev1.ResourceName = "nodes"
	LimitCostPerHour corev1.ResourceName = "costPerHour"
)

// NodeTemplate is what every node gets.
//
// +kubebuilder:validation:XValidation:rule="!has(self.taints) || self.taints.all(t, self.taints.exists_one(u, u.key == t.key && u.effect == t.effect))",fieldPath=".taints",message="taints must not repeat a key with the same effect: remove one of the two"
// +kubebuilder:validation:XValidation:rule="!has(self.startupTaints) || self.startupTaints.all(t, self.startupTaints.exists_one(u, u.key == t.key && u.effect == t.effect))",fieldPath=".startupTaints",message="startupTaints must not repeat a key with the same effect: remove one of the two"
// +kubebuilder:validation:XValidation:rule="!has(self.taints) || !has(self.startupTaints) || self.taints.all(t, !self.startupTaints.exists(u, u.key == t.key && u.effect == t.effect))",fieldPath=".startupTaints",message="taints and startupTaints must not share a key with the same effect: keep the taint in one of the two lists"
type NodeTemplate struct {
	// labels of every node; they narrow like requirements with one value.
	// +kubebuilder:validation:MaxProperties=100
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// annotations of every node.
	// +kubebuilder:validation:MaxProperties=100
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// taints keep pods off that do not tolerate them.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	Taints []corev1.Taint `json:"taints,omitempty"`
	// startupTaints are on a node at first and are removed by somebody else (a CNI, a CSI driver); pods need not tolerate them
	// for a node to be launched, and a node is ready only once they are gone.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	StartupTaints []corev1.Taint `json:"startupTaints,omitempty"`
	// kubelet settings that change what a node offers.
	// +optional
	Kubelet *Kubelet `json:"kubelet,omitempty"`
}

// Never is the value of a duration field that switches it off.
const Never = "Never"

// Disruption says when nodes go away on their own. Durations are Go durations ("60s", "720h") or "Never".
type Disruption struct {
	// idleAfter is how long a node must have had no GPU pod before it is retired. Never keeps idle nodes.
	// +kubebuilder:default="60s"
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self == 'Never' || (self.size() > 0 && self.matches('^([0-9]{1,6}([.][0-9]{1,9})?h)?([0-9]{1,6}([.][0-9]{1,9})?m)?([0-9]{1,9}([.][0-9]{1,9})?s)?([0-9]{1,9}([.][0-9]{1,9})?ms)?$'))",message="idleAfter must be a duration that is not negative, such as 60s or 1h30m, or Never (not Forever): correct it, or leave it out for 60s"
	// +optional
	IdleAfter string `json:"idleAfter,omitempty"`
	// expireAfter is the age at which a node is drained and replaced, PodDisruptionBudgets respected.
	// +kubebuilder:default="Never"
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self == 'Never' || (self.size() > 0 && self.matches('^([0-9]{1,6}([.][0-9]{1,9})?h)?([0-9]{1,6}([.][0-9]{1,9})?m)?([0-9]{1,9}([.][0-9]{1,9})?s)?([0-9]{1,9}([.][0-9]{1,9})?ms)?$'))",message="expireAfter must be a duration that is not negative, such as 720h, or Never (not Forever): correct it, or leave it out for Never"
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
