package aws

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
)

// Launch implements cloud.Fleet by CreateFleet of type instant for one machine. The claim's UID is the client token, so
// that EC2 answers the same machine again; where EC2 says that the token was used for something else (subnets or
// images were resolved anew since), the machine is looked for by its tag before ErrTokenReused is answered.
func (f *Fleet) Launch(ctx context.Context, req cloud.LaunchRequest) (cloud.LaunchResult, error) {
	result, err := f.launch(ctx, req)
	if err != nil {
		return cloud.LaunchResult{}, fmt.Errorf("launching for claim %s: %w", req.Claim, err)
	}
	return result, nil
}

func (f *Fleet) launch(ctx context.Context, req cloud.LaunchRequest) (cloud.LaunchResult, error) {
	facts, err := f.cluster.get(ctx)
	if err != nil {
		return cloud.LaunchResult{}, err
	}
	p, err := planLaunch(req)
	if err != nil {
		return cloud.LaunchResult{}, err
	}
	for attempt := 0; ; attempt++ {
		configs, err := f.launchConfigs(ctx, facts, req, p)
		if err != nil {
			return cloud.LaunchResult{}, err
		}
		w := &witness{}
		out, err := f.ec2.CreateFleet(ctx, f.fleetInput(req, configs), w.watch)
		switch code := errorCode(err); {
		case err == nil:
			return readFleet(out, req, p)
		case classOf(code) == classThrottled && (w.unanswered || code == codePriorRequest):
			return cloud.LaunchResult{}, fmt.Errorf("calling %s, an earlier attempt of which may have launched a machine: %w", actionCreateFleet, err)
		case classOf(code) == classTemplateGone && attempt == 0:
			// Somebody deleted a launch template that was thought to exist. EC2 refused the whole request, so the token
			// is still unused; the template is made again, once.
			f.templates.forget()
		case classOf(code) == classTokenReused:
			return f.byToken(ctx, req.Token, callError("ec2:CreateFleet", err))
		default:
			return cloud.LaunchResult{}, topLevelError(req, p, err)
		}
	}
}

// launchPlan is a request sorted out for EC2: for each image the choices that boot it, each with its subnet.
type launchPlan struct {
	groups []imageGroup // sorted by image
	zoneOf map[string]string
}

type imageGroup struct {
	image   cloud.Image
	choices []placedChoice // in the order of the request
}

type placedChoice struct {
	cloud.Choice
	subnetID string
}

// planLaunch drops choices that have no image or no subnet: EC2 would refuse the request as a whole for them.
func planLaunch(req cloud.LaunchRequest) (launchPlan, error) {
	if req.Market != cloud.Spot && req.Market != cloud.OnDemand {
		return launchPlan{}, &cloud.MisconfiguredError{Field: "spec.requirements", Message: fmt.Sprintf(
			"capacity type %q cannot be launched; allow spot or on-demand", req.Market)}
	}
	p := launchPlan{zoneOf: map[string]string{}}
	subnets := bestSubnets(req.Template.Subnets)
	known := catalogue.Embedded()
	byImage := map[string]*imageGroup{}
	missing := &cloud.MisconfiguredError{Field: fieldImages, Message: "the launch has no choices"}
	for _, c := range req.Choices {
		image, found := imageFor(req.Template.Images, c, known)
		if !found {
			missing.Field, missing.Message = fieldImages, fmt.Sprintf("no image for architecture %s (%s); select one", c.Architecture, c.InstanceType)
			continue
		}
		subnet, found := subnets[c.Zone]
		if !found {
			missing.Field, missing.Message = fieldSubnets, fmt.Sprintf("no subnet in zone %s; select one there, or leave the zone out of the requirements", c.Zone)
			continue
		}
		g := byImage[image.ID]
		if g == nil {
			g = &imageGroup{image: image}
			byImage[image.ID] = g
		}
		g.choices = append(g.choices, placedChoice{c, subnet.ID})
		p.zoneOf[subnet.ID] = c.Zone
	}
	if len(byImage) == 0 {
		return launchPlan{}, missing
	}
	for _, g := range byImage {
		p.groups = append(p.groups, *g)
	}
	slices.SortFunc(p.groups, func(a, b imageGroup) int { return cmp.Compare(a.image.ID, b.image.ID) })
	return p, nil
}

