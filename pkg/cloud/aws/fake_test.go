package aws

import (
	"context"
	"errors"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

var (
	noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

	testCluster = cluster{
		Name: "prod", Endpoint: "https://ABC.gr7.us-east-1.eks.amazonaws.com", CA: "LS0tLS1CRUdJTg==",
		ServiceCIDR: "10.100.0.0/16", KubernetesVersion: "1.37",
	}
	testConfig = Config{
		ClusterName: "prod", ClusterEndpoint: testCluster.Endpoint, ClusterCA: testCluster.CA,
		ServiceCIDR: testCluster.ServiceCIDR, KubernetesVersion: "1.37", Now: func() time.Time { return noon },
	}
)

func apiError(code, message string) error {
	return &smithy.OperationError{ServiceID: "EC2", OperationName: "Any", Err: &smithy.GenericAPIError{Code: code, Message: message}}
}

var errUnreachable = errors.New("dial tcp: connection refused")

// fakeEC2 is a small EC2: launch templates by name, machines by ID, and what CreateFleet is to answer.
type fakeEC2 struct {
	mu        sync.Mutex
	templates map[string]ec2types.LaunchTemplate
	instances []ec2types.Instance
	fleets    []*ec2.CreateFleetInput
	fleet     func(in *ec2.CreateFleetInput) (*ec2.CreateFleetOutput, error)
	failing   error // of CreateLaunchTemplate
	created   int
	terminate func(id string) (*ec2.TerminateInstancesOutput, error)
	described [][]string // the values of the first filter of each DescribeInstances
}

func (f *fakeEC2) CreateFleet(_ context.Context, in *ec2.CreateFleetInput, _ ...func(*ec2.Options)) (*ec2.CreateFleetOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fleets = append(f.fleets, in)
	for _, c := range in.LaunchTemplateConfigs {
		if _, exists := f.templates[awssdk.ToString(c.LaunchTemplateSpecification.LaunchTemplateName)]; !exists {
			return nil, apiError("InvalidLaunchTemplateName.NotFoundException", "gone")
		}
	}
	return f.fleet(in)
}

func (f *fakeEC2) DescribeInstances(_ context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.described = append(f.described, in.Filters[0].Values)
	return &ec2.DescribeInstancesOutput{Reservations: []ec2types.Reservation{{Instances: f.instances}}}, nil
}

func (f *fakeEC2) TerminateInstances(_ context.Context, in *ec2.TerminateInstancesInput, _ ...func(*ec2.Options)) (*ec2.TerminateInstancesOutput, error) {
	return f.terminate(in.InstanceIds[0])
}

func (f *fakeEC2) CreateLaunchTemplate(_ context.Context, in *ec2.CreateLaunchTemplateInput, _ ...func(*ec2.Options)) (*ec2.CreateLaunchTemplateOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := awssdk.ToString(in.LaunchTemplateName)
	if f.failing != nil {
		return nil, f.failing
	}
	if _, exists := f.templates[name]; exists {
		return nil, apiError(codeTemplateExists, "exists")
	}
	if f.templates == nil {
		f.templates = map[string]ec2types.LaunchTemplate{}
	}
	f.created++
	f.templates[name] = ec2types.LaunchTemplate{LaunchTemplateName: in.LaunchTemplateName, CreateTime: awssdk.Time(noon)}
	return &ec2.CreateLaunchTemplateOutput{}, nil
}

func (f *fakeEC2) DescribeLaunchTemplates(context.Context, *ec2.DescribeLaunchTemplatesInput, ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplatesOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &ec2.DescribeLaunchTemplatesOutput{}
	for _, t := range f.templates {
		out.LaunchTemplates = append(out.LaunchTemplates, t)
	}
	return out, nil
}

func (f *fakeEC2) DeleteLaunchTemplate(_ context.Context, in *ec2.DeleteLaunchTemplateInput, _ ...func(*ec2.Options)) (*ec2.DeleteLaunchTemplateOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.templates, awssdk.ToString(in.LaunchTemplateName))
	return &ec2.DeleteLaunchTemplateOutput{}, nil
}

func testFleet(api *fakeEC2) *Fleet { return newFleet(api, &clusterFacts{cfg: testConfig}, testConfig) }

func testTemplate() cloud.Template {
	spec := withDefaults(cloud.TemplateSpec{Name: "default", Role: "nodes", Tags: map[string]string{"team": "ml"}}, FamilyAL2023)
	return cloud.Template{
		Spec: spec, Family: FamilyAL2023, InstanceProfile: "slipway-prod-1", SecurityGroupIDs: []string{"sg-1"},
		Images: []cloud.Image{
			{ID: "ami-std", Architecture: "amd64", Variant: VariantStandard}, {ID: "ami-nv", Architecture: "amd64", Variant: VariantNVIDIA},
			{ID: "ami-arm", Architecture: "arm64", Variant: VariantNVIDIA},
		},
		Subnets: []cloud.Subnet{
			{ID: "subnet-a1", Zone: "us-east-1a", FreeAddresses: 5}, {ID: "subnet-a2", Zone: "us-east-1a", FreeAddresses: 50},
			{ID: "subnet-b", Zone: "us-east-1b", FreeAddresses: 7},
		},
	}
}

func testRequest() cloud.LaunchRequest {
	return cloud.LaunchRequest{
		Token: "uid-1", Claim: "gpu-x1", Provisioner: "gpu", Market: cloud.Spot, Template: testTemplate(),
		Choices: []cloud.Choice{
			{InstanceType: "g4dn.xlarge", Architecture: "amd64", Zone: "us-east-1a"},
			{InstanceType: "g4dn.xlarge", Architecture: "amd64", Zone: "us-east-1b"},
		},
		Node: cloud.NodeConfig{Labels: map[string]string{"slipway.sh/provisioner": "gpu"}},
	}
}
