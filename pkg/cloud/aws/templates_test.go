package aws

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// fakeAccount holds what node classes select. Filters: by ID and by tag.
type fakeAccount struct {
	subnets    []ec2types.Subnet
	groups     []ec2types.SecurityGroup
	images     []ec2types.Image
	parameters map[string]string
	profiles   map[string][]string // roles by profile
	roles      []string
	denied     bool
}

func matches(filters []ec2types.Filter, id, name string, tags []ec2types.Tag) bool {
	m := tagMap(tags)
	for _, f := range filters {
		value := map[string]string{"subnet-id": id, "group-id": id, "image-id": id, "group-name": name, "name": name}[awssdk.ToString(f.Name)]
		if key, isTag := strings.CutPrefix(awssdk.ToString(f.Name), "tag:"); isTag {
			value = m[key]
		}
		if awssdk.ToString(f.Name) == "tag-key" {
			if _, has := m[f.Values[0]]; !has {
				return false
			}
			continue
		}
		if !slices.Contains(f.Values, value) {
			return false
		}
	}
	return true
}

func (a *fakeAccount) DescribeSubnets(_ context.Context, in *ec2.DescribeSubnetsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	if a.denied {
		return nil, apiError("UnauthorizedOperation", "not you")
	}
	out := &ec2.DescribeSubnetsOutput{}
	for _, s := range a.subnets {
		if matches(in.Filters, awssdk.ToString(s.SubnetId), "", s.Tags) {
			out.Subnets = append(out.Subnets, s)
		}
	}
	return out, nil
}

func (a *fakeAccount) DescribeSecurityGroups(_ context.Context, in *ec2.DescribeSecurityGroupsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	out := &ec2.DescribeSecurityGroupsOutput{}
	for _, g := range a.groups {
		if matches(in.Filters, awssdk.ToString(g.GroupId), awssdk.ToString(g.GroupName), g.Tags) {
			out.SecurityGroups = append(out.SecurityGroups, g)
		}
	}
	return out, nil
}

func (a *fakeAccount) DescribeImages(_ context.Context, in *ec2.DescribeImagesInput, _ ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	out := &ec2.DescribeImagesOutput{}
	for _, i := range a.images {
		if matches(in.Filters, awssdk.ToString(i.ImageId), awssdk.ToString(i.Name), i.Tags) {
			out.Images = append(out.Images, i)
		}
	}
	return out, nil
}

func (a *fakeAccount) GetParameters(_ context.Context, in *ssm.GetParametersInput, _ ...func(*ssm.Options)) (*ssm.GetParametersOutput, error) {
	out := &ssm.GetParametersOutput{}
	for _, name := range in.Names {
		if value, exists := a.parameters[name]; exists {
			out.Parameters = append(out.Parameters, ssmtypes.Parameter{Name: awssdk.String(name), Value: awssdk.String(value)})
		} else {
			out.InvalidParameters = append(out.InvalidParameters, name)
		}
	}
	return out, nil
}

func (a *fakeAccount) GetInstanceProfile(_ context.Context, in *iam.GetInstanceProfileInput, _ ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error) {
	roles, exists := a.profiles[*in.InstanceProfileName]
	if !exists {
		return nil, &iamtypes.NoSuchEntityException{}
	}
	p := &iamtypes.InstanceProfile{}
	for _, r := range roles {
		p.Roles = append(p.Roles, iamtypes.Role{RoleName: awssdk.String(r)})
	}
	return &iam.GetInstanceProfileOutput{InstanceProfile: p}, nil
}

func (a *fakeAccount) GetRole(_ context.Context, in *iam.GetRoleInput, _ ...func(*iam.Options)) (*iam.GetRoleOutput, error) {
	if !slices.Contains(a.roles, *in.RoleName) {
		return nil, &iamtypes.NoSuchEntityException{}
	}
	return &iam.GetRoleOutput{}, nil
}

func (a *fakeAccount) CreateInstanceProfile(_ context.Context, in *iam.CreateInstanceProfileInput, _ ...func(*iam.Options)) (*iam.CreateInstanceProfileOutput, error) {
	a.profiles[*in.InstanceProfileName] = nil
	return &iam.CreateInstanceProfileOutput{}, nil
}

func (a *fakeAccount) AddRoleToInstanceProfile(_ context.Context, in *iam.AddRoleToInstanceProfileInput, _ ...func(*iam.Options)) (*iam.AddRoleToInstanceProfileOutput, error) {
	if !slices.Contains(a.roles, *in.RoleName) {
		return nil, &iamtypes.NoSuchEntityException{}
	}
	if len(a.profiles[*in.InstanceProfileName]) > 0 {
		return nil, &iamtypes.LimitExceededException{}
	}
	a.profiles[*in.InstanceProfileName] = []string{*in.RoleName}
	return &iam.AddRoleToInstanceProfileOutput{}, nil
}

