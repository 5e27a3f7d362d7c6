package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
	"github.com/slipway-sh/slipway/test/stack"
)

// underPolicy has the policies of deploy/cloudformation enforced, after a change that a test plants in their text.
func underPolicy(t *testing.T, plant func([]byte) []byte) func(*wire.Config) {
	t.Helper()
	document, err := stack.ControllerPolicies("demo", "demo")
	if err != nil {
		t.Fatal(err)
	}
	if plant != nil {
		planted := plant(document)
		if bytes.Equal(planted, document) {
			t.Fatal("the change changes nothing")
		}
		document = planted
	}
	set, err := policy.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *wire.Config) { c.Policy = set }
}

// launchOne has the adapter launch one machine.
func launchOne(t *testing.T, f fake) (cloud.LaunchResult, error) {
	t.Helper()
	c := adapter(t, f)
	template, err := c.Templates.Resolve(t.Context(), nodeClass())
	if err != nil {
		return cloud.LaunchResult{}, err
	}
	return c.Fleet.Launch(t.Context(), cloud.LaunchRequest{
		Token: "uid-1", Claim: "gpu-1", Provisioner: "gpu", Market: cloud.Spot, Template: template,
		Choices: []cloud.Choice{{InstanceType: "g4dn.xlarge", Architecture: "amd64", Zone: "us-east-1a"}},
	})
}

// TestALaunchNeedsEachPermission takes one permission or one tag away at a time: no launch may come of the rest.
func TestALaunchNeedsEachPermission(t *testing.T) {
	for name, tc := range map[string]struct {
		take   string // what stands in the policies
		give   string // what stands there instead
		action string // whose denial the adapter must name
	}{
		"RunInstances":             {`"ec2:CreateFleet", "ec2:RunInstances"`, `"ec2:CreateFleet"`, "ec2:RunInstances"},
		"CreateFleet":              {`"ec2:CreateFleet", "ec2:RunInstances"`, `"ec2:RunInstances"`, "ec2:CreateFleet"},
		"CreateTags":               {`"ec2:CreateTags"`, `"ec2:DeleteTags"`, "ec2:CreateTags"},
		"tagging in a fleet":       {`["CreateFleet", "CreateLaunchTemplate", "RunInstances"]`, `"CreateLaunchTemplate"`, "ec2:CreateTags"},
		"CreateLaunchTemplate":     {`"ec2:CreateLaunchTemplate"`, `"ec2:CreateLaunchTemplateVersion"`, "ec2:CreateLaunchTemplate"},
		"PassRole":                 {`"iam:PassRole"`, `"iam:GetRole"`, "iam:PassRole"},
		"another role":             {`role/SlipwayNodeRole-demo`, `role/SlipwayNodeRole-prod`, "iam:PassRole"},
		"profiles of other names":  {`instance-profile/slipway-demo-`, `instance-profile/slipway-prod-`, "iam:GetInstanceProfile"},
		"a provisioner's tag":      {`aws:RequestTag/slipway.sh/provisioner`, `aws:RequestTag/karpenter.sh/nodepool`, "ec2:CreateFleet"},
		"another cluster's tag":    {`aws:RequestTag/kubernetes.io/cluster/demo`, `aws:RequestTag/kubernetes.io/cluster/prod`, ""},
		"another region":           {`:ec2:us-east-1:`, `:ec2:eu-west-1:`, ""},
		"subnets":                  {`:subnet/*`, `:vpc/*`, "ec2:CreateFleet"},
		"reading only in a region": {`"aws:RequestedRegion": "us-east-1"`, `"aws:RequestedRegion": "eu-west-1"`, "ec2:DescribeSubnets"},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, underPolicy(t, func(document []byte) []byte {
				return bytes.ReplaceAll(document, compact(tc.take), compact(tc.give))
			}))
			result, err := launchOne(t, f)
			var denied *cloud.DeniedError
			if !errors.As(err, &denied) {
				t.Fatalf("launched %+v, %v; want it denied", result.Instance, err)
			}
			if !strings.Contains(err.Error(), tc.action) {
				t.Errorf("the error does not name %s: %v", tc.action, err)
			}
			if machines := f.cloud.Machines(); len(machines) != 0 {
				t.Errorf("there are %d machines", len(machines))
			}
		})
	}
	if _, err := launchOne(t, open(t, underPolicy(t, nil))); err != nil {
		t.Errorf("with all of them: %v", err)
	}
}

