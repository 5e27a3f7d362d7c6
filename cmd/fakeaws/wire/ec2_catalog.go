package wire

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

func (s *Server) describeInstanceTypes(f *form) ([]element, error) {
	wanted := f.texts("InstanceType")
	var types []cloud.InstanceType
	for _, t := range s.Cloud.Types() {
		if len(wanted) == 0 || slices.Contains(wanted, t.Name) {
			types = append(types, t)
		}
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(types, func(t cloud.InstanceType) bool { return t.Name == name }) {
			return nil, badRequest("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", name)
		}
	}
	types, err := selected(types, f, func(t cloud.InstanceType) record {
		return record{fields: map[string][]string{
			"instance-type": {t.Name}, "hypervisor": {t.Hypervisor}, "bare-metal": {fmt.Sprint(t.BareMetal)},
			"current-generation": {"true"}, "processor-info.supported-architecture": {ec2Architecture(t.Architecture)},
		}}
	})
	if err != nil {
		return nil, err
	}
	types, next, err := page(types, f, 100)
	if err != nil {
		return nil, err
	}
	return append([]element{items("instanceTypeSet", types, instanceType)}, next...), nil
}

func ec2Architecture(kubernetes string) string {
	if kubernetes == "amd64" {
		return "x86_64"
	}
	return kubernetes
}

func instanceType(t cloud.InstanceType) []element {
	described := []element{
		text("instanceType", t.Name), truth("currentGeneration", true), truth("bareMetal", t.BareMetal),
		with("supportedUsageClasses", text("item", "on-demand"), text("item", "spot")),
		with("processorInfo", with("supportedArchitectures", text("item", ec2Architecture(t.Architecture))),
			text("manufacturer", cpuManufacturer(t.CPUManufacturer))),
		with("vCpuInfo", number("defaultVCpus", t.VCPUs)),
		with("memoryInfo", number("sizeInMiB", t.MemoryMiB)),
		truth("instanceStorageSupported", t.LocalNVMeGB > 0),
		with("ebsInfo", with("ebsOptimizedInfo", number("maximumBandwidthInMbps", t.EBSMbps))),
		networkInfo(t),
	}
	if t.Hypervisor != "" {
		described = append(described, text("hypervisor", t.Hypervisor))
	}
	if t.LocalNVMeGB > 0 {
		described = append(described, with("instanceStorageInfo", number("totalSizeInGB", t.LocalNVMeGB)))
	}
	if t.GPU.Name != "" {
		described = append(described, gpuInfo(t.GPU))
	}
	return described
}

func cpuManufacturer(word string) string {
	return cmp.Or(map[string]string{"intel": "Intel", "amd": "AMD", "aws": "AWS"}[word], word)
}

func networkInfo(t cloud.InstanceType) element {
	return with("networkInfo",
		number("maximumNetworkInterfaces", t.MaxENIs), number("ipv4AddressesPerInterface", t.IPv4PerENI),
		number("maximumNetworkCards", 1), number("defaultNetworkCardIndex", 0),
		with("networkCards", with("item", number("networkCardIndex", 0), number("maximumNetworkInterfaces", t.MaxENIs),
			text("baselineBandwidthInGbps", fmt.Sprintf("%g", float64(t.NetworkMbps)/1000)))),
		truth("efaSupported", t.EFAInterfaces > 0), with("efaInfo", number("maximumEfaInterfaces", t.EFAInterfaces)))
}

// gpuInfo describes GPUs as EC2 does: a type whose GPUs cannot be counted as wholes has a part of one.
func gpuInfo(g cloud.GPU) element {
	count, partition := g.Count, "1"
	if g.Count == 0 {
		count, partition = 1, "0.5"
	}
	return with("gpuInfo", with("gpus", with("item", text("name", g.Name), text("manufacturer", g.Manufacturer), number("count", count),
		text("gpuPartitionSize", partition), with("memoryInfo", number("sizeInMiB", g.MemoryMiB)))),
		number("totalGpuMemoryInMiB", g.MemoryMiB*int64(count)))
}