func (a *fakeAccount) RemoveRoleFromInstanceProfile(_ context.Context, in *iam.RemoveRoleFromInstanceProfileInput, _ ...func(*iam.Options)) (*iam.RemoveRoleFromInstanceProfileOutput, error) {
	if !slices.Contains(a.profiles[*in.InstanceProfileName], *in.RoleName) {
		return nil, &iamtypes.NoSuchEntityException{}
	}
	a.profiles[*in.InstanceProfileName] = nil
	return &iam.RemoveRoleFromInstanceProfileOutput{}, nil
}

func (a *fakeAccount) DeleteInstanceProfile(_ context.Context, in *iam.DeleteInstanceProfileInput, _ ...func(*iam.Options)) (*iam.DeleteInstanceProfileOutput, error) {
	roles, exists := a.profiles[*in.InstanceProfileName]
	switch {
	case !exists:
		return nil, &iamtypes.NoSuchEntityException{}
	case len(roles) > 0:
		return nil, &iamtypes.DeleteConflictException{}
	}
	delete(a.profiles, *in.InstanceProfileName)
	return &iam.DeleteInstanceProfileOutput{}, nil
}

func testAccount() *fakeAccount {
	discovery := ec2Tags(map[string]string{"discovery": "prod"})
	subnet := func(id, zone string, free int32) ec2types.Subnet {
		return ec2types.Subnet{SubnetId: awssdk.String(id), AvailabilityZone: awssdk.String(zone), AvailabilityZoneId: awssdk.String("id-" + zone), AvailableIpAddressCount: awssdk.Int32(free), Tags: discovery}
	}
	group := func(id, name, vpc string) ec2types.SecurityGroup {
		return ec2types.SecurityGroup{GroupId: awssdk.String(id), GroupName: awssdk.String(name), VpcId: awssdk.String(vpc), Tags: discovery}
	}
	image := func(id, name string, arch ec2types.ArchitectureValues, created string) ec2types.Image {
		return ec2types.Image{ImageId: awssdk.String(id), Name: awssdk.String(name), Architecture: arch, CreationDate: awssdk.String(created), State: ec2types.ImageStateAvailable}
	}
	al2023 := "/aws/service/eks/optimized-ami/1.37/amazon-linux-2023/"
	return &fakeAccount{
		subnets: []ec2types.Subnet{subnet("subnet-2", "us-east-1b", 9), subnet("subnet-1", "us-east-1a", 7)},
		groups:  []ec2types.SecurityGroup{group("sg-2", "nodes", "vpc-1"), group("sg-1", "cluster", "vpc-1")},
		images: []ec2types.Image{
			image("ami-nv", "amazon-eks-node-al2023-x86_64-nvidia-1.37-v20260801", "x86_64", "2026-08-01T00:00:00.000Z"),
			image("ami-std", "amazon-eks-node-al2023-x86_64-standard-1.37-v20260801", "x86_64", "2026-08-01T00:00:00.000Z"),
			image("ami-old", "amazon-eks-node-al2023-x86_64-nvidia-1.37-v20260701", "x86_64", "2026-07-01T00:00:00.000Z"),
			image("ami-br", "bottlerocket-aws-k8s-1.37-nvidia-x86_64-v1.50.0", "x86_64", "2026-07-15T00:00:00.000Z"),
			image("ami-mine", "my-own", "arm64", "2026-06-01T00:00:00.000Z"), image("ami-32", "ancient", "i386", "2010-01-01T00:00:00.000Z"),
		},
		parameters: map[string]string{
			al2023 + "x86_64/nvidia/recommended/image_id": "ami-nv", al2023 + "x86_64/standard/recommended/image_id": "ami-std",
			al2023 + "x86_64/nvidia/amazon-eks-node-al2023-x86_64-nvidia-1.37-v20260701/image_id": "ami-old",
			"/aws/service/bottlerocket/aws-k8s-1.37-nvidia/x86_64/latest/image_id":                "ami-br",
			"/aws/service/bottlerocket/aws-k8s-1.37-nvidia/x86_64/1.50.0/image_id":                "ami-br",
			"/golden/gpu": "ami-mine",
		},
		profiles: map[string][]string{}, roles: []string{"nodes"},
	}
}

func testResolver(a *fakeAccount) *Templates {
	return &Templates{
		network: a, images: a, parameters: a, cluster: &clusterFacts{cfg: testConfig},
		profiles: &profiles{api: a, cluster: "prod", region: "us-east-1"},
	}
}

func testSpec() cloud.TemplateSpec {
	byTag := []cloud.Selector{{Tags: map[string]string{"discovery": "*"}}}
	return cloud.TemplateSpec{Name: "default", Role: "nodes", Images: []cloud.ImageTerm{{Alias: "al2023@latest"}}, Subnets: byTag, SecurityGroups: byTag}
}

