package sim

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// DiscoveryTag is the tag by whose value, the cluster's name, DefaultNetwork's subnets and security group are found.
const DiscoveryTag = "slipway.sh/discovery"

// Network is what a region has besides machines: where they stand and what they boot.
type Network struct {
	Subnets        []Subnet
	SecurityGroups []SecurityGroup
	Images         []Image
	// Profiles are the instance profiles: name to role.
	Profiles map[string]string
	// Roles are the roles for which a profile can be made.
	Roles []string
}

// Subnet is a subnet with its tags. CIDR is an IPv4 range from /16 to /28; FreeAddresses is what it has free at the start.
type Subnet struct {
	cloud.Subnet
	CIDR netip.Prefix
	Tags map[string]string
}

// SecurityGroup is a security group with its tags.
type SecurityGroup struct {
	ID, Name string
	Tags     map[string]string
}

// Image is a machine image and the names by which it can be selected.
type Image struct {
	cloud.Image
	Family     string   // al2023, bottlerocket, custom
	Versions   []string // latest, v20260801: what may stand after the @ of an alias
	Parameters []string // SSM parameter names whose value is this image
	Owner      string   // amazon, self, or an account
	Tags       map[string]string
}

// NodeRole is the role that DefaultNetwork has for a cluster's nodes.
func NodeRole(cluster string) string { return "SlipwayNodeRole-" + cluster }

// DefaultNetwork has one subnet per zone of the offerings and one security group, tagged DiscoveryTag: cluster, NodeRole
// with a profile of the same name, and images of al2023 and bottlerocket.
func DefaultNetwork(cluster string, offerings []cloud.Offering) Network {
	zones := map[string]string{}
	for _, o := range offerings {
		zones[o.Zone] = cmp.Or(o.ZoneID, zones[o.Zone])
	}
	role := NodeRole(cluster)
	network := Network{
		SecurityGroups: []SecurityGroup{{ID: "sg-0a1b2c3d4e5f60001", Name: cluster + "-nodes", Tags: discovery(cluster, cluster+"-nodes")}},
		Images:         DefaultImages(),
		Profiles:       map[string]string{role: role},
		Roles:          []string{role},
	}
	for i, zone := range slices.Sorted(maps.Keys(zones)) {
		network.Subnets = append(network.Subnets, Subnet{
			Subnet: cloud.Subnet{ID: fmt.Sprintf("subnet-0a1b2c3d4e5f6%04d", i+1), Zone: zone,
				ZoneID: cmp.Or(zones[zone], ZoneID(zone)), FreeAddresses: 1<<16 - 5},
			CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16),
			Tags: discovery(cluster, cluster+"-"+zone),
		})
	}
	return network
}

func discovery(cluster, name string) map[string]string {
	return map[string]string{DiscoveryTag: cluster, "Name": name, "kubernetes.io/cluster/" + cluster: "owned"}
}

// ZoneID is the zone's ID in an account where the letters are in the order of the numbers: us-east-1a is use1-az1.
func ZoneID(zone string) string {
	parts := strings.Split(zone, "-")
	last := parts[len(parts)-1]
	if len(parts) < 3 || len(last) < 2 {
		return ""
	}
	direction := map[string]string{"north": "n", "south": "s", "east": "e", "west": "w", "central": "c",
		"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}
	short := parts[0]
	for _, word := range parts[1 : len(parts)-1] {
		short += cmp.Or(direction[word], word)
	}
	return fmt.Sprintf("%s%s-az%d", short, last[:len(last)-1], last[len(last)-1]-'a'+1)
}

func (n Network) validate() []error {
	var errs []error
	ids := map[string]bool{}
	for _, s := range n.Subnets {
		switch {
		case s.ID == "" || s.Zone == "" || ids[s.ID]:
			errs = append(errs, fmt.Errorf("subnet %q in zone %q: want a unique ID and a zone", s.ID, s.Zone))
		case !s.CIDR.IsValid() || !s.CIDR.Addr().Is4() || s.CIDR.Bits() < 16 || s.CIDR.Bits() > 28:
			errs = append(errs, fmt.Errorf("subnet %s: want an IPv4 CIDR between /16 and /28", s.ID))
		case s.FreeAddresses < 0 || s.FreeAddresses > usable(s.CIDR):
			errs = append(errs, fmt.Errorf("subnet %s: want 0 to %d free addresses", s.ID, usable(s.CIDR)))
		}
		ids[s.ID] = true
	}
	for _, i := range n.Images {
		if i.ID == "" || i.Architecture == "" {
			errs = append(errs, fmt.Errorf("image %q: want an ID and an architecture", i.ID))
		}
	}
	return errs
}

// usable is how many addresses machines can have: EC2 keeps five of every subnet.
func usable(cidr netip.Prefix) int64 { return 1<<(32-cidr.Bits()) - 5 }

// subnetState is a subnet with the addresses that are taken.
type subnetState struct {
	Subnet
	ordinal int
	next    uint32
	taken   map[netip.Addr]bool
}

func (s *subnetState) free() int64 { return max(0, s.FreeAddresses-int64(len(s.taken))) }

// take answers an address that no machine has. The caller has seen that one is free.
func (s *subnetState) take() netip.Addr {
	if s.taken == nil {
		s.taken = map[netip.Addr]bool{}
	}
	size := uint32(usable(s.CIDR))
	base := s.CIDR.Masked().Addr().As4()
	for {
		offset := 4 + s.next%size // EC2 keeps the first four and the last
		s.next++
		address := netip.AddrFrom4([4]byte{base[0], base[1], base[2] + byte(offset>>8), base[3] + byte(offset)})
		if !s.taken[address] {
			s.taken[address] = true
			return address
		}
	}
}

func (s *subnetState) release(ip string) {
	if address, err := netip.ParseAddr(ip); err == nil {
		delete(s.taken, address)
	}
}

// subnetFor answers the subnet that the choice names, or else its zone's with the most free addresses; nil if it has none.
func (c *Cloud) subnetFor(f FleetChoice) *subnetState {
	if f.SubnetID != "" {
		if s := c.subnets[f.SubnetID]; s != nil && s.free() > 0 && s.Zone == f.Key.Zone {
			return s
		}
		return nil
	}
	var best *subnetState
	for _, s := range c.subnets {
		if s.Zone != f.Key.Zone || s.free() == 0 {
			continue
		}
		if best == nil || s.free() > best.free() || s.free() == best.free() && s.ordinal < best.ordinal {
			best = s
		}
	}
	return best
}

// Network answers the region's network, with the addresses that are free now.
func (c *Cloud) Network() Network {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	network := c.config.Network
	network.Subnets = slices.Clone(network.Subnets)
	for i := range network.Subnets {
		network.Subnets[i].FreeAddresses = c.subnets[network.Subnets[i].ID].free()
	}
	network.Profiles = maps.Clone(network.Profiles)
	return network
}

// privateDNS is the name that EC2 gives to an address: us-east-1 has a domain of its own.
func privateDNS(ip netip.Addr, region string) string {
	domain := region + ".compute.internal"
	if region == "us-east-1" {
		domain = "ec2.internal"
	}
	return "ip-" + strings.ReplaceAll(ip.String(), ".", "-") + "." + domain
}
