package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Kubelet holds kubelet settings; unset means the image's default.
//
// +kubebuilder:validation:XValidation:rule="!has(self.evictionSoft) || (has(self.evictionSoftGracePeriod) && self.evictionSoft.all(k, k in self.evictionSoftGracePeriod))",fieldPath=".evictionSoftGracePeriod",message="evictionSoft needs an evictionSoftGracePeriod for each of its signals: add the missing one"
// +kubebuilder:validation:XValidation:rule="!has(self.evictionSoftGracePeriod) || (has(self.evictionSoft) && self.evictionSoftGracePeriod.all(k, k in self.evictionSoft))",fieldPath=".evictionSoftGracePeriod",message="evictionSoftGracePeriod names a signal that evictionSoft does not: add it there, or remove it here"
// +kubebuilder:validation:XValidation:rule="!has(self.imageGCHighThresholdPercent) || !has(self.imageGCLowThresholdPercent) || self.imageGCHighThresholdPercent >= self.imageGCLowThresholdPercent",fieldPath=".imageGCHighThresholdPercent",message="imageGCHighThresholdPercent must not be below imageGCLowThresholdPercent: raise the first or lower the second"
type Kubelet struct {
	// clusterDNS are the addresses of the cluster's name servers.
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:validation:items:MaxLength=45
	// +kubebuilder:validation:items:XValidation:rule="isIP(self)",message="clusterDNS must be an IP address such as 10.100.0.10: correct it"
	// +listType=atomic
	// +optional
	ClusterDNS []string `json:"clusterDNS,omitempty"`
	// maxPods is how many pods a node takes; at least 1.
	// +kubebuilder:validation:XValidation:rule="self >= 1",message="maxPods must be at least 1: raise it, or leave it out for what the instance type allows"
	// +optional
	MaxPods *int32 `json:"maxPods,omitempty"`
	// podsPerCore limits pods by vCPUs; 0 switches it off.
	// +kubebuilder:validation:XValidation:rule="self >= 0",message="podsPerCore must not be negative: set 0 or leave it out to switch it off"
	// +optional
	PodsPerCore *int32 `json:"podsPerCore,omitempty"`
	// systemReserved is kept for the system, by cpu, memory, ephemeral-storage, pid.
	// +kubebuilder:validation:MaxProperties=4
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['cpu','memory','ephemeral-storage','pid'])",message="systemReserved knows cpu, memory, ephemeral-storage and pid: remove the other keys"
	// +kubebuilder:validation:XValidation:rule="self.all(k, isQuantity(self[k]) && sign(quantity(self[k])) >= 0)",message="systemReserved must be quantities that are not negative, such as 100m or 1Gi: correct the value"
	// +optional
	SystemReserved map[string]string `json:"systemReserved,omitempty"`
	// kubeReserved is kept for the kubelet and the container runtime, by cpu, memory, ephemeral-storage, pid.
	// +kubebuilder:validation:MaxProperties=4
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['cpu','memory','ephemeral-storage','pid'])",message="kubeReserved knows cpu, memory, ephemeral-storage and pid: remove the other keys"
	// +kubebuilder:validation:XValidation:rule="self.all(k, isQuantity(self[k]) && sign(quantity(self[k])) >= 0)",message="kubeReserved must be quantities that are not negative, such as 100m or 1Gi: correct the value"
	// +optional
	KubeReserved map[string]string `json:"kubeReserved,omitempty"`
	// evictionHard by signal: a quantity or a percentage.
	// +kubebuilder:validation:MaxProperties=12
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['memory.available','nodefs.available','nodefs.inodesFree','imagefs.available','imagefs.inodesFree','pid.available'])",message="evictionHard knows memory.available, nodefs.available, nodefs.inodesFree, imagefs.available, imagefs.inodesFree and pid.available: remove the other keys"
	// +kubebuilder:validation:XValidation:rule="self.all(k, self[k].matches('^([0-9]{1,2}([.][0-9]{1,3})?|100)%$') || (isQuantity(self[k]) && sign(quantity(self[k])) >= 0))",message="evictionHard must be percentages such as 10% or quantities such as 100Mi: correct the value"
	// +optional
	EvictionHard map[string]string `json:"evictionHard,omitempty"`
	// evictionSoft by signal: a quantity or a percentage. Each needs an evictionSoftGracePeriod.
	// +kubebuilder:validation:MaxProperties=12
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['memory.available','nodefs.available','nodefs.inodesFree','imagefs.available','imagefs.inodesFree','pid.available'])",message="evictionSoft knows memory.available, nodefs.available, nodefs.inodesFree, imagefs.available, imagefs.inodesFree and pid.available: remove the other keys"
	// +kubebuilder:validation:XValidation:rule="self.all(k, self[k].matches('^([0-9]{1,2}([.][0-9]{1,3})?|100)%$') || (isQuantity(self[k]) && sign(quantity(self[k])) >= 0))",message="evictionSoft must be percentages such as 10% or quantities such as 100Mi: correct the value"
	// +optional
	EvictionSoft map[string]string `json:"evictionSoft,omitempty"`
	// evictionSoftGracePeriod by signal: how long a soft threshold may be crossed.
	// +kubebuilder:validation:MaxProperties=12
	// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['memory.available','nodefs.available','nodefs.inodesFree','imagefs.available','imagefs.inodesFree','pid.available'])",message="evictionSoftGracePeriod knows memory.available, nodefs.available, nodefs.inodesFree, imagefs.available, imagefs.inodesFree and pid.available: remove the other keys"
	// +kubebuilder:validation:XValidation:rule="self.all(k, self[k].matches('^([0-9]{1,6}([.][0-9]{1,9})?h)?([0-9]{1,6}([.][0-9]{1,9})?m)?([0-9]{1,9}([.][0-9]{1,9})?s)?$') && self[k].size() > 0)",message="evictionSoftGracePeriod must be durations that are not negative, such as 90s: correct the value"
	// +optional
	EvictionSoftGracePeriod map[string]metav1.Duration `json:"evictionSoftGracePeriod,omitempty"`
	// evictionMaxPodGracePeriod in seconds.
	// +kubebuilder:validation:XValidation:rule="self >= 0",message="evictionMaxPodGracePeriod must not be negative: set seconds, or leave it out"
	// +optional
	EvictionMaxPodGracePeriod *int32 `json:"evictionMaxPodGracePeriod,omitempty"`
	// imageGCHighThresholdPercent of the disk at which unused images are removed.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 100",message="imageGCHighThresholdPercent must be between 0 and 100: correct it"
	// +optional
	ImageGCHighThresholdPercent *int32 `json:"imageGCHighThresholdPercent,omitempty"`
	// imageGCLowThresholdPercent of the disk down to which unused images are removed.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 100",message="imageGCLowThresholdPercent must be between 0 and 100: correct it"
	// +optional
	ImageGCLowThresholdPercent *int32 `json:"imageGCLowThresholdPercent,omitempty"`
	// cpuCFSQuota enforces CPU limits.
	// +optional
	CPUCFSQuota *bool `json:"cpuCFSQuota,omitempty"`
}