// compact is how ControllerPolicies writes JSON.
func compact(text string) []byte {
	return []byte(strings.NewReplacer(`", "`, `","`, `": "`, `":"`).Replace(text))
}

// TestOnlyOwnMachinesEnd: the policies, not only the adapter, keep the controller from machines that are none of its cluster's.
func TestOnlyOwnMachinesEnd(t *testing.T) {
	f := open(t, underPolicy(t, nil))
	ours := map[string]string{"kubernetes.io/cluster/demo": "owned", "eks:eks-cluster-name": "demo", "slipway.sh/claim-uid": "u"}
	for name, tc := range map[string]struct {
		change map[string]string // tags that differ; empty: missing
		ends   bool
	}{
		"ours":              {nil, true},
		"another cluster's": {map[string]string{"kubernetes.io/cluster/demo": "", "kubernetes.io/cluster/prod": "owned", "eks:eks-cluster-name": "prod"}, false},
		"a shared machine":  {map[string]string{"kubernetes.io/cluster/demo": "shared"}, false},
		"a node group's":    {map[string]string{"slipway.sh/claim-uid": ""}, false},
		"somebody's":        {map[string]string{"kubernetes.io/cluster/demo": "", "eks:eks-cluster-name": "", "slipway.sh/claim-uid": ""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tags := map[string]string{}
			for _, source := range []map[string]string{ours, tc.change} {
				for key, value := range source {
					if tags[key] = value; value == "" {
						delete(tags, key)
					}
				}
			}
			result, err := f.cloud.CreateFleet(sim.FleetRequest{Token: name, Count: 1, Tags: tags, Choices: []sim.FleetChoice{
				{Key: cloud.OfferingKey{InstanceType: "g5.xlarge", Zone: "us-east-1b", Market: cloud.OnDemand}}}})
			if err != nil {
				t.Fatal(err)
			}
			id := result.Machines[0].ID
			err = adapter(t, f).Fleet.Terminate(t.Context(), id)
			if tc.ends {
				if err != nil {
					t.Errorf("terminating: %v", err)
				}
				return
			}
			var denied *cloud.DeniedError
			if m, _ := f.cloud.Machine(id); !errors.As(err, &denied) || m.State == cloud.InstanceShuttingDown || m.State == cloud.InstanceTerminated {
				t.Errorf("got %v, and it is %s; want it denied", err, m.State)
			}
			_, err = ec2.NewFromConfig(f.sdk).CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{
				{Key: aws.String("kubernetes.io/cluster/demo"), Value: aws.String("owned")}}})
			wantCode(t, err, "UnauthorizedOperation") // else it could be made ours first
		})
	}
}