// place is an instance type in a zone.
type place struct{ instanceType, zone string }

func (s *Server) describeInstanceTypeOfferings(f *form) ([]element, error) {
	if location := f.get("LocationType"); location != "availability-zone" {
		return nil, badRequest("InvalidParameterValue", "fakeaws plays LocationType availability-zone only, not %q", location)
	}
	seen := map[place]bool{}
	var places []place
	for _, o := range s.Cloud.Offerings() {
		p := place{o.InstanceType, o.Zone}
		if !seen[p] {
			places = append(places, p)
		}
		seen[p] = true
	}
	places, err := selected(places, f, func(p place) record {
		return record{fields: map[string][]string{"instance-type": {p.instanceType}, "location": {p.zone}}}
	})
	if err != nil {
		return nil, err
	}
	places, next, err := page(places, f, 1000)
	if err != nil {
		return nil, err
	}
	return append([]element{items("instanceTypeOfferingSet", places, func(p place) []element {
		return []element{text("instanceType", p.instanceType), text("locationType", "availability-zone"), text("location", p.zone)}
	})}, next...), nil
}

func (s *Server) describeAvailabilityZones(f *form) ([]element, error) {
	ids := map[string]string{}
	for _, o := range s.Cloud.Offerings() {
		ids[o.Zone] = o.ZoneID
	}
	zones, err := selected(slices.Sorted(maps.Keys(ids)), f, func(zone string) record {
		return record{fields: map[string][]string{"zone-name": {zone}, "zone-id": {ids[zone]}, "state": {"available"},
			"region-name": {s.Cloud.Region()}, "zone-type": {"availability-zone"}, "opt-in-status": {"opt-in-not-required"}}}
	})
	return []element{items("availabilityZoneInfo", zones, func(zone string) []element {
		return []element{text("zoneName", zone), text("zoneId", ids[zone]), text("zoneState", "available"), text("zoneType", "availability-zone"),
			text("regionName", s.Cloud.Region()), text("optInStatus", "opt-in-not-required")}
	})}, err
}

// describeSpotPriceHistory answers the present price of each offering, as EC2 does for a StartTime of now; there is no
// older history to tell.
func (s *Server) describeSpotPriceHistory(f *form) ([]element, error) {
	types, zone := f.texts("InstanceType"), f.get("AvailabilityZone")
	products := f.texts("ProductDescription")
	var spot []cloud.Offering
	for _, o := range s.Cloud.Offerings() {
		if o.Market == cloud.Spot && (len(types) == 0 || slices.Contains(types, o.InstanceType)) && (zone == "" || zone == o.Zone) &&
			(len(products) == 0 || slices.ContainsFunc(products, func(p string) bool { return strings.HasPrefix(p, "Linux/UNIX") })) {
			spot = append(spot, o)
		}
	}
	spot, err := selected(spot, f, func(o cloud.Offering) record {
		return record{fields: map[string][]string{"instance-type": {o.InstanceType}, "availability-zone": {o.Zone},
			"product-description": {"Linux/UNIX"}}}
	})
	if err != nil {
		return nil, err
	}
	spot, next, err := page(spot, f, 1000)
	if err != nil {
		return nil, err
	}
	since := s.Cloud.Now().Truncate(time.Hour)
	return append([]element{items("spotPriceHistorySet", spot, func(o cloud.Offering) []element {
		return []element{text("instanceType", o.InstanceType), text("availabilityZone", o.Zone), text("availabilityZoneId", o.ZoneID),
			text("productDescription", "Linux/UNIX"), text("spotPrice", dollars(o.PriceMicroUSDPerHour)), instant("timestamp", since)}
	})}, next...), nil
}

func dollars(micro int64) string { return fmt.Sprintf("%d.%06d", micro/1_000_000, micro%1_000_000) }
