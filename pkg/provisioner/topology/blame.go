package topology

import (
	"cmp"
	"maps"
	"slices"
)

// Blame names the rule that keeps items from being dealt, with what a person needs to understand it.
type Blame struct {
	// Rule is "topologySpreadConstraints", "podAffinity", "podAntiAffinity", or "podAntiAffinity of other pods"; empty if no rule is in
	// the way.
	Rule     string
	Key      string
	Selector string
	// Of a spread: MaxSkew, MinDomains (if fewer domains are seen), the domain with the fewest pods, how many it has, and whether the class
	// has a cell there, be it a shut one.
	MaxSkew    int
	MinDomains int
	Domain     string
	Pods       int
	Reachable  bool
	// Domains with chosen pods, of affinity and anti-affinity; sorted by name as in the cells.
	Domains []string
}

const (
	RuleSpread   = "topologySpreadConstraints"
	RuleNear     = "podAffinity"
	RuleApart    = "podAntiAffinity"
	RuleRepelled = "podAntiAffinity of other pods"
)

// left says why n items of a class are not dealt.
func (d *dealer) left(p *player, n int) Left {
	l := Left{Class: p.index, Count: n, Takes: p.takes(d.table.world)}
	open, all := map[int]int{}, map[int]int{} // by rule: the cells with room that it keeps the class out of, and all of those
	for i, c := range slices.Concat(p.cells, p.shut) {
		rule := p.broken(c.at, p.hard)
		if rule == passes {
			l.Full = append(l.Full, c)
			continue
		}
		if all[rule]++; i < len(p.cells) && !c.full() {
			open[rule]++
		}
	}
	most := passes
	for _, rule := range slices.Sorted(maps.Keys(all)) {
		// Of equals the later: where it breaks, the others hold.
		if most == passes || cmp.Or(cmp.Compare(open[rule], open[most]), cmp.Compare(all[rule], all[most])) >= 0 {
			most = rule
		}
	}
	if most != passes {
		l.Blame = p.blame(most)
	}
	return l
}

// takes answers Left.Takes. A domain that nobody has counted yet has no pods, and is the fewest that a spread is measured from.
func (p *player) takes(w *World) func(labels map[string]string) bool {
	return func(labels map[string]string) bool {
		at := make([]int, len(p.keys))
		for k, key := range p.keys {
			at[k] = absent
			if value, has := labels[key]; has {
				at[k] = fresh
				if v, known := w.column(key).index[value]; known {
					at[k] = v
				}
			}
		}
		for i := range p.rules[:p.hard] {
			r := &p.rules[i]
			if v := at[r.key]; v != fresh && !r.holds(v) || v == fresh && !r.holdsFresh() {
				return false
			}
		}
		return !slices.ContainsFunc(p.repeled, func(r counting) bool { v := at[r.key]; return v >= 0 && r.pods.hi[v] > 0 })
	}
}

// fresh is a domain that is not in the World.
const fresh = -3

func (r *rule) holdsFresh() bool {
	switch r.kind {
	case spread:
		return r.self <= r.skew
	case near:
		return r.self > 0 && r.first()
	default:
		return true
	}
}

func (p *player) blame(rule int) Blame {
	if rule == repelled {
		b := Blame{Rule: RuleRepelled}
		for _, r := range p.repeled {
			if r.pods.hiAll > 0 {
				b.Key = p.keys[r.key]
				b.Domains = r.pods.holding()
				break
			}
		}
		return b
	}
	r := &p.rules[rule]
	b := Blame{Key: r.term.TopologyKey, Selector: string(r.term.Selector), Domains: r.pods.holding()}
	switch r.kind {
	case spread:
		b.Rule, b.MaxSkew = RuleSpread, r.skew
		p.blameSpread(r, &b)
	case near:
		b.Rule = RuleNear
	default:
		b.Rule = RuleApart
	}
	return b
}

// blameSpread finds the domain from which the skew is measured.
func (p *player) blameSpread(r *rule, b *Blame) {
	least, seen := -1, 0
	for v, stands := range r.pods.stands {
		if !stands {
			continue
		}
		seen++
		if least < 0 || r.pods.lo[v] < r.pods.lo[least] {
			least = v
		}
	}
	if seen < r.minDomains {
		b.MinDomains = r.minDomains
	}
	if least >= 0 {
		b.Domain, b.Pods = r.pods.values[least], r.pods.lo[least]
		for _, c := range slices.Concat(p.cells, p.shut) {
			b.Reachable = b.Reachable || c.at[r.key] == least
		}
	}
}

// holding lists the domains with pods.
func (t *tally) holding() []string {
	var list []string
	for v, n := range t.hi {
		if n > 0 {
			list = append(list, t.values[v])
		}
	}
	return list
}
