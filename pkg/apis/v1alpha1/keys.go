package v1alpha1

import corev1 "k8s.io/api/core/v1"

// Group is the API group, and the domain of Slipway's own labels, taints and annotations.
const Group = "slipway.sh"

// Labels on nodes and claims.
const (
	LabelProvisioner  = Group + "/provisioner"   // the Provisioner that the node belongs to
	LabelNodeClass    = Group + "/nodeclass"     // the EC2NodeClass that it was made from
	LabelClaim        = Group + "/claim"         // its NodeClaim
	LabelCapacityType = Group + "/capacity-type" // spot, on-demand, reserved

	LabelInstanceFamily          = Group + "/instance-family"            // the family: g4dn
	LabelInstanceCategory        = Group + "/instance-category"          // the category: g
	LabelInstanceGeneration      = Group + "/instance-generation"        // the generation: 4
	LabelInstanceSize            = Group + "/instance-size"              // the size: xlarge
	LabelInstanceCPU             = Group + "/instance-cpu"               // vCPUs
	LabelInstanceCPUManufacturer = Group + "/instance-cpu-manufacturer"  // intel, amd or aws
	LabelInstanceMemory          = Group + "/instance-memory"            // MiB
	LabelInstanceGPUName         = Group + "/instance-gpu-name"          // the GPU: t4
	LabelInstanceGPUManufacturer = Group + "/instance-gpu-manufacturer"  // nvidia or amd
	LabelInstanceGPUCount        = Group + "/instance-gpu-count"         // GPUs of the machine
	LabelInstanceGPUMemory       = Group + "/instance-gpu-memory"        // MiB per GPU
	LabelInstanceLocalNVMe       = Group + "/instance-local-nvme"        // GB
	LabelInstanceNetwork         = Group + "/instance-network-bandwidth" // Mbit/s
	LabelInstanceEBS             = Group + "/instance-ebs-bandwidth"     // Mbit/s
	LabelInstanceHypervisor      = Group + "/instance-hypervisor"        // nitro or xen; empty for metal
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
	// KarpenterDoNotDisrupt is what users of Karpenter wrote for the same wish.
	KarpenterDoNotDisrupt = "karpenter.sh/do-not-disrupt"
	// KarpenterDoNotEvict is what users of Karpenter v1alpha5 wrote for the same wish.
	KarpenterDoNotEvict = "karpenter.sh/do-not-evict"
)

// Finalizers.
const (
	FinalizerInstance = Group + "/instance" // keeps a NodeClaim until its machine is gone
	FinalizerInUse    = Group + "/in-use"   // keeps an EC2NodeClass until no NodeClaim refers to it
)

// Label keys of other projects that users' pods select on; nodes carry them with the same values.
const (
	KarpenterCapacityType    = "karpenter.sh/capacity-type"                 // as slipway.sh/capacity-type
	KarpenterProvisionerName = "karpenter.sh/provisioner-name"              // as slipway.sh/provisioner
	KarpenterNodePool        = "karpenter.sh/nodepool"                      // as slipway.sh/provisioner
	KarpenterInstancePrefix  = "karpenter.k8s.aws/instance-"                // each slipway.sh/instance-* once more
	LabelAccelerator         = "k8s.amazonaws.com/accelerator"              // what cluster-autoscaler knows GPU nodes by: nvidia-tesla-t4
	LabelGPUProduct          = "nvidia.com/gpu.product"                     // what GPU feature discovery will say: Tesla-T4
	LabelGPUCount            = "nvidia.com/gpu.count"                       // of GPU feature discovery
	LabelGPUMemory           = "nvidia.com/gpu.memory"                      // set by GPU feature discovery once it runs: not known before a launch, so a pod that selects on it is held
	LabelGPUPresent          = "nvidia.com/gpu.present"                     // true on nodes with NVIDIA's GPUs: by it the device plugin's chart knows them where nobody runs node feature discovery
	LabelZoneID              = "topology.k8s.aws/zone-id"                   // the zone by its ID, where it is known: use1-az1
	ResourceGPU              = corev1.ResourceName("nvidia.com/gpu")        // whole GPUs
	ResourceAMDGPU           = corev1.ResourceName("amd.com/gpu")           // whole GPUs
	ResourceMIGPrefix        = "nvidia.com/mig-"                            // a part of a GPU: such pods are held
	ResourceSharedGPU        = corev1.ResourceName("nvidia.com/gpu.shared") // a shared GPU: such pods are held
	ResourceEFA              = corev1.ResourceName("vpc.amazonaws.com/efa") // network interfaces for training over several nodes
)
