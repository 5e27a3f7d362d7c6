package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

var _ cloud.Fleet = (*Fleet)(nil)

type fleetAPI interface {
	CreateFleet(context.Context, *ec2.CreateFleetInput, ...func(*ec2.Options)) (*ec2.CreateFleetOutput, error)
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
	TerminateInstances(context.Context, *ec2.TerminateInstancesInput, ...func(*ec2.Options)) (*ec2.TerminateInstancesOutput, error)
}

// Fleet implements cloud.Fleet. Its methods may be called from many goroutines; none waits for another, except launches
// that need the same new launch template, and looks at machines, which are merged.
type Fleet struct {
	ec2       fleetAPI
	name      string // of the cluster
	cluster   *clusterFacts
	templates *launchTemplates
	lookups   *merger[map[string]cloud.Instance] // by ID, terminated ones included
	listings  *merger[[]cloud.Instance]
}

func newFleet(api interface {
	fleetAPI
	launchTemplateAPI
}, facts *clusterFacts, cfg Config) *Fleet {
	f := &Fleet{
		ec2: api, name: cfg.ClusterName, cluster: facts,
		templates: &launchTemplates{api: api, cluster: cfg.ClusterName, now: cfg.Now},
	}
	f.lookups = &merger[map[string]cloud.Instance]{call: f.lookup}
	f.listings = &merger[[]cloud.Instance]{call: f.list}
	return f
}

// SweepLaunchTemplates deletes this cluster's launch templates that are older than minAge and unused for as long by
// this process, and answers how many. It may run at any time, beside launches: one that needs a template that was
// deleted makes it again.
func (f *Fleet) SweepLaunchTemplates(ctx context.Context, minAge time.Duration) (deleted int, err error) {
	deleted, err = f.templates.sweep(ctx, minAge)
	if err != nil {
		return deleted, fmt.Errorf("sweeping launch templates: %w", err)
	}
	return deleted, nil
}

// Terminate implements cloud.Fleet. EC2 knows a terminated machine for about an hour; that is ErrGone too. A machine
// launched some seconds ago may be ErrGone although it runs: EC2 is eventually consistent.
func (f *Fleet) Terminate(ctx context.Context, instanceID string) error {
	out, err := f.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{instanceID}})
	if err != nil {
		return fmt.Errorf("terminating %s: %w", instanceID, callError("ec2:TerminateInstances", err))
	}
	for _, change := range out.TerminatingInstances {
		if change.PreviousState != nil && change.PreviousState.Name == ec2types.InstanceStateNameTerminated {
			return fmt.Errorf("terminating %s: %w", instanceID, cloud.ErrGone)
		}
	}
	return nil
}

// Instance implements cloud.Fleet. A machine of another cluster is ErrGone: it is none of ours.
func (f *Fleet) Instance(ctx context.Context, instanceID string) (cloud.Instance, error) {
	all, err := f.lookups.ask(ctx, instanceID)
	if err != nil {
		return cloud.Instance{}, fmt.Errorf("looking up instance %s: %w", instanceID, err)
	}
	switch found, known := all[instanceID]; {
	case !known:
		return cloud.Instance{}, fmt.Errorf("looking up instance %s: %w", instanceID, cloud.ErrGone)
	case found.State == cloud.InstanceTerminated && found.StateReason != "":
		return cloud.Instance{}, fmt.Errorf("looking up instance %s: %w", instanceID, &cloud.TerminatedError{Reason: found.StateReason})
	case found.State == cloud.InstanceTerminated:
		return cloud.Instance{}, fmt.Errorf("looking up instance %s: %w", instanceID, cloud.ErrTerminated)
	default:
		return found, nil
	}
}

// lookup answers machines by ID. It filters by ID rather than naming IDs: one that EC2 does not know would fail the whole call.
func (f *Fleet) lookup(ctx context.Context, ids []string) (map[string]cloud.Instance, error) {
	slices.Sort(ids)
	filter := ec2types.Filter{Name: awssdk.String("instance-id"), Values: slices.Compact(ids)}
	found, err := f.describe(ctx, &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{filter}, MaxResults: awssdk.Int32(1000)})
	all := make(map[string]cloud.Instance, len(found))
	for _, i := range found {
		all[i.ID] = i
	}
	return all, err
}

