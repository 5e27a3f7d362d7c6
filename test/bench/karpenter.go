package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	fakeclient "sigs.k8s.io/controller-runtime/pkg/client/fake"
	v1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/cloudprovider/fake"
	"sigs.k8s.io/karpenter/pkg/controllers/provisioning/scheduling"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	"sigs.k8s.io/karpenter/pkg/events"
	"sigs.k8s.io/karpenter/pkg/operator/injection"
	"sigs.k8s.io/karpenter/pkg/operator/options"
	reqs "sigs.k8s.io/karpenter/pkg/scheduling"
	"sigs.k8s.io/karpenter/pkg/test"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// asked is a result of one program: what it took and what it would buy.
type asked struct {
	Seconds      float64 `json:"seconds"`
	CostMicroUSD int64   `json:"costMicroUSDPerHour"`
	Nodes        int     `json:"nodes"`
	PodsLeft     int     `json:"podsLeft"`
}

// karpenterTypes states goods in Karpenter's words.
func karpenterTypes(goods []good, capacityTypes []string, zones []string) []*cloudprovider.InstanceType {
	v1.WellKnownLabels.Insert(modelLabel)
	var list []*cloudprovider.InstanceType
	for _, g := range goods {
		var offerings cloudprovider.Offerings
		for _, zone := range zones {
			for _, capacityType := range capacityTypes {
				offerings = append(offerings, &cloudprovider.Offering{
					Available: true, Price: float64(g.microUSD) / 1e6,
					Requirements: reqs.NewLabelRequirements(map[string]string{
						v1.CapacityTypeLabelKey: capacityType, corev1.LabelTopologyZone: zone,
					}),
				})
			}
		}
		labels := plan.TypeLabels(g.InstanceType)
		list = append(list, &cloudprovider.InstanceType{
			Name: g.Name,
			Requirements: reqs.NewRequirements(
				reqs.NewRequirement(corev1.LabelInstanceTypeStable, corev1.NodeSelectorOpIn, g.Name),
				reqs.NewRequirement(corev1.LabelArchStable, corev1.NodeSelectorOpIn, g.Architecture),
				reqs.NewRequirement(corev1.LabelOSStable, corev1.NodeSelectorOpIn, string(corev1.Linux)),
				reqs.NewRequirement(corev1.LabelTopologyZone, corev1.NodeSelectorOpIn, zones...),
				reqs.NewRequirement(v1.CapacityTypeLabelKey, corev1.NodeSelectorOpIn, capacityTypes...),
				reqs.NewRequirement(modelLabel, corev1.NodeSelectorOpIn, labels[modelLabel]),
			),
			Offerings: offerings,
			Capacity:  quantities(g.free),
			Overhead:  &cloudprovider.InstanceTypeOverhead{},
		})
	}
	return list
}

func quantities(r demand.Resources) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, amount := range r {
		switch name {
		case corev1.ResourceCPU:
			list[name] = *resource.NewMilliQuantity(amount, resource.DecimalSI)
		case v1alpha1.ResourceGPU:
			list[name] = *resource.NewQuantity(amount/1000, resource.DecimalSI)
		case corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
			list[name] = *resource.NewQuantity(amount<<20, resource.BinarySI)
		default:
			list[name] = *resource.NewQuantity(amount, resource.DecimalSI)
		}
	}
	return list
}

// askKarpenter times Scheduler.Solve alone, as Karpenter's own benchmark does: building the scheduler and its topology is not counted.
func askKarpenter(pods []*corev1.Pod, instanceTypes []*cloudprovider.InstanceType) (asked, error) {
	ctx := options.ToContext(injection.WithControllerName(context.Background(), "provisioner"), test.Options())
	scheduler, err := newKarpenter(ctx, pods, instanceTypes)
	if err != nil {
		return asked{}, err
	}
	start := time.Now()
	results, err := scheduler.Solve(ctx, pods)
	if err != nil {
		return asked{}, fmt.Errorf("solving with Karpenter: %w", err)
	}
	answer := asked{Seconds: time.Since(start).Seconds(), Nodes: len(results.NewNodeClaims), PodsLeft: len(results.PodErrors)}
	for _, claim := range results.NewNodeClaims {
		cheapest, err := cheapestOf(claim)
		if err != nil {
			return asked{}, err
		}
		answer.CostMicroUSD += cheapest
	}
	return answer, nil
}

func newKarpenter(ctx context.Context, pods []*corev1.Pod, instanceTypes []*cloudprovider.InstanceType) (*scheduling.Scheduler, error) {
	pool := test.NodePool(v1.NodePool{Spec: v1.NodePoolSpec{Limits: v1.Limits{
		corev1.ResourceCPU: resource.MustParse("100000000"), corev1.ResourceMemory: resource.MustParse("100000000Gi"),
	}}})
	provider := fake.NewCloudProvider()
	provider.InstanceTypes = instanceTypes
	client, now := fakeclient.NewFakeClient(), &clock.RealClock{}
	cluster := state.NewCluster(now, client, provider)
	byPool := map[string][]*cloudprovider.InstanceType{pool.Name: instanceTypes}
	opts := []scheduling.Options{scheduling.NumConcurrentReconciles(5)} // as in Karpenter's benchmark and its controller
	topology, err := scheduling.NewTopology(ctx, client, cluster, nil, []*v1.NodePool{pool}, byPool, pods, opts...)
	if err != nil {
		return nil, fmt.Errorf("making Karpenter's topology: %w", err)
	}
	return scheduling.NewScheduler(ctx, client, []*v1.NodePool{pool}, cluster, nil, topology, byPool, nil,
		events.NewRecorder(&record.FakeRecorder{}), now, nil, nil, opts...), nil
}

// cheapestOf is what EC2 would sell for a claim: the cheapest offering that its requirements still allow.
func cheapestOf(claim *scheduling.NodeClaim) (int64, error) {
	best := math.Inf(1)
	for _, t := range claim.InstanceTypeOptions {
		for _, o := range t.Offerings.Available().Compatible(claim.Requirements) {
			best = min(best, o.Price)
		}
	}
	if math.IsInf(best, 1) {
		return 0, errors.New("a claim of Karpenter has no offering left")
	}
	return int64(math.Round(best * 1e6)), nil
}
