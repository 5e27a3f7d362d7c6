package aws

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// gpuTypePatterns narrows EC2's answers to the families that may have GPUs; GpuInfo decides.
var gpuTypePatterns = []string{"g*", "p*"} // read only

// fetchTypes answers the types with GPUs, by name.
func (c *Catalog) fetchTypes(ctx context.Context) (map[string]cloud.InstanceType, error) {
	pages := ec2.NewDescribeInstanceTypesPaginator(c.ec2, &ec2.DescribeInstanceTypesInput{
		MaxResults: awssdk.Int32(100),
		Filters:    []ec2types.Filter{{Name: awssdk.String("instance-type"), Values: gpuTypePatterns}},
	})
	types := map[string]cloud.InstanceType{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, callError("ec2:DescribeInstanceTypes", err)
		}
		for _, info := range page.InstanceTypes {
			if t, hasGPU := instanceType(info); hasGPU {
				types[t.Name] = t
			}
		}
	}
	return types, nil
}

// instanceType reads EC2's description. It refuses types without a GPU, or of an architecture that nodes cannot have.
func instanceType(info ec2types.InstanceTypeInfo) (cloud.InstanceType, bool) {
	if info.GpuInfo == nil || len(info.GpuInfo.Gpus) == 0 || info.InstanceType == "" {
		return cloud.InstanceType{}, false
	}
	t := cloud.InstanceType{
		Name:       string(info.InstanceType),
		GPU:        gpu(info.GpuInfo.Gpus[0]),
		Hypervisor: string(info.Hypervisor),
		BareMetal:  awssdk.ToBool(info.BareMetal),
	}
	if p := info.ProcessorInfo; p != nil {
		t.Architecture = architecture(p.SupportedArchitectures)
		t.CPUManufacturer = cpuManufacturer(awssdk.ToString(p.Manufacturer))
	}
	if info.VCpuInfo != nil {
		t.VCPUs = int(awssdk.ToInt32(info.VCpuInfo.DefaultVCpus))
	}
	if info.MemoryInfo != nil {
		t.MemoryMiB = awssdk.ToInt64(info.MemoryInfo.SizeInMiB)
	}
	if info.InstanceStorageInfo != nil {
		t.LocalNVMeGB = awssdk.ToInt64(info.InstanceStorageInfo.TotalSizeInGB)
		for _, d := range info.InstanceStorageInfo.Disks {
			t.NVMeDisks += int(awssdk.ToInt32(d.Count))
		}
	}
	if e := info.EbsInfo; e != nil {
		t.EBSAttachments = int(awssdk.ToInt32(e.MaximumEbsAttachments))
		t.EBSDedicated = e.AttachmentLimitType == ec2types.AttachmentLimitTypeDedicated
		if e.EbsOptimizedInfo != nil {
			t.EBSMbps = int64(awssdk.ToInt32(e.EbsOptimizedInfo.MaximumBandwidthInMbps))
		}
	}
	if info.NetworkInfo != nil {
		network(&t, info.NetworkInfo)
	}
	return t, t.Architecture != "" && t.VCPUs > 0 && t.MemoryMiB > 0
}

// gpu counts whole GPUs only: EC2 answers partitions of one (g6f) with a partition size below 1.
func gpu(d ec2types.GpuDeviceInfo) cloud.GPU {
	g := cloud.GPU{Name: awssdk.ToString(d.Name), Manufacturer: awssdk.ToString(d.Manufacturer), Count: int(awssdk.ToInt32(d.Count))}
	if d.MemoryInfo != nil {
		g.MemoryMiB = int64(awssdk.ToInt32(d.MemoryInfo.SizeInMiB))
	}
	if d.GpuPartitionSize != nil && *d.GpuPartitionSize < 1 {
		g.Count = 0
	}
	return g
}

func network(t *cloud.InstanceType, n *ec2types.NetworkInfo) {
	t.IPv4PerENI = int(awssdk.ToInt32(n.Ipv4AddressesPerInterface))
	// Pods get addresses on the default card only; MaximumNetworkInterfaces counts those of every card.
	t.MaxENIs = int(awssdk.ToInt32(n.MaximumNetworkInterfaces))
	gbps := 0.0
	for _, card := range n.NetworkCards {
		gbps += awssdk.ToFloat64(card.BaselineBandwidthInGbps)
		if awssdk.ToInt32(card.NetworkCardIndex) == awssdk.ToInt32(n.DefaultNetworkCardIndex) {
			t.MaxENIs = cmp.Or(int(awssdk.ToInt32(card.MaximumNetworkInterfaces)), t.MaxENIs)
		}
	}
	t.NetworkMbps = int64(math.Round(gbps * 1000))
	if n.EfaInfo != nil {
		t.EFAInterfaces = int(awssdk.ToInt32(n.EfaInfo.MaximumEfaInterfaces))
	}
}

// architecture answers Kubernetes' word; a type that runs both 32 and 64 bits is amd64.
func architecture(supported []ec2types.ArchitectureType) string {
	switch {
	case slices.Contains(supported, ec2types.ArchitectureTypeX8664):
		return "amd64"
	case slices.Contains(supported, ec2types.ArchitectureTypeArm64):
		return "arm64"
	}
	return ""
}

func cpuManufacturer(said string) string {
	lower := strings.ToLower(said)
	for _, known := range []string{"intel", "amd", "aws"} {
		if strings.Contains(lower, known) {
			return known
		}
	}
	return lower
}

// fetchZones answers the names of the zones that offer a type, sorted, by type.
func (c *Catalog) fetchZones(ctx context.Context) (map[string][]string, error) {
	pages := ec2.NewDescribeInstanceTypeOfferingsPaginator(c.ec2, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: ec2types.LocationTypeAvailabilityZone,
		Filters:      []ec2types.Filter{{Name: awssdk.String("instance-type"), Values: gpuTypePatterns}},
	})
	zones := map[string][]string{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, callError("ec2:DescribeInstanceTypeOfferings", err)
		}
		for _, o := range page.InstanceTypeOfferings {
			zones[string(o.InstanceType)] = append(zones[string(o.InstanceType)], awssdk.ToString(o.Location))
		}
	}
	for name := range zones {
		slices.Sort(zones[name])
		zones[name] = slices.Compact(zones[name])
	}
	return zones, nil
}

// fetchZoneIDs answers the zone IDs of every zone that is not out of service, by zone name.
func (c *Catalog) fetchZoneIDs(ctx context.Context) (map[string]string, error) {
	out, err := c.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		return nil, callError("ec2:DescribeAvailabilityZones", err)
	}
	ids := map[string]string{}
	for _, z := range out.AvailabilityZones {
		if z.State != ec2types.AvailabilityZoneStateUnavailable {
			ids[awssdk.ToString(z.ZoneName)] = awssdk.ToString(z.ZoneId)
		}
	}
	return ids, nil
}