// Instances implements cloud.Fleet.
func (f *Fleet) Instances(ctx context.Context) ([]cloud.Instance, error) {
	found, err := f.listings.ask(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("listing instances: %w", err)
	}
	return slices.Clone(found), nil
}

func (f *Fleet) list(ctx context.Context, _ []string) ([]cloud.Instance, error) {
	return f.living(ctx, &ec2.DescribeInstancesInput{Filters: f.ours(), MaxResults: awssdk.Int32(1000)})
}

// byToken looks for the machine of a token that EC2 says was used for a different request.
func (f *Fleet) byToken(ctx context.Context, token string, reused error) (cloud.LaunchResult, error) {
	filters := append(f.ours(), ec2types.Filter{Name: awssdk.String("tag:" + TagClaimUID), Values: []string{token}})
	found, err := f.living(ctx, &ec2.DescribeInstancesInput{Filters: filters})
	if err != nil {
		return cloud.LaunchResult{}, errors.Join(reused, err)
	}
	if len(found) == 0 {
		return cloud.LaunchResult{}, reused
	}
	return cloud.LaunchResult{Instance: found[0]}, nil
}

func (f *Fleet) ours() []ec2types.Filter {
	return []ec2types.Filter{
		{Name: awssdk.String("tag:" + clusterTag(f.name)), Values: []string{tagOwned}},
		{Name: awssdk.String("tag-key"), Values: []string{TagClaimUID}},
		{Name: awssdk.String("instance-state-name"), Values: []string{
			string(cloud.InstancePending), string(cloud.InstanceRunning), string(cloud.InstanceShuttingDown),
			string(cloud.InstanceStopping), string(cloud.InstanceStopped),
		}},
	}
}

// describe answers machines of this cluster, those that are terminated included, sorted by ID.
func (f *Fleet) describe(ctx context.Context, in *ec2.DescribeInstancesInput) ([]cloud.Instance, error) {
	var found []cloud.Instance
	pages := ec2.NewDescribeInstancesPaginator(f.ec2, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, callError("ec2:DescribeInstances", err)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				if m, ours := f.machine(i); ours {
					found = append(found, m)
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b cloud.Instance) int { return strings.Compare(a.ID, b.ID) })
	return found, nil
}

// living answers those of the described machines that are not terminated.
func (f *Fleet) living(ctx context.Context, in *ec2.DescribeInstancesInput) ([]cloud.Instance, error) {
	found, err := f.describe(ctx, in)
	return slices.DeleteFunc(found, func(i cloud.Instance) bool { return i.State == cloud.InstanceTerminated }), err
}

// machine reads EC2's description; it refuses what is not this cluster's and Slipway's.
func (f *Fleet) machine(i ec2types.Instance) (cloud.Instance, bool) {
	tags := tagMap(i.Tags)
	if tags[clusterTag(f.name)] != tagOwned || tags[TagClaimUID] == "" {
		return cloud.Instance{}, false
	}
	m := cloud.Instance{
		ID:          awssdk.ToString(i.InstanceId),
		OfferingKey: cloud.OfferingKey{InstanceType: string(i.InstanceType), Market: cloud.OnDemand},
		Token:       tags[TagClaimUID], Claim: tags[TagClaim], Provisioner: tags[TagProvisioner],
		LaunchedAt: awssdk.ToTime(i.LaunchTime), ImageID: awssdk.ToString(i.ImageId),
	}
	if i.InstanceLifecycle == ec2types.InstanceLifecycleTypeSpot {
		m.Market = cloud.Spot
	}
	if i.Placement != nil {
		m.Zone = awssdk.ToString(i.Placement.AvailabilityZone)
	}
	if i.State != nil {
		m.State = cloud.InstanceState(i.State.Name)
	}
	if r := i.StateReason; r != nil {
		m.StateReason = cmp.Or(awssdk.ToString(r.Message), awssdk.ToString(r.Code)) // the message begins with the code
	}
	m.ProviderID = providerID(m.Zone, m.ID)
	return m, true
}
