package main

import (
	"cmp"
	"slices"
)

// karpenter buys as Karpenter v1.14's scheduler does for GPU pods without constraints: pods by CPU, then memory, largest first; each onto the
// first node that has room, in order of age; else onto the first new claim, the one with the fewest pods first, of whose remaining
// instance types one still holds it, which narrows that claim's types to those that hold it; else onto a new claim of every type. Of what
// remains to a claim the cheapest is launched. (Source: sigs.k8s.io/karpenter pkg/controllers/provisioning/scheduling: queue.go sorts,
// scheduler.go sorts open claims by pods, nodeclaim.go filters types.)
type karpenter struct {
	kinds []kind // cheapest first
	boot  int64
}

func (k *karpenter) saw(arrival, int64) {}

// opened is a claim of the batch.
type opened struct {
	order int
	types []int
	used  size
	pods  []*pod
}

func (k *karpenter) decide(c *cluster, waiting []*pod) ([]assignment, error) {
	pods := slices.SortedStableFunc(slices.Values(waiting), func(a, b *pod) int {
		return cmp.Or(cmp.Compare(b.size[cpu], a.size[cpu]), cmp.Compare(b.size[memory], a.size[memory]), cmp.Compare(a.id, b.id))
	})
	free := map[*node]size{}
	for _, n := range c.nodes {
		free[n] = n.free
	}
	var given []assignment
	var claims []*opened
	for _, p := range pods {
		if n := firstWithRoom(c.nodes, free, p); n != nil {
			free[n] = free[n].plus(p.size, -1)
			given = append(given, assignment{p, n})
			continue
		}
		slices.SortFunc(claims, func(a, b *opened) int {
			return cmp.Or(cmp.Compare(len(a.pods), len(b.pods)), cmp.Compare(a.order, b.order))
		})
		if !slices.ContainsFunc(claims, func(o *opened) bool { return k.join(o, p) }) {
			o := &opened{order: len(claims)}
			for i := range k.kinds {
				o.types = append(o.types, i)
			}
			if k.join(o, p) {
				claims = append(claims, o)
			}
		}
	}
	for _, o := range claims {
		n := c.buy(&k.kinds[o.types[0]], k.boot)
		for _, p := range o.pods {
			given = append(given, assignment{p, n})
		}
	}
	return given, nil
}

func firstWithRoom(nodes []*node, free map[*node]size, p *pod) *node {
	for _, n := range nodes {
		if p.size.fits(free[n]) {
			return n
		}
	}
	return nil
}

// join puts the pod into a claim, if a type that is left to it holds all.
func (k *karpenter) join(o *opened, p *pod) bool {
	used := o.used.plus(p.size, 1)
	var still []int
	for _, i := range o.types {
		if used.fits(k.kinds[i].free) {
			still = append(still, i)
		}
	}
	if len(still) == 0 {
		return false
	}
	o.types, o.used, o.pods = still, used, append(o.pods, p)
	return true
}
