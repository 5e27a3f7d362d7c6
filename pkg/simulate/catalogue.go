package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
)

// CatalogueFile is what --catalogue reads: instance types with their prices, in the units of package cloud.
type CatalogueFile struct {
	Types []CatalogueType `json:"types"`
}

// CatalogueType is an instance type, where it is sold and for how much.
type CatalogueType struct {
	Name            string       `json:"name"`                   // g4dn.xlarge
	Architecture    string       `json:"architecture,omitempty"` // amd64 (default) or arm64
	CPUManufacturer string       `json:"cpuManufacturer,omitempty"`
	VCPUs           int          `json:"vcpus"`
	MemoryMiB       int64        `json:"memoryMiB"`
	GPU             CatalogueGPU `json:"gpu,omitzero"`
	LocalNVMeGB     int64        `json:"localNVMeGB,omitempty"`
	MaxENIs         int          `json:"maxENIs"`
	IPv4PerENI      int          `json:"ipv4PerENI"`
	EFAInterfaces   int          `json:"efaInterfaces,omitempty"`
	NetworkMbps     int64        `json:"networkMbps,omitempty"`
	EBSMbps         int64        `json:"ebsMbps,omitempty"`
	Hypervisor      string       `json:"hypervisor,omitempty"`
	BareMetal       bool         `json:"bareMetal,omitempty"`
	// OnDemandPerHour and SpotPerHour are dollars per hour as decimal numbers; without the latter it is estimated from the former.
	OnDemandPerHour string `json:"onDemandPerHour,omitempty"`
	SpotPerHour     string `json:"spotPerHour,omitempty"`
	// Zones that sell it; none: every zone of the region.
	Zones []string `json:"zones,omitempty"`
}

// CatalogueGPU describes the GPUs of a type.
type CatalogueGPU struct {
	Name         string `json:"name"`
	Manufacturer string `json:"manufacturer"` // NVIDIA, AMD
	Count        int    `json:"count"`
	MemoryMiB    int64  `json:"memoryMiB"` // per GPU
}

// EmbeddedCatalogue answers the facts in the program for a region, to be written to a file and changed. Types have no zones where those of the region
// are not known.
func EmbeddedCatalogue(region string) (CatalogueFile, error) {
	if err := validRegion(region); err != nil {
		return CatalogueFile{}, err
	}
	facts := catalogue.Embedded()
	anywhere := len(facts.Zones[region]) == 0
	var file CatalogueFile
	for _, t := range facts.Types {
		price, priced := facts.OnDemandMicroUSD[t.Name]
		if zones := facts.Zones[region][t.Name]; priced && (anywhere || len(zones) > 0) {
			file.Types = append(file.Types, CatalogueType{
				Name: t.Name, Architecture: t.Architecture, CPUManufacturer: t.CPUManufacturer, VCPUs: t.VCPUs, MemoryMiB: t.MemoryMiB,
				GPU:         CatalogueGPU{t.GPU.Name, t.GPU.Manufacturer, t.GPU.Count, t.GPU.MemoryMiB},
				LocalNVMeGB: t.LocalNVMeGB, MaxENIs: t.MaxENIs, IPv4PerENI: t.IPv4PerENI, EFAInterfaces: t.EFAInterfaces,
				NetworkMbps: t.NetworkMbps, EBSMbps: t.EBSMbps, Hypervisor: t.Hypervisor, BareMetal: t.BareMetal,
				OnDemandPerHour: cloud.FormatDollars(price), Zones: zones,
			})
		}
	}
	return file, nil
}

// ReadCatalogue reads a CatalogueFile, JSON or YAML. The error joins everything that is wrong, by type and field.
func ReadCatalogue(path string) (CatalogueFile, error) {
	var file CatalogueFile
	if err := readStrict(path, &file); err != nil {
		return file, fmt.Errorf("reading the catalogue %s: %w", path, err)
	}
	if err := file.validate(); err != nil {
		return file, fmt.Errorf("reading the catalogue %s: %w", path, err)
	}
	return file, nil
}

func readStrict(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return decodeStrict(text, into)
}

