package simulate

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
)

// regionName is how EC2 calls its regions.
var regionName = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`)

// validRegion refuses what cannot be a region.
func validRegion(region string) error {
	if !regionName.MatchString(region) {
		return fmt.Errorf("region %q: want one of EC2's, such as eu-west-1", region)
	}
	return nil
}

// region settles which region is simulated.
func (g *gathering) region(ctx context.Context) error {
	var nodes corev1.NodeList
	if err := g.world.List(ctx, &nodes); err != nil {
		return err
	}
	regions := distinct(nodes.Items, func(n corev1.Node) string { return n.Labels[corev1.LabelTopologyRegion] })
	switch {
	case g.Region != "":
	case len(regions) == 1:
		g.Region = regions[0]
	case len(regions) > 1:
		return fmt.Errorf("the nodes are in several regions (%s): choose one with --region", strings.Join(regions, ", "))
	default:
		g.Region = DefaultRegion
		g.assume("The region is %s", g.Region)
	}
	return validRegion(g.Region)
}

// facts are those in the program. Of a region whose zones are not among them every type is taken to be sold in each zone that is known otherwise.
func (g *gathering) facts(ctx context.Context) (catalogue.Facts, error) {
	facts := catalogue.Embedded()
	if len(facts.Zones[g.Region]) > 0 {
		return facts, nil
	}
	zones, err := g.seenZones(ctx)
	if err != nil {
		return facts, err
	}
	in := map[string][]string{}
	for _, t := range facts.Types {
		in[t.Name] = zones
	}
	facts.Zones = map[string]map[string][]string{g.Region: in}
	if g.Catalogue == nil {
		g.assume("Which types are sold where in %s is not known: each is taken to be in %s", g.Region, strings.Join(zones, ", "))
	}
	return facts, nil
}

// seenZones are the zones of the region that nodes and the statuses of EC2NodeClasses name; without any, three that are called as EC2 calls them.
func (g *gathering) seenZones(ctx context.Context) ([]string, error) {
	var nodes corev1.NodeList
	if err := g.world.List(ctx, &nodes); err != nil {
		return nil, err
	}
	seen := distinct(nodes.Items, func(n corev1.Node) string { return n.Labels[corev1.LabelTopologyZone] })
	for _, class := range g.classes.classes {
		seen = append(seen, distinct(class.Status.Subnets, func(s v1alpha1.ResolvedSubnet) string { return s.Zone })...)
	}
	zones := distinct(seen, func(zone string) string {
		if !strings.HasPrefix(zone, g.Region) {
			return "" // another region's
		}
		return zone
	})
	if len(zones) == 0 {
		zones = []string{g.Region + "a", g.Region + "b", g.Region + "c"}
	}
	return zones, nil
}