// bestSubnets answers, for each zone, the subnet with the most free addresses. EC2 takes one subnet for each pair of
// type and zone in an instant fleet.
func bestSubnets(subnets []cloud.Subnet) map[string]cloud.Subnet {
	best := map[string]cloud.Subnet{}
	for _, s := range subnets {
		b, seen := best[s.Zone]
		if !seen || s.FreeAddresses > b.FreeAddresses || s.FreeAddresses == b.FreeAddresses && s.ID < b.ID {
			best[s.Zone] = s
		}
	}
	return best
}

// imageFor answers the first image of the architecture in the variant that drives the type's GPUs, or else the first of
// the architecture. Types that the embedded facts do not know are taken for NVIDIA's, as nearly all are.
func imageFor(images []cloud.Image, c cloud.Choice, known catalogue.Facts) (cloud.Image, bool) {
	want := VariantNVIDIA
	if t, described := known.Type(c.InstanceType); described && t.GPU.Manufacturer != "NVIDIA" {
		want = VariantStandard
	}
	for _, fits := range []func(cloud.Image) bool{
		func(i cloud.Image) bool { return i.Variant == want },
		func(i cloud.Image) bool { return i.Variant != VariantNeuron },
	} {
		i := slices.IndexFunc(images, func(i cloud.Image) bool { return i.Architecture == c.Architecture && fits(i) })
		if i >= 0 {
			return images[i], true
		}
	}
	return cloud.Image{}, false
}

// launchConfigs makes sure of one launch template for each image and answers the overrides on it.
func (f *Fleet) launchConfigs(ctx context.Context, facts cluster, req cloud.LaunchRequest, p launchPlan) ([]ec2types.FleetLaunchTemplateConfigRequest, error) {
	text, err := userData(facts, req.Template, req.Node)
	if err != nil {
		return nil, err
	}
	var configs []ec2types.FleetLaunchTemplateConfigRequest
	for _, g := range p.groups {
		name, err := f.templates.ensure(ctx, req.Template, g.image.ID, text)
		if err != nil {
			return nil, err
		}
		config := ec2types.FleetLaunchTemplateConfigRequest{
			LaunchTemplateSpecification: &ec2types.FleetLaunchTemplateSpecificationRequest{
				LaunchTemplateName: awssdk.String(name), Version: awssdk.String("$Latest"),
			},
		}
		for _, c := range g.choices {
			config.Overrides = append(config.Overrides, ec2types.FleetLaunchTemplateOverridesRequest{
				InstanceType: ec2types.InstanceType(c.InstanceType), SubnetId: awssdk.String(c.subnetID), AvailabilityZone: awssdk.String(c.Zone),
			})
		}
		configs = append(configs, config)
	}
	return configs, nil
}

func (f *Fleet) fleetInput(req cloud.LaunchRequest, configs []ec2types.FleetLaunchTemplateConfigRequest) *ec2.CreateFleetInput {
	in := &ec2.CreateFleetInput{
		Type:                  ec2types.FleetTypeInstant,
		ClientToken:           awssdk.String(req.Token),
		LaunchTemplateConfigs: configs,
		TargetCapacitySpecification: &ec2types.TargetCapacitySpecificationRequest{
			TotalTargetCapacity: awssdk.Int32(1), DefaultTargetCapacityType: ec2types.DefaultTargetCapacityTypeOnDemand,
		},
	}
	if req.Market == cloud.Spot {
		in.TargetCapacitySpecification.DefaultTargetCapacityType = ec2types.DefaultTargetCapacityTypeSpot
		in.SpotOptions = &ec2types.SpotOptionsRequest{
			AllocationStrategy: ec2types.SpotAllocationStrategyPriceCapacityOptimized,
		}
	} else {
		in.OnDemandOptions = &ec2types.OnDemandOptionsRequest{
			AllocationStrategy: ec2types.FleetOnDemandAllocationStrategyLowestPrice,
		}
	}
	tags := ec2Tags(f.machineTags(req))
	for _, resource := range []ec2types.ResourceType{ec2types.ResourceTypeFleet, ec2types.ResourceTypeInstance, ec2types.ResourceTypeVolume} {
		in.TagSpecifications = append(in.TagSpecifications, ec2types.TagSpecification{ResourceType: resource, Tags: tags})
	}
	return in
}