func TestResolve(t *testing.T) {
	a := testAccount()
	for round := range 2 { // the second finds the instance profile there
		got, err := testResolver(a).Resolve(t.Context(), testSpec())
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		want := cloud.Template{
			Spec: withDefaults(testSpec(), FamilyAL2023), Family: FamilyAL2023,
			Images: []cloud.Image{
				{ID: "ami-nv", Name: "amazon-eks-node-al2023-x86_64-nvidia-1.37-v20260801", Architecture: "amd64", Variant: VariantNVIDIA},
				{ID: "ami-std", Name: "amazon-eks-node-al2023-x86_64-standard-1.37-v20260801", Architecture: "amd64", Variant: VariantStandard},
			},
			Subnets: []cloud.Subnet{
				{ID: "subnet-1", Zone: "us-east-1a", ZoneID: "id-us-east-1a", FreeAddresses: 7},
				{ID: "subnet-2", Zone: "us-east-1b", ZoneID: "id-us-east-1b", FreeAddresses: 9},
			},
			SecurityGroupIDs: []string{"sg-1", "sg-2"}, InstanceProfile: profileName("prod", "us-east-1", "default", "nodes"),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("round %d (-want +got):\n%s", round, diff)
		}
		if diff := cmp.Diff(map[string][]string{want.InstanceProfile: {"nodes"}}, a.profiles); diff != "" {
			t.Errorf("round %d: profiles (-want +got):\n%s", round, diff)
		}
	}
}

