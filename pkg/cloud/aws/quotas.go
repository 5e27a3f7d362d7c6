package aws

import (
	"context"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
)

// VCPUQuota is a quota of running machines in the account and region, all of them, not only this cluster's.
type VCPUQuota struct {
	Code   string // of Service Quotas: L-DB2E81BA
	Name   string // as EC2 calls it
	Market cloud.Market
	Limit  int64 // vCPUs
	Used   int64 // vCPUs that run or are being launched
	// Smallest is the vCPUs of the smallest machine with GPUs that counts against it, of those that Slipway knows.
	Smallest int64
}

// vCPUQuotas are EC2's quotas for machines with GPUs, from Service Quotas' console and EC2's user guide. Spot alone counts P5 apart.
var vCPUQuotas = []VCPUQuota{ // read only
	{Code: "L-DB2E81BA", Name: "Running On-Demand G and VT instances", Market: cloud.OnDemand},
	{Code: "L-3819A6DF", Name: "All G and VT Spot Instance Requests", Market: cloud.Spot},
	{Code: "L-417A185B", Name: "Running On-Demand P instances", Market: cloud.OnDemand},
	{Code: "L-7212CCBC", Name: "All P4, P3 and P2 Spot Instance Requests", Market: cloud.Spot},
	{Code: codeP5Spot, Name: "All P5 Spot Instance Requests", Market: cloud.Spot},
}

const codeP5Spot = "L-C4BD4855"

// quotaCode answers the code of the quota that a machine counts against; empty: none of vCPUQuotas.
func quotaCode(instanceType string, market cloud.Market) string {
	spot := market == cloud.Spot
	switch bucket := cloud.QuotaBucket(instanceType); {
	case bucket == "G and VT" && spot:
		return "L-3819A6DF"
	case bucket == "G and VT":
		return "L-DB2E81BA"
	case bucket == "P" && spot && strings.HasPrefix(instanceType, "p5"):
		return codeP5Spot
	case bucket == "P" && spot:
		return "L-7212CCBC"
	case bucket == "P":
		return "L-417A185B"
	}
	return ""
}

// vCPUUsage answers the vCPUs that run or are being launched, by quota code.
func (s *Survey) vCPUUsage(ctx context.Context) (map[string]int64, error) {
	used := map[string]int64{}
	pages := ec2.NewDescribeInstancesPaginator(s.ec2, &ec2.DescribeInstancesInput{MaxResults: awssdk.Int32(1000), Filters: []ec2types.Filter{
		{Name: awssdk.String("instance-type"), Values: []string{"g*", "p*", "vt*"}},
		{Name: awssdk.String("instance-state-name"), Values: []string{string(cloud.InstancePending), string(cloud.InstanceRunning)}},
	}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, callError("ec2:DescribeInstances", err)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				market := cloud.OnDemand
				if i.InstanceLifecycle == ec2types.InstanceLifecycleTypeSpot {
					market = cloud.Spot
				}
				if i.CpuOptions != nil {
					used[quotaCode(string(i.InstanceType), market)] += int64(awssdk.ToInt32(i.CpuOptions.CoreCount)) * int64(awssdk.ToInt32(i.CpuOptions.ThreadsPerCore))
				}
			}
		}
	}
	return used, nil
}

// smallestMachines answers the vCPUs of the smallest machine by quota code.
func smallestMachines() map[string]int64 {
	smallest := map[string]int64{}
	for _, t := range catalogue.Embedded().Types {
		for _, market := range []cloud.Market{cloud.Spot, cloud.OnDemand} {
			key := quotaCode(t.Name, market)
			if known, seen := smallest[key]; !seen || int64(t.VCPUs) < known {
				smallest[key] = int64(t.VCPUs)
			}
		}
	}
	return smallest
}

// VCPUQuotas answers every quota for machines with GPUs with its usage to heed. It stops at the first that Service Quotas refuses.
func (s *Survey) VCPUQuotas(ctx context.Context) ([]VCPUQuota, error) {
	used, err := s.vCPUUsage(ctx)
	if err != nil {
		return nil, err
	}
	smallest := smallestMachines()
	var quotas []VCPUQuota
	for _, q := range vCPUQuotas {
		out, err := s.quotas.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: awssdk.String("ec2"), QuotaCode: awssdk.String(q.Code)})
		if err != nil {
			return nil, callError("servicequotas:GetServiceQuota", err)
		}
		if out.Quota != nil {
			q.Limit = int64(awssdk.ToFloat64(out.Quota.Value))
		}
		q.Used, q.Smallest = used[q.Code], smallest[q.Code]
		quotas = append(quotas, q)
	}
	return quotas, nil
}
