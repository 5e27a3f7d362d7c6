package judge

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// eachDemand is a bug in what is read of every waiting pod.
func eachDemand(change func(*demand.Demand)) bug {
	return bug{spoil: func(v *plan.View) {
		for i := range v.Demands {
			change(&v.Demands[i])
		}
	}}
}

// eachNode is a bug in what is read of every node.
func eachNode(change func(*plan.Node)) bug {
	return bug{spoil: func(v *plan.View) {
		for i := range v.Nodes {
			change(&v.Nodes[i])
		}
	}}
}

// eachSpread is a bug in what is read of every spread that a pod requires.
func eachSpread(change func(*demand.Spread)) bug {
	return eachDemand(func(d *demand.Demand) {
		d.Neighbours.Spread = slices.Clone(d.Neighbours.Spread)
		for i := range d.Neighbours.Spread {
			change(&d.Neighbours.Spread[i])
		}
	})
}

// misread is a field of an object that is not looked at, or taken for another.
func misread[T client.Object](change func(T)) bug {
	return bug{misread: func(o client.Object) {
		if typed, ok := o.(T); ok {
			change(typed)
		}
	}}
}

// eachTerm is a bug in how required pod affinity and anti-affinity is read.
func eachTerm(change func(*corev1.PodAffinityTerm)) bug {
	return misread(func(p *corev1.Pod) {
		if p.Spec.Affinity == nil {
			return
		}
		var lists [][]corev1.PodAffinityTerm
		if near := p.Spec.Affinity.PodAffinity; near != nil {
			lists = append(lists, near.RequiredDuringSchedulingIgnoredDuringExecution)
		}
		if apart := p.Spec.Affinity.PodAntiAffinity; apart != nil {
			lists = append(lists, apart.RequiredDuringSchedulingIgnoredDuringExecution)
		}
		for _, list := range lists {
			for i := range list {
				change(&list[i])
			}
		}
	})
}

func stripPorts(v *plan.View) {
	v.Daemons = slices.Clone(v.Daemons)
	for i := range v.Daemons {
		v.Daemons[i].Ports = nil
	}
}

// planted is a bug, and the features of the worlds in which it shows.
type planted struct {
	bug
	in []feature
}

