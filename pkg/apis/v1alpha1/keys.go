package v1alpha1

import corev1 "k8s.io/api/core/v1"

// Group is the API group, and the domain of Slipway's own labels, taints and annotations.
const Group = "slipway.sh"

// Labels on nodes and claims.
const (
	LabelProvisioner  = Group + "/provisioner"
	LabelNodeClass    = Group + "/nodeclass"
	LabelClaim        = Group + "/claim"
	LabelCapacityType = Group + "/capacity-type" // spot, on-demand, reserved

	LabelInstanceFamily          = Group + "/instance-family"     // g4dn
	LabelInstanceCategory        = Group + "/instance-category"   // g
	LabelInstanceGeneration      = Group + "/instance-generation" // 4
	LabelInstanceSize            = Group + "/instance-size"       // xlarge
	LabelInstanceCPU             = Group + "/instance-cpu"        // vCPUs
	LabelInstanceCPUManufacturer = Group + "/instance-cpu-manufacturer"
	LabelInstanceMemory          = Group + "/instance-memory" // MiB
	LabelInstanceGPUName         = Group + "/instance-gpu-name"
	LabelInstanceGPUManufacturer = Group + "/instance-gpu-manufacturer"
	LabelInstanceGPUCount        = Group + "/instance-gpu-count"
	LabelInstanceGPUMemory       = Group + "/instance-gpu-memory" // MiB per GPU
	LabelInstanceLocalNVMe       = Group + "/instance-local-nvme" // GB
	LabelInstanceNetwork         = Group + "/instance-network-bandwidth"
	LabelInstanceEBS             = Group + "/instance-ebs-bandwidth"
	LabelInstanceHypervisor      = Group + "/instance-hypervisor"
)

// Taints that Slipway puts on nodes.
const (
	// TaintUnregistered keeps every pod off a node from its first heartbeat until Slipway has put its labels and taints on it
	// and closed it for all but DaemonSets (spec.unschedulable) until its GPUs are there. The kubelet registers with it.
	TaintUnregistered = Group + "/unregistered"
	// TaintRetiring is the fence: no new pod comes onto a node that is about to be retired. Effect NoSchedule.
	TaintRetiring = Group + "/retiring"
)

// Annotations.
const (
	// AnnotationGated on a Node says that Slipway set spec.unschedulable until the GPUs are there; its value is "true".
	AnnotationGated = Group + "/gated"
	// AnnotationCarriedFrom on a Provisioner names the karpenter.sh/v1alpha5 Provisioner that it is kept equal to.
	AnnotationCarriedFrom = Group + "/carried-over-from"
	// AnnotationDoNotDisrupt on a pod ("true") keeps its node from being retired except for a notice.
	AnnotationDoNotDisrupt = Group + "/do-not-disrupt"
	// KarpenterDoNotDisrupt and KarpenterDoNotEvict are what users of Karpenter wrote for the same wish.
	KarpenterDoNotDisrupt = "karpenter.sh/do-not-disrupt"
	KarpenterDoNotEvict   = "karpenter.sh/do-not-evict"
)

// FinalizerInstance keeps a NodeClaim until its machine is gone.
const FinalizerInstance = Group + "/instance"

// FinalizerInUse keeps an EC2NodeClass until no NodeClaim refers to it.
const FinalizerInUse = Group + "/in-use"

// Label keys of other projects that users' pods select on; nodes carry them with the same values.
const (
	KarpenterCapacityType    = "karpenter.sh/capacity-type"
	KarpenterProvisionerName = "karpenter.sh/provisioner-name"
	KarpenterNodePool        = "karpenter.sh/nodepool"
	KarpenterInstancePrefix  = "karpenter.k8s.aws/instance-"
	LabelAccelerator         = "k8s.amazonaws.com/accelerator"
	LabelGPUProduct          = "nvidia.com/gpu.product"
	LabelGPUCount            = "nvidia.com/gpu.count"
	LabelGPUMemory           = "nvidia.com/gpu.memory"
	LabelZoneID              = "topology.k8s.aws/zone-id"
	ResourceGPU              = corev1.ResourceName("nvidia.com/gpu")
	ResourceAMDGPU           = corev1.ResourceName("amd.com/gpu")
	ResourceMIGPrefix        = "nvidia.com/mig-"
	ResourceSharedGPU        = corev1.ResourceName("nvidia.com/gpu.shared")
	ResourceEFA              = corev1.ResourceName("vpc.amazonaws.com/efa")
)
