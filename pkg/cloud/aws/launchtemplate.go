package aws

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

type launchTemplateAPI interface {
	CreateLaunchTemplate(context.Context, *ec2.CreateLaunchTemplateInput, ...func(*ec2.Options)) (*ec2.CreateLaunchTemplateOutput, error)
	DescribeLaunchTemplates(context.Context, *ec2.DescribeLaunchTemplatesInput, ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplatesOutput, error)
	DeleteLaunchTemplate(context.Context, *ec2.DeleteLaunchTemplateInput, ...func(*ec2.Options)) (*ec2.DeleteLaunchTemplateOutput, error)
}

// templateFreshFor is how long a launch template that was seen is taken to be there still.
const templateFreshFor = 10 * time.Minute

// codeTemplateExists is EC2's answer where somebody was faster; the name is a hash, so the content is the same.
const codeTemplateExists = "InvalidLaunchTemplateName.AlreadyExistsException"

// launchTemplates keeps EC2 launch templates, one for each content. A template is never changed: other content has
// another name.
type launchTemplates struct {
	api     launchTemplateAPI
	cluster string
	now     func() time.Time

	mu   sync.Mutex
	seen map[string]*seenTemplate
}

// seenTemplate is locked while its launch template is made, so that a burst of launches makes it once and launches
// through other templates do not wait.
type seenTemplate struct {
	mu     sync.Mutex
	madeAt time.Time
	usedAt time.Time
}

// ensure answers the name of the launch template with this content, which exists when it answers.
func (l *launchTemplates) ensure(ctx context.Context, t cloud.Template, imageID, userData string) (string, error) {
	in, err := l.input(t, imageID, userData)
	if err != nil {
		return "", err
	}
	name := awssdk.ToString(in.LaunchTemplateName)
	s := l.entry(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usedAt = l.now()
	if !s.madeAt.IsZero() && s.usedAt.Sub(s.madeAt) < templateFreshFor {
		return name, nil
	}
	_, err = l.api.CreateLaunchTemplate(ctx, in)
	if err != nil && errorCode(err) != codeTemplateExists {
		return "", callError("ec2:CreateLaunchTemplate", err)
	}
	s.madeAt = s.usedAt
	return name, nil
}

// input is the request that makes the launch template of this content.
func (l *launchTemplates) input(t cloud.Template, imageID, userData string) (*ec2.CreateLaunchTemplateInput, error) {
	data := launchTemplateData(t, imageID, userData)
	data.TagSpecifications = []ec2types.LaunchTemplateTagSpecificationRequest{{
		ResourceType: ec2types.ResourceTypeNetworkInterface, Tags: ec2Tags(l.interfaceTags(t.Spec)),
	}}
	name, err := l.nameOf(data)
	if err != nil {
		return nil, err
	}
	return &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: awssdk.String(name),
		LaunchTemplateData: data,
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeLaunchTemplate, Tags: ec2Tags(map[string]string{
			clusterTag(l.cluster): tagOwned, TagEKSCluster: l.cluster, TagNodeClass: t.Spec.Name,
		})}},
	}, nil
}

// interfaceTags answers the tags of a machine's interfaces, which CreateFleet itself cannot tag: without any, no condition of an IAM policy
// could tell them from those that somebody else launches. A launch template serves many claims, so they name none.
func (l *launchTemplates) interfaceTags(spec cloud.TemplateSpec) map[string]string {
	tags := maps.Clone(spec.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, map[string]string{clusterTag(l.cluster): tagOwned, TagEKSCluster: l.cluster, TagNodeClass: spec.Name})
	return tags
}

func (l *launchTemplates) entry(name string) *seenTemplate {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]*seenTemplate{}
	}
	s := l.seen[name]
	if s == nil {
		s = &seenTemplate{}
		l.seen[name] = s
	}
	return s
}

// forget makes the next launches look again whether their templates are there.
func (l *launchTemplates) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = nil
}

// nameOf is slipway-<cluster>-<hash>: at most 8 + 100 + 1 + 16 characters of EC2's 128.
func (l *launchTemplates) nameOf(data *ec2types.RequestLaunchTemplateData) (string, error) {
	text, err := json.Marshal(data) // map keys are sorted, so equal content is equal text
	if err != nil {
		return "", fmt.Errorf("hashing a launch template: %w", err)
	}
	sum := sha256.Sum256(text)
	return l.prefix() + hex.EncodeToString(sum[:8]), nil
}

func (l *launchTemplates) ours() []ec2types.Filter {
	return []ec2types.Filter{
		{Name: awssdk.String("tag:" + clusterTag(l.cluster)), Values: []string{tagOwned}},
		{Name: awssdk.String("launch-template-name"), Values: []string{l.prefix() + "*"}},
	}
}

func (l *launchTemplates) prefix() string { return "slipway-" + l.cluster + "-" }

