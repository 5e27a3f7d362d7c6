package karpenterv1alpha5

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Provisioner says which nodes may be launched, for which pods, how many, and how they go away, in the words of v1alpha5.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=provisioners,scope=Cluster,categories=slipway
// +kubebuilder:printcolumn:name="CarriedOver",type=string,JSONPath=`.status.conditions[?(@.type=="CarriedOver")].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Why",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="CarriedOver")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name labels every node, so it has at most 63 characters: choose a shorter name"
type Provisioner struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec ProvisionerSpec `json:"spec,omitempty"`
	// +optional
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
//
// +kubebuilder:validation:XValidation:rule="!has(self.taints) || self.taints.all(t, self.taints.exists_one(u, u.key == t.key && u.effect == t.effect))",fieldPath=".taints",message="taints must not repeat a key with the same effect: remove one of the two"
// +kubebuilder:validation:XValidation:rule="!has(self.startupTaints) || self.startupTaints.all(t, self.startupTaints.exists_one(u, u.key == t.key && u.effect == t.effect))",fieldPath=".startupTaints",message="startupTaints must not repeat a key with the same effect: remove one of the two"
// +kubebuilder:validation:XValidation:rule="!has(self.taints) || !has(self.startupTaints) || self.taints.all(t, !self.startupTaints.exists(u, u.key == t.key && u.effect == t.effect))",fieldPath=".startupTaints",message="taints and startupTaints must not share a key with the same effect: keep the taint in one of the two lists"
// +kubebuilder:validation:XValidation:rule="!has(self.provider) || !has(self.providerRef)",message="provider and providerRef must not be set together: keep one, or neither for the EC2NodeClass called default"
type ProvisionerSpec struct {
	// labels of every node; those that describe a machine narrow like requirements with one value.
	// +kubebuilder:validation:MaxProperties=100
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['kubernetes.io/os','kubernetes.io/arch','beta.kubernetes.io/os','beta.kubernetes.io/arch','beta.kubernetes.io/instance-type','failure-domain.beta.kubernetes.io/zone','failure-domain.beta.kubernetes.io/region','topology.kubernetes.io/zone','topology.kubernetes.io/region','node.kubernetes.io/instance-type','node.kubernetes.io/windows-build','karpenter.sh/capacity-type','topology.k8s.aws/zone-id'] || !k.matches('^([a-z0-9-]+[.])*(kubernetes[.]io|k8s[.]io|karpenter[.]sh)/') || k.matches('^([a-z0-9-]+[.])*(kops[.]k8s[.]io|node[.]kubernetes[.]io|node-restriction[.]kubernetes[.]io)/'))",message="labels in the domains kubernetes.io, k8s.io and karpenter.sh are restricted: use a domain of your own"
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
	// startupTaints are on a node at first and are removed by somebody else; pods need not tolerate them.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	StartupTaints []corev1.Taint `json:"startupTaints,omitempty"`
	// requirements narrow the instance types, zones and markets, and label the nodes. Unless they say otherwise, os is linux,
	// architecture amd64 and capacity type on-demand. instance-category may list families (g4dn) as well.
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:XValidation:rule="self.key in ['kubernetes.io/os','kubernetes.io/arch','beta.kubernetes.io/os','beta.kubernetes.io/arch','beta.kubernetes.io/instance-type','failure-domain.beta.kubernetes.io/zone','failure-domain.beta.kubernetes.io/region','topology.kubernetes.io/zone','topology.kubernetes.io/region','node.kubernetes.io/instance-type','node.kubernetes.io/windows-build','karpenter.sh/capacity-type','topology.k8s.aws/zone-id'] || !self.key.matches('^([a-z0-9-]+[.])*(kubernetes[.]io|k8s[.]io|karpenter[.]sh)/') || self.key.matches('^([a-z0-9-]+[.])*(kops[.]k8s[.]io|node[.]kubernetes[.]io|node-restriction[.]kubernetes[.]io)/')",fieldPath=".key",message="requirements with keys in the domains kubernetes.io, k8s.io and karpenter.sh are restricted to well-known labels: use one of those, or a domain of your own"
	// +listType=atomic
	// +optional
	Requirements []corev1.NodeSelectorRequirement `json:"requirements,omitempty"`
	// kubeletConfiguration are kubelet settings.
	// +optional
	KubeletConfiguration *KubeletConfiguration `json:"kubeletConfiguration,omitempty"`
	// provider was the inline form of what EC2NodeClass holds. It is accepted and not carried over: nothing is launched while it is there.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	// +optional
	Provider *runtime.RawExtension `json:"provider,omitempty"`
	// providerRef names the EC2NodeClass that machines are made from, with kind: EC2NodeClass. Any other kind, and none, is an
	// AWSNodeTemplate of Karpenter's: nothing is launched while it is named.
	// +optional
	ProviderRef *ProviderRef `json:"providerRef,omitempty"`
	// ttlSecondsAfterEmpty is how long a node must have been empty before it is removed; unset means 60 seconds. It may be set
	// together with consolidation.
	// +kubebuilder:validation:XValidation:rule="self >= 0",message="ttlSecondsAfterEmpty must not be negative: set seconds, or leave it out for 60"
	// +optional
	TTLSecondsAfterEmpty *int64 `json:"ttlSecondsAfterEmpty,omitempty"`
	// ttlSecondsUntilExpired is the age at which a node is replaced; unset means never.
	// +kubebuilder:validation:XValidation:rule="self >= 0",message="ttlSecondsUntilExpired must not be negative: set seconds, or leave it out for never"
	// +optional
	TTLSecondsUntilExpired *int64 `json:"ttlSecondsUntilExpired,omitempty"`
	// limits are ceilings over all nodes of this Provisioner.
	// +optional
	Limits *Limits `json:"limits,omitempty"`
	// weight, 1 to 100, orders Provisioners that could serve the same pod: the highest is used first.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 100",message="weight must be between 1 and 100: leave it out for the lowest"
	// +optional
	Weight *int32 `json:"weight,omitempty"`
	// consolidation removes nodes that are not needed.
	// +optional
	Consolidation *Consolidation `json:"consolidation,omitempty"`
}