// misplacing are bugs that put pods where they cannot be.
func misplacing() map[string]planted {
	everything := []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	return map[string]planted{
		"taints are ignored":       {eachDemand(func(d *demand.Demand) { d.Select.Tolerations = everything }), []feature{taints, running}},
		"node selectors are":       {eachDemand(func(d *demand.Demand) { d.Select.NodeSelector = nil }), []feature{selectors}},
		"node affinity is":         {eachDemand(func(d *demand.Demand) { d.Select.Required = nil }), []feature{selectors}},
		"closed nodes count":       {eachNode(func(n *plan.Node) { n.Open, n.Taints = true, nil }), []feature{running, leaving}},
		"DaemonSets are forgotten": {bug{spoil: func(v *plan.View) { v.Daemons = nil }}, []feature{daemons}},
		"requests are too small":   {eachDemand(func(d *demand.Demand) { d.Requests[corev1.ResourceCPU] /= 2 }), nil},
		"pods take no place":       {eachDemand(func(d *demand.Demand) { delete(d.Requests, corev1.ResourcePods) }), []feature{sizes}},
		"disks are not looked at":  {eachDemand(func(d *demand.Demand) { delete(d.Requests, corev1.ResourceEphemeralStorage) }), []feature{sizes}},
		"overhead is forgotten":    {misread(func(p *corev1.Pod) { p.Spec.Overhead = nil }), []feature{sizes}},
		"a sidecar is taken for an init container": {misread(func(p *corev1.Pod) {
			for i := range p.Spec.InitContainers {
				p.Spec.InitContainers[i].RestartPolicy = nil
			}
		}), []feature{sizes}},
		"resources of the whole pod are not looked at": {misread(func(p *corev1.Pod) { p.Spec.Resources = nil }), []feature{sizes}},
		"a resize in place is not":                     {misread(func(p *corev1.Pod) { p.Status.ContainerStatuses = nil }), []feature{running, resized}},
		"a driver that is missing is not missed": {misread(func(d *storagev1.CSIDriver) { d.Spec.PreventPodSchedulingIfMissing = nil }),
			[]feature{volumes, running}},
		"init containers are forgotten": {misread(func(p *corev1.Pod) { p.Spec.InitContainers = nil }), []feature{sizes}},
		"ports are forgotten":           {eachDemand(func(d *demand.Demand) { d.Neighbours.Ports = nil }), []feature{ports}},
		"ports of pods that run are":    {eachNode(func(n *plan.Node) { n.Ports = nil }), []feature{ports, running}},
		"ports of DaemonSets are":       {bug{spoil: stripPorts}, []feature{ports, daemons}},
		"what is closed is bought": {bug{spoil: func(v *plan.View) {
			for i := range v.Offerings {
				v.Offerings[i].Closed, v.Offerings[i].Stock = "", -1
			}
		}}, []feature{stockouts}},
		"claims on their way are not charged": {bug{spoil: func(v *plan.View) {
			for i := range v.Claims {
				v.Claims[i].Object.Spec.Debit = nil
			}
		}}, []feature{limited, inFlight}},
		"money is not counted": {misread(func(p *v1alpha1.Provisioner) { delete(p.Spec.Limits, v1alpha1.LimitCostPerHour) }), []feature{limited}},
		"volumes are anywhere": {eachDemand(func(d *demand.Demand) { d.Select.Also = nil }), []feature{volumes}},
		"any number of volumes attaches": {eachDemand(func(d *demand.Demand) { delete(d.Requests, demand.AttachableVolumes(driverEBS)) }),
			[]feature{volumes, running}},
		"a claim for one pod alone is for all": {misread(func(c *corev1.PersistentVolumeClaim) {
			c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		}), []feature{volumes}},
	}
}

// unneighbourly are bugs that put pods where others are, or are not.
func unneighbourly() map[string]planted {
	return map[string]planted{
		"the skew may be larger by one":     {eachSpread(func(s *demand.Spread) { s.MaxSkew++ }), []feature{spread, running}},
		"minDomains is forgotten":           {eachSpread(func(s *demand.Spread) { s.MinDomains = 0 }), []feature{spread}},
		"all nodes count for a spread":      {eachSpread(func(s *demand.Spread) { s.AnyNode = !s.AnyNode }), []feature{spread, selectors, running}},
		"taints count for a spread":         {eachSpread(func(s *demand.Spread) { s.HonorTaints = !s.HonorTaints }), []feature{spread, taints, running}},
		"pods that run do not count":        {eachNode(func(n *plan.Node) { n.Chosen, n.Lasting = nil, nil }), []feature{spread, running}},
		"affinity is dropped":               {eachDemand(func(d *demand.Demand) { d.Neighbours.Near = nil }), []feature{near}},
		"anti-affinity is dropped":          {eachDemand(func(d *demand.Demand) { d.Neighbours.Apart = nil }), []feature{apart}},
		"anti-affinity of pods that run is": {eachNode(func(n *plan.Node) { n.Apart = nil }), []feature{apart, running}},
		"nobody is chosen":                  {eachDemand(func(d *demand.Demand) { d.Neighbours.Chosen = nil }), []feature{apart, running}},
		"namespaceSelector is forgotten":    {eachTerm(func(t *corev1.PodAffinityTerm) { t.NamespaceSelector = nil }), []feature{apart, running}},
		"namespaces are":                    {eachTerm(func(t *corev1.PodAffinityTerm) { t.Namespaces = nil }), []feature{apart, running}},
		"matchLabelKeys of a spread are": {misread(func(p *corev1.Pod) {
			for i := range p.Spec.TopologySpreadConstraints {
				p.Spec.TopologySpreadConstraints[i].MatchLabelKeys = nil
			}
		}), []feature{spread, running}},
		"a pod's controller is not looked at": {misread(func(rs *appsv1.ReplicaSet) { rs.Name = "another" }), []feature{defaults}},
		"a pod's Services are not":            {misread(func(s *corev1.Service) { s.Spec.Selector = nil }), []feature{defaults}},
		"what the API server makes of mismatchLabelKeys is": {eachTerm(func(t *corev1.PodAffinityTerm) {
			if t.LabelSelector != nil && len(t.MismatchLabelKeys)+len(t.MatchLabelKeys) > 0 {
				t.MatchLabelKeys, t.MismatchLabelKeys = nil, nil
				t.LabelSelector.MatchExpressions = slices.DeleteFunc(t.LabelSelector.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool { return r.Key == hash })
			}
		}), []feature{near, running}},
	}
}

