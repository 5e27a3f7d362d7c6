package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// viewOf states goods in Slipway's words: one Provisioner that may buy them all, no limit.
func viewOf(goods []good, markets []cloud.Market, zones []string) plan.View {
	v := plan.View{Now: time.Unix(1_700_000_000, 0).UTC(), Region: "us-east-1"}
	for _, g := range goods {
		v.Types = append(v.Types, g.InstanceType)
		for _, zone := range zones {
			for _, m := range markets {
				v.Offerings = append(v.Offerings, plan.Offering{Stock: -1, Offering: cloud.Offering{
					OfferingKey:          cloud.OfferingKey{InstanceType: g.Name, Zone: zone, Market: m},
					PriceMicroUSDPerHour: g.microUSD,
				}})
			}
		}
	}
	slices.SortFunc(v.Offerings, func(a, b plan.Offering) int { return a.Compare(b.OfferingKey) })
	slices.SortFunc(v.Types, func(a, b cloud.InstanceType) int { return cmp.Compare(a.Name, b.Name) })
	allowed := make([]string, len(markets))
	for i, m := range markets {
		allowed[i] = string(m)
	}
	v.Provisioners = []plan.Provisioner{{
		Object: v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "bench", UID: "bench"}, Spec: v1alpha1.ProvisionerSpec{
			Requirements: []corev1.NodeSelectorRequirement{{Key: v1alpha1.LabelCapacityType, Operator: corev1.NodeSelectorOpIn, Values: allowed}},
		}},
		Zones: zones, Architectures: []string{"amd64"}, Disk: plan.Disk{RootVolumeGiB: rootVolumeGiB},
	}}
	v.Daemons = []demand.Daemon{{Namespace: "kube-system", Name: "daemons", Requests: daemonOverhead}}
	return v
}

// askSlipway times the way from API objects to claims. steps as in plan.Policy.
func askSlipway(pods []*corev1.Pod, v plan.View, steps int) (asked, plan.Decision, error) {
	start := time.Now()
	v.Demands = demands(pods)
	d, err := plan.Grow(v, plan.Policy{Steps: steps})
	if err != nil {
		return asked{}, d, fmt.Errorf("growing: %w", err)
	}
	answer := asked{Seconds: time.Since(start).Seconds(), CostMicroUSD: d.CostMicroUSDPerHour, Nodes: len(d.Create)}
	for _, h := range d.Held {
		answer.PodsLeft += len(h.Pods)
	}
	return answer, d, nil
}

// demands reads pods as the controller does.
func demands(pods []*corev1.Pod) []demand.Demand {
	return demand.NewNeighbourhood(demand.Surroundings{Waiting: pods, Namespaces: map[string]map[string]string{"default": {}}}).Demands()
}
