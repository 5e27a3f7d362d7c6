package aws

import (
	"context"
	"errors"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

func override(instanceType, zone, subnet string) *ec2types.LaunchTemplateAndOverridesResponse {
	o := &ec2types.FleetLaunchTemplateOverrides{InstanceType: ec2types.InstanceType(instanceType)}
	if zone != "" {
		o.AvailabilityZone = awssdk.String(zone)
	}
	if subnet != "" {
		o.SubnetId = awssdk.String(subnet)
	}
	return &ec2types.LaunchTemplateAndOverridesResponse{Overrides: o}
}

func fleetErr(code, message string, o *ec2types.LaunchTemplateAndOverridesResponse) ec2types.CreateFleetError {
	return ec2types.CreateFleetError{ErrorCode: awssdk.String(code), ErrorMessage: awssdk.String(message), LaunchTemplateAndOverrides: o}
}

func spot(zone string) cloud.OfferingKey {
	return cloud.OfferingKey{InstanceType: "g4dn.xlarge", Zone: zone, Market: cloud.Spot}
}

func TestLaunchAnswersTheMachineAndTheStockouts(t *testing.T) {
	api := &fakeEC2{fleet: func(*ec2.CreateFleetInput) (*ec2.CreateFleetOutput, error) {
		return &ec2.CreateFleetOutput{
			Instances: []ec2types.CreateFleetInstance{{
				InstanceIds: []string{"i-0123456789abcdef0"}, InstanceType: "g4dn.xlarge", Lifecycle: ec2types.InstanceLifecycleSpot,
				LaunchTemplateAndOverrides: override("g4dn.xlarge", "", "subnet-b"),
			}},
			Errors: []ec2types.CreateFleetError{fleetErr("InsufficientInstanceCapacity", "none", override("g4dn.xlarge", "", "subnet-a2"))},
		}, nil
	}}
	got, err := testFleet(api).Launch(t.Context(), testRequest())
	if err != nil {
		t.Fatal(err)
	}
	want := cloud.LaunchResult{
		Instance: cloud.Instance{
			ID: "i-0123456789abcdef0", ProviderID: "aws:///us-east-1b/i-0123456789abcdef0", OfferingKey: spot("us-east-1b"),
			Token: "uid-1", Claim: "gpu-x1", Provisioner: "gpu", State: cloud.InstancePending, ImageID: "ami-nv",
		},
		Stockouts: []cloud.OfferingKey{spot("us-east-1a")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	in := api.fleets[0]
	subnets := []string{}
	for _, o := range in.LaunchTemplateConfigs[0].Overrides {
		subnets = append(subnets, awssdk.ToString(o.SubnetId))
	}
	if diff := cmp.Diff([]string{"subnet-a2", "subnet-b"}, subnets); diff != "" {
		t.Errorf("subnets with most free addresses (-want +got):\n%s", diff)
	}
	tags := map[string]string{
		"Name": "gpu-x1", "team": "ml", "kubernetes.io/cluster/prod": "owned", "eks:eks-cluster-name": "prod",
		"slipway.sh/nodeclass": "default", "slipway.sh/provisioner": "gpu", "slipway.sh/claim": "gpu-x1", "slipway.sh/claim-uid": "uid-1",
	}
	for _, s := range in.TagSpecifications {
		if diff := cmp.Diff(tags, tagMap(s.Tags)); diff != "" {
			t.Errorf("tags of %s (-want +got):\n%s", s.ResourceType, diff)
		}
	}
	if awssdk.ToString(in.ClientToken) != "uid-1" || in.SpotOptions.AllocationStrategy != ec2types.SpotAllocationStrategyPriceCapacityOptimized {
		t.Errorf("got token %q, spot options %+v", awssdk.ToString(in.ClientToken), in.SpotOptions)
	}
}

func TestLaunchErrorsAreTyped(t *testing.T) {
	type fleetErrors = []ec2types.CreateFleetError
	here := override("g4dn.xlarge", "us-east-1a", "")
	for name, tc := range map[string]struct {
		errs fleetErrors
		want []error
	}{
		"stockout of one": {fleetErrors{fleetErr("InsufficientInstanceCapacity", "none left", here)},
			[]error{&cloud.StockoutError{Offerings: []cloud.OfferingKey{spot("us-east-1a")}, Message: "InsufficientInstanceCapacity: none left"}}},
		"stockout of all": {fleetErrors{fleetErr("UnfulfillableCapacity", "none", nil)},
			[]error{&cloud.StockoutError{Offerings: []cloud.OfferingKey{spot("us-east-1a"), spot("us-east-1b")}, Message: "UnfulfillableCapacity: none"}}},
		"not in the zone": {fleetErrors{fleetErr("InvalidFleetConfiguration", "not supported in your requested Availability Zone (us-east-1a)", here)},
			[]error{&cloud.StockoutError{Offerings: []cloud.OfferingKey{spot("us-east-1a")},
				Message: "InvalidFleetConfiguration: not supported in your requested Availability Zone (us-east-1a)"}}},
		"no addresses": {fleetErrors{fleetErr("InsufficientFreeAddressesInSubnet", "full", here)},
			[]error{&cloud.StockoutError{Offerings: []cloud.OfferingKey{spot("us-east-1a")}, Message: "InsufficientFreeAddressesInSubnet: full"}}},
		"quota": {fleetErrors{fleetErr("MaxSpotInstanceCountExceeded", "quota", nil)},
			[]error{&cloud.QuotaError{Market: cloud.Spot, Bucket: "G and VT", Message: "MaxSpotInstanceCountExceeded: quota"}}},
		"quota and stockout": {fleetErrors{fleetErr("InsufficientInstanceCapacity", "x", here), fleetErr("VcpuLimitExceeded", "y", here)},
			[]error{&cloud.QuotaError{Market: cloud.Spot, Bucket: "G and VT", Message: "VcpuLimitExceeded: y"},
				&cloud.StockoutError{Offerings: []cloud.OfferingKey{spot("us-east-1a")}, Message: "InsufficientInstanceCapacity: x"}}},
		"denied": {fleetErrors{fleetErr("UnauthorizedOperation", "no", nil)},
			[]error{&cloud.DeniedError{Action: "ec2:CreateFleet", Message: "UnauthorizedOperation: no"}}},
		"misconfigured": {fleetErrors{fleetErr("InvalidSubnetID.NotFound", "subnet-x", nil)},
			[]error{&cloud.MisconfiguredError{Field: "spec.subnetSelectorTerms", Message: "InvalidSubnetID.NotFound: subnet-x; select subnets that exist"}}},
	} {
		t.Run(name, func(t *testing.T) {
			api := &fakeEC2{fleet: func(*ec2.CreateFleetInput) (*ec2.CreateFleetOutput, error) {
				return &ec2.CreateFleetOutput{Errors: tc.errs}, nil
			}}
			_, err := testFleet(api).Launch(t.Context(), testRequest())
			for _, want := range tc.want {
				var got error
				switch want.(type) {
				case *cloud.StockoutError:
					e := &cloud.StockoutError{}
					errors.As(err, &e)
					got = e
				case *cloud.QuotaError:
					e := &cloud.QuotaError{}
					errors.As(err, &e)
					got = e
				case *cloud.DeniedError:
					e := &cloud.DeniedError{}
					errors.As(err, &e)
					got = e
				case *cloud.MisconfiguredError:
					e := &cloud.MisconfiguredError{}
					errors.As(err, &e)
					got = e
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("of %v (-want +got):\n%s", err, diff)
				}
			}
		})
	}
}

func TestLaunchRefusalsOfTheWholeRequest(t *testing.T) {
	var misconfigured *cloud.MisconfiguredError
	var denied *cloud.DeniedError
	var quota *cloud.QuotaError
	for name, tc := range map[string]struct {
		code, message string
		is            error
		as            any
	}{
		"throttled":          {"RequestLimitExceeded", "slow down", cloud.ErrThrottled, nil},
		"denied":             {"UnauthorizedOperation", "no", nil, &denied},
		"expired":            {"ExpiredToken", "old", nil, &denied},
		"group":              {"InvalidGroup.NotFound", "sg-1", nil, &misconfigured},
		"unknown parameter":  {"InvalidParameterCombination", "odd", nil, &misconfigured},
		"quota":              {"VcpuLimitExceeded", "no", nil, &quota},
		"reused, not found":  {"IdempotentParameterMismatch", "other", cloud.ErrTokenReused, nil},
		"launch template is": {"InvalidLaunchTemplateName.NotFoundException", "gone", nil, nil},
		"outage":             {"InternalError", "oops", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			api := &fakeEC2{fleet: func(*ec2.CreateFleetInput) (*ec2.CreateFleetOutput, error) {
				return nil, apiError(tc.code, tc.message)
			}}
			_, err := testFleet(api).Launch(t.Context(), testRequest())
			switch {
			case err == nil:
				t.Error("got no error")
			case tc.is != nil && !errors.Is(err, tc.is):
				t.Errorf("got %v, want %v", err, tc.is)
			case tc.as != nil && !errors.As(err, tc.as):
				t.Errorf("got %v, want a %T", err, tc.as)
			}
			if tc.is == nil && tc.as == nil && (errors.As(err, &misconfigured) || errors.As(err, &denied)) {
				t.Errorf("got %v, want a plain error", err)
			}
		})
	}
}

func TestATokenUsedOtherwiseAnswersItsMachine(t *testing.T) {
	api := &fakeEC2{
		fleet: func(*ec2.CreateFleetInput) (*ec2.CreateFleetOutput, error) {
			return nil, apiError("IdempotentParameterMismatch", "other")
		},
		instances: []ec2types.Instance{machineOf("prod", "uid-1", "i-1", "running")},
	}
	got, err := testFleet(api).Launch(t.Context(), testRequest())
	if err != nil || got.Instance.ID != "i-1" {
		t.Errorf("got %+v, %v; want the machine i-1", got, err)
	}
}

func TestAVanishedLaunchTemplateIsMadeAgainOnce(t *testing.T) {
	api := &fakeEC2{fleet: func(*ec2.CreateFleetInput) (*ec2.CreateFleetOutput, error) {
		return &ec2.CreateFleetOutput{Instances: []ec2types.CreateFleetInstance{{
			InstanceIds: []string{"i-1"}, InstanceType: "g4dn.xlarge", AvailabilityZone: awssdk.String("us-east-1a"),
		}}}, nil
	}}
	f := testFleet(api)
	for range 2 {
		if _, err := f.Launch(t.Context(), testRequest()); err != nil {
			t.Fatal(err)
		}
		clear(api.templates) // a person tidies up
	}
	if api.created != 2 || len(api.fleets) != 3 {
		t.Errorf("made %d launch templates with %d fleets, want 2 and 3", api.created, len(api.fleets))
	}
}

func TestPlanLaunchSortsChoicesByWhatCanBeBought(t *testing.T) {
	for name, tc := range map[string]struct {
		change    func(*cloud.LaunchRequest)
		wantField string
		want      map[string]int // choices by image
	}{
		"all":                {func(*cloud.LaunchRequest) {}, "", map[string]int{"ami-nv": 2}},
		"no subnet in zone":  {func(r *cloud.LaunchRequest) { r.Choices[0].Zone = "us-east-1f" }, "", map[string]int{"ami-nv": 1}},
		"both architectures": {func(r *cloud.LaunchRequest) { r.Choices[0].Architecture = "arm64" }, "", map[string]int{"ami-nv": 1, "ami-arm": 1}},
		"AMD's GPUs":         {func(r *cloud.LaunchRequest) { r.Choices[0].InstanceType = "g4ad.xlarge" }, "", map[string]int{"ami-nv": 1, "ami-std": 1}},
		"no image":           {func(r *cloud.LaunchRequest) { r.Template.Images = nil }, "spec.amiSelectorTerms", nil},
		"only neuron images": {func(r *cloud.LaunchRequest) {
			r.Template.Images = []cloud.Image{{ID: "ami-n", Architecture: "amd64", Variant: VariantNeuron}}
		}, "spec.amiSelectorTerms", nil},
		"no subnets": {func(r *cloud.LaunchRequest) { r.Template.Subnets = nil }, "spec.subnetSelectorTerms", nil},
		"reserved":   {func(r *cloud.LaunchRequest) { r.Market = cloud.Reserved }, "spec.requirements", nil},
	} {
		t.Run(name, func(t *testing.T) {
			req := testRequest()
			tc.change(&req)
			p, err := planLaunch(req)
			var misconfigured *cloud.MisconfiguredError
			if errors.As(err, &misconfigured) != (tc.wantField != "") || err != nil && misconfigured.Field != tc.wantField {
				t.Fatalf("got error %v, want one of field %q", err, tc.wantField)
			}
			var got map[string]int
			for _, g := range p.groups {
				if got == nil {
					got = map[string]int{}
				}
				got[g.image.ID] = len(g.choices)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("choices by image (-want +got):\n%s", diff)
			}
		})
	}
}

func machineOf(clusterName, uid, id string, state ec2types.InstanceStateName) ec2types.Instance {
	return ec2types.Instance{
		InstanceId: awssdk.String(id), InstanceType: "g4dn.xlarge", ImageId: awssdk.String("ami-nv"), LaunchTime: awssdk.Time(noon),
		InstanceLifecycle: ec2types.InstanceLifecycleTypeSpot, State: &ec2types.InstanceState{Name: state},
		Placement: &ec2types.Placement{AvailabilityZone: awssdk.String("us-east-1a")},
		Tags: ec2Tags(map[string]string{
			"kubernetes.io/cluster/" + clusterName: "owned", TagClaimUID: uid, TagClaim: "gpu-" + uid, TagProvisioner: "gpu",
		}),
	}
}

func TestInstancesAreOursAndAliveSortedByID(t *testing.T) {
	api := &fakeEC2{instances: []ec2types.Instance{
		machineOf("prod", "c", "i-3", "stopping"), machineOf("prod", "a", "i-1", "running"),
		machineOf("other", "b", "i-2", "running"), machineOf("prod", "d", "i-4", "terminated"), machineOf("prod", "", "i-5", "running"),
	}}
	got, err := testFleet(api).Instances(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []cloud.Instance{
		{ID: "i-1", ProviderID: "aws:///us-east-1a/i-1", OfferingKey: spot("us-east-1a"), Token: "a", Claim: "gpu-a", Provisioner: "gpu", State: cloud.InstanceRunning, LaunchedAt: noon, ImageID: "ami-nv"},
		{ID: "i-3", ProviderID: "aws:///us-east-1a/i-3", OfferingKey: spot("us-east-1a"), Token: "c", Claim: "gpu-c", Provisioner: "gpu", State: cloud.InstanceStopping, LaunchedAt: noon, ImageID: "ami-nv"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Why a machine has ended stands only in EC2's description of it: a key that cannot be used, a quota of volumes.
func TestTheEndHasItsReason(t *testing.T) {
	for name, tc := range map[string]struct {
		said *ec2types.StateReason
		want string
	}{
		"a sentence": {&ec2types.StateReason{Code: awssdk.String("Client.InternalError"), Message: awssdk.String("Client.InternalError: Client error on launch")},
			"Client.InternalError: Client error on launch"},
		"a code only": {&ec2types.StateReason{Code: awssdk.String("Client.VolumeLimitExceeded")}, "Client.VolumeLimitExceeded"},
		"nothing":     {nil, ""},
	} {
		machine := machineOf("prod", "a", "i-1", "terminated")
		machine.StateReason = tc.said
		_, err := testFleet(&fakeEC2{instances: []ec2types.Instance{machine}}).Instance(t.Context(), "i-1")
		ended, has := errors.AsType[*cloud.TerminatedError](err)
		if !errors.Is(err, cloud.ErrTerminated) || has != (tc.want != "") || has && ended.Reason != tc.want {
			t.Errorf("%s: got %v, want the reason %q", name, err, tc.want)
		}
		machine.State.Name = ec2types.InstanceStateNameShuttingDown
		ending, err := testFleet(&fakeEC2{instances: []ec2types.Instance{machine}}).Instance(t.Context(), "i-1")
		if err != nil || ending.StateReason != tc.want {
			t.Errorf("%s, while it ends: got %+v, %v", name, ending, err)
		}
	}
}

func TestWhatIsTerminatedOrForeignIsGone(t *testing.T) {
	for name, machine := range map[string]ec2types.Instance{
		"terminated": machineOf("prod", "a", "i-1", "terminated"), "foreign": machineOf("other", "a", "i-1", "running"),
	} {
		_, err := testFleet(&fakeEC2{instances: []ec2types.Instance{machine}}).Instance(t.Context(), "i-1")
		if !errors.Is(err, cloud.ErrGone) || errors.Is(err, cloud.ErrTerminated) != (name == "terminated") {
			t.Errorf("%s: got %v, want ErrGone, and ErrTerminated only of what is terminated", name, err)
		}
	}
	for name, answer := range map[string]func(string) (*ec2.TerminateInstancesOutput, error){
		"unknown": func(string) (*ec2.TerminateInstancesOutput, error) {
			return nil, apiError("InvalidInstanceID.NotFound", "no such")
		},
		"already terminated": func(string) (*ec2.TerminateInstancesOutput, error) {
			return &ec2.TerminateInstancesOutput{TerminatingInstances: []ec2types.InstanceStateChange{
				{PreviousState: &ec2types.InstanceState{Name: ec2types.InstanceStateNameTerminated}},
			}}, nil
		},
	} {
		if err := testFleet(&fakeEC2{terminate: answer}).Terminate(t.Context(), "i-1"); !errors.Is(err, cloud.ErrGone) {
			t.Errorf("%s: got %v, want ErrGone", name, err)
		}
	}
}

func TestEndedContextIsNoRefusal(t *testing.T) {
	api := &fakeEC2{failing: context.DeadlineExceeded}
	_, err := testFleet(api).Launch(t.Context(), testRequest())
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, cloud.ErrThrottled) {
		t.Errorf("got %v", err)
	}
}

func TestSweepKeepsWhatIsUsed(t *testing.T) {
	api := &fakeEC2{fleet: func(*ec2.CreateFleetInput) (*ec2.CreateFleetOutput, error) {
		return nil, apiError("InternalError", "whatever")
	}}
	now := noon
	f := testFleet(api)
	f.templates.now = func() time.Time { return now }
	launch := func(team string) {
		req := testRequest()
		req.Node.Labels = map[string]string{"team": team}
		_, _ = f.Launch(t.Context(), req) // only the launch template matters here
	}
	launch("old")
	now = now.Add(48 * time.Hour)
	launch("new")
	for i, want := range []struct{ deleted, left int }{{1, 1}, {0, 1}} {
		deleted, err := f.SweepLaunchTemplates(t.Context(), 24*time.Hour)
		if err != nil || deleted != want.deleted || len(api.templates) != want.left {
			t.Errorf("sweep %d: deleted %d, left %d, %v; want %+v", i, deleted, len(api.templates), err, want)
		}
	}
}
