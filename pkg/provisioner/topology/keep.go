package topology

import (
	"maps"
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// Keeper looks whether pods may still go where they were meant to go, one after the other as kube-scheduler would, and counts those that do.
type Keeper struct {
	world  *World
	dealer *dealer
	asks   []*demand.Neighbours
}

// NewKeeper takes a class for each demand, and what the demands ask. The places of the World change with every pod that joins.
func NewKeeper(w *World, classes []Class, asks []*demand.Neighbours) *Keeper {
	return &Keeper{world: w, dealer: newDealer(w, classes, false), asks: asks}
}

// Join counts a pod of a class on a place that stands, and answers true, if no rule about its neighbours is in the way.
func (k *Keeper) Join(class, place int) bool {
	p, at := k.dealer.players[class], &k.world.places[place]
	n := k.asks[class]
	cell := &Cell{Places: binpack.NewSet(len(k.world.places)), covered: map[*tally]cover{}}
	for _, key := range p.keys {
		v := k.world.column(key).at[place]
		if v == unsure {
			return false
		}
		cell.at = append(cell.at, v)
	}
	if at.Refuses(n) || !k.joinsNode(p.Class, n, at) || p.broken(cell.at, p.hard) != passes || k.world.repelled(p.Chosen, place) {
		return false
	}
	cell.Places.Add(place)
	p.put(cell, 1)
	at.Hold(n)
	k.world.repel(n.Apart, place)
	return true
}

// joinsNode looks at the rules about single nodes that count pods.
func (k *Keeper) joinsNode(c *Class, n *demand.Neighbours, at *Place) bool {
	if near := NearHost(n); near != "" && at.Chosen[near] == 0 && (k.world.Runs(near) || !slices.Contains(n.Chosen, near)) {
		return false
	}
	for _, s := range n.Spread {
		if s.Soft || s.TopologyKey != Hostname {
			continue
		}
		self := 0
		if slices.Contains(n.Chosen, s.Selector) {
			self = 1
		}
		if at.Lasting[s.Selector]+self-k.world.LeastPerNode(c, s) > int(s.MaxSkew) {
			return false
		}
	}
	return true
}

// Hold counts a pod as one that is on the place. The place's own maps and lists are left alone.
func (p *Place) Hold(n *demand.Neighbours) {
	if len(n.Chosen) > 0 {
		p.Chosen, p.Lasting = counted(p.Chosen, n.Chosen), counted(p.Lasting, n.Chosen)
	}
	for _, t := range n.Apart {
		if !slices.Contains(p.Apart, t) {
			p.Apart = append(slices.Clip(p.Apart), t)
		}
	}
	p.Ports = slices.Concat(p.Ports, n.Ports)
}

func counted(have map[demand.SelectorKey]int, chosen []demand.SelectorKey) map[demand.SelectorKey]int {
	m := maps.Clone(have)
	if m == nil {
		m = make(map[demand.SelectorKey]int, len(chosen))
	}
	for _, selector := range chosen {
		m[selector]++
	}
	return m
}
