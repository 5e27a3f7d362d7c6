package catalogue

import (
	"hash/fnv"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Facts are the embedded facts. Every call of Embedded builds them anew, so that a caller may change its copy.
type Facts struct {
	PriceRegion string // the region whose on-demand prices these are
	AsOf        string // when they held: August 2026
	// Types is sorted by name. Fractional types (g6f, gr6f) are included with GPU.Count 0, AMD ones with their maker.
	Types []cloud.InstanceType
	// OnDemandMicroUSD is the price per hour by instance type, each > 0. A type without a known price is absent.
	OnDemandMicroUSD map[string]int64
	// Zones is region, then instance type, then the sorted names of the zones that offer it.
	Zones map[string]map[string][]string
}

// Embedded answers the facts that were compiled in.
func Embedded() Facts {
	return Facts{
		PriceRegion:      priceRegion,
		AsOf:             asOf,
		Types:            embeddedTypes(),
		OnDemandMicroUSD: embeddedOnDemand(),
		Zones:            embeddedZones(),
	}
}

// Type answers the instance type of that name.
func (f Facts) Type(name string) (cloud.InstanceType, bool) {
	i, found := slices.BinarySearchFunc(f.Types, name, func(t cloud.InstanceType, name string) int {
		return strings.Compare(t.Name, name)
	})
	if !found {
		return cloud.InstanceType{}, false
	}
	return f.Types[i], true
}

// Offerings answers spot and on-demand offerings for every type with a price in every zone of the region that is known
// to have it, sorted by key. Spot prices are estimates. A region without known zones has no offerings.
func (f Facts) Offerings(region string) []cloud.Offering {
	var all []cloud.Offering
	for _, t := range f.Types {
		price, known := f.OnDemandMicroUSD[t.Name]
		if !known {
			continue
		}
		for _, zone := range f.Zones[region][t.Name] {
			all = append(all,
				offering(t.Name, zone, cloud.OnDemand, price),
				offering(t.Name, zone, cloud.Spot, SpotEstimate(t.Name, zone, price)))
		}
	}
	slices.SortFunc(all, func(a, b cloud.Offering) int { return a.OfferingKey.Compare(b.OfferingKey) })
	return all
}

func offering(instanceType, zone string, market cloud.Market, microUSD int64) cloud.Offering {
	return cloud.Offering{
		OfferingKey:          cloud.OfferingKey{InstanceType: instanceType, Zone: zone, Market: market},
		PriceMicroUSDPerHour: microUSD,
	}
}

const (
	spotPermille       = 300 // of the on-demand price, before the variation by zone
	spotSpreadPermille = 150 // the variation is within +/- this much of the estimate
	spotSeed           = "slipway-spot-1"
)

// SpotEstimate estimates a spot price per hour from the on-demand price: 0.30 of it, varied within 15 % by a hash of
// type and zone. It is a guess for want of a public list: real prices differ by type, region and hour. The variation
// only makes zones differ, as they do in truth, and is the same on every machine. The answer is at least 1.
func SpotEstimate(instanceType, zone string, onDemandMicroUSD int64) int64 {
	h := fnv.New64a()
	for _, part := range []string{spotSeed, instanceType, zone} {
		h.Write([]byte(part)) // a hash never answers an error
		h.Write([]byte{0})
	}
	factor := 1000 - spotSpreadPermille + int64(h.Sum64()%(2*spotSpreadPermille+1))
	return max(1, onDemandMicroUSD*spotPermille/1000*factor/1000)
}
