package aws

import (
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

func testTemplates(api *fakeEC2, clusterName string) *launchTemplates {
	return &launchTemplates{api: api, cluster: clusterName, now: func() time.Time { return noon }}
}

func TestABurstMakesOneLaunchTemplate(t *testing.T) {
	api := &fakeEC2{}
	l := testTemplates(api, "prod")
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := l.ensure(t.Context(), testTemplate(), "ami-nv", "hello"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if api.created != 1 || len(api.templates) != 1 {
		t.Errorf("made %d launch templates, %d are there; want 1", api.created, len(api.templates))
	}
	// Another replica that knows nothing finds it there.
	if _, err := testTemplates(api, "prod").ensure(t.Context(), testTemplate(), "ami-nv", "hello"); err != nil {
		t.Errorf("a template that exists: %v", err)
	}
}

func TestOtherContentHasAnotherName(t *testing.T) {
	l := testTemplates(nil, strings.Repeat("c", 100))
	names := map[string]string{}
	for what, change := range map[string]func(*cloud.Template) (image, text string){
		"the same":  func(*cloud.Template) (string, string) { return "ami-nv", "hello" },
		"image":     func(*cloud.Template) (string, string) { return "ami-arm", "hello" },
		"user data": func(*cloud.Template) (string, string) { return "ami-nv", "bye" },
		"hop limit": func(t *cloud.Template) (string, string) { t.Spec.Metadata.HopLimit = 2; return "ami-nv", "hello" },
		"volume":    func(t *cloud.Template) (string, string) { t.Spec.BlockDevices[0].IOPS = 4000; return "ami-nv", "hello" },
		"group": func(t *cloud.Template) (string, string) {
			t.SecurityGroupIDs = []string{"sg-2"}
			return "ami-nv", "hello"
		},
		"profile": func(t *cloud.Template) (string, string) { t.InstanceProfile = "p"; return "ami-nv", "hello" },
		"public": func(t *cloud.Template) (string, string) {
			t.Spec.AssociatePublic = awssdk.Bool(false)
			return "ami-nv", "hello"
		},
		"monitored": func(t *cloud.Template) (string, string) { t.Spec.DetailedMonitor = true; return "ami-nv", "hello" },
	} {
		template := testTemplate()
		image, text := change(&template)
		name, err := l.nameOf(launchTemplateData(template, image, text))
		if err != nil || len(name) > 128 {
			t.Fatalf("%s: %q, %v", what, name, err)
		}
		if other, taken := names[name]; taken {
			t.Errorf("%s and %s share a launch template", what, other)
		}
		names[name] = what
	}
	same, err := l.nameOf(launchTemplateData(testTemplate(), "ami-nv", "hello"))
	if err != nil || names[same] != "the same" {
		t.Errorf("equal content has another name: %q, %v", same, err)
	}
}

func TestLaunchTemplateData(t *testing.T) {
	template := testTemplate()
	template.Spec.BlockDevices = append(template.Spec.BlockDevices,
		cloud.BlockDevice{DeviceName: "/dev/xvdb", VolumeType: "io2", SizeGiB: 10, IOPS: 5000, SnapshotID: "snap-1", KMSKeyID: "key", Encrypted: true},
		cloud.BlockDevice{DeviceName: "/dev/xvdc", VolumeType: "gp3", SnapshotID: "snap-2", ThroughputMiBps: 250})
	got := launchTemplateData(template, "ami-nv", "hello")
	want := &ec2types.RequestLaunchTemplateData{
		ImageId: awssdk.String("ami-nv"), UserData: awssdk.String("aGVsbG8="), SecurityGroupIds: []string{"sg-1"},
		IamInstanceProfile: &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: awssdk.String("slipway-prod-1")},
		Monitoring:         &ec2types.LaunchTemplatesMonitoringRequest{Enabled: awssdk.Bool(false)},
		MetadataOptions: &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{
			HttpEndpoint: "enabled", HttpTokens: "required", HttpPutResponseHopLimit: awssdk.Int32(1), HttpProtocolIpv6: "disabled",
		},
		BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMappingRequest{
			{DeviceName: awssdk.String("/dev/xvda"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{
				DeleteOnTermination: awssdk.Bool(true), Encrypted: awssdk.Bool(true), VolumeSize: awssdk.Int32(100), VolumeType: "gp3"}},
			{DeviceName: awssdk.String("/dev/xvdb"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{
				DeleteOnTermination: awssdk.Bool(false), Encrypted: awssdk.Bool(true), VolumeSize: awssdk.Int32(10), VolumeType: "io2",
				Iops: awssdk.Int32(5000), SnapshotId: awssdk.String("snap-1"), KmsKeyId: awssdk.String("key")}},
			{DeviceName: awssdk.String("/dev/xvdc"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{
				DeleteOnTermination: awssdk.Bool(false), VolumeType: "gp3", SnapshotId: awssdk.String("snap-2"), Throughput: awssdk.Int32(250)}},
		},
	}
	unexported := cmpopts.IgnoreUnexported(ec2types.RequestLaunchTemplateData{}, ec2types.LaunchTemplateBlockDeviceMappingRequest{},
		ec2types.LaunchTemplateEbsBlockDeviceRequest{}, ec2types.LaunchTemplateInstanceMetadataOptionsRequest{},
		ec2types.LaunchTemplatesMonitoringRequest{}, ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{})
	if diff := cmp.Diff(want, got, unexported); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	template.Spec.AssociatePublic = awssdk.Bool(true)
	got = launchTemplateData(template, "ami-nv", "hello")
	if len(got.SecurityGroupIds) != 0 || len(got.NetworkInterfaces) != 1 || !awssdk.ToBool(got.NetworkInterfaces[0].AssociatePublicIpAddress) {
		t.Errorf("a public address needs the groups on the interface alone, got %+v", got)
	}
}
