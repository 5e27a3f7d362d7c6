package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
)

type pricingAPI interface {
	GetProducts(context.Context, *pricing.GetProductsInput, ...func(*pricing.Options)) (*pricing.GetProductsOutput, error)
}

// pricingRegion answers the nearest region that serves the price list; it is served in three (and one in China).
func pricingRegion(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "cn-northwest-1"
	case strings.HasPrefix(region, "ap-"):
		return "ap-south-1"
	case strings.HasPrefix(region, "eu-"), strings.HasPrefix(region, "me-"), strings.HasPrefix(region, "af-"), strings.HasPrefix(region, "il-"):
		return "eu-central-1"
	}
	return "us-east-1"
}

// fetchOnDemand answers the hourly on-demand price by instance type: Linux, shared tenancy, nothing preinstalled.
func (c *Catalog) fetchOnDemand(ctx context.Context) (map[string]int64, error) {
	var filters []pricingtypes.Filter
	for _, f := range [][2]string{
		{"regionCode", c.region}, {"operatingSystem", "Linux"}, {"tenancy", "Shared"},
		{"preInstalledSw", "NA"}, {"capacitystatus", "Used"},
	} {
		filters = append(filters, pricingtypes.Filter{
			Type: pricingtypes.FilterTypeTermMatch, Field: awssdk.String(f[0]), Value: awssdk.String(f[1]),
		})
	}
	pages := pricing.NewGetProductsPaginator(c.pricing, &pricing.GetProductsInput{
		ServiceCode: awssdk.String("AmazonEC2"), MaxResults: awssdk.Int32(100), Filters: filters,
	})
	prices := map[string]int64{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, callError("pricing:GetProducts", err)
		}
		for _, text := range page.PriceList {
			name, price, err := parseProduct(text)
			if err != nil {
				return nil, fmt.Errorf("reading the price list: %w", err)
			}
			// A type may be listed more than once; the lowest is the plain one, and does not depend on the order.
			if last, seen := prices[name]; price > 0 && (!seen || price < last) {
				prices[name] = price
			}
		}
	}
	if len(prices) == 0 {
		return nil, fmt.Errorf("the price list has no US dollar prices for region %s", c.region)
	}
	return prices, nil
}

// product is the part of a price list entry that is read.
type product struct {
	Product struct {
		Attributes struct {
			InstanceType    string `json:"instanceType"`
			OperatingSystem string `json:"operatingSystem"`
			Tenancy         string `json:"tenancy"`
			PreInstalledSW  string `json:"preInstalledSw"`
			CapacityStatus  string `json:"capacitystatus"`
		} `json:"attributes"`
	} `json:"product"`
	Terms struct {
		OnDemand map[string]struct {
			PriceDimensions map[string]struct {
				Unit         string            `json:"unit"`
				PricePerUnit map[string]string `json:"pricePerUnit"`
			} `json:"priceDimensions"`
		} `json:"OnDemand"`
	} `json:"terms"`
}

// parseProduct answers price 0 for an entry that is well formed and not a plain hourly price in dollars.
func parseProduct(text string) (instanceType string, microUSD int64, err error) {
	var p product
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return "", 0, err
	}
	a := p.Product.Attributes
	plain := func(said, want string) bool { return said == "" || said == want }
	if a.InstanceType == "" || !plain(a.OperatingSystem, "Linux") || !plain(a.Tenancy, "Shared") ||
		!plain(a.PreInstalledSW, "NA") || !plain(a.CapacityStatus, "Used") {
		return a.InstanceType, 0, nil
	}
	for _, term := range p.Terms.OnDemand {
		for _, d := range term.PriceDimensions {
			usd, priced := d.PricePerUnit["USD"]
			if !priced || d.Unit != "Hrs" {
				continue
			}
			price, err := cloud.ParseDollars(usd)
			if err != nil {
				return a.InstanceType, 0, fmt.Errorf("%s: %w", a.InstanceType, err)
			}
			if price > 0 && (microUSD == 0 || price < microUSD) {
				microUSD = price
			}
		}
	}
	return a.InstanceType, microUSD, nil
}

// settlePricing answers on-demand prices: what Pricing said within the last half day, over the embedded ones.
func (c *Catalog) settlePricing(a answers, embedded catalogue.Facts) (map[string]int64, *cloud.Degradation) {
	standIn := fmt.Sprintf("the embedded prices of %s (%s) are", embedded.PriceRegion, embedded.AsOf)
	switch {
	case c.isolated:
		_, c.pricingProblem = c.onDemand.settle(SourcePricing, nil, errors.New("the VPC is configured as isolated"), nil, standIn)
	case a.askedPricing:
		_, c.pricingProblem = c.onDemand.settle(SourcePricing, a.onDemand, a.onDemandErr, nil, standIn)
		c.pricingAgain = c.now().Add(pricingFreshFor)
		if a.onDemandErr != nil {
			c.pricingAgain = c.now().Add(pricingRetryAfter)
		}
	}
	prices := embedded.OnDemandMicroUSD
	maps.Copy(prices, c.onDemand.last)
	return prices, c.pricingProblem
}

// spotKey is an instance type in a zone.
type spotKey struct{ instanceType, zone string }

// settleSpot answers spot prices. Where EC2 answers, a pair without a price is not sold as spot.
func (c *Catalog) settleSpot(
	ctx context.Context, types map[string]cloud.InstanceType, zones map[string][]string, onDemand map[string]int64,
) (map[spotKey]int64, *cloud.Degradation) {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	answer, err := c.fetchSpot(ctx, slices.Sorted(maps.Keys(types)))
	estimates := map[spotKey]int64{}
	for name := range types {
		for _, zone := range zones[name] {
			if price := onDemand[name]; price > 0 {
				estimates[spotKey{name, zone}] = catalogue.SpotEstimate(name, zone, price)
			}
		}
	}
	return c.spot.settle(SourceSpotPrices, answer, err, estimates, "estimates (0.30 of on-demand) are")
}

// fetchSpot answers the newest price of each type and zone. A start time of now makes EC2 answer just those.
func (c *Catalog) fetchSpot(ctx context.Context, names []string) (map[spotKey]int64, error) {
	in := &ec2.DescribeSpotPriceHistoryInput{
		StartTime:           awssdk.Time(c.now()),
		ProductDescriptions: []string{"Linux/UNIX", "Linux/UNIX (Amazon VPC)"},
		MaxResults:          awssdk.Int32(1000),
	}
	for _, name := range names {
		in.InstanceTypes = append(in.InstanceTypes, ec2types.InstanceType(name))
	}
	prices, newest := map[spotKey]int64{}, map[spotKey]time.Time{}
	pages := ec2.NewDescribeSpotPriceHistoryPaginator(c.ec2, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, callError("ec2:DescribeSpotPriceHistory", err)
		}
		for _, p := range page.SpotPriceHistory {
			price, err := cloud.ParseDollars(awssdk.ToString(p.SpotPrice))
			if err != nil {
				return nil, fmt.Errorf("reading the spot price of %s: %w", p.InstanceType, err)
			}
			key := spotKey{string(p.InstanceType), awssdk.ToString(p.AvailabilityZone)}
			at := awssdk.ToTime(p.Timestamp)
			if last, seen := newest[key]; !seen || at.After(last) || at.Equal(last) && price < prices[key] {
				prices[key], newest[key] = price, at
			}
		}
	}
	return prices, nil
}
