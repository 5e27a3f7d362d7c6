package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// canonical answers the View with each list in its documented order, so that the order in which a cache answers decides nothing. v and
// its lists are not changed.
func canonical(v View) *View {
	v.Demands = ordered(v.Demands, func(a, b *demand.Demand) int { return strings.Compare(a.Key, b.Key) })
	v.Provisioners = ordered(v.Provisioners, func(a, b *Provisioner) int { return strings.Compare(a.Object.Name, b.Object.Name) })
	v.Types = ordered(v.Types, func(a, b *cloud.InstanceType) int { return strings.Compare(a.Name, b.Name) })
	v.Offerings = ordered(v.Offerings, func(a, b *Offering) int { return a.Compare(b.OfferingKey) })
	v.Claims = ordered(v.Claims, func(a, b *Claim) int { return strings.Compare(a.Object.Name, b.Object.Name) })
	v.Nodes = ordered(v.Nodes, func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
	v.Daemons = ordered(v.Daemons, func(a, b *demand.Daemon) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	v.Arrivals = ordered(v.Arrivals, func(a, b *Arrival) int { return strings.Compare(a.Key, b.Key) })
	return &v
}

// ordered answers list if it is sorted, else a sorted copy. Elements are large, so they are compared in place, and keys are unique.
func ordered[T any](list []T, compare func(a, b *T) int) []T {
	for i := 1; i < len(list); i++ {
		if compare(&list[i-1], &list[i]) > 0 {
			sorted := slices.Clone(list)
			slices.SortStableFunc(sorted, func(a, b T) int { return compare(&a, &b) })
			return sorted
		}
	}
	return list
}
