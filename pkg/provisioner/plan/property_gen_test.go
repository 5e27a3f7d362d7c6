package plan

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// drawnTypes are few, so that random Views hit the same ones often.
var drawnTypes = []string{"g4dn.12xlarge", "g4dn.metal", "g4dn.xlarge", "g5.2xlarge", "g5.48xlarge", "g5g.xlarge", "p3.8xlarge"}

// drawView draws a small cluster in which everything happens often: limits bind, offerings are closed, claims launch and leave, pods
// were promised places, refused, or are about to move. Lists are in their documented order.
func drawView(t *rapid.T) View {
	v := View{Now: noon, Region: "us-east-1"}
	facts := catalogue.Embedded()
	for _, name := range drawnTypes {
		kind, _ := facts.Type(name)
		v.Types = append(v.Types, kind)
	}
	for _, o := range facts.Offerings(v.Region) {
		if typesByName(v.Types)[o.InstanceType].Name != "" && o.Zone <= "us-east-1b" {
			v.Offerings = append(v.Offerings, drawOffering(t, o))
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "provisioners") {
		v.Provisioners = append(v.Provisioners, drawProvisioner(t, fmt.Sprintf("p%d", i)))
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "demands") {
		v.Demands = append(v.Demands, drawDemand(t, fmt.Sprintf("d%d", i)))
	}
	pods := podsOf(v)
	for i := range rapid.IntRange(0, 5).Draw(t, "claims") {
		c := drawClaimOf(t, fmt.Sprintf("c%d", i), pods)
		v.Claims = append(v.Claims, c)
		if rapid.Bool().Draw(t, "joined") {
			v.Nodes = append(v.Nodes, drawNode(t, v, &c))
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "foreign") == 0 {
		v.Nodes = append(v.Nodes, drawNode(t, v, nil))
	}
	if rapid.Bool().Draw(t, "daemon") {
		v.Daemons = append(v.Daemons, demand.Daemon{Namespace: "kube-system", Name: "agent", Select: drawSelection(t),
			Requests: demand.Resources{corev1.ResourceCPU: 500, corev1.ResourceMemory: 512, corev1.ResourcePods: 1}})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "arrivals") {
		d := drawDemand(t, fmt.Sprintf("a%d", i))
		v.Arrivals = append(v.Arrivals, Arrival{Key: d.Key, Requests: d.Requests, Select: d.Select,
			PerHourMilli: int64(rapid.IntRange(1, 40_000).Draw(t, "per hour"))})
	}
	if rapid.IntRange(0, 3).Draw(t, "orphan") == 0 {
		v.Orphans = append(v.Orphans, cloud.Instance{ID: "i-1", Provisioner: "p0", OfferingKey: drawKey(t)})
	}
	if len(pods) > 0 && rapid.IntRange(0, 3).Draw(t, "refused") == 0 {
		uid := rapid.SampledFrom(pods).Draw(t, "pod").UID
		v.Refused = map[types.UID]Refusal{uid: {Node: "n", Message: "no", Until: noon.Add(drawMinutes(t))}}
	}
	return v
}

func drawMinutes(t *rapid.T) time.Duration {
	return time.Duration(rapid.IntRange(-2, 2).Draw(t, "minutes")) * time.Minute
}

func drawOffering(t *rapid.T, o cloud.Offering) Offering {
	of := Offering{Offering: o, Stock: -1}
	switch rapid.IntRange(0, 9).Draw(t, "health") {
	case 0:
		of.Closed = rapid.SampledFrom([]v1alpha1.Reason{v1alpha1.HeldStockout, v1alpha1.HeldQuota, v1alpha1.HeldOutage}).Draw(t, "closed")
		of.Until = noon.Add(drawMinutes(t))
	case 1:
		of.Stock = rapid.IntRange(0, 2).Draw(t, "stock")
	case 2:
		of.RiskMilli = 300
	}
	return of
}

func drawKey(t *rapid.T) cloud.OfferingKey {
	return cloud.OfferingKey{InstanceType: rapid.SampledFrom(drawnTypes).Draw(t, "type"),
		Zone:   rapid.SampledFrom([]string{"us-east-1a", "us-east-1b"}).Draw(t, "zone"),
		Market: rapid.SampledFrom([]cloud.Market{cloud.Spot, cloud.OnDemand}).Draw(t, "market")}
}

var drawnRequirements = []corev1.NodeSelectorRequirement{
	{Key: v1alpha1.LabelInstanceFamily, Operator: corev1.NodeSelectorOpIn, Values: []string{"g4dn", "g5"}},
	{Key: v1alpha1.LabelInstanceFamily, Operator: corev1.NodeSelectorOpNotIn, Values: []string{"g5"}},
	{Key: v1alpha1.LabelCapacityType, Operator: corev1.NodeSelectorOpIn, Values: []string{"on-demand", "spot"}},
	{Key: v1alpha1.KarpenterCapacityType, Operator: corev1.NodeSelectorOpExists},
	{Key: v1alpha1.LabelInstanceCPU, Operator: corev1.NodeSelectorOpGt, Values: []string{"4"}},
	{Key: v1alpha1.KarpenterInstancePrefix + "cpu", Operator: corev1.NodeSelectorOpLt, Values: []string{"90"}},
	{Key: corev1.LabelArchStable, Operator: corev1.NodeSelectorOpExists},
	{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"us-east-1b"}},
	{Key: "example.com/team", Operator: corev1.NodeSelectorOpIn, Values: []string{"a", "b"}},
	{Key: "example.com/team", Operator: corev1.NodeSelectorOpNotIn, Values: []string{"b"}},
	{Key: "example.com/team", Operator: corev1.NodeSelectorOpExists},
	{Key: "example.com/team", Operator: corev1.NodeSelectorOpDoesNotExist},
	{Key: "example.com/rank", Operator: corev1.NodeSelectorOpGt, Values: []string{"3"}},
}

func drawRequirements(t *rapid.T, most int) []corev1.NodeSelectorRequirement {
	return rapid.SliceOfN(rapid.SampledFrom(drawnRequirements), 0, most).Draw(t, "requirements")
}

func drawTaints(t *rapid.T) []corev1.Taint {
	if rapid.IntRange(0, 2).Draw(t, "tainted") > 0 {
		return nil
	}
	return []corev1.Taint{{Key: "dedicated", Value: "gpu", Effect: corev1.TaintEffectNoSchedule}}
}

func drawProvisioner(t *rapid.T, name string) Provisioner {
	p := Provisioner{
		Object:        v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}},
		Zones:         []string{"us-east-1a", "us-east-1b"}[rapid.IntRange(0, 1).Draw(t, "zones"):],
		Architectures: []string{"amd64", "arm64"}[:rapid.IntRange(1, 2).Draw(t, "archs")], Disk: Disk{RootVolumeGiB: 100},
	}
	spec := &p.Object.Spec
	spec.NodeClassRef.Name = "default"
	spec.Weight = int32(rapid.IntRange(0, 1).Draw(t, "weight"))
	spec.Requirements = drawRequirements(t, 3)
	spec.Template.Taints = drawTaints(t)
	if rapid.IntRange(0, 4).Draw(t, "labelled") == 0 {
		spec.Template.Labels = map[string]string{v1alpha1.LabelInstanceFamily: "g4dn", "example.com/team": "a"}
	}
	limits := v1alpha1.Limits{}
	most := map[corev1.ResourceName]int{v1alpha1.LimitGPU: 20, v1alpha1.LimitNodes: 6, v1alpha1.LimitCostPerHour: 30,
		corev1.ResourceCPU: 200, v1alpha1.ResourceGPU: 20}
	for _, key := range sortedKeys(most) { // in order, or else rapid cannot draw the same again
		most := most[key]
		if n := rapid.IntRange(-most, most).Draw(t, string(key)); n >= 0 {
			limits[key] = *resource.NewQuantity(int64(n), resource.DecimalSI)
		}
	}
	spec.Limits = limits
	if rapid.IntRange(0, 5).Draw(t, "ready") == 0 {
		p.NotReady, p.NotReadyReason = "no subnet matches", v1alpha1.ReasonNodeClassNotReady
	}
	return p
}