// machineTags answers the user's tags with ours on top: a machine that does not carry ours would be lost.
func (f *Fleet) machineTags(req cloud.LaunchRequest) map[string]string {
	tags := map[string]string{TagName: req.Claim}
	for key, value := range req.Template.Spec.Tags {
		tags[key] = value
	}
	for key, value := range map[string]string{
		clusterTag(f.name): tagOwned, TagEKSCluster: f.name, TagNodeClass: req.Template.Spec.Name,
		TagProvisioner: req.Provisioner, TagClaim: req.Claim, TagClaimUID: req.Token,
	} {
		tags[key] = value
	}
	return tags
}

// readFleet reads what CreateFleet did: one machine and what was out of stock on the way, or only errors.
func readFleet(out *ec2.CreateFleetOutput, req cloud.LaunchRequest, p launchPlan) (cloud.LaunchResult, error) {
	for _, i := range out.Instances {
		if len(i.InstanceIds) == 0 {
			continue
		}
		key := cloud.OfferingKey{InstanceType: string(i.InstanceType), Zone: awssdk.ToString(i.AvailabilityZone), Market: req.Market}
		if i.LaunchTemplateAndOverrides != nil && i.LaunchTemplateAndOverrides.Overrides != nil {
			o := i.LaunchTemplateAndOverrides.Overrides
			key.InstanceType = cmp.Or(key.InstanceType, string(o.InstanceType))
			key.Zone = cmp.Or(key.Zone, awssdk.ToString(o.AvailabilityZone), p.zoneOf[awssdk.ToString(o.SubnetId)])
		}
		key.Zone = cmp.Or(key.Zone, p.zoneOf[awssdk.ToString(i.SubnetId)])
		if i.Lifecycle == ec2types.InstanceLifecycleOnDemand {
			key.Market = cloud.OnDemand
		}
		return cloud.LaunchResult{
			Instance: cloud.Instance{
				ID: i.InstanceIds[0], ProviderID: providerID(key.Zone, i.InstanceIds[0]), OfferingKey: key,
				Token: req.Token, Claim: req.Claim, Provisioner: req.Provisioner,
				State: cloud.InstancePending, ImageID: p.imageOf(key),
			},
			Stockouts: stockouts(out.Errors, req, p),
		}, nil
	}
	return cloud.LaunchResult{}, fleetError(out.Errors, req, p)
}

func (p launchPlan) imageOf(key cloud.OfferingKey) string {
	for _, g := range p.groups {
		for _, c := range g.choices {
			if c.InstanceType == key.InstanceType && c.Zone == key.Zone {
				return g.image.ID
			}
		}
	}
	return ""
}

// offerings answers every choice that was sent, sorted.
func (p launchPlan) offerings(market cloud.Market) []cloud.OfferingKey {
	var keys []cloud.OfferingKey
	for _, g := range p.groups {
		for _, c := range g.choices {
			keys = append(keys, cloud.OfferingKey{InstanceType: c.InstanceType, Zone: c.Zone, Market: market})
		}
	}
	return sortedKeys(keys)
}

func sortedKeys(keys []cloud.OfferingKey) []cloud.OfferingKey {
	slices.SortFunc(keys, cloud.OfferingKey.Compare)
	return slices.Compact(keys)
}

func providerID(zone, instanceID string) string { return "aws:///" + zone + "/" + instanceID }
