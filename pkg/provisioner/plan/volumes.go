package plan

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// EC2's limits of attachments, for types of which it is not told. Source: "Amazon EBS volume limits for Amazon EC2 instances" in the EC2
// user guide: a Nitro type shares 28 among volumes, network interfaces, GPUs and NVMe disks, unless its family has a limit for volumes
// alone, of 32 or more by size; and beyond 40 volumes a Xen type may fail to boot.
const (
	sharedAttachments    = 28
	dedicatedAttachments = 32
	xenAttachments       = 40
)

// ebsVolumes is the resource in which EBS volumes are counted.
var ebsVolumes = demand.AttachableVolumes(demand.EBSDriver)

// dedicatedFamilies have a limit for volumes alone.
var dedicatedFamilies = []string{"g6", "g6e", "gr6", "g7", "g7e", "p5", "p5e", "p5en", "p6-b200", "p6-b300"}

// attachableVolumes is how many EBS volumes pods can have on a node of a type. The root volume takes one attachment, and where they are
// shared, two network interfaces (the first, and the one that EKS' network plugin keeps at hand) or those of EFA, if more, take theirs.
func attachableVolumes(t cloud.InstanceType) int64 {
	limit, dedicated := t.EBSAttachments, t.EBSDedicated
	if limit == 0 {
		switch {
		case t.Hypervisor == "xen":
			limit, dedicated = xenAttachments, true
		case slices.Contains(dedicatedFamilies, t.Family()):
			limit, dedicated = dedicatedAttachments, true
		default:
			limit = sharedAttachments
		}
	}
	if !dedicated {
		limit -= max(2, t.EFAInterfaces) + t.GPU.Count + disks(t)
	}
	return int64(max(0, limit-1))
}

// disks answers how many disks the instance store has: if that is not told, as many as the largest of EC2's GPU machines.
func disks(t cloud.InstanceType) int {
	switch {
	case t.NVMeDisks > 0 || t.LocalNVMeGB == 0:
		return t.NVMeDisks
	case t.GPU.Count >= 8:
		return 8
	default:
		return 2
	}
}

// attachable lists the resources in which demands count volumes.
func attachable(demands []demand.Demand) []corev1.ResourceName {
	set := map[corev1.ResourceName]bool{}
	for i := range demands {
		for name := range demands[i].Requests {
			if strings.HasPrefix(string(name), corev1.ResourceAttachableVolumesPrefix) {
				set[name] = true
			}
		}
	}
	return sortedKeys(set)
}

// showPlaces writes where a volume can be used, for people.
func showPlaces(terms []corev1.NodeSelectorTerm) string {
	var places []string
	for _, t := range terms {
		var all []string
		for _, r := range slices.Concat(t.MatchExpressions, t.MatchFields) {
			all = append(all, showRequirement(Change{Requirement: &r}))
		}
		places = append(places, strings.Join(all, " and "))
	}
	return strings.Join(places, " or ")
}
