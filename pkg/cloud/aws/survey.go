package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Survey looks at an account before anything is launched in it, for `slipway preflight`. It changes nothing: what would is a dry run.
type Survey struct {
	Region    string
	Catalog   *Catalog
	Templates *Templates // its Resolve makes no instance profile; one that is still to be made is the empty name

	cfg    Config
	fleet  *Fleet
	facts  *clusterFacts
	ec2    *ec2.Client
	iam    *iam.Client
	sqs    *sqs.Client
	sts    *sts.Client
	events *eventbridge.Client
	quotas *servicequotas.Client
}

// NewSurvey loads credentials and region as New does, and asks AWS nothing yet.
func NewSurvey(ctx context.Context, cfg Config) (*Survey, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking the AWS configuration: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	sdk, err := loadSDK(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &Survey{
		Region: sdk.Region, cfg: cfg, facts: &clusterFacts{api: eks.NewFromConfig(sdk), cfg: cfg}, ec2: ec2.NewFromConfig(sdk), iam: iam.NewFromConfig(sdk),
		sqs: sqs.NewFromConfig(sdk), sts: sts.NewFromConfig(sdk), events: eventbridge.NewFromConfig(sdk), quotas: servicequotas.NewFromConfig(sdk),
	}
	s.Catalog = &Catalog{region: sdk.Region, isolated: cfg.IsolatedVPC, now: cfg.Now, ec2: s.ec2, pricing: pricingClient(sdk)}
	s.Templates = &Templates{
		network: s.ec2, images: s.ec2, parameters: ssm.NewFromConfig(sdk), cluster: s.facts,
		profiles: &profiles{api: s.iam, cluster: cfg.ClusterName, region: sdk.Region, isolated: cfg.IsolatedVPC, onlyLook: true},
	}
	s.fleet = newFleet(s.ec2, s.facts, cfg)
	return s, nil
}

// Identity is who the credentials are.
type Identity struct{ ARN, Account string }

// Identity asks STS who the credentials are, which needs no permission. *cloud.DeniedError: they are missing or no longer valid.
func (s *Survey) Identity(ctx context.Context) (Identity, error) {
	out, err := s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, callError("sts:GetCallerIdentity", err)
	}
	return Identity{ARN: awssdk.ToString(out.Arn), Account: awssdk.ToString(out.Account)}, nil
}

// KubernetesVersion answers the cluster's version, 1.37, as configured or as EKS says.
func (s *Survey) KubernetesVersion(ctx context.Context) (string, error) {
	facts, err := s.facts.get(ctx)
	return facts.KubernetesVersion, err
}

// SpotRole is the role that EC2 must find in the account before it sells spot machines there.
const SpotRole = "AWSServiceRoleForEC2Spot"

// HasSpotRole says whether the account has SpotRole.
func (s *Survey) HasSpotRole(ctx context.Context) (bool, error) {
	_, err := s.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: awssdk.String(SpotRole)})
	if missing := (*iamtypes.NoSuchEntityException)(nil); errors.As(err, &missing) {
		return false, nil
	}
	if err != nil {
		return false, callError("iam:GetRole", err)
	}
	return true, nil
}

// ErrNotTried: AWS has nothing yet on which the permission could be tried.
var ErrNotTried = errors.New("not tried")

// TryLaunchTemplate asks EC2, without doing it, whether a launch template may be made for a template. nil: yes; *cloud.DeniedError: no; any other
// error: EC2 refuses it for another reason.
func (s *Survey) TryLaunchTemplate(ctx context.Context, t cloud.Template) error {
	in, err := s.fleet.templates.input(t, firstImage(t), "")
	if err != nil {
		return err
	}
	in.DryRun = awssdk.Bool(true)
	_, err = s.ec2.CreateLaunchTemplate(ctx, in)
	return dryRun("ec2:CreateLaunchTemplate", err)
}

// TryFleet asks as TryLaunchTemplate does, about the fleet that launches a machine of the choice. It needs a launch template of the cluster:
// ErrNotTried where there is none yet.
func (s *Survey) TryFleet(ctx context.Context, t cloud.Template, choice cloud.Choice, market cloud.Market) error {
	out, err := s.ec2.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{Filters: s.fleet.templates.ours()})
	if err != nil {
		return callError("ec2:DescribeLaunchTemplates", err)
	}
	if len(out.LaunchTemplates) == 0 {
		return fmt.Errorf("%w: the cluster has no launch template yet", ErrNotTried)
	}
	in := s.fleet.fleetInput(trialRequest(t, choice, market), onTemplate(awssdk.ToString(out.LaunchTemplates[0].LaunchTemplateName), choice, subnetIn(t, choice.Zone)))
	in.DryRun = awssdk.Bool(true)
	_, err = s.ec2.CreateFleet(ctx, in)
	return dryRun(actionCreateFleet, err)
}

// TryMachine asks as TryLaunchTemplate does, about the machine itself with its volumes, interface, tags and role.
func (s *Survey) TryMachine(ctx context.Context, t cloud.Template, choice cloud.Choice) error {
	in, err := s.machineInput(t, choice)
	if err != nil {
		return err
	}
	_, err = s.ec2.RunInstances(ctx, in)
	return dryRun("ec2:RunInstances", err)
}

// TryTerminate asks as TryLaunchTemplate does, about the end of a machine of the cluster: ErrNotTried where none runs.
func (s *Survey) TryTerminate(ctx context.Context) error {
	machines, err := s.fleet.Instances(ctx)
	if err != nil {
		return err
	}
	if len(machines) == 0 {
		return fmt.Errorf("%w: no machine of the cluster runs yet", ErrNotTried)
	}
	_, err = s.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{DryRun: awssdk.Bool(true), InstanceIds: []string{machines[0].ID}})
	return dryRun("ec2:TerminateInstances", err)
}

// dryRun reads the answer to a dry run: EC2 says yes by an error.
func dryRun(action string, err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("calling %s: EC2 did it although it was a dry run", action)
	case errorCode(err) == "DryRunOperation":
		return nil
	}
	return callError(action, err)
}