// TestForeignThingsAreDenied calls as AWS' own clients do what the adapter never would.
func TestForeignThingsAreDenied(t *testing.T) {
	f := open(t, underPolicy(t, nil))
	sdk := f.sdk // the controller's
	ctx := t.Context()
	client, profiles := ec2.NewFromConfig(sdk), iam.NewFromConfig(sdk)
	admin := sdk.Copy()
	admin.Credentials = credentials.NewStaticCredentialsProvider(wire.Administrator, "SECRET", "")
	tagless := &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("foreign"),
		LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: aws.String(imageID(t, client))}}
	if _, err := ec2.NewFromConfig(admin).CreateLaunchTemplate(ctx, tagless); err != nil {
		t.Fatalf("the administrator's template without tags: %v", err)
	}
	const standing = "slipway-demo-00000000deadbeef"
	if _, err := iam.NewFromConfig(admin).CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String(standing)}); err != nil {
		t.Fatalf("the administrator's profile without tags: %v", err)
	}
	own, err := launchOne(t, f)
	if err != nil {
		t.Fatal(err)
	}
	template, err := adapter(t, f).Templates.Resolve(ctx, nodeClass())
	if err != nil {
		t.Fatal(err)
	}
	prod := []types.Tag{{Key: aws.String("kubernetes.io/cluster/prod"), Value: aws.String("owned")}, {Key: aws.String("eks:eks-cluster-name"), Value: aws.String("prod")},
		{Key: aws.String("slipway.sh/provisioner"), Value: aws.String("gpu")}, {Key: aws.String("slipway.sh/claim-uid"), Value: aws.String("u")}}
	for name, tc := range map[string]struct {
		code string
		call func() error
	}{
		"a template without tags": {"UnauthorizedOperation", func() error { _, err := client.CreateLaunchTemplate(ctx, tagless); return err }},
		"deleting another's template": {"UnauthorizedOperation", func() error {
			_, err := client.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: tagless.LaunchTemplateName})
			return err
		}},
		"a fleet from another's template": {"UnauthorizedOperation", func() error {
			_, err := client.CreateFleet(ctx, fleet("x", "foreign", "g5.xlarge"))
			return err
		}},
		"a machine without tags": {"UnauthorizedOperation", func() error {
			_, err := client.RunInstances(ctx, &ec2.RunInstancesInput{MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ImageId: tagless.LaunchTemplateData.ImageId})
			return err
		}},
		"a machine for another cluster": {"UnauthorizedOperation", func() error {
			_, err := client.RunInstances(ctx, &ec2.RunInstancesInput{MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ImageId: tagless.LaunchTemplateData.ImageId,
				TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: prod}, {ResourceType: types.ResourceTypeVolume, Tags: prod}}})
			return err
		}},
		"giving an own machine away": {"UnauthorizedOperation", func() error {
			_, err := client.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{own.Instance.ID}, Tags: prod})
			return err
		}},
		"another role in an own profile": {"AccessDenied", func() error {
			_, err := profiles.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{
				InstanceProfileName: aws.String(template.InstanceProfile), RoleName: aws.String("admin")})
			return err
		}},
		"a profile without tags": {"AccessDenied", func() error {
			_, err := profiles.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String("slipway-demo-0123456789abcdef")})
			return err
		}},
		"making another's profile its own": {"AccessDenied", func() error {
			_, err := profiles.TagInstanceProfile(ctx, &iam.TagInstanceProfileInput{InstanceProfileName: aws.String(standing), Tags: profileTags()})
			return err
		}},
		"looking at another role": {"AccessDenied", func() error {
			_, err := profiles.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("admin")})
			return err
		}},
		"another queue": {"AccessDeniedException", func() error {
			_, err := sqs.NewFromConfig(sdk).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("other")})
			return err
		}},
		"sending to the queue": {"AccessDeniedException", func() error {
			_, err := sqs.NewFromConfig(sdk).SendMessage(ctx, &sqs.SendMessageInput{
				QueueUrl: aws.String(f.url + "/123456789012/demo"), MessageBody: aws.String("x")})
			return err
		}},
		"a private parameter": {"AccessDeniedException", func() error {
			_, err := ssm.NewFromConfig(sdk).GetParameters(ctx, &ssm.GetParametersInput{Names: []string{"/team/secret"}})
			return err
		}},
		"another's profile": {"AccessDenied", func() error {
			_, err := profiles.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{
				InstanceProfileName: aws.String("admins"), RoleName: aws.String("admin")})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, tc.call(), tc.code) })
	}
	if machines := f.cloud.Machines(); len(machines) != 1 {
		t.Errorf("there are %d machines; want the own one", len(machines))
	}
}

