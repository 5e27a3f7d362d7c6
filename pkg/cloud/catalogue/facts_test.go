package catalogue_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
)

func TestEmbeddedKnowsTheTypesThatUsersAskFor(t *testing.T) {
	f := catalogue.Embedded()
	for name, tc := range map[string]struct {
		gpus  int
		model string
		price int64
	}{
		"g4dn.xlarge":   {1, "T4", 526_000},
		"g4dn.12xlarge": {4, "T4", 3_912_000},
		"p3.2xlarge":    {1, "V100", 3_060_000},
		"p3.8xlarge":    {4, "V100", 12_240_000},
		"p3.16xlarge":   {8, "V100", 24_480_000},
		"p4d.24xlarge":  {8, "A100", 21_957_642},
		"g6f.xlarge":    {0, "L4", 237_500},
	} {
		got, found := f.Type(name)
		if !found || got.GPU.Count != tc.gpus || got.GPU.Name != tc.model {
			t.Errorf("%s: got %+v, found %t", name, got, found)
		}
		if f.OnDemandMicroUSD[name] != tc.price {
			t.Errorf("%s: got price %d, want %d", name, f.OnDemandMicroUSD[name], tc.price)
		}
		if len(f.Zones["us-east-1"][name]) == 0 {
			t.Errorf("%s: no zones in us-east-1", name)
		}
	}
	if _, found := f.Type("m5.large"); found {
		t.Error("m5.large has no GPU and must not be here")
	}
	byName := func(a, b cloud.InstanceType) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(f.Types, byName) {
		t.Error("types are not sorted by name")
	}
}

func TestOfferingsArePricedSortedAndOfKnownTypes(t *testing.T) {
	f := catalogue.Embedded()
	all := f.Offerings("us-east-1")
	if len(all) == 0 {
		t.Fatal("no offerings")
	}
	for i, o := range all {
		if i > 0 && all[i-1].OfferingKey.Compare(o.OfferingKey) >= 0 {
			t.Errorf("%s is not after %s", o.OfferingKey, all[i-1].OfferingKey)
		}
		onDemand := f.OnDemandMicroUSD[o.InstanceType]
		switch o.Market {
		case cloud.OnDemand:
			if o.PriceMicroUSDPerHour != onDemand {
				t.Errorf("%s: got %d, want %d", o.OfferingKey, o.PriceMicroUSDPerHour, onDemand)
			}
		case cloud.Spot:
			if p := o.PriceMicroUSDPerHour * 1000 / onDemand; p < 254 || p > 345 {
				t.Errorf("%s: spot is %d permille of on-demand, want 255 to 345", o.OfferingKey, p)
			}
		}
	}
	if got := f.Offerings("mars-north-1"); len(got) != 0 {
		t.Errorf("an unknown region has offerings: %v", got)
	}
}

func TestEmbeddedAnswersAFreshCopy(t *testing.T) {
	catalogue.Embedded().OnDemandMicroUSD["g4dn.xlarge"] = 1
	if got := catalogue.Embedded().OnDemandMicroUSD["g4dn.xlarge"]; got != 526_000 {
		t.Errorf("a caller changed the embedded price to %d", got)
	}
}

func TestSpotEstimateDependsOnTheZone(t *testing.T) {
	prices := map[int64]bool{}
	for _, zone := range []string{"us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1f"} {
		prices[catalogue.SpotEstimate("g4dn.xlarge", zone, 526_000)] = true
	}
	if len(prices) < 3 {
		t.Errorf("five zones have %d distinct prices", len(prices))
	}
}
