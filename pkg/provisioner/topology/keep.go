package topology

import (
	"fmt"
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

// Join counts a pod of a class on a place that stands, and answers true, if no rule about its neighbours is in the way. Where the place's domain
// is not certain, a pod joins if it may be in any of them, and is counted in all.
func (k *Keeper) Join(class, place int) bool {
	p, at := k.dealer.players[class], &k.world.places[place]
	n, domains := k.asks[class], k.domains(class, place)
	if p.broken(domains, p.hard) != passes || at.Refuses(n) || !k.joinsNode(p.Class, n, at) || p.mayMeet(domains, place) ||
		k.world.repelled(p.Chosen, place) {
		return false
	}
	cell := &Cell{at: domains, Places: binpack.NewSet(len(k.world.places)), covered: map[*tally]cover{}}
	cell.Places.Add(place)
	p.put(cell, 1)
	p.putAround(domains, place)
	at.Hold(n)
	k.world.repel(n.Apart, place)
	return true
}

// domains answers the place's domain for each key that matters to a class.
func (k *Keeper) domains(class, place int) []int {
	p := k.dealer.players[class]
	at := make([]int, len(p.keys))
	for i, key := range p.keys {
		at[i] = k.world.column(key).at[place]
	}
	return at
}

// Domains is equal for places that are in the same domains, as far as they matter to a class.
func (k *Keeper) Domains(class, place int) string { return fmt.Sprint(k.domains(class, place)) }

// Closed tells whether the rules about domains keep a pod of a class off a place, and so off all with equal Domains, as things are now.
func (k *Keeper) Closed(class, place int) bool {
	p := k.dealer.players[class]
	return p.broken(k.domains(class, place), p.hard) != passes
}

// mayMeet tells whether a place whose domain is not certain may turn out to be in one that the class's anti-affinity rules out.
func (p *player) mayMeet(at []int, place int) bool {
	return slices.ContainsFunc(p.rules[:p.hard], func(r rule) bool {
		return r.kind == apart && at[r.key] == unsure && r.pods.most(place) > 0
	})
}

// putAround counts a pod in every domain that the place may be in, where it is not certain.
func (p *player) putAround(at []int, place int) {
	for _, count := range p.counted {
		if at[count.key] == unsure && (count.pods.eligible == nil || count.pods.eligible.Has(place)) {
			count.pods.add(place, 0, count.n)
		}
	}
	for _, r := range p.repels {
		if at[r.key] == unsure {
			r.pods.add(place, 0, 1)
		}
	}
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