// profileTags are the tags that the controller of the cluster demo gives to its instance profiles.
func profileTags() (tags []iamtypes.Tag) {
	for key, value := range map[string]string{"kubernetes.io/cluster/demo": "owned", "eks:eks-cluster-name": "demo", "slipway.sh/nodeclass": "default",
		"topology.kubernetes.io/region": "us-east-1"} {
		tags = append(tags, iamtypes.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	return tags
}

// TestTheQueuesPolicyIsEnforced: nobody with credentials sends to the queue, not even who may do everything, and its reader still reads.
func TestTheQueuesPolicyIsEnforced(t *testing.T) {
	document, err := stack.QueuePolicy("demo", "demo")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		policy string
		code   string // of sending
	}{
		"that of the template": {string(document), "AccessDeniedException"},
		"planted: no Deny":     {strings.ReplaceAll(string(document), "Deny", "Allow"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, func(c *wire.Config) { c.QueuePolicy = tc.policy })
			client, url := sqs.NewFromConfig(f.sdk), aws.String(f.url+"/123456789012/demo")
			_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x")})
			if tc.code != "" {
				wantCode(t, err, tc.code)
			} else if err != nil {
				t.Error(err)
			}
			if _, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url}); err != nil {
				t.Errorf("reading: %v", err)
			}
		})
	}
	if _, err := wire.New(wire.Config{Cloud: open(t, nil).cloud, Log: slog.New(slog.DiscardHandler), QueueName: "demo", QueuePolicy: "{"}); err == nil {
		t.Error("a queue's policy that is no JSON is taken")
	}
}

func TestDryRun(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*wire.Config)
		code   string
	}{
		"allowed": {nil, "DryRunOperation"},
		"denied":  {underPolicy(t, nil), "UnauthorizedOperation"}, // it asks for no tags
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, tc.change)
			client := ec2.NewFromConfig(f.sdk)
			_, err := client.RunInstances(t.Context(), &ec2.RunInstancesInput{DryRun: aws.Bool(true), ImageId: aws.String("ami-1"),
				MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
			wantCode(t, err, tc.code)
			in := fleet("a", "slipway-a", "g5.xlarge")
			in.DryRun = aws.Bool(true)
			_, err = client.CreateFleet(t.Context(), in)
			wantCode(t, err, tc.code)
			_, err = client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{DryRun: aws.Bool(true),
				LaunchTemplateName: aws.String("x"), LaunchTemplateData: &types.RequestLaunchTemplateData{}})
			wantCode(t, err, tc.code)
			if machines := f.cloud.Machines(); len(machines) != 0 {
				t.Errorf("a dry run made %d machines", len(machines))
			}
		})
	}
	_, err := ec2.NewFromConfig(open(t, nil).sdk).TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{DryRun: aws.Bool(true),
		InstanceIds: []string{"i-0fedcba9876543210"}})
	wantCode(t, err, "InvalidInstanceID.NotFound")
}

// TestReleaseLeavesNothingOfTheClass: what launches made for a node class goes with it, again is harmless, and another's stays.
func TestReleaseLeavesNothingOfTheClass(t *testing.T) {
	f := open(t, underPolicy(t, nil))
	if _, err := launchOne(t, f); err != nil {
		t.Fatal(err)
	}
	c, other := adapter(t, f), nodeClass()
	other.Name = "other"
	kept := func() []string {
		response, err := http.Get(f.url + "/_fake/journal")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var journal wire.Journal
		if err := json.NewDecoder(response.Body).Decode(&journal); err != nil {
			t.Fatal(err)
		}
		return journal.Kept
	}
	for i, step := range []struct {
		class cloud.TemplateSpec
		left  int // a profile and a launch template
	}{{other, 2}, {nodeClass(), 0}, {nodeClass(), 0}} {
		if err := c.Templates.Release(t.Context(), step.class); err != nil {
			t.Fatalf("release %d: %v", i, err)
		}
		if left := kept(); len(left) != step.left {
			t.Errorf("after release %d there are %q, want %d", i, left, step.left)
		}
	}
}
