package topology

import (
	"fmt"
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// cluster is places with pods, and whether a pod may be bound is read off kube-scheduler's documentation, pod by pod and node by node.
type cluster struct {
	places []Place
	seen   []bool // a node is there
	pods   []bound
}

// bound is a pod on a place.
type bound struct {
	class *Class
	place int
}

func newCluster(places []Place) *cluster {
	c := &cluster{places: places, seen: make([]bool, len(places))}
	for i := range places {
		c.seen[i] = places[i].Stands
	}
	return c
}

func (c *cluster) domain(place int, key string) (string, bool) {
	value, has := c.places[place].Labels[0][key]
	return value, has
}

// chosen calls f with each place that has pods which a selector chooses, and how many.
func (c *cluster) chosen(s demand.SelectorKey, lasting bool, f func(place, n int)) {
	for i := range c.places {
		from := c.places[i].Chosen
		if lasting {
			from = c.places[i].Lasting
		}
		if n := from[s]; n > 0 {
			f(i, n)
		}
	}
	for _, p := range c.pods {
		if n := p.class.Chosen[s]; n > 0 {
			f(p.place, n)
		}
	}
}

func (c *cluster) refuses(k *Class, place int) string {
	for _, s := range k.Spread {
		if !s.Soft && !c.even(k, s, place) {
			return "spread"
		}
	}
	here := func(t demand.Term, other int) bool {
		a, has := c.domain(place, t.TopologyKey)
		b, had := c.domain(other, t.TopologyKey)
		return has && had && a == b
	}
	for _, t := range k.Near {
		if _, has := c.domain(place, t.TopologyKey); !has {
			return "near"
		}
		near, anywhere := false, false
		c.chosen(t.Selector, false, func(other, _ int) {
			near = near || here(t, other)
			for _, any := range k.Near { // kube-scheduler has one count for all terms
				_, counts := c.domain(other, any.TopologyKey)
				anywhere = anywhere || counts && any.Selector == t.Selector
			}
		})
		if !near && (anywhere || k.Chosen[t.Selector] == 0) {
			return "near"
		}
	}
	for _, t := range k.Apart {
		close := false
		c.chosen(t.Selector, false, func(other, _ int) { close = close || here(t, other) })
		if close {
			return "apart"
		}
	}
	repels := func(terms []demand.Term, other int) bool {
		return slices.ContainsFunc(terms, func(t demand.Term) bool { return k.Chosen[t.Selector] > 0 && here(t, other) })
	}
	for i := range c.places {
		if repels(c.places[i].Apart, i) {
			return "repelled"
		}
	}
	for _, p := range c.pods {
		if repels(p.class.Apart, p.place) {
			return "repelled"
		}
	}
	return ""
}

func (c *cluster) even(k *Class, s demand.Spread, place int) bool {
	counts := func(i int) bool {
		lacks := slices.ContainsFunc(k.Spread, func(o demand.Spread) bool {
			_, has := c.domain(i, o.TopologyKey)
			return !o.Soft && !has
		})
		return (c.seen[i] || i == place) && !lacks && (s.AnyNode || k.Selected().Has(i))
	}
	pods := map[string]int{}
	for i := range c.places {
		if value, has := c.domain(i, s.TopologyKey); has && counts(i) {
			pods[value] += 0
		}
	}
	c.chosen(s.Selector, true, func(i, n int) {
		if value, has := c.domain(i, s.TopologyKey); has && counts(i) {
			pods[value] += n
		}
	})
	value, has := c.domain(place, s.TopologyKey)
	if !has {
		return false
	}
	least := binpack.MaxCount
	for _, n := range pods {
		least = min(least, n)
	}
	if len(pods) < int(s.MinDomains) {
		least = 0
	}
	return pods[value]+k.Chosen[s.Selector]-least <= int(s.MaxSkew)
}

// bindAll tries every order, whatever it costs.
func (c *cluster) bindAll(todo []bound, known map[string]string) string {
	if len(todo) == 0 {
		return ""
	}
	key := fmt.Sprint(todo)
	if why, is := known[key]; is {
		return why
	}
	why := ""
	tried := map[bound]bool{}
	for i, p := range todo {
		if tried[p] {
			continue
		}
		tried[p] = true
		if rule := c.refuses(p.class, p.place); rule != "" {
			why = fmt.Sprintf("%s of a pod on place %d, %d left", rule, p.place, len(todo))
			continue
		}
		was := c.seen[p.place]
		c.seen[p.place], c.pods = true, append(c.pods, p)
		rest := c.bindAll(slices.Delete(slices.Clone(todo), i, i+1), known)
		c.seen[p.place], c.pods = was, c.pods[:len(c.pods)-1]
		if rest == "" {
			return ""
		}
		why = rest
	}
	known[key] = why
	return why
}

// most answers how many pods of a class kube-scheduler could bind at all, by trying every place for every pod.
func (c *cluster) most(k *Class, left int, room map[int]int) int {
	best := 0
	for i := range c.places {
		if left == 0 || !k.Usable.Has(i) || c.places[i].Stands && room[i] >= roomOn || c.refuses(k, i) != "" {
			continue
		}
		was := c.seen[i]
		c.seen[i], c.pods = true, append(c.pods, bound{k, i})
		room[i]++
		best = max(best, 1+c.most(k, left-1, room))
		room[i]--
		c.seen[i], c.pods = was, c.pods[:len(c.pods)-1]
	}
	return best
}
