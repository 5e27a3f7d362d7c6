package judge

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// ledger is what of stock and of limits is left, worked out from what is drawn and not by the planner.
type ledger struct {
	world *world
	stock map[cloud.OfferingKey]int                // of what has a bound; 0: none
	room  map[string]map[corev1.ResourceName]int64 // by Provisioner, of what has a limit, in thousandths; may be below 0
	price map[cloud.OfferingKey]int64              // in micro-dollars
}

func newLedger(w *world) *ledger {
	l := &ledger{world: w, stock: map[cloud.OfferingKey]int{}, room: map[string]map[corev1.ResourceName]int64{}, price: map[cloud.OfferingKey]int64{}}
	for _, o := range w.offerings {
		l.price[o.OfferingKey] = o.PriceMicroUSDPerHour
		if s := w.OfferingState(o.OfferingKey, noon); s.Stock >= 0 {
			l.stock[o.OfferingKey] = s.Stock
		}
	}
	each(w, func(p *v1alpha1.Provisioner) {
		room := map[corev1.ResourceName]int64{}
		for name, q := range p.Spec.Limits {
			room[name] = thousandths(name, q)
		}
		l.room[p.Name] = room
	})
	each(w, func(c *v1alpha1.NodeClaim) {
		for name, q := range c.DebitOf() {
			l.take(c.Spec.Provisioner, map[corev1.ResourceName]int64{name: thousandths(name, q)})
		}
	})
	return l
}

// thousandths are milli-units, but for money, which is drawn in whole micro-dollars.
func thousandths(name corev1.ResourceName, q resource.Quantity) int64 {
	if name == v1alpha1.LimitCostPerHour {
		return q.ScaledValue(resource.Nano)
	}
	return q.MilliValue()
}

func (l *ledger) take(pool string, amounts map[corev1.ResourceName]int64) {
	for name, n := range amounts {
		if _, limited := l.room[pool][name]; limited {
			l.room[pool][name] -= n
		}
	}
}

// usage is what a machine takes of limits, in thousandths.
func (l *ledger) usage(o cloud.OfferingKey) map[corev1.ResourceName]int64 {
	kind := l.world.kind(o.InstanceType)
	return map[corev1.ResourceName]int64{
		v1alpha1.LimitNodes: 1000, v1alpha1.LimitGPU: int64(kind.GPU.Count) * 1000, v1alpha1.ResourceGPU: int64(kind.GPU.Count) * 1000,
		corev1.ResourceCPU: int64(kind.VCPUs) * 1000, corev1.ResourceMemory: kind.MemoryMiB << 20 * 1000, v1alpha1.LimitCostPerHour: l.price[o] * 1000,
	}
}

// buy takes what a decision buys, and answers what it should not have bought: of what there is none, or beyond a limit.
func (l *ledger) buy(decision plan.Decision) []string {
	var faults []string
	for i := range decision.Create {
		c := &decision.Create[i]
		most := map[corev1.ResourceName]int64{}
		for n, choice := range c.Spec.Choices {
			key := cloud.OfferingKey{InstanceType: choice.InstanceType, Zone: choice.Zone, Market: cloud.Market(c.Spec.Market)}
			left, bounded := l.stock[key]
			if bounded && left <= 0 {
				faults = append(faults, fmt.Sprintf("claim %s may become what is out of stock: %s", c.Name, key))
			}
			if bounded && n == 0 {
				l.stock[key]--
			}
			for name, amount := range l.usage(key) {
				most[name] = max(most[name], amount)
			}
		}
		l.take(c.Spec.Provisioner, most)
		for _, name := range slices.Sorted(maps.Keys(l.room[c.Spec.Provisioner])) {
			if l.room[c.Spec.Provisioner][name] < 0 {
				faults = append(faults, fmt.Sprintf("claim %s is beyond a limit: %s of %s", c.Name, name, c.Spec.Provisioner))
			}
		}
	}
	return faults
}

// sells tells whether one more of a machine can be bought.
func (l *ledger) sells(m machine) bool {
	if left, bounded := l.stock[m.offering]; bounded && left <= 0 {
		return false
	}
	for name, amount := range l.usage(m.offering) {
		if left, limited := l.room[m.pool][name]; limited && amount > left {
			return false
		}
	}
	return true
}
