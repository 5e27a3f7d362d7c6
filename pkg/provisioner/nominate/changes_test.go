package nominate

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// drawDecision answers nodes n0..n4, some of claims, waiting pods with and without nominations, and places for some of them.
func drawDecision(t *rapid.T) (plan.View, plan.Decision) {
	var v plan.View
	var d plan.Decision
	for i := range 5 {
		n := plan.Node{Name: fmt.Sprint("n", i), Open: rapid.Bool().Draw(t, "open")}
		if rapid.Bool().Draw(t, "ours") {
			n.Claim = fmt.Sprint("c", i)
		}
		v.Nodes = append(v.Nodes, n)
	}
	names := []string{"", "n0", "n1", "n2", "n3", "n4", "gone"}
	for i := range rapid.IntRange(1, 12).Draw(t, "pods") {
		p := demand.Pod{UID: types.UID(fmt.Sprint("p", i)), Moving: rapid.IntRange(0, 5).Draw(t, "moving") == 0}
		if !p.Moving {
			p.Nominated = rapid.SampledFrom(names).Draw(t, "nominated")
		}
		v.Demands = append(v.Demands, demand.Demand{Key: fmt.Sprint(i), Pods: []demand.Pod{p}})
		place := plan.Placed{Pod: p.UID}
		switch name := fmt.Sprint(rapid.IntRange(0, 4).Draw(t, "at")); rapid.IntRange(0, 2).Draw(t, "place") {
		case 0:
			place.Node = "n" + name
		case 1:
			place.Claim = "c" + name
		default:
			continue // held, or a node is bought for it
		}
		d.Placed = append(d.Placed, place)
	}
	return v, d
}

// faults checks what changes lead to: a pod is nominated where the decision expects it and the node is open, or was nominated before to the node
// of the claim where it is expected, which is about to open; and nowhere else.
func faults(v plan.View, d plan.Decision, list []change) []string {
	var found []string
	now := map[types.UID]string{}
	for _, c := range list {
		if _, twice := now[c.pod.UID]; twice {
			found = append(found, fmt.Sprintf("pod %s is changed twice", c.pod.UID))
		}
		if c.to == c.pod.Nominated {
			found = append(found, fmt.Sprintf("pod %s is written for nothing", c.pod.UID))
		}
		now[c.pod.UID] = c.to
	}
	for _, dm := range v.Demands {
		p := dm.Pods[0]
		name, changed := now[p.UID]
		if p.Moving && changed {
			found = append(found, fmt.Sprintf("pod %s still runs and is nominated to %q", p.UID, name))
		}
		if !changed {
			name = p.Nominated
		}
		at := slices.IndexFunc(d.Placed, func(place plan.Placed) bool { return place.Pod == p.UID })
		node := slices.IndexFunc(v.Nodes, func(n plan.Node) bool { return n.Name == name })
		switch {
		case name == "" || p.Moving:
			if !p.Moving && at >= 0 && slices.ContainsFunc(v.Nodes, func(n plan.Node) bool { return n.Open && n.Name == d.Placed[at].Node }) {
				found = append(found, fmt.Sprintf("pod %s is not nominated to its open node", p.UID))
			}
		case at < 0 || node < 0:
			found = append(found, fmt.Sprintf("pod %s has no place and is nominated to %s", p.UID, name))
		case d.Placed[at].Node == name && v.Nodes[node].Open:
		case !changed && d.Placed[at].Claim != "" && d.Placed[at].Claim == v.Nodes[node].Claim:
		default:
			found = append(found, fmt.Sprintf("pod %s is nominated to %s, which is not open or not its place", p.UID, name))
		}
	}
	return found
}

func TestChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, d := drawDecision(t)
		for _, fault := range faults(v, d, changes(v, d)) {
			t.Error(fault)
		}
		for _, c := range withdrawn(v) {
			if c.to != "" {
				t.Errorf("withdrawing nominates pod %s to %s", c.pod.UID, c.to)
			}
		}
	})
}

// TestChanges_catches plants what must not happen.
func TestChanges_catches(t *testing.T) {
	v := plan.View{
		Nodes: []plan.Node{{Name: "n0", Open: true}, {Name: "n1", Claim: "c1"}},
		Demands: []demand.Demand{
			{Pods: []demand.Pod{{UID: "placed"}}}, {Pods: []demand.Pod{{UID: "held", Nominated: "n0"}}}, {Pods: []demand.Pod{{UID: "closed"}}},
			{Pods: []demand.Pod{{UID: "moving", Moving: true}}},
		},
	}
	d := plan.Decision{Placed: []plan.Placed{{Pod: "placed", Node: "n0"}, {Pod: "closed", Claim: "c1"}}}
	if found := faults(v, d, changes(v, d)); len(found) > 0 {
		t.Fatalf("found without a bug: %v", found)
	}
	right := changes(v, d)
	for name, planted := range map[string][]change{
		"a place is not nominated":         slices.DeleteFunc(slices.Clone(right), func(c change) bool { return c.pod.UID == "placed" }),
		"a held pod stays nominated":       slices.DeleteFunc(slices.Clone(right), func(c change) bool { return c.pod.UID == "held" }),
		"a node that is not open":          append(slices.Clone(right), change{demand.Pod{UID: "closed"}, "n1"}),
		"another node":                     {{demand.Pod{UID: "placed"}, "n1"}, {demand.Pod{UID: "held", Nominated: "n0"}, ""}},
		"a pod that still runs":            append(slices.Clone(right), change{demand.Pod{UID: "moving", Moving: true}, "n0"}),
		"twice":                            append(slices.Clone(right), right...),
		"what is there already is written": append(slices.Clone(right), change{demand.Pod{UID: "closed"}, ""}),
	} {
		if found := faults(v, d, planted); len(found) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}
