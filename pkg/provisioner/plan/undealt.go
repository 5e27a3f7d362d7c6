package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// leave says why pods of an item were not dealt.
func (g *growth) leave(it *item, part asked, why topology.Left, l *lessons) leftover {
	left := leftover{demand: part.demand, pods: part.pods}
	if short, told := l.short[it.name]; told && (why.Most || why.Full != nil) {
		left.short = &short
		return left
	}
	switch {
	case it.barred:
		left.message = g.barred(it)
	case why.Full != nil:
		left.message = fmt.Sprintf("the nodes that its neighbours leave it have no room, and nothing can be launched beside them (%s); free some, or "+
			"change spec.affinity or spec.topologySpreadConstraints", why.Full.Name)
	default:
		left.message = g.blame(it, why.Blame, l)
	}
	return left
}

// blame writes the rule that is in the way for people.
func (g *growth) blame(it *item, b topology.Blame, l *lessons) string {
	held := "none holds one"
	if len(b.Domains) > 0 {
		held = "those that hold one: " + named(b.Domains)
	}
	switch b.Rule {
	case topology.RuleSpread:
		return g.blameSpread(it, b, l)
	case topology.RuleNear:
		return fmt.Sprintf("podAffinity asks for a pod of %s in the same %s, and the pod cannot go where one is (%s); start such a pod where this one "+
			"may go, widen its node selection, or make the term preferred", b.Selector, b.Key, held)
	case topology.RuleApart:
		return fmt.Sprintf("podAntiAffinity asks for a %s without a pod of %s, and there is no more that the pod may use (%s); allow more domains in a "+
			"Provisioner%s, use fewer replicas, or make the term preferred", b.Key, b.Selector, held, g.another(it, b.Key))
	default:
		return fmt.Sprintf("other pods keep this one out of their %s by podAntiAffinity, and there is no other that it may use (%s); allow more domains "+
			"in a Provisioner%s, or change their anti-affinity", b.Key, held, g.another(it, b.Key))
	}
}

func (g *growth) blameSpread(it *item, b topology.Blame, l *lessons) string {
	text := fmt.Sprintf("topologySpreadConstraints %s maxSkew %d: ", b.Key, b.MaxSkew)
	if b.MinDomains > 0 {
		return text + fmt.Sprintf("minDomains %d is not reached, so no domain may have more than %d of the pods that it counts; allow more domains in a "+
			"Provisioner%s, lower minDomains, or use whenUnsatisfiable ScheduleAnyway", b.MinDomains, b.MaxSkew, g.another(it, b.Key))
	}
	return text + fmt.Sprintf("%s has %d of the pods that it counts and %s, so no more than %d may be anywhere else; make room there, raise maxSkew, or use "+
		"whenUnsatisfiable ScheduleAnyway", b.Domain, b.Pods, g.unreachable(it, b, l), b.Pods+b.MaxSkew)
}

// unreachable says why no more pods of an item go to a domain.
func (g *growth) unreachable(it *item, b topology.Blame, l *lessons) string {
	if short, told := l.short[it.name]; told && b.Reachable {
		return because(short.held.Reason)
	}
	required := it.levels[len(it.levels)-1]
	reasons := map[binpack.Reason]int{}
	for i := range g.offers {
		if o := &g.offers[i]; required.Offerings.Has(i) && o.labels[b.Key] == b.Domain {
			reason := g.closed(o.source)
			if reason == binpack.Open && o.source.Stock == 0 {
				reason = binpack.ReasonStockout
			}
			reasons[reason]++
		}
	}
	switch {
	case len(reasons) == 0:
		return "no more can be had there: no Provisioner offers what the pod selects"
	case reasons[binpack.Open] > 0:
		return "no more fit there"
	}
	list := sortedKeys(reasons)
	slices.SortStableFunc(list, func(x, y binpack.Reason) int { return cmp.Compare(reasons[y], reasons[x]) })
	return because(list[0])
}

func because(r binpack.Reason) string {
	switch r {
	case binpack.ReasonLimit:
		return "a limit is reached"
	case binpack.ReasonQuota:
		return "the account's quota is used up there"
	case binpack.ReasonOutage:
		return "EC2 does not answer"
	case binpack.ReasonStockout:
		return "is out of stock"
	}
	return "no more fit there"
}

// barred says why the rules about neighbours leave an item no place at all, though node selection does.
func (g *growth) barred(it *item) string {
	for _, s := range it.class.Spread {
		if !s.Soft && !g.anyHas(it, s.TopologyKey) {
			return "topologySpreadConstraints asks for the label " + s.TopologyKey + " on the node, and nothing that the pod may use has it; add it to " +
				"a Provisioner's requirements"
		}
	}
	for _, t := range it.class.Near {
		if !g.anyHas(it, t.TopologyKey) {
			return "podAffinity asks for the label " + t.TopologyKey + " on the node, and nothing that the pod may use has it; add it to " +
				"a Provisioner's requirements"
		}
	}
	return "pods that run keep this one out of every domain that it may use by podAntiAffinity; allow more domains in a Provisioner, or change their " +
		"anti-affinity"
}

func (g *growth) anyHas(it *item, key string) bool {
	if key == topology.Hostname {
		return true
	}
	required := it.levels[len(it.levels)-1]
	for i := range g.offers {
		if _, has := g.offers[i].labels[key]; has && required.Offerings.Has(i) {
			return true
		}
	}
	return false
}

// lonely holds pods whose affinity to pods on their node cannot be served.
func (g *growth) lonely(l topology.Lonely) leftover {
	a := &g.asked[l.Member]
	near := topology.NearHost(&a.demand.Neighbours)
	left := leftover{demand: a.demand, pods: a.pods[len(a.pods)-l.Count:]}
	if l.Full {
		left.message = fmt.Sprintf("podAffinity asks for a pod of %s on the same node, and what is left on the nodes that hold one, or on the largest that "+
			"the pod may use, is too small; use smaller or fewer replicas, allow larger instance types in a Provisioner, or use a zone as the topologyKey",
			near)
	} else {
		left.message = fmt.Sprintf("podAffinity asks for a pod of %s on the same node, and there is none that runs or waits; start one, or make the term "+
			"preferred", near)
	}
	return left
}

func named(domains []string) string {
	const most = 6
	list := slices.Sorted(slices.Values(domains))
	if len(list) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}
