package main

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

const (
	region        = "us-east-1"
	zone          = "us-east-1a"
	rootVolumeGiB = 100
)

// daemons is what DaemonSets take of every node, as in the measurements that the goals come from.
var daemons = size{250, 640, 0, 6}

// kind is an instance type that may be bought.
type kind struct {
	cloud.InstanceType
	price int64 // micro-dollars per hour
	free  size  // what an empty node leaves to pods
}

// families are the machines that a row may buy.
var families = map[string]func(cloud.InstanceType) bool{
	"L4": func(t cloud.InstanceType) bool { return t.Family() == "g6" || t.Family() == "gr6" },
	"any": func(t cloud.InstanceType) bool {
		return t.GPU.Manufacturer == "nvidia" || t.GPU.Manufacturer == "NVIDIA"
	},
}

// kinds answers the amd64 machines with whole GPUs, none of bare metal, that are allowed and have an on-demand price, cheapest first.
func kinds(allowed func(cloud.InstanceType) bool) []kind {
	facts := catalogue.Embedded()
	var all []kind
	for _, t := range facts.Types {
		price, known := facts.OnDemandMicroUSD[t.Name]
		if !known || t.GPU.Count == 0 || t.BareMetal || t.Architecture != "amd64" || !allowed(t) {
			continue
		}
		r := plan.Allocatable(t, nil, plan.Disk{RootVolumeGiB: rootVolumeGiB})
		free := size{r[corev1.ResourceCPU], r[corev1.ResourceMemory], r[v1alpha1.ResourceGPU], r[corev1.ResourcePods]}
		all = append(all, kind{InstanceType: t, price: price, free: free.plus(daemons, -1)})
	}
	slices.SortFunc(all, func(a, b kind) int { return cmp.Or(cmp.Compare(a.price, b.price), cmp.Compare(a.Name, b.Name)) })
	return all
}

func resources(s size) demand.Resources {
	return demand.Resources{corev1.ResourceCPU: s[cpu], corev1.ResourceMemory: s[memory], v1alpha1.ResourceGPU: s[gpu], corev1.ResourcePods: s[places]}
}