func drawSelection(t *rapid.T) demand.Selection {
	var s demand.Selection
	if rapid.IntRange(0, 2).Draw(t, "selects") == 0 {
		s.NodeSelector = rapid.SampledFrom([]map[string]string{
			{"example.com/team": "a"}, {"example.com/team": "c"}, {corev1.LabelTopologyZone: "us-east-1a"}, {v1alpha1.LabelCapacityType: "spot"},
		}).Draw(t, "selector")
	}
	if list := drawRequirements(t, 2); len(list) > 0 && rapid.Bool().Draw(t, "required") {
		s.Required = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: list}}}
	}
	if list := drawRequirements(t, 1); len(list) > 0 {
		s.Preferred = []corev1.PreferredSchedulingTerm{{Weight: 1, Preference: corev1.NodeSelectorTerm{MatchExpressions: list}}}
	}
	if rapid.Bool().Draw(t, "tolerates") {
		s.Tolerations = []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}}
	}
	return s
}

func drawDemand(t *rapid.T, name string) demand.Demand {
	d := wish(name, rapid.IntRange(1, 6).Draw(t, "count"), int64(rapid.SampledFrom([]int{1, 1, 2, 4, 8, 16}).Draw(t, "gpus")))
	d.Requests[corev1.ResourceCPU] = int64(rapid.SampledFrom([]int{500, 3000, 12000, 200000}).Draw(t, "cpu"))
	d.Select = drawSelection(t)
	d.Priority = int32(rapid.IntRange(0, 1).Draw(t, "priority"))
	since := noon.Add(min(0, drawMinutes(t)))
	moving := rapid.IntRange(0, 4).Draw(t, "moving") == 0
	for i := range d.Pods {
		d.Pods[i].Since, d.Pods[i].Moving = since, moving
		if !moving {
			d.Pods[i].Nominated = rapid.SampledFrom([]string{"", "", "n-foreign", "n-c0", "n-gone"}).Draw(t, "nominated")
		}
	}
	if rapid.IntRange(0, 7).Draw(t, "odd") == 0 {
		d.Unsupported = "spec.volumes: not supported yet; use emptyDir"
	}
	return d
}

