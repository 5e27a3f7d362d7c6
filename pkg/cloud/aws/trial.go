package aws

import (
	"cmp"
	"errors"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
)

// trialRequest is a launch that nobody asked for: a dry run must carry every tag that a launch does.
func trialRequest(t cloud.Template, choice cloud.Choice, market cloud.Market) cloud.LaunchRequest {
	return cloud.LaunchRequest{
		Token: "preflight", Claim: "preflight", Provisioner: "preflight", Market: market, Choices: []cloud.Choice{choice}, Template: t,
	}
}

func firstImage(t cloud.Template) string {
	if len(t.Images) == 0 {
		return ""
	}
	return t.Images[0].ID
}

func subnetIn(t cloud.Template, zone string) string { return bestSubnets(t.Subnets)[zone].ID }

func onTemplate(name string, choice cloud.Choice, subnetID string) []ec2types.FleetLaunchTemplateConfigRequest {
	return []ec2types.FleetLaunchTemplateConfigRequest{{
		LaunchTemplateSpecification: &ec2types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: awssdk.String(name), Version: awssdk.String("$Latest")},
		Overrides: []ec2types.FleetLaunchTemplateOverridesRequest{{
			InstanceType: ec2types.InstanceType(choice.InstanceType), SubnetId: awssdk.String(subnetID), AvailabilityZone: awssdk.String(choice.Zone)}},
	}}
}

// CheapestChoice answers the cheapest offering of a catalogue that machines of the template can be: one with a subnet and an image. ok is
// false where there is none.
func CheapestChoice(t cloud.Template, snapshot cloud.Snapshot) (choice cloud.Choice, market cloud.Market, ok bool) {
	zones := bestSubnets(t.Subnets)
	architectures := map[string]string{}
	for _, typ := range snapshot.Types {
		architectures[typ.Name] = typ.Architecture
	}
	known := catalogue.Embedded()
	fitting := slices.DeleteFunc(slices.Clone(snapshot.Offerings), func(o cloud.Offering) bool {
		_, placed := zones[o.Zone]
		_, boots := imageFor(t.Images, cloud.Choice{InstanceType: o.InstanceType, Architecture: architectures[o.InstanceType]}, known)
		return !placed || !boots
	})
	if len(fitting) == 0 {
		return cloud.Choice{}, "", false
	}
	best := slices.MinFunc(fitting, func(a, b cloud.Offering) int {
		return cmp.Or(cmp.Compare(a.PriceMicroUSDPerHour, b.PriceMicroUSDPerHour), a.OfferingKey.Compare(b.OfferingKey))
	})
	return cloud.Choice{InstanceType: best.InstanceType, Architecture: architectures[best.InstanceType], Zone: best.Zone}, best.Market, true
}

// machineInput is what a fleet's launch of the choice comes to.
func (s *Survey) machineInput(t cloud.Template, choice cloud.Choice) (*ec2.RunInstancesInput, error) {
	image, found := imageFor(t.Images, choice, catalogue.Embedded())
	if !found {
		return nil, errors.New("no image boots the machine")
	}
	in := &ec2.RunInstancesInput{
		DryRun: awssdk.Bool(true), MinCount: awssdk.Int32(1), MaxCount: awssdk.Int32(1), ImageId: awssdk.String(image.ID),
		InstanceType:     ec2types.InstanceType(choice.InstanceType),
		SecurityGroupIds: t.SecurityGroupIDs, SubnetId: awssdk.String(subnetIn(t, choice.Zone)),
	}
	if t.InstanceProfile != "" {
		in.IamInstanceProfile = &ec2types.IamInstanceProfileSpecification{Name: awssdk.String(t.InstanceProfile)}
	}
	for _, d := range t.Spec.BlockDevices {
		b := blockDevice(d)
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, ec2types.BlockDeviceMapping{DeviceName: b.DeviceName, Ebs: &ec2types.EbsBlockDevice{
			DeleteOnTermination: b.Ebs.DeleteOnTermination, Encrypted: b.Ebs.Encrypted, VolumeType: b.Ebs.VolumeType, VolumeSize: b.Ebs.VolumeSize,
			Iops: b.Ebs.Iops, Throughput: b.Ebs.Throughput, KmsKeyId: b.Ebs.KmsKeyId, SnapshotId: b.Ebs.SnapshotId,
		}})
	}
	tags := ec2Tags(s.fleet.machineTags(trialRequest(t, choice, cloud.OnDemand)))
	for _, kind := range []ec2types.ResourceType{ec2types.ResourceTypeInstance, ec2types.ResourceTypeVolume} {
		in.TagSpecifications = append(in.TagSpecifications, ec2types.TagSpecification{ResourceType: kind, Tags: tags})
	}
	in.TagSpecifications = append(in.TagSpecifications, ec2types.TagSpecification{
		ResourceType: ec2types.ResourceTypeNetworkInterface, Tags: ec2Tags(s.fleet.templates.interfaceTags(t.Spec))})
	return in, nil
}
