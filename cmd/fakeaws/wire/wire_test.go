package wire_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// fake is a served cloud and how the SDK's clients reach it.
type fake struct {
	cloud *sim.Cloud
	url   string
	sdk   aws.Config
}

// pause waits on the real clock: these tests speak over real sockets.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-timer.C:
	}
	return nil
}

func open(t *testing.T, change func(*wire.Config)) fake {
	t.Helper()
	facts := catalogue.Embedded()
	c, err := sim.New(sim.Config{
		Now: time.Now, Wait: pause, ClusterName: "demo", Types: facts.Types, Offerings: facts.Offerings("us-east-1"), QuietStates: true,
		Boot: sim.Delay{Base: 20 * time.Millisecond}, Visible: sim.Delay{Base: 50 * time.Millisecond}, ShutDown: sim.Delay{Base: 20 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := wire.Config{
		Cloud: c, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), QueueName: "demo", Pricing: true,
		Cluster: wire.Cluster{Endpoint: "https://127.0.0.1:6443", CA: []byte("-----BEGIN CERTIFICATE-----")},
	}
	if change != nil {
		change(&config)
	}
	handler, err := wire.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return fake{cloud: c, url: server.URL, sdk: aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
		RetryMaxAttempts: 2,
	}}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("got error %v; want code %s", err, code)
	}
}

func inject(t *testing.T, f fake, line string) {
	t.Helper()
	response, err := http.Post(f.url+"/_fake/fault", "text/plain", strings.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Fatalf("injecting %q: %s", line, body)
	}
}

func TestInstanceTypes(t *testing.T) {
	client := ec2.NewFromConfig(open(t, nil).sdk)
	pages := ec2.NewDescribeInstanceTypesPaginator(client, &ec2.DescribeInstanceTypesInput{MaxResults: aws.Int32(7),
		Filters: []types.Filter{{Name: aws.String("instance-type"), Values: []string{"g4dn.*", "p3.*"}}}})
	got := map[string]types.InstanceTypeInfo{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.InstanceTypes {
			got[string(i.InstanceType)] = i
		}
	}
	if len(got) != 10 {
		t.Errorf("%d types of g4dn and p3; want 10", len(got))
	}
	i := got["g4dn.12xlarge"]
	if aws.ToInt32(i.VCpuInfo.DefaultVCpus) != 48 || aws.ToInt64(i.MemoryInfo.SizeInMiB) != 196608 || len(i.GpuInfo.Gpus) != 1 ||
		aws.ToInt32(i.GpuInfo.Gpus[0].Count) != 4 || aws.ToString(i.GpuInfo.Gpus[0].Name) != "T4" || i.Hypervisor != types.InstanceTypeHypervisorNitro ||
		!slices.Contains(i.ProcessorInfo.SupportedArchitectures, types.ArchitectureTypeX8664) || aws.ToInt32(i.NetworkInfo.MaximumNetworkInterfaces) != 8 {
		t.Errorf("g4dn.12xlarge is described as %+v", i)
	}
	_, err := client.DescribeInstanceTypes(t.Context(), &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"z9.huge"}})
	wantCode(t, err, "InvalidInstanceType")
}