// patience is after how many worlds a bug counts as unnoticed.
const patience = 150

// TestDecisions_catches plants bugs, and expects kube-scheduler's plugins to refuse a placement of what is planned with them.
func TestDecisions_catches(t *testing.T) {
	for _, bugs := range []map[string]planted{misplacing(), unneighbourly()} {
		for name, p := range bugs {
			t.Run(name, func(t *testing.T) {
				for seed := range uint64(patience) {
					v, err := judge(t.Context(), worldWith(seed, p.in...), seed, p.bug)
					if err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
					if len(v.refused) > 0 {
						t.Logf("seed %d: %s", seed, v.refused[0])
						return
					}
				}
				t.Error("nobody noticed")
			})
		}
	}
}

// TestHeld_catches hides places from the planner: the pods that it then holds have one.
func TestHeld_catches(t *testing.T) {
	dreaded := func(list []corev1.Taint) {
		for i := range list {
			if list[i].Effect == corev1.TaintEffectPreferNoSchedule {
				list[i].Effect = corev1.TaintEffectNoSchedule
			}
		}
	}
	bugs := map[string]bug{
		"a zone is forgotten": {spoil: func(v *plan.View) {
			for i := range v.Provisioners {
				v.Provisioners[i].Zones = v.Provisioners[i].Zones[:1]
			}
		}},
		"machines are too small": {spoil: func(v *plan.View) {
			v.Types = slices.Clone(v.Types) // the world's own
			for i := range v.Types {
				v.Types[i].VCPUs, v.Types[i].MemoryMiB = 2, 8192
			}
		}},
		"a toleration is forgotten": eachDemand(func(d *demand.Demand) { d.Select.Tolerations = nil }),
		"what has reopened is closed": {spoil: func(v *plan.View) {
			for i := range v.Offerings {
				if v.Offerings[i].Stock > 0 {
					v.Offerings[i].Closed, v.Offerings[i].Stock = v1alpha1.HeldStockout, 0
				}
			}
		}},
		"a limit is smaller than it is": {misread: func(o client.Object) {
			if p, ok := o.(*v1alpha1.Provisioner); ok {
				for name, q := range p.Spec.Limits {
					q.Sub(resource.MustParse("1"))
					p.Spec.Limits[name] = q
				}
			}
		}},
		"what is preferred is required": {misread: func(o client.Object) {
			switch o := o.(type) {
			case *corev1.Node:
				dreaded(o.Spec.Taints)
			case *v1alpha1.Provisioner:
				dreaded(o.Spec.Template.Taints)
			}
		}},
	}
	for name, b := range bugs {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(patience) {
				w := worldWith(seed, selectors, taints, sizes, stockouts, limited)
				v, err := judge(t.Context(), w, seed, b)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if list := inexcusable(w, v); len(list) > 0 {
					t.Logf("seed %d: pod %s held for %s fits %s", seed, list[0].pod.Name, list[0].reason, list[0].node)
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}
