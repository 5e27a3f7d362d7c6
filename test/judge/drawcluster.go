package judge

import (
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// cluster draws the nodes that there are and the pods on them.
func (d *draw) cluster(templates []*corev1.Pod) {
	if !d.on[running] {
		return
	}
	for range 1 + d.IntN(5) {
		n := d.node()
		d.add(n, "node")
		n.Labels[corev1.LabelHostname] = n.Name
		onNode := daemonPods(&d.world, n)
		for _, p := range onNode {
			d.objects = append(d.objects, p)
		}
		d.driver(n.Name)
		d.occupy(n, templates, onNode)
	}
}

// driver says how many volumes a node can attach. Where the driver has not begun to run there is nobody to say so.
func (d *draw) driver(node string) {
	if !d.on[volumes] {
		return
	}
	c := driverOn(node, int64(pick(d, -1, 1, 2, 25)))
	switch {
	case d.chance(15):
		c.Spec.Drivers = nil
	case d.chance(15):
		return
	}
	d.add(c, "driver")
}

// node is one of somebody else, of a type on offer.
func (d *draw) node() *corev1.Node {
	kind := pick(d, d.types...)
	key := cloud.OfferingKey{InstanceType: kind.Name, Zone: pick(d, d.offerings...).Zone, Market: pick(d, cloud.Spot, cloud.OnDemand)}
	n := newNode(kind, key, nil, offered(kind, nil))
	if d.chance(10) {
		delete(n.Labels, corev1.LabelTopologyZone)
	}
	if d.chance(30) {
		n.Labels[rack] = pick(d, "r1", "r2", "7")
	}
	if d.often(taints, 30) {
		n.Spec.Taints = []corev1.Taint{pick(d, taintList...)}
	}
	if d.often(leaving, 25) {
		switch d.IntN(3) {
		case 0:
			n.Spec.Unschedulable = true
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
		case 1:
			n.Status.Conditions[0].Status = corev1.ConditionUnknown
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule})
		case 2:
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeDiskPressure, Effect: corev1.TaintEffectNoSchedule})
		}
	}
	return n
}

// newNode is a ready node.
func newNode(kind cloud.InstanceType, key cloud.OfferingKey, own map[string]string, allocatable corev1.ResourceList) *corev1.Node {
	n := &corev1.Node{}
	n.Labels = maps.Clone(own)
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	maps.Copy(n.Labels, plan.TypeLabels(kind))
	maps.Copy(n.Labels, plan.PlaceLabels(key, region, "use1-az"+key.Zone[len(key.Zone)-1:]))
	maps.DeleteFunc(n.Labels, func(_, value string) bool { return value == "" })
	n.Status.Allocatable = allocatable
	n.Status.Capacity = n.Status.Allocatable
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	return n
}

// occupy puts pods onto a node: copies of the workloads and others like them, some without a GPU.
func (d *draw) occupy(n *corev1.Node, templates []*corev1.Pod, there []*corev1.Pod) {
	free := demand.FromList(n.Status.Allocatable, demand.RoundDown)
	for _, p := range there {
		free = free.Sub(demand.Requests(p))
	}
	for i := range d.IntN(4) {
		t := pick(d, templates...)
		if d.chance(50) {
			t = d.template(fmt.Sprintf("r%d", i))
		}
		p := copyOf(t)
		if d.often(resized, 50) {
			d.resize(p)
		}
		if d.chance(40) {
			p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: amounts("cpu", "200m", "memory", "100Mi")}
		}
		if requests := demand.Requests(p); requests.Fits(free) {
			free = free.Sub(requests)
			d.settle(p, n)
		}
	}
}

// resize gives a pod what the kubelet says while its resources are changed in place: what it has promised, what the containers have, and whether
// that can be.
func (d *draw) resize(p *corev1.Pod) {
	size := func() corev1.ResourceList {
		return amounts("cpu", pick(d, "100m", "6", "14"), "memory", pick(d, "64Mi", "9Gi", "50Gi"))
	}
	c := corev1.ContainerStatus{Name: p.Spec.Containers[0].Name}
	if d.chance(70) {
		c.AllocatedResources = size()
	}
	if d.chance(70) {
		c.Resources = &corev1.ResourceRequirements{Requests: size()}
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{c}
	if d.chance(50) {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodResizePending, Status: corev1.ConditionTrue,
			Reason: pick(d, corev1.PodReasonDeferred, corev1.PodReasonInfeasible)})
	}
}

// settle puts a pod onto a node: it runs there, or is about to leave or to come.
func (d *draw) settle(p *corev1.Pod, n *corev1.Node) {
	p.Spec.NodeName, p.Status.Phase = n.Name, corev1.PodRunning
	d.add(p, "run")
	d.claimsOf(p)
	d.bound(p, n)
	switch {
	case d.often(leaving, 20):
		end := metav1.NewTime(noon.Add(30e9))
		p.DeletionTimestamp, p.Finalizers = &end, []string{"test/stays"}
	case d.often(leaving, 15):
		p.Spec.NodeName, p.Status.NominatedNodeName, p.Status.Phase = "", n.Name, corev1.PodPending
		priority := int32(1000)
		p.Spec.Priority = &priority
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}}
		if a := p.Spec.Affinity; a != nil && a.PodAffinity != nil { // a pod is nominated only to where it will fit
			a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution = nil
		}
		d.victim(p, n)
	case d.often(leaving, 10):
		p.Status.Phase = corev1.PodSucceeded
	}
}

