package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
)

var _ cloud.Catalog = (*Catalog)(nil)

type catalogAPI interface {
	DescribeInstanceTypes(context.Context, *ec2.DescribeInstanceTypesInput, ...func(*ec2.Options)) (*ec2.DescribeInstanceTypesOutput, error)
	DescribeInstanceTypeOfferings(context.Context, *ec2.DescribeInstanceTypeOfferingsInput, ...func(*ec2.Options)) (*ec2.DescribeInstanceTypeOfferingsOutput, error)
	DescribeAvailabilityZones(context.Context, *ec2.DescribeAvailabilityZonesInput, ...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error)
	DescribeSpotPriceHistory(context.Context, *ec2.DescribeSpotPriceHistoryInput, ...func(*ec2.Options)) (*ec2.DescribeSpotPriceHistoryOutput, error)
}

// Names of the sources in Degradation.Source.
const (
	SourceInstanceTypes = "InstanceTypes"
	SourceOfferings     = "InstanceTypeOfferings"
	SourceZones         = "AvailabilityZones"
	SourceSpotPrices    = "SpotPriceHistory"
	SourcePricing       = "Pricing"
)

const (
	sourceTimeout = 15 * time.Second
	// on-demand prices change a few times a year, and the list is long
	pricingFreshFor = 12 * time.Hour
	// an endpoint that cannot be reached costs its timeout each time: not at every Load
	pricingRetryAfter = 30 * time.Minute
)

// Catalog implements cloud.Catalog. Load costs up to 4 EC2 requests and takes at most twice sourceTimeout, whatever
// does not answer; loads run one at a time.
type Catalog struct {
	region   string
	isolated bool
	now      func() time.Time
	ec2      catalogAPI
	pricing  pricingAPI

	mu       sync.Mutex
	types    source[map[string]cloud.InstanceType]
	zones    source[map[string][]string]
	zoneIDs  source[map[string]string]
	spot     source[map[spotKey]int64]
	onDemand source[map[string]int64]
	// pricingAgain is when Pricing is worth asking again; the message stays until then.
	pricingAgain   time.Time
	pricingProblem *cloud.Degradation
}

// source remembers the last good answer of one source of facts.
type source[T any] struct {
	last  T
	known bool
}

// settle takes an answer, or the error instead of it: then what is used is the last known, or else the fallback, and
// the degradation says so.
func (s *source[T]) settle(name string, answer T, err error, fallback T, fallbackName string) (T, *cloud.Degradation) {
	if err == nil {
		s.last, s.known = answer, true
		return answer, nil
	}
	used, value := "the last known answer is", s.last
	if !s.known {
		used, value = fallbackName, fallback
	}
	return value, &cloud.Degradation{Source: name, Message: fmt.Sprintf("%v; %s used instead; %s", err, used, remedy(err))}
}

func remedy(err error) string {
	var denied *cloud.DeniedError
	switch {
	case errors.As(err, &denied):
		return "allow " + denied.Action + " to the controller's role"
	case errors.Is(err, cloud.ErrThrottled):
		return "it is asked again at the next load; raise the account's API rate if this stays"
	}
	return "check that the endpoint can be reached from the controller"
}

// answers is what one round of questions brought: each a value or an error.
type answers struct {
	types    map[string]cloud.InstanceType
	zones    map[string][]string
	zoneIDs  map[string]string
	onDemand map[string]int64

	typesErr, zonesErr, zoneIDsErr, onDemandErr error
	askedPricing                                bool
}