func TestOfferingsZonesAndSpotPrices(t *testing.T) {
	f := open(t, nil)
	client := ec2.NewFromConfig(f.sdk)
	where := []types.Filter{{Name: aws.String("instance-type"), Values: []string{"g4dn.xlarge"}}}
	offered, err := client.DescribeInstanceTypeOfferings(t.Context(), &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone, Filters: where})
	if err != nil || len(offered.InstanceTypeOfferings) < 3 {
		t.Fatalf("offerings: %+v, %v", offered, err)
	}
	zones, err := client.DescribeAvailabilityZones(t.Context(), &ec2.DescribeAvailabilityZonesInput{})
	if err != nil || aws.ToString(zones.AvailabilityZones[0].ZoneName) != "us-east-1a" || aws.ToString(zones.AvailabilityZones[0].ZoneId) != "use1-az1" {
		t.Errorf("zones: %+v, %v", zones, err)
	}
	inject(t, f, "price g4dn.xlarge/*/spot 0.1234")
	prices, err := client.DescribeSpotPriceHistory(t.Context(), &ec2.DescribeSpotPriceHistoryInput{
		InstanceTypes: []types.InstanceType{"g4dn.xlarge"}, ProductDescriptions: []string{"Linux/UNIX"}, StartTime: aws.Time(time.Now())})
	if err != nil || len(prices.SpotPriceHistory) != len(offered.InstanceTypeOfferings) ||
		aws.ToString(prices.SpotPriceHistory[0].SpotPrice) != "0.123400" || aws.ToTime(prices.SpotPriceHistory[0].Timestamp).IsZero() {
		t.Errorf("spot prices: %+v, %v", prices, err)
	}
	_, err = client.DescribeAvailabilityZones(t.Context(), &ec2.DescribeAvailabilityZonesInput{
		Filters: []types.Filter{{Name: aws.String("colour"), Values: []string{"red"}}}})
	wantCode(t, err, "InvalidParameterValue")
}

func TestNetworkAndImages(t *testing.T) {
	client := ec2.NewFromConfig(open(t, nil).sdk)
	ours := []types.Filter{{Name: aws.String("tag:slipway.sh/discovery"), Values: []string{"demo"}}}
	subnets, err := client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: ours})
	if err != nil || len(subnets.Subnets) < 3 || aws.ToInt32(subnets.Subnets[0].AvailableIpAddressCount) != 65531 ||
		aws.ToString(subnets.Subnets[0].AvailabilityZone) != "us-east-1a" {
		t.Errorf("subnets: %+v, %v", subnets, err)
	}
	groups, err := client.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{Filters: ours})
	if err != nil || len(groups.SecurityGroups) != 1 || aws.ToString(groups.SecurityGroups[0].GroupName) != "demo-nodes" {
		t.Errorf("security groups: %+v, %v", groups, err)
	}
	none, err := client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{
		Filters: []types.Filter{{Name: aws.String("tag-key"), Values: []string{"nobody-has-it"}}}})
	if err != nil || len(none.Subnets) != 0 {
		t.Errorf("subnets of a tag that none has: %+v, %v", none, err)
	}
	images, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"amazon"},
		Filters: []types.Filter{{Name: aws.String("name"), Values: []string{"amazon-eks-node-al2023-*-nvidia-*"}}}})
	if err != nil || len(images.Images) != 2 || images.Images[0].State != types.ImageStateAvailable {
		t.Errorf("images: %+v, %v", images, err)
	}
}

func makeTemplate(t *testing.T, client *ec2.Client, name string) {
	t.Helper()
	_, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String(name), LaunchTemplateData: &types.RequestLaunchTemplateData{
			ImageId: aws.String(imageID(t, client)), UserData: aws.String("SGVsbG8="),
		},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeLaunchTemplate,
			Tags: []types.Tag{{Key: aws.String("kubernetes.io/cluster/demo"), Value: aws.String("owned")}}}},
	})
	if err != nil {
		t.Fatalf("creating a launch template: %v", err)
	}
}

func imageID(t *testing.T, client *ec2.Client) string {
	t.Helper()
	images, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	if err != nil || len(images.Images) == 0 {
		t.Fatalf("images: %v", err)
	}
	return aws.ToString(images.Images[0].ImageId)
}

func TestLaunchTemplates(t *testing.T) {
	client := ec2.NewFromConfig(open(t, nil).sdk)
	makeTemplate(t, client, "slipway-a")
	_, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("slipway-a"),
		LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String("ami-1")}})
	wantCode(t, err, "InvalidLaunchTemplateName.AlreadyExistsException")
	found, err := client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{
		Filters: []types.Filter{{Name: aws.String("tag:kubernetes.io/cluster/demo"), Values: []string{"owned"}}}})
	if err != nil || len(found.LaunchTemplates) != 1 || len(found.LaunchTemplates[0].Tags) != 1 {
		t.Errorf("found %+v, %v", found, err)
	}
	if _, err := client.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: aws.String("slipway-a")}); err != nil {
		t.Errorf("deleting: %v", err)
	}
	_, err = client.DescribeLaunchTemplates(t.Context(), &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"slipway-a"}})
	wantCode(t, err, "InvalidLaunchTemplateName.NotFoundException")
	_, err = client.CreateFleet(t.Context(), fleet("x", "slipway-a", "g4dn.xlarge"))
	wantCode(t, err, "InvalidLaunchTemplateName.NotFoundException")
}

