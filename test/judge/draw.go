package judge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
)

// feature is a kind of constraint. A world has some of them: one that had all would place nothing.
type feature string

const (
	selectors feature = "selectors" // node selectors and affinity
	taints    feature = "taints"
	spread    feature = "spread"
	near      feature = "near"  // pod affinity
	apart     feature = "apart" // pod anti-affinity
	ports     feature = "ports"
	volumes   feature = "volumes"
	daemons   feature = "daemons"
	sizes     feature = "sizes" // init containers, ephemeral storage, network cards, pods limit
	running   feature = "running"
	inFlight  feature = "inflight"  // claims on their way
	leaving   feature = "leaving"   // pods that terminate, pods that are nominated, nodes that are closed
	custom    feature = "custom"    // labels that only a Provisioner gives
	manyPools feature = "manypools" // several Provisioners
	resized   feature = "resized"   // pods on nodes whose resources are changed in place
	stockouts feature = "stockouts" // offerings that are closed, or of which there are few
	limited   feature = "limited"   // Provisioners with limits
	defaults  feature = "defaults"  // spreads that the scheduler gives to pods without any
)

var features = []feature{selectors, taints, spread, near, apart, ports, volumes, daemons, sizes, running, inFlight, leaving, custom, manyPools,
	defaults, resized, stockouts, limited}

// draw makes a world out of a seed.
type draw struct {
	*rand.Rand
	world
	on    map[feature]bool
	named int
}

// worldOf answers the world of a seed, with about a third of the features that it may have.
func worldOf(seed uint64, may ...feature) *world {
	d := newDraw(seed)
	for _, f := range may {
		d.on[f] = d.chance(max(35, 100-15*len(may)))
	}
	return d.everything()
}

// worldWith answers a world of a seed that has the features.
func worldWith(seed uint64, features ...feature) *world {
	d := newDraw(seed)
	for _, f := range features {
		d.on[f] = true
	}
	return d.everything()
}

func newDraw(seed uint64) *draw {
	return &draw{Rand: rand.New(rand.NewPCG(seed, 0x51)), on: map[feature]bool{}}
}

func (d *draw) everything() *world {
	d.market()
	d.namespaces()
	d.provisioners()
	d.storage()
	d.daemonSets()
	templates := make([]*corev1.Pod, 1+d.IntN(4))
	for i := range templates {
		templates[i] = d.template(fmt.Sprintf("t%d", i))
	}
	d.spreadByDefault(templates)
	d.cluster(templates)
	d.waiting(templates)
	d.claims()
	return &d.world
}

// chance is true in percent of the cases.
func (d *draw) chance(percent int) bool { return d.IntN(100) < percent }

// often is chance where the feature is on, and false where it is not.
func (d *draw) often(f feature, percent int) bool { return d.on[f] && d.chance(percent) }

func pick[T any](d *draw, list ...T) T { return list[d.IntN(len(list))] }

// some answers between 1 and all of the list, in its order.
func some[T any](d *draw, list ...T) []T {
	var chosen []T
	must := d.IntN(len(list))
	for i, one := range list {
		if i == must || d.chance(40) {
			chosen = append(chosen, one)
		}
	}
	return chosen
}

// add puts an object into the world, under a name that no other has.
func (d *draw) add(o client.Object, prefix string) {
	d.named++
	if o.GetName() == "" {
		o.SetName(fmt.Sprintf("%s-%d", prefix, d.named))
	}
	o.SetUID(types.UID(fmt.Sprintf("uid-%s-%d", prefix, d.named)))
	o.SetResourceVersion("1")
	o.SetCreationTimestamp(metav1.NewTime(noon.Add(-1)))
	d.objects = append(d.objects, o)
}

// sold are types of 1, 4 and 8 GPUs, large and small in CPU and memory.
var sold = []string{"g4dn.xlarge", "g4dn.2xlarge", "g4dn.12xlarge", "g5.xlarge", "g5.4xlarge", "g5.12xlarge", "g5.48xlarge", "g6.xlarge", "g6.12xlarge", "p3.8xlarge"}

// market draws what EC2 sells.
func (d *draw) market() {
	zones := []string{"us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"}[:1+d.IntN(4)]
	d.zones = zones
	if d.chance(20) {
		d.zones = some(d, zones...)
	}
	facts := catalogue.Embedded()
	for _, name := range some(d, sold...) {
		kind, known := facts.Type(name)
		if !known {
			panic("the catalogue does not know " + name)
		}
		d.types = append(d.types, kind)
		for _, zone := range zones {
			if d.chance(15) {
				continue
			}
			for _, market := range []cloud.Market{cloud.Spot, cloud.OnDemand} {
				price := int64(kind.GPU.Count*500_000 + kind.VCPUs*20_000 + d.IntN(100_000))
				if market == cloud.Spot {
					price /= 3
				}
				d.offerings = append(d.offerings, cloud.Offering{OfferingKey: cloud.OfferingKey{InstanceType: name, Zone: zone, Market: market},
					ZoneID: "use1-az" + zone[len(zone)-1:], PriceMicroUSDPerHour: price})
			}
		}
	}
	if len(d.offerings) == 0 {
		d.offerings = append(d.offerings, cloud.Offering{OfferingKey: cloud.OfferingKey{InstanceType: d.types[0].Name, Zone: zones[0],
			Market: cloud.OnDemand}, PriceMicroUSDPerHour: 1_000_000})
	}
	slices.SortFunc(d.offerings, func(a, b cloud.Offering) int { return a.Compare(b.OfferingKey) })
	d.scarcity()
}

