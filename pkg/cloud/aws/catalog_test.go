package aws

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// fakeCatalog answers each question from its field, or with the error set for it; hang never answers.
type fakeCatalog struct {
	types    []ec2types.InstanceTypeInfo
	zones    map[string][]string
	down     map[string]error // by source
	hang     map[string]bool
	asked    int // GetProducts
	products []string
	spot     []ec2types.SpotPrice
}

func (f *fakeCatalog) fail(ctx context.Context, source string) error {
	if f.hang[source] {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.down[source]
}

func (f *fakeCatalog) DescribeInstanceTypes(ctx context.Context, in *ec2.DescribeInstanceTypesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstanceTypesOutput, error) {
	if err := f.fail(ctx, SourceInstanceTypes); err != nil {
		return nil, err
	}
	if in.NextToken == nil { // two pages
		return &ec2.DescribeInstanceTypesOutput{InstanceTypes: f.types[:1], NextToken: awssdk.String("more")}, nil
	}
	return &ec2.DescribeInstanceTypesOutput{InstanceTypes: f.types[1:]}, nil
}

func (f *fakeCatalog) DescribeInstanceTypeOfferings(ctx context.Context, _ *ec2.DescribeInstanceTypeOfferingsInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstanceTypeOfferingsOutput, error) {
	out := &ec2.DescribeInstanceTypeOfferingsOutput{}
	for name, zones := range f.zones {
		for _, zone := range zones {
			out.InstanceTypeOfferings = append(out.InstanceTypeOfferings, ec2types.InstanceTypeOffering{InstanceType: ec2types.InstanceType(name), Location: awssdk.String(zone)})
		}
	}
	return out, f.fail(ctx, SourceOfferings)
}

func (f *fakeCatalog) DescribeAvailabilityZones(ctx context.Context, _ *ec2.DescribeAvailabilityZonesInput, _ ...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error) {
	zone := func(name, id string, state ec2types.AvailabilityZoneState) ec2types.AvailabilityZone {
		return ec2types.AvailabilityZone{ZoneName: awssdk.String(name), ZoneId: awssdk.String(id), State: state}
	}
	return &ec2.DescribeAvailabilityZonesOutput{AvailabilityZones: []ec2types.AvailabilityZone{
		zone("us-east-1a", "use1-az6", "available"), zone("us-east-1b", "use1-az1", "available"), zone("us-east-1e", "use1-az3", "unavailable"),
	}}, f.fail(ctx, SourceZones)
}

func (f *fakeCatalog) DescribeSpotPriceHistory(ctx context.Context, _ *ec2.DescribeSpotPriceHistoryInput, _ ...func(*ec2.Options)) (*ec2.DescribeSpotPriceHistoryOutput, error) {
	return &ec2.DescribeSpotPriceHistoryOutput{SpotPriceHistory: f.spot}, f.fail(ctx, SourceSpotPrices)
}

func (f *fakeCatalog) GetProducts(ctx context.Context, _ *pricing.GetProductsInput, _ ...func(*pricing.Options)) (*pricing.GetProductsOutput, error) {
	f.asked++
	return &pricing.GetProductsOutput{PriceList: f.products}, f.fail(ctx, SourcePricing)
}

func spotPrice(name, zone, price string, at time.Time) ec2types.SpotPrice {
	return ec2types.SpotPrice{InstanceType: ec2types.InstanceType(name), AvailabilityZone: awssdk.String(zone), SpotPrice: awssdk.String(price), Timestamp: awssdk.Time(at)}
}

func describedG4dn() ec2types.InstanceTypeInfo {
	return ec2types.InstanceTypeInfo{
		InstanceType: "g4dn.xlarge", Hypervisor: "nitro",
		GpuInfo: &ec2types.GpuInfo{Gpus: []ec2types.GpuDeviceInfo{{
			Name: awssdk.String("T4"), Manufacturer: awssdk.String("NVIDIA"), Count: awssdk.Int32(1), MemoryInfo: &ec2types.GpuDeviceMemoryInfo{SizeInMiB: awssdk.Int32(16384)},
		}}},
		ProcessorInfo:       &ec2types.ProcessorInfo{SupportedArchitectures: []ec2types.ArchitectureType{"x86_64"}, Manufacturer: awssdk.String("Intel")},
		VCpuInfo:            &ec2types.VCpuInfo{DefaultVCpus: awssdk.Int32(4)},
		MemoryInfo:          &ec2types.MemoryInfo{SizeInMiB: awssdk.Int64(16384)},
		InstanceStorageInfo: &ec2types.InstanceStorageInfo{TotalSizeInGB: awssdk.Int64(125), Disks: []ec2types.DiskInfo{{Count: awssdk.Int32(1)}}},
		EbsInfo:             &ec2types.EbsInfo{MaximumEbsAttachments: awssdk.Int32(28), AttachmentLimitType: ec2types.AttachmentLimitTypeDedicated, EbsOptimizedInfo: &ec2types.EbsOptimizedInfo{MaximumBandwidthInMbps: awssdk.Int32(3500)}},
		NetworkInfo: &ec2types.NetworkInfo{
			MaximumNetworkInterfaces: awssdk.Int32(3), Ipv4AddressesPerInterface: awssdk.Int32(10), DefaultNetworkCardIndex: awssdk.Int32(0),
			NetworkCards: []ec2types.NetworkCardInfo{{NetworkCardIndex: awssdk.Int32(0), MaximumNetworkInterfaces: awssdk.Int32(3), BaselineBandwidthInGbps: awssdk.Float64(5)}},
		},
	}
}

func healthyCatalog() *fakeCatalog {
	noGPU := ec2types.InstanceTypeInfo{InstanceType: "p9.large"}
	return &fakeCatalog{
		types: []ec2types.InstanceTypeInfo{describedG4dn(), noGPU},
		// p3.2xlarge is sold and not described; p9.large has no GPU; us-east-1e is out of service
		zones: map[string][]string{"g4dn.xlarge": {"us-east-1b", "us-east-1a", "us-east-1e"}, "p3.2xlarge": {"us-east-1a"}, "p9.large": {"us-east-1a"}},
		down:  map[string]error{}, hang: map[string]bool{},
		products: []string{productText("g4dn.xlarge", "0.5300000000")},
		spot: []ec2types.SpotPrice{
			spotPrice("g4dn.xlarge", "us-east-1a", "0.160000", noon), spotPrice("g4dn.xlarge", "us-east-1a", "0.100000", noon.Add(-time.Hour)),
			spotPrice("p3.2xlarge", "us-east-1a", "0.918000", noon),
		},
	}
}

func productText(name, usd string) string {
	return `{"product":{"attributes":{"instanceType":"` + name + `","operatingSystem":"Linux","tenancy":"Shared","preInstalledSw":"NA","capacitystatus":"Used"}},` +
		`"terms":{"OnDemand":{"A":{"priceDimensions":{"B":{"unit":"Hrs","pricePerUnit":{"USD":"` + usd + `"}}}}}}}`
}

func testCatalog(f *fakeCatalog, now *time.Time) *Catalog {
	return &Catalog{region: "us-east-1", now: func() time.Time { return *now }, ec2: f, pricing: f}
}

func offer(name, zone, id string, market cloud.Market, microUSD int64) cloud.Offering {
	return cloud.Offering{OfferingKey: cloud.OfferingKey{InstanceType: name, Zone: zone, Market: market}, ZoneID: id, PriceMicroUSDPerHour: microUSD}
}

func TestCatalogOfAHealthyCloud(t *testing.T) {
	now := noon
	got, err := testCatalog(healthyCatalog(), &now).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []cloud.Offering{
		offer("g4dn.xlarge", "us-east-1a", "use1-az6", cloud.OnDemand, 530_000), offer("g4dn.xlarge", "us-east-1a", "use1-az6", cloud.Spot, 160_000),
		offer("g4dn.xlarge", "us-east-1b", "use1-az1", cloud.OnDemand, 530_000),
		offer("p3.2xlarge", "us-east-1a", "use1-az6", cloud.OnDemand, 3_060_000), offer("p3.2xlarge", "us-east-1a", "use1-az6", cloud.Spot, 918_000),
	}
	if diff := cmp.Diff(want, got.Offerings); diff != "" {
		t.Errorf("offerings (-want +got):\n%s", diff)
	}
	g4dn := cloud.InstanceType{
		Name: "g4dn.xlarge", Architecture: "amd64", CPUManufacturer: "intel", VCPUs: 4, MemoryMiB: 16384,
		GPU: cloud.GPU{Name: "T4", Manufacturer: "NVIDIA", Count: 1, MemoryMiB: 16384}, LocalNVMeGB: 125, NVMeDisks: 1,
		EBSAttachments: 28, EBSDedicated: true, MaxENIs: 3, IPv4PerENI: 10,
		NetworkMbps: 5000, EBSMbps: 3500, Hypervisor: "nitro",
	}
	if diff := cmp.Diff(g4dn, got.Types[0]); diff != "" {
		t.Errorf("g4dn.xlarge (-want +got):\n%s", diff)
	}
	if len(got.Types) != 2 || got.Types[1].GPU.Name != "V100" || len(got.Degraded) != 0 {
		t.Errorf("got types %v and degradations %v; want p3.2xlarge from the embedded facts, and none", got.Types, got.Degraded)
	}
}

func TestFractionalTypesHaveNoWholeGPU(t *testing.T) {
	info := describedG4dn()
	info.GpuInfo.Gpus[0].GpuPartitionSize = awssdk.Float64(0.125)
	if got, hasGPU := instanceType(info); !hasGPU || got.GPU.Count != 0 {
		t.Errorf("got %+v, %t", got.GPU, hasGPU)
	}
}

func sources(s cloud.Snapshot) []string {
	var names []string
	for _, d := range s.Degraded {
		names = append(names, d.Source)
	}
	slices.Sort(names)
	return names
}

// Each source fails by itself on the first load: the embedded facts stand in. Then it recovers and fails again: the
// last known stands in.
func TestASourceThatFailsIsReplacedAndNamed(t *testing.T) {
	for _, source := range []string{SourceInstanceTypes, SourceOfferings, SourceZones, SourceSpotPrices, SourcePricing} {
		t.Run(source, func(t *testing.T) {
			f, now := healthyCatalog(), noon
			c := testCatalog(f, &now)
			for step, failing := range []bool{true, false, true} {
				f.down[source] = nil
				if failing {
					f.down[source] = errUnreachable
				}
				now = now.Add(13 * time.Hour)
				got, err := c.Load(t.Context())
				if err != nil {
					t.Fatalf("step %d: %v", step, err)
				}
				var want []string
				if failing {
					want = []string{source}
				}
				if diff := cmp.Diff(want, sources(got)); diff != "" {
					t.Errorf("step %d: degraded (-want +got):\n%s", step, diff)
				}
				i := slices.IndexFunc(got.Offerings, func(o cloud.Offering) bool {
					return o.InstanceType == "g4dn.xlarge" && o.Zone == "us-east-1a" && o.Market == cloud.OnDemand
				})
				if i < 0 || step > 0 && got.Offerings[i].PriceMicroUSDPerHour != 530_000 {
					t.Errorf("step %d: g4dn.xlarge is not offered at its last known price", step)
				}
				for _, d := range got.Degraded {
					if !strings.Contains(d.Message, "used instead") || !strings.Contains(d.Message, "connection refused") {
						t.Errorf("step %d: message %q does not say what happened and what stands in", step, d.Message)
					}
				}
			}
		})
	}
}

func TestEverythingDownStillAnswersTheEmbeddedFacts(t *testing.T) {
	f, now := healthyCatalog(), noon
	for _, source := range []string{SourceInstanceTypes, SourceOfferings, SourceZones, SourceSpotPrices, SourcePricing} {
		f.down[source] = errUnreachable
	}
	c := testCatalog(f, &now)
	first, err := c.Load(t.Context())
	if err != nil || len(first.Types) < 60 || len(first.Offerings) < 300 || len(first.Degraded) != 5 {
		t.Fatalf("got %d types, %d offerings, degraded %v, %v", len(first.Types), len(first.Offerings), sources(first), err)
	}
	second, err := c.Load(t.Context())
	if diff := cmp.Diff(first, second); diff != "" || err != nil {
		t.Errorf("the second load differs: %v (-first +second):\n%s", err, diff)
	}
	c.region = "mars-north-1"
	if _, err := c.Load(t.Context()); err == nil {
		t.Error("an unknown region with everything down is no catalog")
	}
}

func TestAnEndpointThatHangsCostsItsTimeoutOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, now := healthyCatalog(), noon
		f.hang[SourcePricing], f.hang[SourceSpotPrices] = true, true
		c := testCatalog(f, &now)
		start := time.Now()
		got, err := c.Load(t.Context())
		if took := time.Since(start); err != nil || took > 2*sourceTimeout {
			t.Errorf("took %s, %v", took, err)
		}
		if diff := cmp.Diff([]string{SourcePricing, SourceSpotPrices}, sources(got)); diff != "" {
			t.Errorf("degraded (-want +got):\n%s", diff)
		}
		// Pricing is left alone for a while, and still said to be missing.
		f.hang[SourceSpotPrices] = false
		start = time.Now()
		got, err = c.Load(t.Context())
		if took := time.Since(start); err != nil || took != 0 || f.asked != 1 {
			t.Errorf("the next load took %s and asked Pricing %d times, %v", took, f.asked, err)
		}
		if diff := cmp.Diff([]string{SourcePricing}, sources(got)); diff != "" {
			t.Errorf("degraded (-want +got):\n%s", diff)
		}
	})
}

