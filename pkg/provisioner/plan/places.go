package plan

import (
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// landscape is where pods can be, for the rules about neighbours. Places are numbered: the offers, then the bins, then the nodes that stand and
// take nobody, which count for kube-scheduler all the same.
type landscape struct {
	list   []topology.Place
	world  *topology.World
	closed []*Node // the nodes of the last part
	wary   []int   // the offers whose nodes may keep a pod off by the pods of DaemonSets
	// selected and tolerated are the sets of those that pods with equal words about nodes accept, by these words.
	selected, tolerated map[string]binpack.Set
}

// daemonPorts are those of the host that the pods of DaemonSets will have taken on a node that is not there yet.
func (g *growth) daemonPorts(labels map[string]string, taints []corev1.Taint) []demand.HostPort {
	var ports []demand.HostPort
	for _, d := range g.daemons {
		if len(d.about.Ports) > 0 && d.match.Matches(labels, taints) {
			ports = append(ports, d.about.Ports...)
		}
	}
	return ports
}

// foresee adds to a place that has no node yet what the pods of DaemonSets will be to others there.
func (g *growth) foresee(p *topology.Place, b *bin) {
	for _, labels := range b.labels {
		p.Ports = append(p.Ports, g.daemonPorts(labels, b.taints)...)
	}
	for _, d := range g.daemons {
		stays := func(labels map[string]string) bool { return !d.match.Matches(labels, b.taints) }
		if len(d.about.Chosen)+len(d.about.Apart) > 0 && !slices.ContainsFunc(b.labels, stays) {
			p.Hold(&demand.Neighbours{Chosen: d.about.Chosen, Apart: d.about.Apart})
		}
	}
}

// daemonRepels tells whether a pod and one that a DaemonSet puts onto every new node like this keep each other away by anti-affinity.
func (g *growth) daemonRepels(labels map[string]string, taints []corev1.Taint, n *demand.Neighbours) bool {
	repels := func(terms []demand.Term, chosen []demand.SelectorKey) bool {
		return slices.ContainsFunc(terms, func(t demand.Term) bool {
			_, has := labels[t.TopologyKey]
			return (has || t.TopologyKey == topology.Hostname) && slices.Contains(chosen, t.Selector)
		})
	}
	return slices.ContainsFunc(g.daemons, func(d daemon) bool {
		return (repels(n.Apart, d.about.Chosen) || repels(d.about.Apart, n.Chosen)) && d.match.Matches(labels, taints)
	})
}

// wary tells whether a pod of a DaemonSet that comes onto a node of the offer has anything to do with other pods.
func (g *growth) wary(o *offer) bool {
	return slices.ContainsFunc(g.daemons, func(d daemon) bool {
		return len(d.about.Chosen)+len(d.about.Apart)+len(d.about.Ports) > 0 && d.match.Matches(o.labels, o.pool.taints)
	})
}

// findPlaces lists all places with the pods that are on them.
func (g *growth) findPlaces() {
	p := &g.places
	p.selected, p.tolerated = map[string]binpack.Set{}, map[string]binpack.Set{}
	p.list = make([]topology.Place, 0, len(g.offers)+len(g.bins)+len(g.view.Nodes))
	for i := range g.offers {
		o := &g.offers[i]
		p.list = append(p.list, topology.Place{Labels: []map[string]string{o.labels}, Ports: g.daemonPorts(o.labels, o.pool.taints)})
		if g.wary(o) {
			p.wary = append(p.wary, i)
		}
	}
	joined := map[string]*Node{}
	for i := range g.view.Nodes {
		joined[g.view.Nodes[i].Claim] = &g.view.Nodes[i]
	}
	taken := map[*Node]bool{}
	for i := range g.bins {
		b := &g.bins[i]
		n := b.node
		if n == nil {
			n = joined[b.claim.Object.Name]
		}
		taken[n] = true
		place := standing(b.labels, n)
		if n == nil {
			g.foresee(&place, b)
		}
		p.list = append(p.list, place)
	}
	for i := range g.view.Nodes {
		if n := &g.view.Nodes[i]; !taken[n] {
			p.list = append(p.list, standing([]map[string]string{n.Labels}, n))
			p.closed = append(p.closed, n)
		}
	}
	p.world = topology.NewWorld(p.list)
}

// standing is a place with what is on its node; a nil node is still on its way.
func standing(labels []map[string]string, n *Node) topology.Place {
	p := topology.Place{Labels: labels, Stands: true}
	if n != nil {
		p.Chosen, p.Lasting, p.Apart, p.Ports = n.Chosen, n.Lasting, slices.Clip(n.Apart), n.Ports
	}
	return p
}

// binAt answers the number of the place of a bin.
func (g *growth) binAt(b int) int { return len(g.offers) + b }

// selecting answers the places whose labels and name a demand's node selector and required node affinity accept, as a topology spread counts
// nodes: where volumes are is not looked at. What may turn out to be accepted is in it.
func (g *growth) selecting(d *demand.Demand) binpack.Set {
	only := nodesOnly(d)
	print := ""
	if len(only.NodeSelector) > 0 || only.Required != nil {
		text, _ := json.Marshal(only) // of strings: no error
		print = string(text)
	}
	if set, known := g.places.selected[print]; known {
		return set
	}
	m := only.Matcher()
	set := g.placesWhere(func(labels []map[string]string, n *Node, _ []corev1.Taint) bool {
		return slices.ContainsFunc(labels, func(l map[string]string) bool {
			if n == nil {
				return m.Matches(l, nil)
			}
			return m.MatchesNode(n.Name, l, nil)
		})
	})
	g.places.selected[print] = set
	return set
}

func nodesOnly(d *demand.Demand) demand.Selection {
	return demand.Selection{NodeSelector: d.Select.NodeSelector, Required: d.Select.Required}
}

// selectingAs tells whether a bin whose labels are not certain is one that selecting accepts if it turns out to have those of an index.
func (g *growth) selectingAs(d *demand.Demand, place, labels int) bool {
	only := nodesOnly(d)
	return only.Matcher().Matches(g.places.list[place].Labels[labels], nil)
}

// tolerating answers the places whose taints a demand tolerates.
func (g *growth) tolerating(d *demand.Demand) binpack.Set {
	only := demand.Selection{Tolerations: d.Select.Tolerations}
	text, _ := json.Marshal(only) // of strings: no error
	if set, known := g.places.tolerated[string(text)]; known {
		return set
	}
	m := only.Matcher()
	set := g.placesWhere(func(_ []map[string]string, _ *Node, taints []corev1.Taint) bool { return m.Tolerates(taints) })
	g.places.tolerated[string(text)] = set
	return set
}

func (g *growth) placesWhere(accepts func(labels []map[string]string, n *Node, taints []corev1.Taint) bool) binpack.Set {
	set := binpack.NewSet(len(g.places.list))
	for i := range g.offers {
		if accepts(g.places.list[i].Labels, nil, g.offers[i].pool.taints) {
			set.Add(i)
		}
	}
	for i := range g.bins {
		if accepts(g.bins[i].labels, g.bins[i].node, g.bins[i].taints) {
			set.Add(g.binAt(i))
		}
	}
	for i, n := range g.places.closed {
		if at := g.binAt(len(g.bins)) + i; accepts(g.places.list[at].Labels, n, n.Taints) {
			set.Add(at)
		}
	}
	return set
}