// scarcity draws what EC2 has none of, or little.
func (d *draw) scarcity() {
	d.scarce = map[cloud.OfferingKey]inventory.OfferingState{}
	for _, o := range d.offerings {
		switch {
		case d.often(stockouts, 35):
			d.scarce[o.OfferingKey] = inventory.OfferingState{Closed: pick(d, v1alpha1.HeldStockout, v1alpha1.HeldQuota, v1alpha1.HeldOutage),
				Until: noon.Add(time.Minute)}
		case d.often(stockouts, 30):
			d.scarce[o.OfferingKey] = inventory.OfferingState{Stock: 1 + d.IntN(2)}
		}
	}
}

var spaces = []string{"default", "lab-a", "lab-b"}

// systemSpace is that of DaemonSets.
const systemSpace = "kube-system"

func (d *draw) namespaces() {
	for _, name := range slices.Concat(spaces, []string{systemSpace}) {
		d.add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			corev1.LabelMetadataName: name, "kind": name[:3]}}}, "ns")
	}
}

// team is a label that only Provisioners give to nodes; rack one that only nodes of others, and some Provisioners, have.
const (
	team = "example.com/team"
	rack = "example.com/rack"
)

var taintList = []corev1.Taint{
	{Key: "dedicated", Value: "gpu", Effect: corev1.TaintEffectNoSchedule},
	{Key: "dedicated", Value: "lab", Effect: corev1.TaintEffectNoExecute},
	{Key: "old", Effect: corev1.TaintEffectPreferNoSchedule},
	{Key: "nvidia.com/gpu", Value: "true", Effect: corev1.TaintEffectNoSchedule},
}

func (d *draw) provisioners() {
	n := 1
	if d.on[manyPools] {
		n = 2 + d.IntN(2)
	}
	for range n {
		p := &v1alpha1.Provisioner{}
		spec := &p.Spec
		spec.NodeClassRef.Name = className
		spec.Weight = int32(pick(d, 0, 0, 10))
		if d.chance(60) {
			spec.Requirements = append(spec.Requirements, in(v1alpha1.LabelCapacityType, some(d, "spot", "on-demand")...))
		}
		if d.chance(15) {
			spec.Requirements = append(spec.Requirements, in(v1alpha1.LabelInstanceFamily, some(d, "g4dn", "g5", "g6", "p3")...))
		}
		if d.chance(10) {
			spec.Requirements = append(spec.Requirements, in(corev1.LabelTopologyZone, some(d, d.zones...)...))
		}
		if d.on[custom] {
			d.labels(spec)
		}
		if d.often(limited, 80) {
			d.limits(spec)
		}
		if d.often(taints, 50) {
			spec.Template.Taints = []corev1.Taint{pick(d, taintList...)}
		}
		if d.often(taints, 20) {
			spec.Template.StartupTaints = []corev1.Taint{{Key: "starting", Effect: corev1.TaintEffectNoSchedule}}
		}
		if d.often(sizes, 40) {
			few := int32(1 + d.IntN(6))
			spec.Template.Kubelet = &v1alpha1.Kubelet{MaxPods: &few}
		}
		d.add(p, "pool")
	}
}

func (d *draw) limits(spec *v1alpha1.ProvisionerSpec) {
	spec.Limits = v1alpha1.Limits{}
	for range 1 + d.IntN(2) {
		name := pick(d, v1alpha1.LimitGPU, v1alpha1.LimitGPU, v1alpha1.ResourceGPU, v1alpha1.LimitNodes, v1alpha1.LimitCostPerHour, corev1.ResourceCPU, corev1.ResourceMemory)
		most := map[corev1.ResourceName]int{corev1.ResourceCPU: 200, corev1.ResourceMemory: 800, v1alpha1.LimitNodes: 5}[name]
		if most == 0 {
			most = 16
		}
		text := fmt.Sprint(d.IntN(most))
		if name == corev1.ResourceMemory {
			text += "Gi"
		}
		spec.Limits[name] = resource.MustParse(text)
	}
}

// labels gives a Provisioner labels of its own, given or left open.
func (d *draw) labels(spec *v1alpha1.ProvisionerSpec) {
	switch d.IntN(5) {
	case 0:
		spec.Template.Labels = map[string]string{team: pick(d, "red", "blue")}
	case 1:
		spec.Requirements = append(spec.Requirements, in(team, "red", "blue"))
	case 2:
		spec.Requirements = append(spec.Requirements, corev1.NodeSelectorRequirement{Key: team, Operator: corev1.NodeSelectorOpExists})
	case 3:
		spec.Requirements = append(spec.Requirements, corev1.NodeSelectorRequirement{Key: team, Operator: corev1.NodeSelectorOpNotIn,
			Values: []string{"red"}})
	}
	if d.chance(40) {
		if spec.Template.Labels == nil {
			spec.Template.Labels = map[string]string{}
		}
		spec.Template.Labels[rack] = pick(d, "r1", "r2", "7")
	}
}

func in(key string, values ...string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: values}
}