func TestAnIsolatedVPCDoesNotAskPricing(t *testing.T) {
	f, now := healthyCatalog(), noon
	c := testCatalog(f, &now)
	c.isolated = true
	got, err := c.Load(t.Context())
	if diff := cmp.Diff([]string{SourcePricing}, sources(got)); diff != "" || f.asked != 0 || err != nil {
		t.Errorf("asked %d times, %v; degraded (-want +got):\n%s", f.asked, err, diff)
	}
}

func TestParseProduct(t *testing.T) {
	good := productText("g5.xlarge", "1.0060000000")
	for name, tc := range map[string]struct {
		text    string
		want    int64
		refused bool
	}{
		"plain":     {good, 1_006_000, false},
		"windows":   {strings.Replace(good, "Linux", "Windows", 1), 0, false},
		"dedicated": {strings.Replace(good, "Shared", "Dedicated", 1), 0, false},
		"reserved":  {strings.Replace(good, "Used", "UnusedCapacityReservation", 1), 0, false},
		"yuan":      {strings.Replace(good, "USD", "CNY", 1), 0, false},
		"zero":      {strings.Replace(good, "1.0060000000", "0.0000000000", 1), 0, false},
		"garbage":   {"{", 0, true},
		"no number": {strings.Replace(good, "1.0060000000", "abc", 1), 0, true},
	} {
		_, got, err := parseProduct(tc.text)
		if got != tc.want || (err != nil) != tc.refused {
			t.Errorf("%s: got %d, %v; want %d, refused %t", name, got, err, tc.want, tc.refused)
		}
	}
}

func FuzzParseProduct(f *testing.F) {
	f.Add(productText("g5.xlarge", "1.006"))
	f.Add("{}")
	f.Fuzz(func(t *testing.T, text string) {
		if _, price, err := parseProduct(text); price < 0 || err != nil && price != 0 {
			t.Errorf("got %d, %v", price, err)
		}
	})
}
