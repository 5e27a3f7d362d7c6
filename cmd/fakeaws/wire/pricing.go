package wire

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

type productsInput struct {
	ServiceCode string
	Filters     []struct{ Type, Field, Value string }
	MaxResults  *int
	NextToken   string
}

func (s *Server) getProducts(_ *http.Request, in productsInput) (any, error) {
	if in.ServiceCode != "AmazonEC2" {
		return nil, badRequest("InvalidParameterException", "fakeaws has prices of AmazonEC2 only, not of %q", in.ServiceCode)
	}
	size, err := within("MaxResults", in.MaxResults, 100, 1, 100)
	if err != nil {
		return nil, err
	}
	list := []string{}
	for _, p := range s.products() {
		matched := true
		for _, f := range in.Filters {
			value, known := p.attributes[f.Field]
			matched = matched && known && strings.EqualFold(value, f.Value) && f.Type == "TERM_MATCH"
		}
		if matched {
			text, err := p.text()
			if err != nil {
				return nil, err
			}
			list = append(list, text)
		}
	}
	list, next, err := cut(list, in.NextToken, size)
	if err != nil {
		return nil, badRequest("InvalidNextTokenException", "%v", err)
	}
	answer := map[string]any{"FormatVersion": "aws_v1", "PriceList": list}
	if next != "" {
		answer["NextToken"] = next
	}
	return answer, nil
}

// product is an entry of the price list.
type product struct {
	sku        string
	attributes map[string]string
	micro      int64
}

// products answers the on-demand price of each type. The price list knows no zones; all have one price.
func (s *Server) products() []product {
	types := map[string]cloud.InstanceType{}
	for _, t := range s.Cloud.Types() {
		types[t.Name] = t
	}
	seen := map[string]bool{}
	var all []product
	for _, o := range s.Cloud.Offerings() {
		if o.Market != cloud.OnDemand || seen[o.InstanceType] {
			continue
		}
		seen[o.InstanceType] = true
		all = append(all, product{sku: fmt.Sprintf("FAKE%012d", len(all)+1), micro: o.PriceMicroUSDPerHour, attributes: map[string]string{
			"instanceType": o.InstanceType, "regionCode": s.Cloud.Region(), "operatingSystem": "Linux", "tenancy": "Shared",
			"preInstalledSw": "NA", "capacitystatus": "Used", "servicecode": "AmazonEC2", "marketoption": "OnDemand",
			"vcpu": strconv.Itoa(types[o.InstanceType].VCPUs), "gpu": strconv.Itoa(types[o.InstanceType].GPU.Count),
			"licenseModel": "No License required", "operation": "RunInstances",
		}})
	}
	return all
}

func (p product) text() (string, error) {
	term := p.sku + ".JRTCKXETXF"
	body, err := json.Marshal(map[string]any{
		"serviceCode": "AmazonEC2", "version": "20260801000000", "publicationDate": "2026-08-01T00:00:00Z",
		"product": map[string]any{"sku": p.sku, "productFamily": "Compute Instance", "attributes": p.attributes},
		"terms": map[string]any{"OnDemand": map[string]any{term: map[string]any{
			"sku": p.sku, "offerTermCode": "JRTCKXETXF", "effectiveDate": "2026-08-01T00:00:00Z",
			"priceDimensions": map[string]any{term + ".6YS6EN2CT7": map[string]any{
				"unit": "Hrs", "beginRange": "0", "endRange": "Inf", "rateCode": term + ".6YS6EN2CT7",
				"pricePerUnit": map[string]string{"USD": dollars(p.micro) + "0000"},
			}},
		}}},
	})
	if err != nil {
		return "", fmt.Errorf("writing the price of %s: %w", p.attributes["instanceType"], err)
	}
	return string(body), nil
}