func launchTemplateData(t cloud.Template, imageID, userData string) *ec2types.RequestLaunchTemplateData {
	m := t.Spec.Metadata
	data := &ec2types.RequestLaunchTemplateData{
		ImageId:            awssdk.String(imageID),
		UserData:           awssdk.String(base64.StdEncoding.EncodeToString([]byte(userData))),
		IamInstanceProfile: &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: awssdk.String(t.InstanceProfile)},
		Monitoring:         &ec2types.LaunchTemplatesMonitoringRequest{Enabled: awssdk.Bool(t.Spec.DetailedMonitor)},
		MetadataOptions: &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{
			HttpEndpoint:            ec2types.LaunchTemplateInstanceMetadataEndpointState(m.HTTPEndpoint),
			HttpTokens:              ec2types.LaunchTemplateHttpTokensState(m.HTTPTokens),
			HttpPutResponseHopLimit: awssdk.Int32(m.HopLimit),
			HttpProtocolIpv6:        ec2types.LaunchTemplateInstanceMetadataProtocolIpv6(m.IPv6),
		},
	}
	for _, d := range t.Spec.BlockDevices {
		data.BlockDeviceMappings = append(data.BlockDeviceMappings, blockDevice(d))
	}
	// EC2 wants the groups in one place only: on the interface where there is one.
	if t.Spec.AssociatePublic == nil {
		data.SecurityGroupIds = t.SecurityGroupIDs
		return data
	}
	data.NetworkInterfaces = []ec2types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{
		DeviceIndex: awssdk.Int32(0), AssociatePublicIpAddress: t.Spec.AssociatePublic, Groups: t.SecurityGroupIDs,
		DeleteOnTermination: awssdk.Bool(true),
	}}
	return data
}

func blockDevice(d cloud.BlockDevice) ec2types.LaunchTemplateBlockDeviceMappingRequest {
	ebs := &ec2types.LaunchTemplateEbsBlockDeviceRequest{
		DeleteOnTermination: awssdk.Bool(d.DeleteOnTermination),
		Encrypted:           awssdk.Bool(d.Encrypted),
		VolumeType:          ec2types.VolumeType(d.VolumeType),
	}
	for value, field := range map[*int64]**int32{&d.SizeGiB: &ebs.VolumeSize, &d.IOPS: &ebs.Iops, &d.ThroughputMiBps: &ebs.Throughput} {
		if *value > 0 {
			*field = awssdk.Int32(int32(*value))
		}
	}
	if d.KMSKeyID != "" {
		ebs.KmsKeyId = awssdk.String(d.KMSKeyID)
	}
	if d.SnapshotID != "" {
		ebs.SnapshotId = awssdk.String(d.SnapshotID)
		ebs.Encrypted = nil // EC2 takes it from the snapshot unless it is asked for
		if d.Encrypted {
			ebs.Encrypted = awssdk.Bool(true)
		}
	}
	return ec2types.LaunchTemplateBlockDeviceMappingRequest{DeviceName: awssdk.String(d.DeviceName), Ebs: ebs}
}

// sweep deletes this cluster's launch templates that are older than minAge and that this process did not use for as
// long. Machines live on without theirs, and a launch makes a missing one again.
func (l *launchTemplates) sweep(ctx context.Context, minAge time.Duration) (deleted int, err error) {
	before := l.now().Add(-minAge)
	return l.remove(ctx, l.ours(), func(t ec2types.LaunchTemplate) bool {
		return t.CreateTime != nil && !t.CreateTime.After(before) && !l.usedSince(awssdk.ToString(t.LaunchTemplateName), before)
	})
}

// dropClass deletes the launch templates of a node class.
func (l *launchTemplates) dropClass(ctx context.Context, nodeClass string) error {
	filters := append(l.ours(), ec2types.Filter{Name: awssdk.String("tag:" + TagNodeClass), Values: []string{nodeClass}})
	_, err := l.remove(ctx, filters, func(ec2types.LaunchTemplate) bool { return true })
	return err
}

// remove deletes the launch templates that the filters and old choose.
func (l *launchTemplates) remove(ctx context.Context, filters []ec2types.Filter, old func(ec2types.LaunchTemplate) bool) (deleted int, err error) {
	pages := ec2.NewDescribeLaunchTemplatesPaginator(l.api, &ec2.DescribeLaunchTemplatesInput{Filters: filters})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return deleted, callError("ec2:DescribeLaunchTemplates", err)
		}
		for _, t := range page.LaunchTemplates {
			if !old(t) {
				continue
			}
			name := awssdk.ToString(t.LaunchTemplateName)
			_, err := l.api.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: awssdk.String(name)})
			switch {
			case err == nil:
				deleted++
			case classOf(errorCode(err)) != classTemplateGone:
				return deleted, callError("ec2:DeleteLaunchTemplate", err)
			}
			l.drop(name)
		}
	}
	return deleted, nil
}

func (l *launchTemplates) usedSince(name string, before time.Time) bool {
	l.mu.Lock()
	s := l.seen[name]
	l.mu.Unlock()
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usedAt.After(before)
}

func (l *launchTemplates) drop(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seen, name)
}
