package topology

// Blame names the rule that keeps items from being dealt, with what a person needs to understand it.
type Blame struct {
	// Rule is "topologySpreadConstraints", "podAffinity", "podAntiAffinity", or "podAntiAffinity of other pods"; empty if no rule is in
	// the way.
	Rule     string
	Key      string
	Selector string
	// Of a spread: MaxSkew, MinDomains (if fewer domains are seen), the domain with the fewest pods, how many it has, and whether the class
	// has a cell there.
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
	l := Left{Class: p.index, Count: n, Most: p.Most >= 0 && p.total >= p.Most}
	blocks := map[int]int{} // by rule: cells
	most := passes
	for _, c := range p.cells {
		rule := p.broken(c.at, p.hard)
		switch {
		case rule == passes && (l.Full == nil || c.price > 0 && l.Full.price == 0):
			l.Full = c
		case rule != passes && !c.full():
			blocks[rule]++
			if blocks[rule] > blocks[most] || most == passes {
				most = rule
			}
		}
	}
	if l.Most || l.Full != nil {
		return l
	}
	if most == passes { // every cell is full and blocked
		most = p.broken(p.cells[0].at, p.hard)
	}
	l.Blame = p.blame(most)
	return l
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
		for _, c := range p.cells {
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
