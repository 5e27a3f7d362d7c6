package judge

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// eachDemand is a bug in what is read of every waiting pod.
func eachDemand(change func(*demand.Demand)) spoil {
	return func(v *plan.View) {
		for i := range v.Demands {
			change(&v.Demands[i])
		}
	}
}

// eachNode is a bug in what is read of every node.
func eachNode(change func(*plan.Node)) spoil {
	return func(v *plan.View) {
		for i := range v.Nodes {
			change(&v.Nodes[i])
		}
	}
}

// eachSpread is a bug in what is read of every spread that a pod requires.
func eachSpread(change func(*demand.Spread)) spoil {
	return eachDemand(func(d *demand.Demand) {
		d.Neighbours.Spread = slices.Clone(d.Neighbours.Spread)
		for i := range d.Neighbours.Spread {
			change(&d.Neighbours.Spread[i])
		}
	})
}

func stripPorts(daemons []demand.Daemon) {
	for i := range daemons {
		daemons[i].Ports = nil
	}
}

// TestDecisions_catches plants bugs into what was gathered, and expects kube-scheduler's plugins to refuse a placement of what is planned
// with it.
func TestDecisions_catches(t *testing.T) {
	everything := []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	bugs := map[string]struct {
		plant spoil
		may   []feature
	}{
		"taints are ignored":       {eachDemand(func(d *demand.Demand) { d.Select.Tolerations = everything }), []feature{taints, running}},
		"node selectors are":       {eachDemand(func(d *demand.Demand) { d.Select.NodeSelector = nil }), []feature{selectors}},
		"node affinity is":         {eachDemand(func(d *demand.Demand) { d.Select.Required = nil }), []feature{selectors}},
		"closed nodes count":       {eachNode(func(n *plan.Node) { n.Open, n.Taints = true, nil }), []feature{running, leaving}},
		"DaemonSets are forgotten": {func(v *plan.View) { v.Daemons = nil }, []feature{daemons}},
		"requests are too small":   {eachDemand(func(d *demand.Demand) { d.Requests[corev1.ResourceCPU] /= 2 }), nil},
		"pods take no place":       {eachDemand(func(d *demand.Demand) { delete(d.Requests, corev1.ResourcePods) }), []feature{sizes}},

		"the skew may be larger by one":     {eachSpread(func(s *demand.Spread) { s.MaxSkew++ }), []feature{spread, running}},
		"minDomains is forgotten":           {eachSpread(func(s *demand.Spread) { s.MinDomains = 0 }), []feature{spread}},
		"all nodes count for a spread":      {eachSpread(func(s *demand.Spread) { s.AnyNode = !s.AnyNode }), []feature{spread, selectors, running}},
		"taints count for a spread":         {eachSpread(func(s *demand.Spread) { s.HonorTaints = !s.HonorTaints }), []feature{spread, taints, running}},
		"pods that run do not count":        {eachNode(func(n *plan.Node) { n.Chosen, n.Lasting = nil, nil }), []feature{spread, running}},
		"affinity is dropped":               {eachDemand(func(d *demand.Demand) { d.Neighbours.Near = nil }), []feature{near}},
		"anti-affinity is dropped":          {eachDemand(func(d *demand.Demand) { d.Neighbours.Apart = nil }), []feature{apart}},
		"anti-affinity of pods that run is": {eachNode(func(n *plan.Node) { n.Apart = nil }), []feature{apart, running}},
		"nobody is chosen":                  {eachDemand(func(d *demand.Demand) { d.Neighbours.Chosen = nil }), []feature{apart, running}},
		"ports are forgotten":               {eachDemand(func(d *demand.Demand) { d.Neighbours.Ports = nil }), []feature{ports}},
		"ports of pods that run are":        {eachNode(func(n *plan.Node) { n.Ports = nil }), []feature{ports, running}},
		"ports of DaemonSets are":           {func(v *plan.View) { v.Daemons = slices.Clone(v.Daemons); stripPorts(v.Daemons) }, []feature{ports, daemons}},
		"volumes are anywhere":              {eachDemand(func(d *demand.Demand) { d.Select.Also = nil }), []feature{volumes}},
		"any number of volumes attaches": {eachDemand(func(d *demand.Demand) { delete(d.Requests, demand.AttachableVolumes(driverEBS)) }),
			[]feature{volumes, running}},
	}
	for name, bug := range bugs {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(400) {
				v, err := judge(t.Context(), worldOf(seed, bug.may...), seed, bug.plant)
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

// TestHeld_catches hides what could be bought from the planner: the pods that it then holds have a place.
func TestHeld_catches(t *testing.T) {
	bugs := map[string]spoil{
		"a zone is forgotten": func(v *plan.View) {
			for i := range v.Provisioners {
				v.Provisioners[i].Zones = v.Provisioners[i].Zones[:1]
			}
		},
		"machines are too small": func(v *plan.View) {
			v.Types = slices.Clone(v.Types) // the world's own
			for i := range v.Types {
				v.Types[i].VCPUs, v.Types[i].MemoryMiB = 2, 8192
			}
		},
		"a toleration is forgotten": eachDemand(func(d *demand.Demand) { d.Select.Tolerations = nil }),
	}
	for name, bug := range bugs {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(400) {
				w := worldOf(seed, selectors, taints, sizes)
				v, err := judge(t.Context(), w, seed, bug)
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
