package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
)

const (
	typesFile  = "gpu-instance-types.json"
	pricesFile = "on-demand-usd-per-hour.json"
	zonesFile  = "zones.json"
	// priceRegion is the one region whose prices the fallback carries.
	priceRegion = "us-east-1"
)

// row is an instance type as the source file spells it.
type row struct {
	InstanceType    string   `json:"instanceType"`
	VCPUs           int      `json:"vcpus"`
	MemoryMiB       int64    `json:"memoryMiB"`
	Architecture    string   `json:"architecture"`
	CPUManufacturer string   `json:"cpuManufacturer"`
	GPUs            []gpuRow `json:"gpus"`
	NVMeGB          int64    `json:"nvmeGB"`
	MaxENIs         int      `json:"maxENIs"`
	IPv4PerENI      int      `json:"ipv4PerENI"`
	EFAInterfaces   int      `json:"efaInterfaces"`
	NetworkMbps     int64    `json:"networkMbps"`
	EBSMbps         int64    `json:"ebsMbps"`
	Hypervisor      string   `json:"hypervisor"`
	BareMetal       bool     `json:"bareMetal"`
	// Not carried into the facts; named so that unknown keys can be refused.
	UsageClasses        []string `json:"usageClasses"`
	PlacementStrategies []string `json:"placementStrategies"`
}

type gpuRow struct {
	Name          string  `json:"name"`
	Manufacturer  string  `json:"manufacturer"`
	Count         int     `json:"count"`
	MemoryMiB     int64   `json:"memoryMiB"`
	PartitionSize float64 `json:"partitionSize"`
	LogicalCount  int     `json:"logicalCount"`
}

func read(dir string) (catalogue.Facts, error) {
	var rows []row
	var prices map[string]map[string]json.Number
	var zones map[string]map[string][]string
	if err := errors.Join(
		decode(filepath.Join(dir, typesFile), &rows),
		decode(filepath.Join(dir, pricesFile), &prices),
		decode(filepath.Join(dir, zonesFile), &zones),
	); err != nil {
		return catalogue.Facts{}, err
	}
	f := catalogue.Facts{Zones: zones}
	var errs []error
	for _, r := range rows {
		t, err := r.instanceType()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %q: %w", typesFile, r.InstanceType, err))
		}
		f.Types = append(f.Types, t)
	}
	slices.SortFunc(f.Types, func(a, b cloud.InstanceType) int { return strings.Compare(a.Name, b.Name) })
	var err error
	f.OnDemandMicroUSD, err = microUSD(prices)
	errs = append(errs, err, crossCheck(f))
	return f, errors.Join(errs...)
}

// decode refuses unknown keys: a renamed key would otherwise become a silent zero.
func decode(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s, about byte %d: %w", filepath.Base(path), d.InputOffset(), err)
	}
	if d.More() {
		return fmt.Errorf("%s: more than one JSON value", filepath.Base(path))
	}
	return nil
}

func microUSD(prices map[string]map[string]json.Number) (map[string]int64, error) {
	region, found := prices[priceRegion]
	if !found {
		return nil, fmt.Errorf("%s: no prices for %s", pricesFile, priceRegion)
	}
	var errs []error
	out := make(map[string]int64, len(region))
	for name, text := range region {
		price, err := cloud.ParseDollars(text.String())
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %q: %w", pricesFile, name, err))
		case price == 0:
			errs = append(errs, fmt.Errorf("%s: %q: the price is 0", pricesFile, name))
		}
		out[name] = price
	}
	return out, errors.Join(errs...)
}

func (r row) instanceType() (cloud.InstanceType, error) {
	arch, known := map[string]string{"x86_64": "amd64", "arm64": "arm64"}[r.Architecture]
	if !known {
		return cloud.InstanceType{}, fmt.Errorf("architecture %q is neither x86_64 nor arm64", r.Architecture)
	}
	if err := r.check(); err != nil {
		return cloud.InstanceType{}, err
	}
	g := r.GPUs[0]
	return cloud.InstanceType{
		Name: r.InstanceType, Architecture: arch, CPUManufacturer: r.CPUManufacturer,
		VCPUs: r.VCPUs, MemoryMiB: r.MemoryMiB,
		GPU:         cloud.GPU{Name: g.Name, Manufacturer: g.Manufacturer, Count: g.Count, MemoryMiB: g.MemoryMiB},
		LocalNVMeGB: r.NVMeGB, MaxENIs: r.MaxENIs, IPv4PerENI: r.IPv4PerENI, EFAInterfaces: r.EFAInterfaces,
		NetworkMbps: r.NetworkMbps, EBSMbps: r.EBSMbps, Hypervisor: r.Hypervisor, BareMetal: r.BareMetal,
	}, nil
}

func (r row) check() error {
	switch {
	case !strings.Contains(r.InstanceType, "."):
		return errors.New("instanceType is not family.size")
	case r.VCPUs <= 0 || r.MemoryMiB <= 0 || r.MaxENIs <= 0 || r.IPv4PerENI <= 0:
		return errors.New("vcpus, memoryMiB, maxENIs and ipv4PerENI must be above 0")
	case min(r.NVMeGB, r.NetworkMbps, r.EBSMbps, int64(r.EFAInterfaces)) < 0:
		return errors.New("nvmeGB, networkMbps, ebsMbps and efaInterfaces must not be negative")
	case len(r.GPUs) != 1:
		return fmt.Errorf("has %d kinds of GPU, want exactly one", len(r.GPUs))
	}
	g := r.GPUs[0]
	if g.Name == "" || g.Manufacturer == "" || g.MemoryMiB <= 0 || g.Count < 0 {
		return errors.New("gpus: name, manufacturer and memoryMiB are required, count is not negative")
	}
	if fractional := g.PartitionSize < 1; fractional != (g.Count == 0) {
		return errors.New("gpus: count must be 0 exactly where partitionSize is below 1")
	}
	return nil
}

// crossCheck finds types named twice, and prices and zones of types that nobody described.
func crossCheck(f catalogue.Facts) error {
	var errs []error
	known := map[string]bool{}
	for _, t := range f.Types {
		if known[t.Name] {
			errs = append(errs, fmt.Errorf("%s: %q is listed twice", typesFile, t.Name))
		}
		known[t.Name] = true
	}
	for name := range f.OnDemandMicroUSD {
		if !known[name] {
			errs = append(errs, fmt.Errorf("%s: %q is not in %s", pricesFile, name, typesFile))
		}
	}
	for region, byType := range f.Zones {
		for name, zones := range byType {
			if !known[name] {
				errs = append(errs, fmt.Errorf("%s: %s: %q is not in %s", zonesFile, region, name, typesFile))
			}
			slices.Sort(zones)
			if len(slices.Compact(slices.Clone(zones))) != len(zones) {
				errs = append(errs, fmt.Errorf("%s: %s: %q lists a zone twice", zonesFile, region, name))
			}
			for _, zone := range zones {
				if len(zone) <= len(region) || !strings.HasPrefix(zone, region) {
					errs = append(errs, fmt.Errorf("%s: %q: zone %q is not in region %s", zonesFile, name, zone, region))
				}
			}
		}
	}
	// The maps were walked in no order; a message must not depend on it.
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}
