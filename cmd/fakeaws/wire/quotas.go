package wire

import (
	"net/http"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// unlimitedVCPUs is what Service Quotas says of a quota that the simulated cloud has not got.
const unlimitedVCPUs = 10000

// getServiceQuota answers EC2's quotas for machines with GPUs. The simulated cloud has one for all P spot machines, so both of EC2's are that.
func (s *Server) getServiceQuota(_ *http.Request, in struct{ ServiceCode, QuotaCode string }) (any, error) {
	quota, known := map[string]struct {
		name string
		key  sim.QuotaKey
	}{
		"L-DB2E81BA": {"Running On-Demand G and VT instances", sim.QuotaKey{Market: cloud.OnDemand, Bucket: "G and VT"}},
		"L-3819A6DF": {"All G and VT Spot Instance Requests", sim.QuotaKey{Market: cloud.Spot, Bucket: "G and VT"}},
		"L-417A185B": {"Running On-Demand P instances", sim.QuotaKey{Market: cloud.OnDemand, Bucket: "P"}},
		"L-7212CCBC": {"All P4, P3 and P2 Spot Instance Requests", sim.QuotaKey{Market: cloud.Spot, Bucket: "P"}},
		"L-C4BD4855": {"All P5 Spot Instance Requests", sim.QuotaKey{Market: cloud.Spot, Bucket: "P"}},
	}[in.QuotaCode]
	if !known || in.ServiceCode != "ec2" {
		return nil, badRequest("NoSuchResourceException", "The request failed because the specified quota %s does not exist.", in.QuotaCode)
	}
	limit := s.Cloud.QuotaVCPUs(quota.key)
	if limit == sim.Unlimited {
		limit = unlimitedVCPUs
	}
	return map[string]any{"Quota": map[string]any{
		"ServiceCode": "ec2", "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)", "QuotaCode": in.QuotaCode, "QuotaName": quota.name,
		"QuotaArn": s.arn("servicequotas", s.Cloud.Region(), "ec2/"+in.QuotaCode), "Value": float64(limit), "Unit": "None", "Adjustable": true,
	}}, nil
}