// Limits are ceilings.
type Limits struct {
	// resources by name: cpu, memory, nvidia.com/gpu, or gpu for physical GPUs of any vendor.
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['gpu','nodes','costPerHour','cpu','memory','ephemeral-storage','pods'] || (k.contains('/') && !format.qualifiedName().validate(k).hasValue()))",message="limits.resources knows gpu, nodes, costPerHour, cpu, memory, ephemeral-storage, pods and extended resources: use one of them, or a qualified name such as nvidia.com/gpu"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !isQuantity(string(self[k])) || sign(quantity(string(self[k]))) >= 0)",message="limits.resources must not be negative: set 0 to launch nothing, or remove the key to lift the limit"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !(k in ['gpu','nodes','pods'] || k.contains('/')) || !isQuantity(string(self[k])) || quantity(string(self[k])).isInteger())",message="limits.resources of gpu, nodes, pods and extended resources count whole things: use a whole number"
	// +optional
	Resources corev1.ResourceList `json:"resources,omitempty"`
}

// ProviderRef names the object that machines are made from.
type ProviderRef struct {
	// apiVersion of the object.
	// +kubebuilder:validation:MaxLength=317
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
	// kind of the object: EC2NodeClass.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Kind string `json:"kind,omitempty"`
	// name of the object.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() > 0",message="providerRef.name must not be empty: name an EC2NodeClass, or leave providerRef out for the one called default"
	Name string `json:"name"`
}

// Consolidation removes nodes that are not needed.
type Consolidation struct {
	// enabled switches it on.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
}

// ProvisionerStatus is what is.
type ProvisionerStatus struct {
	// conditions: CarriedOver says whether every field was carried; Active and Ready are those of the native Provisioner.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// lastScaleTime is accepted from older objects and not written.
	// +optional
	LastScaleTime *metav1.Time `json:"lastScaleTime,omitempty"`
	// resources in use, launching and draining nodes included.
	// +optional
	Resources corev1.ResourceList `json:"resources,omitempty"`
}