func fleet(token, template string, instanceTypes ...string) *ec2.CreateFleetInput {
	config := types.FleetLaunchTemplateConfigRequest{LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecificationRequest{
		LaunchTemplateName: aws.String(template), Version: aws.String("$Latest")}}
	for _, name := range instanceTypes {
		config.Overrides = append(config.Overrides, types.FleetLaunchTemplateOverridesRequest{
			InstanceType: types.InstanceType(name), AvailabilityZone: aws.String("us-east-1b")})
	}
	return &ec2.CreateFleetInput{
		Type: types.FleetTypeInstant, ClientToken: aws.String(token), LaunchTemplateConfigs: []types.FleetLaunchTemplateConfigRequest{config},
		SpotOptions: &types.SpotOptionsRequest{AllocationStrategy: types.SpotAllocationStrategyPriceCapacityOptimized,
			MinTargetCapacity: aws.Int32(1), SingleInstanceType: aws.Bool(true)},
		TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(1),
			DefaultTargetCapacityType: types.DefaultTargetCapacityTypeSpot},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance,
			Tags: []types.Tag{{Key: aws.String("slipway.sh/claim"), Value: aws.String("gpu-" + token)}}}},
	}
}

func mustFleet(t *testing.T, client *ec2.Client, in *ec2.CreateFleetInput) string {
	t.Helper()
	out, err := client.CreateFleet(t.Context(), in)
	if err != nil || len(out.Instances) != 1 || len(out.Instances[0].InstanceIds) != 1 {
		t.Fatalf("creating a fleet: %+v, %v", out, err)
	}
	return out.Instances[0].InstanceIds[0]
}

func TestCreateFleet(t *testing.T) {
	f := open(t, nil)
	client := ec2.NewFromConfig(f.sdk)
	makeTemplate(t, client, "slipway-a")
	inject(t, f, "stock g4dn.xlarge 0")
	out, err := client.CreateFleet(t.Context(), fleet("a", "slipway-a", "g4dn.xlarge", "g5.xlarge"))
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Instances) != 1 || out.Instances[0].InstanceType != "g5.xlarge" || out.Instances[0].Lifecycle != types.InstanceLifecycleSpot ||
		aws.ToString(out.Instances[0].LaunchTemplateAndOverrides.Overrides.AvailabilityZone) != "us-east-1b" {
		t.Errorf("instances: %+v", out.Instances)
	}
	if len(out.Errors) != 1 || aws.ToString(out.Errors[0].ErrorCode) != "InsufficientInstanceCapacity" ||
		out.Errors[0].LaunchTemplateAndOverrides.Overrides.InstanceType != "g4dn.xlarge" {
		t.Errorf("errors: %+v", out.Errors)
	}
	again := mustFleet(t, client, fleet("a", "slipway-a", "g4dn.xlarge", "g5.xlarge"))
	if again != out.Instances[0].InstanceIds[0] {
		t.Errorf("the token answers %s, then %s", out.Instances[0].InstanceIds[0], again)
	}
	_, err = client.CreateFleet(t.Context(), fleet("a", "slipway-a", "g6.xlarge"))
	wantCode(t, err, "IdempotentParameterMismatch")
	_, err = client.CreateFleet(t.Context(), fleet("b", "slipway-a", "g5.xlarge", "g5.xlarge"))
	wantCode(t, err, "InvalidFleetConfig")
	inject(t, f, "quota spot 0 G and VT")
	out, err = client.CreateFleet(t.Context(), fleet("c", "slipway-a", "g5.xlarge"))
	if err != nil || len(out.Instances) != 0 || len(out.Errors) != 1 || aws.ToString(out.Errors[0].ErrorCode) != "MaxSpotInstanceCountExceeded" {
		t.Errorf("over the quota: %+v, %v", out, err)
	}
}