// victim is a pod that leaves the node to the one that preempts it.
func (d *draw) victim(by *corev1.Pod, n *corev1.Node) {
	p := &corev1.Pod{}
	p.Namespace, p.Labels = by.Namespace, map[string]string{"app": "old"}
	p.Spec.Containers = []corev1.Container{{Name: "main"}}
	p.Spec.NodeName, p.Status.Phase = n.Name, corev1.PodRunning
	end := metav1.NewTime(noon.Add(30e9))
	p.DeletionTimestamp, p.Finalizers = &end, []string{"test/stays"}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler}}
	d.add(p, "victim")
}

// bound binds the claims of a pod that runs to volumes in its node's zone.
func (d *draw) bound(p *corev1.Pod, n *corev1.Node) {
	names := map[string]bool{}
	for i := range p.Spec.Volumes {
		if v := &p.Spec.Volumes[i]; v.PersistentVolumeClaim != nil {
			names[v.PersistentVolumeClaim.ClaimName] = true
		} else if v.Ephemeral != nil {
			names[p.Name+"-"+v.Name] = true
		}
	}
	each(&d.world, func(c *corev1.PersistentVolumeClaim) {
		if c.Namespace == p.Namespace && names[c.Name] && c.Spec.VolumeName == "" {
			pv := provisioned(c, n)
			d.add(pv, "pv")
			bindTo(c, pv)
		}
	})
}

func (d *draw) daemonSets() {
	if !d.on[daemons] {
		return
	}
	for range 1 + d.IntN(2) {
		ds := &appsv1.DaemonSet{}
		// A workload's topology spread counts none of them: what DaemonSets' pods on nodes to be bought mean for others' spread and affinity
		// over zones is not foreseen.
		ds.Namespace = systemSpace
		t := &ds.Spec.Template
		t.Labels = map[string]string{"name": "agent"}
		t.Spec.Containers = []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{
			Requests: amounts("cpu", pick(d, "100m", "600m", "2"), "memory", pick(d, "100Mi", "3Gi"))}}}
		if d.on[taints] {
			d.tolerations(&t.Spec)
		}
		if d.on[selectors] {
			d.selection(&t.Spec)
		}
		if d.often(ports, 50) {
			d.hostPorts(&t.Spec)
		}
		if d.chance(15) {
			t.Spec.Containers[0].Resources.Limits = amounts("cpu", "2", "ephemeral-storage", "5Gi")
		}
		d.add(ds, "ds")
	}
}

// claims draws nodes that are on their way, some of them for pods that wait.
func (d *draw) claims() {
	if !d.on[inFlight] {
		return
	}
	var pools []*v1alpha1.Provisioner
	var waits []*corev1.Pod
	each(&d.world, func(p *v1alpha1.Provisioner) { pools = append(pools, p) })
	each(&d.world, func(p *corev1.Pod) {
		if p.Spec.NodeName == "" && p.Status.NominatedNodeName == "" {
			waits = append(waits, p)
		}
	})
	for range 1 + d.IntN(2) {
		d.add(d.nodeClaim(pick(d, pools...), waits), "claim")
	}
}

func (d *draw) nodeClaim(pool *v1alpha1.Provisioner, waits []*corev1.Pod) *v1alpha1.NodeClaim {
	first := pick(d, d.offerings...)
	kind := d.kind(first.InstanceType)
	c := &v1alpha1.NodeClaim{Spec: v1alpha1.NodeClaimSpec{Provisioner: pool.Name, NodeClassRef: pool.Spec.NodeClassRef, Market: string(first.Market),
		GPUs: int32(kind.GPU.Count), Labels: pool.Spec.Template.Labels, Taints: pool.Spec.Template.Taints,
		StartupTaints: pool.Spec.Template.StartupTaints, Kubelet: pool.Spec.Template.Kubelet, Debit: plan.Usage(kind, first.PriceMicroUSDPerHour)}}
	for _, o := range d.offerings {
		if o.OfferingKey == first.OfferingKey || o.Market == first.Market && d.kind(o.InstanceType).GPU.Count == kind.GPU.Count && d.chance(20) {
			c.Spec.Choices = append(c.Spec.Choices, v1alpha1.InstanceChoice{InstanceType: o.InstanceType, Zone: o.Zone, PricePerHour: "1"})
		}
	}
	if d.chance(50) {
		c.Status.InstanceType, c.Status.Zone = first.InstanceType, first.Zone
		c.Status.ProviderID = "aws:///" + first.Zone + "/i-1"
	}
	return c
}

func (w *world) kind(name string) cloud.InstanceType {
	i := slices.IndexFunc(w.types, func(t cloud.InstanceType) bool { return t.Name == name })
	if i < 0 {
		return cloud.InstanceType{}
	}
	return w.types[i]
}
