package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

type networkAPI interface {
	DescribeSubnets(context.Context, *ec2.DescribeSubnetsInput, ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error)
	DescribeSecurityGroups(context.Context, *ec2.DescribeSecurityGroupsInput, ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error)
}

// selectorFilters answers one list of filters for each question that must be asked: IDs together, names together, each
// set of tags by itself. IDs are a filter rather than a parameter: an ID that does not exist then matches nothing
// instead of failing the whole call, and the answer names the field.
func selectorFilters(terms []cloud.Selector, idFilter, nameFilter string) [][]ec2types.Filter {
	var ids, names []string
	var questions [][]ec2types.Filter
	for _, term := range terms {
		switch {
		case term.ID != "":
			ids = append(ids, term.ID)
		case term.Name != "" && nameFilter != "":
			names = append(names, term.Name)
		case len(term.Tags) > 0:
			questions = append(questions, tagFilters(term.Tags))
		}
	}
	if len(ids) > 0 {
		questions = append(questions, []ec2types.Filter{{Name: awssdk.String(idFilter), Values: ids}})
	}
	if len(names) > 0 {
		questions = append(questions, []ec2types.Filter{{Name: awssdk.String(nameFilter), Values: names}})
	}
	return questions
}

// tagFilters ANDs the tags; the value * asks for the key only.
func tagFilters(tags map[string]string) []ec2types.Filter {
	var filters []ec2types.Filter
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if tags[key] == "*" {
			filters = append(filters, ec2types.Filter{Name: awssdk.String("tag-key"), Values: []string{key}})
			continue
		}
		filters = append(filters, ec2types.Filter{Name: awssdk.String("tag:" + key), Values: []string{tags[key]}})
	}
	return filters
}

// subnets answers the selected subnets sorted by zone and ID.
func (t *Templates) subnets(ctx context.Context, terms []cloud.Selector) ([]cloud.Subnet, error) {
	found := map[string]cloud.Subnet{}
	for _, filters := range selectorFilters(terms, "subnet-id", "") {
		pages := ec2.NewDescribeSubnetsPaginator(t.network, &ec2.DescribeSubnetsInput{Filters: filters})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, callError("ec2:DescribeSubnets", err)
			}
			for _, s := range page.Subnets {
				id := awssdk.ToString(s.SubnetId)
				found[id] = cloud.Subnet{
					ID: id, Zone: awssdk.ToString(s.AvailabilityZone), ZoneID: awssdk.ToString(s.AvailabilityZoneId),
					FreeAddresses: int64(awssdk.ToInt32(s.AvailableIpAddressCount)),
				}
			}
		}
	}
	if len(found) == 0 {
		return nil, nothingMatches(fieldSubnets, "subnet", terms)
	}
	return slices.SortedFunc(maps.Values(found), func(a, b cloud.Subnet) int {
		return slices.Compare([]string{a.Zone, a.ID}, []string{b.Zone, b.ID})
	}), nil
}

// securityGroups answers the IDs of the selected groups, sorted.
func (t *Templates) securityGroups(ctx context.Context, terms []cloud.Selector) ([]string, error) {
	found, vpcs := map[string]bool{}, map[string]bool{}
	for _, filters := range selectorFilters(terms, "group-id", "group-name") {
		pages := ec2.NewDescribeSecurityGroupsPaginator(t.network, &ec2.DescribeSecurityGroupsInput{Filters: filters})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, callError("ec2:DescribeSecurityGroups", err)
			}
			for _, g := range page.SecurityGroups {
				found[awssdk.ToString(g.GroupId)] = true
				vpcs[awssdk.ToString(g.VpcId)] = true
			}
		}
	}
	if len(found) == 0 {
		return nil, nothingMatches(fieldSecurityGroups, "security group", terms)
	}
	if len(vpcs) > 1 {
		return nil, &cloud.MisconfiguredError{Field: fieldSecurityGroups, Message: fmt.Sprintf(
			"the selected security groups are in different VPCs (%s); narrow the terms to the VPC of the subnets",
			strings.Join(slices.Sorted(maps.Keys(vpcs)), ", "))}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

func nothingMatches(field, what string, terms []cloud.Selector) error {
	said := make([]string, len(terms))
	for i, term := range terms {
		switch {
		case term.ID != "":
			said[i] = "id " + term.ID
		case term.Name != "":
			said[i] = "name " + term.Name
		default:
			said[i] = "tags " + tagText(term.Tags)
		}
	}
	return &cloud.MisconfiguredError{Field: field, Message: fmt.Sprintf(
		"no %s in this account and region matches %s; correct the terms or tag a %s so that it matches",
		what, strings.Join(said, " or "), what)}
}

func tagText(tags map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		pairs = append(pairs, key+"="+tags[key])
	}
	return strings.Join(pairs, ",")
}
