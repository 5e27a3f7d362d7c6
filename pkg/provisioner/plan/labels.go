package plan

import (
	"maps"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// gpuProduct is the value that NVIDIA's GPU feature discovery gives the label nvidia.com/gpu.product, by EC2's name of the GPU and
// its memory in GiB (0: any). Source: the product names that nvidia-smi prints on these instance types, blanks as dashes.
var gpuProduct = []struct {
	name      string
	memoryGiB int64
	product   string
}{
	{"T4", 0, "Tesla-T4"},
	{"V100", 16, "Tesla-V100-SXM2-16GB"},
	{"V100", 32, "Tesla-V100-SXM2-32GB"},
	{"A10G", 0, "NVIDIA-A10G"},
	{"L4", 0, "NVIDIA-L4"},
	{"L40S", 0, "NVIDIA-L40S"},
	{"A100", 40, "NVIDIA-A100-SXM4-40GB"},
	{"A100", 80, "NVIDIA-A100-SXM4-80GB"},
	{"H100", 0, "NVIDIA-H100-80GB-HBM3"},
	{"H200", 0, "NVIDIA-H200"},
	{"B200", 0, "NVIDIA-B200"},
	{"T4g", 0, "NVIDIA-T4G"},
	{"M60", 0, "Tesla-M60"},
	{"K80", 0, "Tesla-K80"},
}

// accelerator is the value of k8s.amazonaws.com/accelerator, cluster-autoscaler's label, by EC2's name of the GPU.
func accelerator(gpu cloud.GPU) string {
	name := strings.ToLower(strings.ReplaceAll(gpu.Name, " ", "-"))
	switch name {
	case "t4", "v100", "k80", "p100", "a100", "m60":
		return "nvidia-tesla-" + name
	}
	return strings.ToLower(gpu.Manufacturer) + "-" + name
}

// The deprecated keys for architecture and operating system, which the kubelet still sets.
const (
	betaArch = "beta.kubernetes.io/arch"
	betaOS   = "beta.kubernetes.io/os"
)

// TypeLabels are the labels that a node has because of its instance type, in Slipway's words and in those of the other projects
// whose users select on them. The keys and their units are those of Karpenter's AWS provider.
func TypeLabels(t cloud.InstanceType) map[string]string {
	short := map[string]string{
		"family":            t.Family(),
		"category":          t.Category(),
		"generation":        t.Generation(),
		"size":              t.Size(),
		"cpu":               strconv.Itoa(t.VCPUs),
		"cpu-manufacturer":  t.CPUManufacturer,
		"memory":            strconv.FormatInt(t.MemoryMiB, 10),
		"network-bandwidth": strconv.FormatInt(t.NetworkMbps, 10),
		"ebs-bandwidth":     strconv.FormatInt(t.EBSMbps, 10),
		"hypervisor":        t.Hypervisor,
	}
	if t.LocalNVMeGB > 0 {
		short["local-nvme"] = strconv.FormatInt(t.LocalNVMeGB, 10)
	}
	labels := map[string]string{
		corev1.LabelInstanceTypeStable: t.Name,
		corev1.LabelArchStable:         t.Architecture,
		corev1.LabelOSStable:           string(corev1.Linux),
		corev1.LabelInstanceType:       t.Name,
		betaArch:                       t.Architecture,
		betaOS:                         string(corev1.Linux),
	}
	if t.GPU.Count > 0 {
		short["gpu-name"] = strings.ToLower(t.GPU.Name)
		short["gpu-manufacturer"] = strings.ToLower(t.GPU.Manufacturer)
		short["gpu-count"] = strconv.Itoa(t.GPU.Count)
		short["gpu-memory"] = strconv.FormatInt(t.GPU.MemoryMiB, 10)
		labels[v1alpha1.LabelAccelerator] = accelerator(t.GPU)
		if strings.EqualFold(t.GPU.Manufacturer, "nvidia") {
			maps.Copy(labels, discoveryLabels(t.GPU))
		}
	}
	for k, v := range short {
		labels[v1alpha1.Group+"/instance-"+k] = v
		labels[v1alpha1.KarpenterInstancePrefix+k] = v
	}
	return labels
}

// discoveryLabels are those that GPU feature discovery will confirm once it runs on the node.
func discoveryLabels(gpu cloud.GPU) map[string]string {
	labels := map[string]string{v1alpha1.LabelGPUCount: strconv.Itoa(gpu.Count), v1alpha1.LabelGPUPresent: "true"}
	for _, p := range gpuProduct {
		if p.name == gpu.Name && (p.memoryGiB == 0 || p.memoryGiB == gpu.MemoryMiB/1024) {
			labels[v1alpha1.LabelGPUProduct] = p.product
			break
		}
	}
	return labels
}

// PlaceLabels are the labels that a node has because of where and how it was bought. zoneID may be empty.
func PlaceLabels(key cloud.OfferingKey, region, zoneID string) map[string]string {
	labels := map[string]string{
		corev1.LabelTopologyZone:            key.Zone,
		corev1.LabelTopologyRegion:          region,
		corev1.LabelFailureDomainBetaZone:   key.Zone,
		corev1.LabelFailureDomainBetaRegion: region,
		v1alpha1.LabelCapacityType:          string(key.Market),
		v1alpha1.KarpenterCapacityType:      string(key.Market),
	}
	if zoneID != "" {
		labels[v1alpha1.LabelZoneID] = zoneID
	}
	return labels
}

// OwnerLabels are the labels that a node has because of its Provisioner and EC2NodeClass.
func OwnerLabels(provisioner, nodeClass string) map[string]string {
	return map[string]string{
		v1alpha1.LabelProvisioner:         provisioner,
		v1alpha1.KarpenterProvisionerName: provisioner,
		v1alpha1.KarpenterNodePool:        provisioner,
		v1alpha1.LabelNodeClass:           nodeClass,
	}
}
