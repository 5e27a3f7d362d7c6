package wire

import (
	"fmt"
	"maps"
	"slices"

	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

const vpcID = "vpc-0a1b2c3d4e5f60001"

func tagSet(tags map[string]string) element {
	return items("tagSet", slices.Sorted(maps.Keys(tags)), func(key string) []element {
		return []element{text("key", key), text("value", tags[key])}
	})
}

func (s *Server) describeSubnets(f *form) ([]element, error) {
	subnets := s.Cloud.Network().Subnets
	if ids := f.texts("SubnetId"); len(ids) > 0 {
		for _, id := range ids {
			if !slices.ContainsFunc(subnets, func(n sim.Subnet) bool { return n.ID == id }) {
				return nil, badRequest("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
			}
		}
		subnets = slices.DeleteFunc(subnets, func(n sim.Subnet) bool { return !slices.Contains(ids, n.ID) })
	}
	subnets, err := selected(subnets, f, func(n sim.Subnet) record {
		return record{tags: n.Tags, fields: map[string][]string{"subnet-id": {n.ID}, "availability-zone": {n.Zone},
			"availability-zone-id": {n.ZoneID}, "vpc-id": {vpcID}, "state": {"available"}}}
	})
	if err != nil {
		return nil, err
	}
	subnets, next, err := page(subnets, f, 1000)
	return append([]element{items("subnetSet", subnets, func(n sim.Subnet) []element {
		return []element{text("subnetId", n.ID), text("vpcId", vpcID), text("state", "available"), text("availabilityZone", n.Zone),
			text("availabilityZoneId", n.ZoneID), text("cidrBlock", n.CIDR.String()), number("availableIpAddressCount", n.FreeAddresses),
			truth("mapPublicIpOnLaunch", false), text("ownerId", s.Account), tagSet(n.Tags)}
	})}, next...), err
}

func (s *Server) describeSecurityGroups(f *form) ([]element, error) {
	groups := slices.Clone(s.Cloud.Network().SecurityGroups)
	if ids := f.texts("GroupId"); len(ids) > 0 {
		for _, id := range ids {
			if !slices.ContainsFunc(groups, func(g sim.SecurityGroup) bool { return g.ID == id }) {
				return nil, badRequest("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
			}
		}
		groups = slices.DeleteFunc(groups, func(g sim.SecurityGroup) bool { return !slices.Contains(ids, g.ID) })
	}
	groups, err := selected(groups, f, func(g sim.SecurityGroup) record {
		return record{tags: g.Tags, fields: map[string][]string{"group-id": {g.ID}, "group-name": {g.Name}, "vpc-id": {vpcID}}}
	})
	if err != nil {
		return nil, err
	}
	groups, next, err := page(groups, f, 1000)
	return append([]element{items("securityGroupInfo", groups, func(g sim.SecurityGroup) []element {
		return []element{text("groupId", g.ID), text("groupName", g.Name), text("groupDescription", g.Name), text("vpcId", vpcID),
			text("ownerId", s.Account), tagSet(g.Tags)}
	})}, next...), err
}

func (s *Server) describeImages(f *form) ([]element, error) {
	images := slices.Clone(s.Cloud.Network().Images)
	if ids := f.texts("ImageId"); len(ids) > 0 {
		for _, id := range ids {
			if !slices.ContainsFunc(images, func(i sim.Image) bool { return i.ID == id }) {
				return nil, badRequest("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
			}
		}
		images = slices.DeleteFunc(images, func(i sim.Image) bool { return !slices.Contains(ids, i.ID) })
	}
	if owners := f.texts("Owner"); len(owners) > 0 {
		images = slices.DeleteFunc(images, func(i sim.Image) bool {
			return !slices.Contains(owners, i.Owner) && !(i.Owner == "self" && slices.Contains(owners, s.Account))
		})
	}
	images, err := selected(images, f, func(i sim.Image) record {
		return record{tags: i.Tags, fields: map[string][]string{"image-id": {i.ID}, "name": {i.Name}, "state": {"available"},
			"architecture": {ec2Architecture(i.Architecture)}, "owner-alias": {i.Owner}, "is-public": {fmt.Sprint(i.Owner == "amazon")}}}
	})
	if err != nil {
		return nil, err
	}
	images, next, err := page(images, f, 1000)
	return append([]element{items("imagesSet", images, s.image)}, next...), err
}

func (s *Server) image(i sim.Image) []element {
	owner := s.Account
	if i.Owner == "amazon" {
		owner = "602401143452" // EKS's own account
	}
	return []element{text("imageId", i.ID), text("name", i.Name), text("imageState", "available"), text("imageOwnerId", owner),
		text("imageOwnerAlias", i.Owner), truth("isPublic", i.Owner == "amazon"), text("architecture", ec2Architecture(i.Architecture)),
		text("imageType", "machine"), text("rootDeviceType", "ebs"), text("rootDeviceName", "/dev/xvda"), text("virtualizationType", "hvm"),
		text("hypervisor", "xen"), text("creationDate", "2026-08-01T00:00:00.000Z"), tagSet(i.Tags)}
}