func TestImageTerms(t *testing.T) {
	for name, tc := range map[string]struct {
		terms  []cloud.ImageTerm
		want   []string
		family string
	}{
		"pinned":              {[]cloud.ImageTerm{{Alias: "al2023@v20260701"}}, []string{"ami-old"}, FamilyAL2023},
		"bottlerocket":        {[]cloud.ImageTerm{{Alias: "bottlerocket@latest"}}, []string{"ami-br"}, FamilyBottlerocket},
		"bottlerocket pinned": {[]cloud.ImageTerm{{Alias: "bottlerocket@v1.50.0"}}, []string{"ami-br"}, FamilyBottlerocket},
		"newest first":        {[]cloud.ImageTerm{{ID: "ami-old"}, {ID: "ami-nv"}}, []string{"ami-nv", "ami-old"}, FamilyAL2023},
		"one is missing":      {[]cloud.ImageTerm{{ID: "ami-none"}, {ID: "ami-nv"}}, []string{"ami-nv"}, FamilyAL2023},
		"by name":             {[]cloud.ImageTerm{{Name: "my-own", Owner: "self"}}, []string{"ami-mine"}, FamilyCustom},
		"by parameter":        {[]cloud.ImageTerm{{SSMParameter: "/golden/gpu"}}, []string{"ami-mine"}, FamilyCustom},
	} {
		t.Run(name, func(t *testing.T) {
			spec := testSpec()
			spec.Images, spec.UserData = tc.terms, ""
			if tc.family == FamilyCustom {
				spec.UserData = "#!/bin/sh\n"
			}
			got, err := testResolver(testAccount()).Resolve(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, i := range got.Images {
				ids = append(ids, i.ID)
			}
			if diff := cmp.Diff(tc.want, ids); diff != "" || got.Family != tc.family {
				t.Errorf("family %s (-want +got):\n%s", got.Family, diff)
			}
		})
	}
}

func TestResolveNamesTheFieldAndTheRemedy(t *testing.T) {
	tags := func(value string) []cloud.Selector {
		return []cloud.Selector{{Tags: map[string]string{"discovery": value}}}
	}
	for name, tc := range map[string]struct {
		change      func(*cloud.TemplateSpec, *fakeAccount)
		field, want string
	}{
		"no subnet":        {func(s *cloud.TemplateSpec, _ *fakeAccount) { s.Subnets = tags("staging") }, "spec.subnetSelectorTerms", "tags discovery=staging"},
		"no group":         {func(s *cloud.TemplateSpec, _ *fakeAccount) { s.SecurityGroups = []cloud.Selector{{Name: "x"}} }, "spec.securityGroupSelectorTerms", "name x"},
		"groups of 2 VPCs": {func(_ *cloud.TemplateSpec, a *fakeAccount) { a.groups[0].VpcId = awssdk.String("vpc-2") }, "spec.securityGroupSelectorTerms", "vpc-1, vpc-2"},
		"no image":         {func(s *cloud.TemplateSpec, _ *fakeAccount) { s.Images = []cloud.ImageTerm{{ID: "ami-0"}} }, "spec.amiSelectorTerms", "ami-0"},
		"32 bits":          {func(s *cloud.TemplateSpec, _ *fakeAccount) { s.Images = []cloud.ImageTerm{{ID: "ami-32"}} }, "spec.amiSelectorTerms", "ami-32"},
		"unknown release":  {func(s *cloud.TemplateSpec, _ *fakeAccount) { s.Images = []cloud.ImageTerm{{Alias: "al2023@v1"}} }, "spec.amiSelectorTerms", "choose a release"},
		"unknown family":   {func(s *cloud.TemplateSpec, _ *fakeAccount) { s.Images = []cloud.ImageTerm{{Alias: "gentoo@latest"}} }, "spec.amiSelectorTerms", "use al2023 or bottlerocket"},
		"no version":       {func(s *cloud.TemplateSpec, _ *fakeAccount) { s.Images = []cloud.ImageTerm{{Alias: "al2023"}} }, "spec.amiSelectorTerms", "al2023@latest"},
		"two families": {func(s *cloud.TemplateSpec, _ *fakeAccount) {
			s.Images = []cloud.ImageTerm{{ID: "ami-nv"}, {ID: "ami-br"}}
		}, "spec.amiSelectorTerms", "split it"},
		"custom image": {func(s *cloud.TemplateSpec, _ *fakeAccount) { s.Images = []cloud.ImageTerm{{ID: "ami-mine"}} }, "spec.userData", "al2023 or bottlerocket"},
		"no role":      {func(s *cloud.TemplateSpec, _ *fakeAccount) { s.Role = "" }, "spec.role", "set one"},
		"both":         {func(s *cloud.TemplateSpec, _ *fakeAccount) { s.InstanceProfile = "p" }, "spec.role", "remove one"},
		"unknown role": {func(s *cloud.TemplateSpec, _ *fakeAccount) { s.Role = "ghosts" }, "spec.role", `"ghosts"`},
	} {
		t.Run(name, func(t *testing.T) {
			spec, a := testSpec(), testAccount()
			tc.change(&spec, a)
			_, err := testResolver(a).Resolve(t.Context(), spec)
			var misconfigured *cloud.MisconfiguredError
			if !errors.As(err, &misconfigured) || misconfigured.Field != tc.field || !strings.Contains(misconfigured.Message, tc.want) {
				t.Errorf("got %v, want field %s with %q", err, tc.field, tc.want)
			}
		})
	}
}

func TestResolveDeniedNamesTheAction(t *testing.T) {
	a := testAccount()
	a.denied = true
	_, err := testResolver(a).Resolve(t.Context(), testSpec())
	var denied *cloud.DeniedError
	if !errors.As(err, &denied) || denied.Action != "ec2:DescribeSubnets" {
		t.Errorf("got %v", err)
	}
}

func TestAProfileHalfMadeIsFinished(t *testing.T) {
	a := testAccount()
	name := profileName("prod", "us-east-1", "default", "nodes")
	a.profiles[name] = nil // the run before died between the two calls
	if _, err := testResolver(a).Resolve(t.Context(), testSpec()); err != nil || len(a.profiles[name]) != 1 {
		t.Errorf("profiles %v, %v", a.profiles, err)
	}
}

func TestRolesAsARNsAndNamesWithinIAMsLimit(t *testing.T) {
	a := testAccount()
	spec := testSpec()
	spec.Role = "arn:aws:iam::123456789012:role/path/nodes"
	if _, err := testResolver(a).Resolve(t.Context(), spec); err != nil {
		t.Error(err)
	}
	if name := profileName(strings.Repeat("c", 100), "us-east-1", "x", "y"); len(name) > 128 {
		t.Errorf("%q has %d characters, IAM takes 128", name, len(name))
	}
}

func TestDefaults(t *testing.T) {
	got := withDefaults(cloud.TemplateSpec{}, FamilyBottlerocket)
	if got.Metadata != (cloud.MetadataOptions{HTTPEndpoint: "enabled", HopLimit: 1, HTTPTokens: "required", IPv6: "disabled"}) {
		t.Errorf("got metadata options %+v", got.Metadata)
	}
	roots := 0
	for _, d := range got.BlockDevices {
		if !d.Encrypted || !d.DeleteOnTermination {
			t.Errorf("%+v is not encrypted or outlives its machine", d)
		}
		if d.Root {
			roots++
		}
	}
	if roots != 1 {
		t.Errorf("%d volumes for pods, want 1", roots)
	}
	own := []cloud.BlockDevice{{DeviceName: "/dev/sda1", SizeGiB: 7}}
	if got := withDefaults(cloud.TemplateSpec{BlockDevices: own}, FamilyAL2023).BlockDevices; !cmp.Equal(own, got) {
		t.Errorf("the user's volumes became %+v", got)
	}
}
