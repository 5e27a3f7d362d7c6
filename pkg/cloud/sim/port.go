package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// The tags by which a machine that was launched through the port is known to be its cluster's.
const (
	TagCluster     = "eks:eks-cluster-name"
	TagClaim       = "slipway.sh/claim"
	TagToken       = "slipway.sh/claim-uid"
	TagProvisioner = "slipway.sh/provisioner"
)

// Launch is cloud.Fleet's. It tries the choices in their order. A token under which nothing was launched is free again.
func (c *Cloud) Launch(ctx context.Context, req cloud.LaunchRequest) (cloud.LaunchResult, error) {
	if err := ctx.Err(); err != nil {
		return cloud.LaunchResult{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	call, err := c.admit(Call{Name: "CreateFleet", Token: req.Token, Tags: c.launchTags(req)})
	if err != nil {
		return cloud.LaunchResult{}, err
	}
	result, err := c.launchOne(req)
	if err != nil {
		c.journal.result(call, err.Error())
		return cloud.LaunchResult{}, err
	}
	c.journal.result(call, result.Instance.ID)
	return result, nil
}

func (c *Cloud) launchOne(req cloud.LaunchRequest) (cloud.LaunchResult, error) {
	fleet, err := c.fleetRequest(req)
	if err != nil {
		return cloud.LaunchResult{}, err
	}
	result, err := c.createFleet(fleet)
	if err != nil {
		return cloud.LaunchResult{}, err
	}
	if len(result.Machines) == 0 {
		return cloud.LaunchResult{}, launchError(result.Errors)
	}
	return cloud.LaunchResult{Instance: instance(result.Machines[0]), Stockouts: stockouts(result.Errors)}, nil
}

func (c *Cloud) fleetRequest(req cloud.LaunchRequest) (FleetRequest, error) {
	if l := len(req.Token); l < 1 || l > 64 {
		return FleetRequest{}, &cloud.MisconfiguredError{Field: "token", Message: fmt.Sprintf("has %d characters; want 1 to 64", l)}
	}
	if l := len(req.Choices); l < 1 || l > 60 {
		return FleetRequest{}, &cloud.MisconfiguredError{Field: "choices", Message: fmt.Sprintf("there are %d; want 1 to 60", l)}
	}
	content, err := json.Marshal(req)
	if err != nil {
		return FleetRequest{}, fmt.Errorf("hashing the launch request: %w", err)
	}
	sum := sha256.Sum256(content)
	fleet := FleetRequest{
		Token: req.Token, Fingerprint: hex.EncodeToString(sum[:]), Strategy: Prioritized, Count: 1, ForgetFailures: true,
		Tags: c.launchTags(req), Node: req.Node,
	}
	disk := int64(0)
	for _, device := range req.Template.Spec.BlockDevices {
		disk = max(disk, device.SizeGiB)
	}
	gpus := -1
	for _, choice := range req.Choices {
		if t, known := c.types[choice.InstanceType]; known {
			if gpus >= 0 && t.GPU.Count != gpus {
				return FleetRequest{}, &cloud.MisconfiguredError{Field: "choices", Message: "differ in the number of GPUs"}
			}
			gpus = t.GPU.Count
		}
		image, err := imageFor(req.Template, choice.Architecture)
		if err != nil {
			return FleetRequest{}, err
		}
		fleet.Choices = append(fleet.Choices, FleetChoice{
			Key:      cloud.OfferingKey{InstanceType: choice.InstanceType, Zone: choice.Zone, Market: req.Market},
			SubnetID: roomiest(req.Template.Subnets, choice.Zone), ImageID: image, DiskGiB: disk,
		})
	}
	return fleet, nil
}

// imageFor answers the template's image of an architecture; a template without images launches machines without one.
func imageFor(t cloud.Template, architecture string) (string, error) {
	for _, image := range t.Images {
		if image.Architecture == architecture {
			return image.ID, nil
		}
	}
	if len(t.Images) == 0 {
		return "", nil
	}
	return "", &cloud.MisconfiguredError{Field: "spec.amiSelectorTerms", Message: "no image is for " + architecture + "; select one"}
}

func roomiest(subnets []cloud.Subnet, zone string) string {
	best, free := "", int64(-1)
	for _, s := range subnets {
		if s.Zone == zone && s.FreeAddresses > free {
			best, free = s.ID, s.FreeAddresses
		}
	}
	return best
}

func (c *Cloud) launchTags(req cloud.LaunchRequest) map[string]string {
	tags := map[string]string{}
	for k, v := range req.Template.Spec.Tags {
		tags[k] = v
	}
	tags["Name"], tags[TagClaim] = req.Claim, req.Claim
	tags[TagCluster], tags[TagToken], tags[TagProvisioner] = c.config.ClusterName, req.Token, req.Provisioner
	return tags
}

// launchError is the port's error for a fleet that launched nothing. Where both a quota and stock were in the way it is
// the stockout: once the other choices are used up, the quota shows by itself.
func launchError(errs []FleetError) error {
	if keys := stockouts(errs); len(keys) > 0 {
		return &cloud.StockoutError{Offerings: keys, Message: messageOf(errs, CodeNoCapacity)}
	}
	for _, e := range errs {
		switch e.Code {
		case CodeSpotQuota, CodeVCPUQuota:
			return &cloud.QuotaError{Market: e.Choice.Key.Market, Bucket: cloud.QuotaBucket(e.Choice.Key.InstanceType),
				Message: e.Message}
		case CodeNoAddress:
			return &cloud.MisconfiguredError{Field: "spec.subnetSelectorTerms", Message: e.Message}
		}
	}
	var messages []error
	for _, e := range errs {
		messages = append(messages, fmt.Errorf("%s: %s: %s", e.Choice.Key, e.Code, e.Message))
	}
	return &cloud.MisconfiguredError{Field: "choices", Message: errors.Join(messages...).Error()}
}

func messageOf(errs []FleetError, code string) string {
	for _, e := range errs {
		if e.Code == code {
			return e.Code + ": " + e.Message
		}
	}
	return ""
}

func stockouts(errs []FleetError) []cloud.OfferingKey {
	var keys []cloud.OfferingKey
	for _, e := range errs {
		if e.Code == CodeNoCapacity {
			keys = append(keys, e.Choice.Key)
		}
	}
	slices.SortFunc(keys, cloud.OfferingKey.Compare)
	return slices.Compact(keys)
}

func instance(m Machine) cloud.Instance {
	return cloud.Instance{
		ID: m.ID, ProviderID: m.ProviderID(), OfferingKey: m.Key, Token: m.Tags[TagToken], Claim: m.Tags[TagClaim],
		Provisioner: m.Tags[TagProvisioner], State: m.State, StateReason: m.StateReason, LaunchedAt: m.LaunchedAt, ImageID: m.Choice.ImageID,
	}
}

// Terminate is cloud.Fleet's. It works on machines that are not visible yet.
func (c *Cloud) Terminate(ctx context.Context, instanceID string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	call, err := c.admit(Call{Name: "TerminateInstances"})
	if err != nil {
		return err
	}
	c.journal.result(call, instanceID)
	before, _, err := c.terminate(instanceID)
	if err == nil && before == cloud.InstanceTerminated {
		return cloud.ErrGone
	}
	return err
}

// Instance is cloud.Fleet's.
func (c *Cloud) Instance(ctx context.Context, instanceID string) (cloud.Instance, error) {
	if err := ctx.Err(); err != nil {
		return cloud.Instance{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	call, err := c.admit(Call{Name: "DescribeInstances"})
	if err != nil {
		return cloud.Instance{}, err
	}
	c.journal.result(call, instanceID)
	m, found := c.machines[instanceID]
	switch {
	case !found || !c.ours(m):
		return cloud.Instance{}, cloud.ErrGone
	case m.State == cloud.InstanceTerminated:
		return cloud.Instance{}, &cloud.TerminatedError{Reason: m.StateReason}
	}
	return instance(m.Machine), nil
}

// Instances is cloud.Fleet's.
func (c *Cloud) Instances(ctx context.Context) ([]cloud.Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	if _, err := c.admit(Call{Name: "DescribeInstances"}); err != nil {
		return nil, err
	}
	var ours []cloud.Instance
	for _, id := range c.order {
		if m := c.machines[id]; c.ours(m) && m.State != cloud.InstanceTerminated {
			ours = append(ours, instance(m.Machine))
		}
	}
	slices.SortFunc(ours, func(a, b cloud.Instance) int { return strings.Compare(a.ID, b.ID) })
	return ours, nil
}

// ours says whether the port shows a machine: it is the cluster's, and visible by now.
func (c *Cloud) ours(m *machine) bool {
	return m.Tags[TagCluster] == c.config.ClusterName && !m.VisibleAt.After(c.now)
}
