package plan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// base states the packing in numbers, but for the demands.
func (g *growth) base() binpack.Problem {
	g.names = g.resourceNames()
	p := binpack.Problem{GPU: slices.Index(g.names, v1alpha1.ResourceGPU)}
	if p.GPU < 0 {
		p.GPU = slices.Index(g.names, v1alpha1.ResourceAMDGPU)
	}
	for _, n := range g.names {
		p.Resources = append(p.Resources, string(n))
	}
	for _, l := range g.limits {
		p.Limits = append(p.Limits, binpack.Limit{Name: l.provisioner + ": limits." + string(l.resource), Remaining: l.ceiling - l.used})
	}
	g.addOffers(&p, g.names)
	for i := range g.bins {
		p.Bins = append(p.Bins, binpack.Bin{Name: g.bins[i].name(), Free: vector(g.bins[i].free, g.names)})
	}
	return p
}

// addOffers lists the offers as shapes and offerings. Offers of one pool and type whose DaemonSets differ (by zone, say) are
// different shapes.
func (g *growth) addOffers(p *binpack.Problem, names []corev1.ResourceName) {
	type sizeKey struct {
		pool *pool
		kind string
		size string
	}
	type groupKey struct {
		pool         *pool
		market       cloud.Market
		architecture string
		gpus         int
	}
	shapes := map[sizeKey]int{}
	groups := map[groupKey]int{}
	for i := range g.offers {
		o := &g.offers[i]
		size := vector(g.capacity(o), names)
		key := sizeKey{o.pool, o.kind.Name, sizePrint(size)}
		shape, known := shapes[key]
		if !known {
			shape = len(p.Shapes)
			shapes[key] = shape
			p.Shapes = append(p.Shapes, binpack.Shape{Name: o.kind.Name, Capacity: size})
		}
		group := groupKey{o.pool, o.source.Market, o.kind.Architecture, o.kind.GPU.Count}
		if _, known := groups[group]; !known {
			groups[group] = len(groups)
		}
		price := o.source.PriceMicroUSDPerHour
		p.Offerings = append(p.Offerings, binpack.Offering{
			Name:                 fmt.Sprintf("%s/%02d %s", o.pool.provisioner.Object.Name, o.pool.variant, o.source.OfferingKey),
			Shape:                shape,
			PriceMicroUSDPerHour: price + price*(o.source.RiskMilli+g.overheadMilli(o.pool, o.kind.GPU.Count))/1000,
			Tier:                 o.pool.tier,
			Group:                groups[group],
			Stock:                o.source.Stock,
			Closed:               g.closed(o.source),
			Charges:              charges(g.limits, o.pool.provisioner.Object.Name, Usage(*o.kind, price)),
		})
	}
	g.share(p)
}

// share tells of what there is a bounded number of which offers are sold out of it: those of every pool.
func (g *growth) share(p *binpack.Problem) {
	of := map[*Offering][]int{}
	for i := range g.offers {
		if source := g.offers[i].source; source.Stock > 0 {
			of[source] = append(of[source], i)
		}
	}
	for i := range g.offers {
		for _, other := range of[g.offers[i].source] {
			if other != i {
				p.Offerings[i].Shares = append(p.Offerings[i].Shares, other)
			}
		}
	}
}

func (g *growth) closed(o *Offering) binpack.Reason {
	if o.Closed == "" || !o.Until.IsZero() && !o.Until.After(g.view.Now) {
		return binpack.Open
	}
	switch o.Closed {
	case v1alpha1.HeldQuota:
		return binpack.ReasonQuota
	case v1alpha1.HeldOutage:
		return binpack.ReasonOutage
	default:
		return binpack.ReasonStockout
	}
}

// resourceNames lists every resource that a demand asks for, sorted.
func (g *growth) resourceNames() []corev1.ResourceName {
	set := map[corev1.ResourceName]bool{}
	for _, w := range g.asked {
		for name := range w.demand.Requests {
			set[name] = true
		}
	}
	return sortedKeys(set)
}

func vector(r demand.Resources, names []corev1.ResourceName) binpack.Vector {
	v := make(binpack.Vector, len(names))
	for i, n := range names {
		v[i] = max(0, r[n])
	}
	return v
}