func decodeStrict(text []byte, into any) error {
	text, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	strict, err := kjson.UnmarshalStrict(text, into)
	return errors.Join(append(strict, err)...)
}

func (f CatalogueFile) validate() error {
	if len(f.Types) == 0 {
		return errors.New("types: at least one is required")
	}
	var errs []error
	seen := map[string]bool{}
	for i, t := range f.Types {
		for _, wrong := range t.wrong() {
			errs = append(errs, fmt.Errorf("types[%d] (%s).%s", i, t.Name, wrong))
		}
		if seen[t.Name] {
			errs = append(errs, fmt.Errorf("types[%d] (%s): is listed twice", i, t.Name))
		}
		seen[t.Name] = true
	}
	return errors.Join(errs...)
}

// wrong lists each field that cannot be, as "field: what is wanted".
func (t CatalogueType) wrong() []string {
	var list []string
	need := func(ok bool, format string, args ...any) {
		if !ok {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	family, size, dot := strings.Cut(t.Name, ".")
	need(dot && family != "" && size != "" && len(t.Name) <= 63, "name: want family.size such as g4dn.xlarge, not %q", t.Name)
	need(t.Architecture == "" || t.Architecture == "amd64" || t.Architecture == "arm64", "architecture: want amd64 or arm64, not %q", t.Architecture)
	need(t.VCPUs > 0 && t.VCPUs <= 1<<16, "vcpus: want 1 to 65536, not %d", t.VCPUs)
	need(t.MemoryMiB > 0 && t.MemoryMiB <= 1<<32, "memoryMiB: want 1 to 2^32, not %d", t.MemoryMiB)
	need(t.GPU.Count >= 0 && t.GPU.Count <= 1024, "gpu.count: want 0 to 1024, not %d", t.GPU.Count)
	need(t.GPU.Count == 0 || t.GPU.Name != "", "gpu.name: required")
	need(t.GPU.Count == 0 || strings.EqualFold(t.GPU.Manufacturer, "nvidia") || strings.EqualFold(t.GPU.Manufacturer, "amd"),
		"gpu.manufacturer: want NVIDIA or AMD, not %q", t.GPU.Manufacturer)
	need(t.GPU.MemoryMiB >= 0, "gpu.memoryMiB: want 0 or more, not %d", t.GPU.MemoryMiB)
	need(t.MaxENIs > 0 && t.MaxENIs <= 1024, "maxENIs: want 1 to 1024, not %d (it decides how many pods a node takes)", t.MaxENIs)
	need(t.IPv4PerENI > 1 && t.IPv4PerENI <= 1024, "ipv4PerENI: want 2 to 1024, not %d (it decides how many pods a node takes)", t.IPv4PerENI)
	need(t.LocalNVMeGB >= 0 && t.EFAInterfaces >= 0 && t.NetworkMbps >= 0 && t.EBSMbps >= 0,
		"localNVMeGB, efaInterfaces, networkMbps, ebsMbps: want 0 or more")
	need(t.OnDemandPerHour != "" || t.SpotPerHour != "", "onDemandPerHour: it, or spotPerHour, is required")
	for field, text := range map[string]string{"onDemandPerHour": t.OnDemandPerHour, "spotPerHour": t.SpotPerHour} {
		if text != "" {
			price, err := cloud.ParseDollars(text)
			need(err == nil && price > 0, "%s: want dollars above 0 such as \"0.526\", not %q", field, text)
		}
	}
	slices.Sort(list)
	return list
}

// snapshot answers the types and offerings of a file in a region.
func (f CatalogueFile) snapshot(zones []string) cloud.Snapshot {
	var s cloud.Snapshot
	for _, t := range f.Types {
		s.Types = append(s.Types, cloud.InstanceType{
			Name: t.Name, Architecture: cmp.Or(t.Architecture, "amd64"), CPUManufacturer: t.CPUManufacturer, VCPUs: t.VCPUs, MemoryMiB: t.MemoryMiB,
			GPU:         cloud.GPU{Name: t.GPU.Name, Manufacturer: t.GPU.Manufacturer, Count: t.GPU.Count, MemoryMiB: t.GPU.MemoryMiB},
			LocalNVMeGB: t.LocalNVMeGB, MaxENIs: t.MaxENIs, IPv4PerENI: t.IPv4PerENI, EFAInterfaces: t.EFAInterfaces,
			NetworkMbps: t.NetworkMbps, EBSMbps: t.EBSMbps, Hypervisor: t.Hypervisor, BareMetal: t.BareMetal,
		})
		in := t.Zones
		if len(in) == 0 {
			in = zones
		}
		onDemand, _ := cloud.ParseDollars(t.OnDemandPerHour) // validated; 0 if not given
		spot, _ := cloud.ParseDollars(t.SpotPerHour)
		for _, zone := range in {
			for market, price := range map[cloud.Market]int64{cloud.OnDemand: onDemand, cloud.Spot: spot} {
				if market == cloud.Spot && price == 0 && onDemand > 0 {
					price = catalogue.SpotEstimate(t.Name, zone, onDemand)
				}
				if price > 0 {
					s.Offerings = append(s.Offerings, cloud.Offering{PriceMicroUSDPerHour: price,
						OfferingKey: cloud.OfferingKey{InstanceType: t.Name, Zone: zone, Market: market}})
				}
			}
		}
	}
	slices.SortFunc(s.Types, func(a, b cloud.InstanceType) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Offerings, func(a, b cloud.Offering) int { return a.Compare(b.OfferingKey) })
	return s
}

// fixed is a cloud.Catalog that answers the same Snapshot always.
type fixed struct{ snapshot cloud.Snapshot }

func (f fixed) Load(context.Context) (cloud.Snapshot, error) { return f.snapshot, nil }

// Pattern selects offerings: type/zone/market, where each part may hold * and ?.
type Pattern struct{ text, kind, zone, market string }

// ParsePattern reads type/zone/market.
func ParsePattern(text string) (Pattern, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return Pattern{}, fmt.Errorf("%q: want type/zone/market such as g5.*/us-east-1a/spot or p4d.24xlarge/*/*", text)
	}
	for _, part := range parts {
		if _, err := path.Match(part, ""); err != nil || part == "" {
			return Pattern{}, fmt.Errorf("%q: %q is no pattern; want a name, or * for any", text, part)
		}
	}
	return Pattern{text, parts[0], parts[1], parts[2]}, nil
}

func (p Pattern) matches(k cloud.OfferingKey) bool {
	return glob(p.kind, k.InstanceType) && glob(p.zone, k.Zone) && glob(p.market, string(k.Market))
}

func glob(pattern, name string) bool {
	ok, _ := path.Match(pattern, name) // checked by ParsePattern
	return ok
}

// Price is what --prices says of the offerings that a Pattern selects.
type Price struct {
	Of       Pattern
	MicroUSD int64
}

// amount is dollars, with quotation marks or without.
type amount string

// UnmarshalJSON takes a text or a number, as it is written.
func (a *amount) UnmarshalJSON(text []byte) error {
	*a = amount(strings.Trim(string(text), `"`))
	return nil
}

// ReadPrices reads a map of type/zone/market to dollars per hour, JSON or YAML, the most special pattern last.
func ReadPrices(path string) ([]Price, error) {
	var file map[string]amount
	if err := readStrict(path, &file); err != nil {
		return nil, fmt.Errorf("reading prices of %s: %w (want lines such as g4dn.xlarge/us-east-1a/spot: \"0.157\")", path, err)
	}
	var prices []Price
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(file)) {
		pattern, err := ParsePattern(key)
		price, err2 := cloud.ParseDollars(string(file[key]))
		if err2 == nil && price == 0 {
			err2 = errors.New("a price must be above 0")
		}
		if err := errors.Join(err, err2); err != nil {
			errs = append(errs, fmt.Errorf("reading prices of %s: %s: %w", path, key, err))
			continue
		}
		prices = append(prices, Price{pattern, price})
	}
	slices.SortStableFunc(prices, func(a, b Price) int { return cmp.Compare(a.Of.breadth(), b.Of.breadth()) * -1 })
	return prices, errors.Join(errs...)
}

// breadth counts what is left open.
func (p Pattern) breadth() int { return strings.Count(p.text, "*")*64 + strings.Count(p.text, "?") }
