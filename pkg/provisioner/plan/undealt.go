package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// blame writes the rule that is in the way for people. short is what keeps more from being had where a spread would let them go; empty: nothing
// that the pod may use is there.
func (g *growth) blame(b topology.Blame, short string) string {
	held := "none holds one"
	if len(b.Domains) > 0 {
		held = "those that hold one: " + named(b.Domains)
	}
	switch b.Rule {
	case topology.RuleSpread:
		return blameSpread(b, short)
	case topology.RuleNear:
		return fmt.Sprintf("podAffinity asks for a pod of %s in the same %s, and the pod cannot go where one is (%s); start such a pod where this one "+
			"may go, widen its node selection, or make the term preferred", b.Selector, b.Key, held)
	case topology.RuleApart:
		return fmt.Sprintf("podAntiAffinity asks for a %s without a pod of %s, and there is no more that the pod may use (%s); allow more domains in a "+
			"Provisioner, use fewer replicas, or make the term preferred", b.Key, b.Selector, held)
	default:
		return fmt.Sprintf("other pods keep this one out of their %s by podAntiAffinity, and there is no other that it may use (%s); allow more domains "+
			"in a Provisioner, or change their anti-affinity", b.Key, held)
	}
}

func blameSpread(b topology.Blame, short string) string {
	text := fmt.Sprintf("topologySpreadConstraints %s maxSkew %d: ", b.Key, b.MaxSkew)
	if b.MinDomains > 0 {
		return text + fmt.Sprintf("minDomains %d is not reached, so no domain may have more than %d of the pods that it counts; allow more domains in a "+
			"Provisioner, lower minDomains, or use whenUnsatisfiable ScheduleAnyway", b.MinDomains, b.MaxSkew)
	}
	switch {
	case short != "":
	case b.Reachable:
		short = because(binpack.ReasonNoShape)
	default:
		short = "no more can be had there: no Provisioner offers what the pod selects"
	}
	return text + fmt.Sprintf("%s has %d of the pods that it counts and %s, so no more than %d may be anywhere else; make room there, raise maxSkew, or use "+
		"whenUnsatisfiable ScheduleAnyway", b.Domain, b.Pods, short, b.Pods+b.MaxSkew)
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

// lonely says why pods whose affinity is to pods on their node go nowhere. full: such nodes have no room.
func lonely(near demand.SelectorKey, full bool) string {
	if full {
		return fmt.Sprintf("podAffinity asks for a pod of %s on the same node, and what is left on the nodes that hold one, or on the largest that "+
			"the pod may use, is too small; use smaller or fewer replicas, allow larger instance types in a Provisioner, or use a zone as the topologyKey",
			near)
	}
	return fmt.Sprintf("podAffinity asks for a pod of %s on the same node, and there is none that runs or waits; start one, or make the term "+
		"preferred", near)
}

// cellNames lists the domains of cells.
func cellNames(cells []*topology.Cell) string {
	names := make([]string, len(cells))
	for i, c := range cells {
		names[i] = c.Name
	}
	return named(names)
}

func named(domains []string) string {
	const most = 6
	list := slices.Sorted(slices.Values(domains))
	if len(list) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}
