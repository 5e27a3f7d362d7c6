package main

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// market says which instance types may be bought. All are, on demand, at us-east-1's prices, in each of the zones.
type market func(t cloud.InstanceType) bool

var zones = []string{"zone-a", "zone-b", "zone-c", "zone-d"}

const (
	rootVolumeGiB = 100
	podsOfDaemons = 6 // that a node carries of DaemonSets
)

// daemonOverhead is what the DaemonSets of a usual EKS cluster take of every node.
var daemonOverhead = demand.Resources{corev1.ResourceCPU: 250, corev1.ResourceMemory: 640, corev1.ResourcePods: podsOfDaemons}

func anyNVIDIA(t cloud.InstanceType) bool {
	return t.GPU.Count > 0 && strings.EqualFold(t.GPU.Manufacturer, "nvidia") && t.Architecture == "amd64"
}

func noMetal(t cloud.InstanceType) bool { return anyNVIDIA(t) && t.Size() != "metal" }

func families(names ...string) market {
	return func(t cloud.InstanceType) bool { return noMetal(t) && slices.Contains(names, t.Family()) }
}

// good is an instance type with its price and what it leaves to pods, kubelet's share and that of DaemonSets taken off.
type good struct {
	cloud.InstanceType
	microUSD int64
	free     demand.Resources
}

// goods lists what may be bought, by name. Both programs are told exactly these numbers.
func (m market) goods() []good {
	facts := catalogue.Embedded()
	var list []good
	for _, t := range facts.Types {
		if price, known := facts.OnDemandMicroUSD[t.Name]; known && m(t) {
			list = append(list, good{t, price, plan.Allocatable(t, nil, plan.Disk{RootVolumeGiB: rootVolumeGiB}).Sub(daemonOverhead)})
		}
	}
	return list
}