func drawClaimOf(t *rapid.T, name string, pods []demand.Pod) Claim {
	key := drawKey(t)
	kind, _ := catalogue.Embedded().Type(key.InstanceType)
	c := Claim{Object: v1alpha1.NodeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.NodeClaimSpec{
		Provisioner: rapid.SampledFrom([]string{"p0", "p1"}).Draw(t, "of"), NodeClassRef: v1alpha1.NodeClassRef{Name: "default"},
		Market: string(key.Market), GPUs: int32(kind.GPU.Count), Debit: Usage(kind, 1_000_000),
		Choices: []v1alpha1.InstanceChoice{{InstanceType: key.InstanceType, Zone: key.Zone, PricePerHour: "1"}},
	}}}
	for range rapid.IntRange(0, min(2, len(pods))).Draw(t, "promised") {
		p := rapid.SampledFrom(pods).Draw(t, "pod")
		c.Object.Spec.Pods = append(c.Object.Spec.Pods, v1alpha1.PodRef{Namespace: p.Namespace, Name: p.Name, UID: p.UID})
	}
	switch rapid.IntRange(0, 4).Draw(t, "state") {
	case 0:
		c.Leaving, c.Object.DeletionTimestamp = true, &metav1.Time{Time: noon}
	case 1:
		c.Leaving = true
		c.Object.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireIdle, Since: metav1.NewTime(noon)}
	case 2:
		c.Object.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: "True"}}
	}
	return c
}

func drawNode(t *rapid.T, v View, c *Claim) Node {
	key := drawKey(t)
	n := Node{Name: "n-foreign", QuietSince: noon.Add(min(0, drawMinutes(t))), CreatedAt: noon, IdleSince: noon.Add(min(0, drawMinutes(t)))}
	if c != nil {
		n.Name, n.Claim, n.Fenced = "n-"+c.Object.Name, c.Object.Name, c.Object.Status.Retire != nil
		key.InstanceType, key.Zone = c.Object.Spec.Choices[0].InstanceType, c.Object.Spec.Choices[0].Zone
	}
	n.Open = !n.Fenced && rapid.IntRange(0, 3).Draw(t, "open") > 0
	kind := typesByName(v.Types)[key.InstanceType]
	n.Labels = merged(TypeLabels(kind), PlaceLabels(key, v.Region, ""))
	n.Taints = drawTaints(t)
	n.Free = Allocatable(kind, nil, Disk{RootVolumeGiB: 100})
	n.Free[GPUResource(kind)] = 1000 * int64(rapid.IntRange(0, kind.GPU.Count).Draw(t, "free"))
	return n
}
