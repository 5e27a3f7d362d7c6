package plan

import (
	"slices"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// served answers how many pods of each demand have a place.
func (a *answer) served() map[*demand.Demand]int {
	held := make([]int, len(a.waiting))
	for _, h := range a.solved.Held {
		held[h.Demand] = h.Count
	}
	placed := map[*demand.Demand]int{}
	for i := range a.waiting {
		w := &a.waiting[i]
		if w.unit == 0 {
			continue
		}
		for _, part := range w.byOwner(w.pods[:len(w.pods)-held[i]*w.unit]) {
			placed[part.demand] += len(part.pods)
		}
	}
	return placed
}

// stranding answers the demands that got no place at all, and that others which did not get one for each of their pods had to be near, on the
// same node. kube-scheduler lets these others be the first of their kind as long as nobody of it is anywhere. Empty in most Views, and then
// cheap.
func (g *growth) stranding(a *answer) map[*demand.Demand]bool {
	if !g.neighbourly || len(a.solved.Held)+len(a.left) == 0 {
		return nil
	}
	near := map[demand.SelectorKey][]*asked{}
	for i := range g.asked {
		if s := topology.NearHost(&g.asked[i].demand.Neighbours); s != "" {
			near[s] = append(near[s], &g.asked[i])
		}
	}
	if len(near) == 0 {
		return nil
	}
	served := a.served()
	short := func(o *asked) bool { return served[o.demand] < len(o.pods) }
	absent := map[*demand.Demand]bool{}
	for i := range g.asked {
		d := g.asked[i].demand
		if served[d] > 0 {
			continue
		}
		for _, s := range d.Neighbours.Chosen {
			if slices.ContainsFunc(near[s], func(o *asked) bool { return o.demand != d && short(o) }) {
				absent[d] = true
			}
		}
	}
	return absent
}
