package plan

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// aftermath is a View in which a decision has been carried out, every node is full, and one pod of a held demand is left.
func aftermath(v View, d Decision, h Held) View {
	v = again(fatal{}, v)
	v.Refused = nil
	settle(&v, d)
	for i := range v.Demands {
		if d := &v.Demands[i]; d.Key == h.Demand {
			d.Pods = h.Pods[:1]
		} else {
			d.Unsupported = "it waits for something else" // but the labels that it asks for are on offer as before
		}
	}
	for i := range v.Nodes {
		v.Nodes[i].Open, v.Nodes[i].Fenced = false, false
	}
	for _, c := range d.Create {
		v.Claims = append(v.Claims, Claim{Object: c})
		for i := range v.Offerings {
			o := &v.Offerings[i]
			if first := c.Spec.Choices[0]; o.InstanceType == first.InstanceType && o.Zone == first.Zone && o.Market == cloud.Market(c.Spec.Market) && o.Stock > 0 {
				o.Stock--
			}
		}
	}
	for i := range v.Claims { // in trouble: they count, and take no pod
		v.Claims[i].Object.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: "True"}}
	}
	return v
}

// settle puts the pods that a decision has found places for there, a node for each claim.
func settle(v *View, d Decision) {
	asks := map[types.UID]*demand.Neighbours{}
	for i := range v.Demands {
		for _, p := range v.Demands[i].Pods {
			asks[p.UID] = &v.Demands[i].Neighbours
		}
	}
	put := func(n *Node, pod types.UID) {
		p := standing(nil, n)
		p.Hold(asks[pod])
		n.Chosen, n.Lasting, n.Apart, n.Ports = p.Chosen, p.Lasting, p.Apart, p.Ports
	}
	of := func(name string, c *v1alpha1.NodeClaim) *Node {
		at := slices.IndexFunc(v.Nodes, func(n Node) bool { return n.Name == name || c != nil && n.Claim == c.Name })
		if at < 0 {
			first := c.Spec.Choices[0]
			key := cloud.OfferingKey{InstanceType: first.InstanceType, Zone: first.Zone, Market: cloud.Market(c.Spec.Market)}
			labels := TypeLabels(typesByName(v.Types)[first.InstanceType])
			maps.Copy(labels, PlaceLabels(key, v.Region, ""))
			maps.Copy(labels, OwnerLabels(c.Spec.Provisioner, c.Spec.NodeClassRef.Name))
			maps.Copy(labels, c.Spec.Labels)
			v.Nodes = append(v.Nodes, Node{Name: "of-" + c.Name, Claim: c.Name, Labels: labels})
			at = len(v.Nodes) - 1
		}
		return &v.Nodes[at]
	}
	for i := range d.Create {
		for _, ref := range d.Create[i].Spec.Pods {
			put(of("", &d.Create[i]), ref.UID)
		}
	}
	for _, p := range d.Placed {
		var claim *v1alpha1.NodeClaim
		for i := range v.Claims {
			if v.Claims[i].Object.Name == p.Claim {
				claim = &v.Claims[i].Object
			}
		}
		put(of(p.Node, claim), p.Pod)
	}
	slices.SortFunc(v.Nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
}

// drawCompany has one pod ask something of the pods that run. Others that wait ask for nothing: what they get is dealt along with it, and dealt
// anew after every decision, so that no remedy can be promised. Nor must it share a node with another: once it is alone, it would not have to.
func drawCompany(t *rapid.T, v *View) {
	x := demand.SelectorKey("app=x")
	zone := demand.Term{TopologyKey: corev1.LabelTopologyZone, Selector: x}
	port := []demand.HostPort{{Protocol: "TCP", Address: "0.0.0.0", Port: 80}}
	if len(v.Demands) == 0 || !rapid.Bool().Draw(t, "neighbours") {
		return
	}
	d := &v.Demands[rapid.IntRange(0, len(v.Demands)-1).Draw(t, "who")]
	d.Pods = d.Pods[:1]
	n := &d.Neighbours
	if rapid.Bool().Draw(t, "chosen") {
		n.Chosen = []demand.SelectorKey{x}
	}
	switch rapid.IntRange(0, 5).Draw(t, "asks") {
	case 0, 1:
		n.Near = []demand.Term{zone}
	case 2:
		n.Apart = []demand.Term{zone}
	case 3:
		n.Apart = []demand.Term{{TopologyKey: topology.Hostname, Selector: x}}
	case 4:
		n.Spread = []demand.Spread{{Term: zone, MaxSkew: 1, MinDomains: int32(rapid.IntRange(0, 3).Draw(t, "domains"))}}
	case 5:
		n.Ports = port
	}
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if rapid.Bool().Draw(t, "holds") {
			n.Chosen = map[demand.SelectorKey]int{x: 1}
			n.Lasting = n.Chosen
		}
		switch rapid.IntRange(0, 3).Draw(t, "repels") {
		case 0:
			n.Apart = []demand.Term{zone}
		case 1:
			n.Ports = port
		}
	}
	if len(v.Daemons) > 0 && rapid.IntRange(0, 2).Draw(t, "port") == 0 {
		v.Daemons[0].Ports = port
	}
}
