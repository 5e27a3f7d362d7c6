package simulate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// volumeGiB is the root volume that Slipway gives nodes of al2023 and bottlerocket where an EC2NodeClass says nothing.
const volumeGiB = 100

// nodeClasses answers what AWS would have: from an EC2NodeClass's status if it has been resolved in a cluster, else from its spec and
// assumptions.
type nodeClasses struct {
	classes map[string]*v1alpha1.EC2NodeClass
	zones   []string // of the region
	live    bool     // of a live cluster: what is not resolved is not ready
	assume  func(format string, args ...any)
}

// PlanningFacts is inventory.NodeClasses'.
func (n *nodeClasses) PlanningFacts(name string) (inventory.NodeClassFacts, error) {
	facts := inventory.NodeClassFacts{Zones: n.zones, Architectures: []string{"amd64", "arm64"}, Disk: plan.Disk{RootVolumeGiB: volumeGiB}}
	class := n.classes[name]
	if class == nil {
		if n.live {
			return facts, fmt.Errorf("EC2NodeClass %s does not exist", name)
		}
		n.assume("EC2NodeClass %s is not given: subnets in %s, images for amd64 and arm64, a root volume of %d GiB", name, list(n.zones), volumeGiB)
		return facts, nil
	}
	facts.InstanceStore = class.Spec.InstanceStorePolicy == v1alpha1.InstanceStoreRAID0
	if size := rootVolume(class.Spec.BlockDeviceMappings); size > 0 {
		facts.RootVolumeGiB = size
	}
	subnets, images := distinct(class.Status.Subnets, func(s v1alpha1.ResolvedSubnet) string { return s.Zone }),
		distinct(class.Status.AMIs, func(a v1alpha1.ResolvedAMI) string { return a.Architecture })
	switch {
	case len(subnets) > 0 && len(images) > 0:
		facts.Zones, facts.Architectures = subnets, images
		return facts, nil
	case n.live && !class.CreationTimestamp.IsZero():
		return facts, fmt.Errorf("EC2NodeClass %s is not ready: its status names no subnets or no images", name)
	}
	n.assume("EC2NodeClass %s: its subnets are in %s and it has images for amd64 and arm64; AWS was not asked", name, list(n.zones))
	return facts, nil
}

func rootVolume(devices []v1alpha1.BlockDeviceMapping) int64 {
	i := max(0, slices.IndexFunc(devices, func(d v1alpha1.BlockDeviceMapping) bool { return d.RootVolume }))
	if i >= len(devices) {
		return 0
	}
	return devices[i].VolumeSizeGiB
}

func distinct[T any](items []T, key func(T) string) []string {
	var keys []string
	for _, item := range items {
		if k := key(item); k != "" {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// list writes names for people.
func list(names []string) string {
	if len(names) == 0 {
		return "no zone"
	}
	return strings.Join(names, ", ")
}
