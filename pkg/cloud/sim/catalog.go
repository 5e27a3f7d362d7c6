package sim

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Load is cloud.Catalog's. It lists what is offered, in stock or not.
func (c *Cloud) Load(ctx context.Context) (cloud.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return cloud.Snapshot{}, err
	}
	if _, err := c.Admit(Call{Name: "DescribeInstanceTypes"}); err != nil {
		return cloud.Snapshot{}, err
	}
	return cloud.Snapshot{Types: slices.Clone(c.config.Types), Offerings: c.Offerings()}, nil
}

// Offerings answers what is offered at the prices of now, sorted by key, with zone IDs.
func (c *Cloud) Offerings() []cloud.Offering {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	answer := make([]cloud.Offering, 0, len(c.offerings))
	for _, configured := range c.config.Offerings {
		o := c.offerings[configured.OfferingKey]
		if o.ZoneID == "" {
			o.ZoneID = ZoneID(o.Zone)
		}
		answer = append(answer, o)
	}
	return answer
}

// Types answers the instance types, sorted by name.
func (c *Cloud) Types() []cloud.InstanceType { return slices.Clone(c.config.Types) }

// ClusterName is the Config's.
func (c *Cloud) ClusterName() string { return c.config.ClusterName }

// Region is the Config's, or its default.
func (c *Cloud) Region() string { return c.config.Region }

// Release is cloud.Templates': nothing is ever made but machines.
func (c *Cloud) Release(ctx context.Context, _ cloud.TemplateSpec) error { return ctx.Err() }

// Resolve is cloud.Templates'.
func (c *Cloud) Resolve(ctx context.Context, spec cloud.TemplateSpec) (cloud.Template, error) {
	if err := ctx.Err(); err != nil {
		return cloud.Template{}, err
	}
	for _, name := range []string{"DescribeSubnets", "DescribeSecurityGroups", "DescribeImages"} {
		if _, err := c.Admit(Call{Name: name}); err != nil {
			return cloud.Template{}, err
		}
	}
	network := c.Network()
	t := cloud.Template{Spec: spec}
	for _, s := range network.Subnets {
		if slices.ContainsFunc(spec.Subnets, func(sel cloud.Selector) bool { return selects(sel, s.ID, "", s.Tags) }) {
			t.Subnets = append(t.Subnets, s.Subnet)
		}
	}
	for _, g := range network.SecurityGroups {
		if slices.ContainsFunc(spec.SecurityGroups, func(sel cloud.Selector) bool { return selects(sel, g.ID, g.Name, g.Tags) }) {
			t.SecurityGroupIDs = append(t.SecurityGroupIDs, g.ID)
		}
	}
	slices.SortFunc(t.Subnets, func(a, b cloud.Subnet) int { return strings.Compare(a.ID, b.ID) })
	slices.Sort(t.SecurityGroupIDs)
	if len(t.Subnets) == 0 {
		return cloud.Template{}, nothing("spec.subnetSelectorTerms", "subnet")
	}
	if len(t.SecurityGroupIDs) == 0 {
		return cloud.Template{}, nothing("spec.securityGroupSelectorTerms", "security group")
	}
	t.Images, t.Family = resolveImages(network.Images, spec.Images)
	if len(t.Images) == 0 {
		return cloud.Template{}, nothing("spec.amiSelectorTerms", "image")
	}
	var err error
	t.InstanceProfile, err = resolveProfile(network, spec)
	return t, err
}

func nothing(field, what string) error {
	return &cloud.MisconfiguredError{Field: field, Message: "no " + what + " matches; check its IDs, names and tags in this region"}
}

func selects(s cloud.Selector, id, name string, tags map[string]string) bool {
	switch {
	case s.ID != "":
		return s.ID == id
	case s.Name != "":
		return s.Name == name
	}
	return len(s.Tags) > 0 && matchesTags(s.Tags, tags)
}

func matchesTags(want, have map[string]string) bool {
	for key, value := range want {
		got, found := have[key]
		if !found || value != "*" && value != got {
			return false
		}
	}
	return true
}

// resolveImages answers the images of the first term's family that any term selects, by ID.
func resolveImages(images []Image, terms []cloud.ImageTerm) ([]cloud.Image, string) {
	var found []cloud.Image
	family := "custom"
	for _, image := range images {
		if !slices.ContainsFunc(terms, func(t cloud.ImageTerm) bool { return selectsImage(t, image) }) {
			continue
		}
		if slices.ContainsFunc(terms, func(t cloud.ImageTerm) bool { return t.Alias != "" }) {
			family = image.Family
		}
		found = append(found, image.Image)
	}
	slices.SortFunc(found, func(a, b cloud.Image) int { return strings.Compare(a.ID, b.ID) })
	return found, family
}

func selectsImage(t cloud.ImageTerm, image Image) bool {
	switch {
	case t.Alias != "":
		family, version, _ := strings.Cut(t.Alias, "@")
		return family == image.Family && slices.Contains(image.Versions, version) && image.Variant == "nvidia"
	case t.ID != "":
		return t.ID == image.ID
	case t.SSMParameter != "":
		return slices.Contains(image.Parameters, t.SSMParameter)
	}
	if t.Name != "" {
		if matched, err := path.Match(t.Name, image.Name); err != nil || !matched {
			return false
		}
	}
	return (t.Name != "" || len(t.Tags) > 0) && (t.Owner == "" || t.Owner == image.Owner) && matchesTags(t.Tags, image.Tags)
}

func resolveProfile(n Network, spec cloud.TemplateSpec) (string, error) {
	if spec.InstanceProfile != "" {
		if _, found := n.Profiles[spec.InstanceProfile]; !found {
			return "", &cloud.MisconfiguredError{Field: "spec.instanceProfile", Message: spec.InstanceProfile + " does not exist; create it"}
		}
		return spec.InstanceProfile, nil
	}
	if !slices.Contains(n.Roles, spec.Role) {
		return "", &cloud.MisconfiguredError{Field: "spec.role", Message: spec.Role + " does not exist; create it"}
	}
	return "slipway-" + spec.Role, nil
}