// Load implements cloud.Catalog.
func (c *Catalog) Load(ctx context.Context) (cloud.Snapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	embedded := catalogue.Embedded()
	a := c.ask(ctx)
	if err := ctx.Err(); err != nil {
		return cloud.Snapshot{}, fmt.Errorf("loading the catalog: %w", err)
	}
	var problems []*cloud.Degradation
	noted := func(d *cloud.Degradation) { problems = append(problems, d) }

	types, d := c.types.settle(SourceInstanceTypes, a.types, a.typesErr, map[string]cloud.InstanceType{}, "the embedded instance types are")
	noted(d)
	zones, d := c.zones.settle(SourceOfferings, a.zones, a.zonesErr, embedded.Zones[c.region], "the embedded zones are")
	noted(d)
	zoneIDs, d := c.zoneIDs.settle(SourceZones, a.zoneIDs, a.zoneIDsErr, nil, "no zone IDs are")
	noted(d)
	types = withEmbedded(types, zones, embedded)
	if len(types) == 0 {
		return cloud.Snapshot{}, fmt.Errorf("loading the catalog: no GPU instance type is known to be offered in %s: %w",
			c.region, errors.Join(a.typesErr, a.zonesErr))
	}
	onDemand, d := c.settlePricing(a, embedded)
	noted(d)
	spot, d := c.settleSpot(ctx, types, zones, onDemand)
	noted(d)
	snapshot := assemble(types, zones, zoneIDs, onDemand, spot)
	for _, d := range problems {
		if d != nil {
			snapshot.Degraded = append(snapshot.Degraded, *d)
		}
	}
	if len(snapshot.Offerings) == 0 {
		return cloud.Snapshot{}, fmt.Errorf("loading the catalog: no price is known for any GPU instance type in %s: %s",
			c.region, describe(snapshot.Degraded))
	}
	return snapshot, nil
}

func describe(degraded []cloud.Degradation) string {
	var parts []string
	for _, d := range degraded {
		parts = append(parts, d.Source+": "+d.Message)
	}
	return strings.Join(parts, "; ")
}

// ask puts the questions that do not depend on each other at the same time, each within its own timeout.
func (c *Catalog) ask(ctx context.Context) answers {
	var a answers
	var wg sync.WaitGroup
	bounded := func(question func(context.Context)) {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
			defer cancel()
			question(ctx)
		})
	}
	bounded(func(ctx context.Context) { a.types, a.typesErr = c.fetchTypes(ctx) })
	bounded(func(ctx context.Context) { a.zones, a.zonesErr = c.fetchZones(ctx) })
	bounded(func(ctx context.Context) { a.zoneIDs, a.zoneIDsErr = c.fetchZoneIDs(ctx) })
	if !c.isolated && !c.now().Before(c.pricingAgain) {
		a.askedPricing = true
		bounded(func(ctx context.Context) { a.onDemand, a.onDemandErr = c.fetchOnDemand(ctx) })
	}
	wg.Wait()
	return a
}

// withEmbedded adds types that EC2 offers and no longer describes (p3), and drops what no zone offers.
func withEmbedded(types map[string]cloud.InstanceType, zones map[string][]string, embedded catalogue.Facts) map[string]cloud.InstanceType {
	all := map[string]cloud.InstanceType{}
	for name := range zones {
		if t, described := types[name]; described {
			all[name] = t
		} else if t, known := embedded.Type(name); known {
			all[name] = t
		}
	}
	return all
}

// assemble pairs types, zones and prices. A zone out of service (no ID while others have one) offers nothing.
func assemble(
	types map[string]cloud.InstanceType, zones map[string][]string, zoneIDs map[string]string,
	onDemand map[string]int64, spot map[spotKey]int64,
) cloud.Snapshot {
	var s cloud.Snapshot
	for _, name := range slices.Sorted(maps.Keys(types)) {
		s.Types = append(s.Types, types[name])
		for _, zone := range zones[name] {
			id, inService := zoneIDs[zone]
			if len(zoneIDs) > 0 && !inService {
				continue
			}
			for market, price := range map[cloud.Market]int64{cloud.OnDemand: onDemand[name], cloud.Spot: spot[spotKey{name, zone}]} {
				if price > 0 {
					key := cloud.OfferingKey{InstanceType: name, Zone: zone, Market: market}
					s.Offerings = append(s.Offerings, cloud.Offering{OfferingKey: key, ZoneID: id, PriceMicroUSDPerHour: price})
				}
			}
		}
	}
	slices.SortFunc(s.Offerings, func(a, b cloud.Offering) int { return a.OfferingKey.Compare(b.OfferingKey) })
	return s
}