func TestLostReplyIsAskedAgainByTheSDK(t *testing.T) {
	f := open(t, nil)
	client := ec2.NewFromConfig(f.sdk)
	makeTemplate(t, client, "slipway-a")
	inject(t, f, "lose reply of launch 1")
	id := mustFleet(t, client, fleet("a", "slipway-a", "g5.xlarge"))
	if machines := f.cloud.Machines(); len(machines) != 1 || machines[0].ID != id || f.cloud.Journal().Counts["CreateFleet"] != 2 {
		t.Errorf("machines %+v after calls %v", machines, f.cloud.Journal().Counts)
	}
}

func TestInstances(t *testing.T) {
	f := open(t, nil)
	client := ec2.NewFromConfig(f.sdk)
	makeTemplate(t, client, "slipway-a")
	var ids []string
	for _, token := range []string{"a", "b", "c", "d", "e", "f"} {
		ids = append(ids, mustFleet(t, client, fleet(token, "slipway-a", "g5.xlarge")))
	}
	_, err := client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: ids[5:]})
	wantCode(t, err, "InvalidInstanceID.NotFound") // not visible yet
	list := func(filter, value string) []types.Instance {
		var found []types.Instance
		pages := ec2.NewDescribeInstancesPaginator(client, &ec2.DescribeInstancesInput{MaxResults: aws.Int32(5),
			Filters: []types.Filter{{Name: aws.String(filter), Values: []string{value}}}})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Reservations {
				found = append(found, r.Instances...)
			}
		}
		return found
	}
	eventually(t, func() bool { return len(list("instance-state-name", "running")) == 6 })
	one := list("tag:slipway.sh/claim", "gpu-c")
	if len(one) != 1 || aws.ToString(one[0].InstanceId) != ids[2] || one[0].State.Name != types.InstanceStateNameRunning ||
		aws.ToString(one[0].Placement.AvailabilityZone) != "us-east-1b" || one[0].InstanceLifecycle != types.InstanceLifecycleTypeSpot ||
		!strings.HasPrefix(aws.ToString(one[0].PrivateDnsName), "ip-10-1-0-") || aws.ToTime(one[0].LaunchTime).IsZero() {
		t.Errorf("found %+v", one)
	}
	if _, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: ids[:1],
		Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("node-a")}}}); err != nil || len(list("tag:Name", "node-*")) != 1 {
		t.Errorf("tagging: %v", err)
	}
	ended, err := client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: ids[:2]})
	if err != nil || len(ended.TerminatingInstances) != 2 || ended.TerminatingInstances[0].CurrentState.Name != types.InstanceStateNameShuttingDown ||
		ended.TerminatingInstances[0].PreviousState.Name != types.InstanceStateNameRunning {
		t.Errorf("terminating: %+v, %v", ended, err)
	}
	eventually(t, func() bool { return len(list("instance-state-name", "terminated")) == 2 })
	for id, code := range map[string]string{"i-0fedcba9876543210": "InvalidInstanceID.NotFound", "node-a": "InvalidInstanceID.Malformed"} {
		_, err := client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{ids[3], id}})
		wantCode(t, err, code)
	}
	if m, _ := f.cloud.Machine(ids[3]); m.State != cloud.InstanceRunning {
		t.Errorf("a refused call ended %s", ids[3])
	}
}

// eventually polls: the other side is a real server with real delays.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to pass in 20 s")
		}
		_ = pause(t.Context(), 10*time.Millisecond, nil)
	}
}

func TestRefusals(t *testing.T) {
	f := open(t, nil)
	client := ec2.NewFromConfig(f.sdk)
	_, err := client.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
	wantCode(t, err, "InvalidAction")
	inject(t, f, "deny DescribeSubnets")
	_, err = client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	wantCode(t, err, "UnauthorizedOperation")
	inject(t, f, "throttle DescribeSubnets for 1h")
	_, err = client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	wantCode(t, err, "RequestLimitExceeded")
	inject(t, f, "fail DescribeSubnets")
	_, err = client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	wantCode(t, err, "InternalError")
}
