package wire

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// createFleet admits the call itself: the journal shows its token and tags.
func (s *Server) createFleet(allowed *policy.Set, f *form) ([]element, error) {
	call := sim.Call{Name: "CreateFleet", Token: f.get("ClientToken"), Tags: tagsFor(f, "instance")}
	finish, err := s.Cloud.Admit(call)
	if err != nil {
		return nil, err
	}
	asking, launching := s.fleetRequests(f)
	if err := s.authorize(allowed, asking); err != nil {
		finish(err.Error())
		return nil, err
	}
	if f.get("DryRun") == "true" {
		return nil, errDryRun
	}
	half := s.FleetTime() / 2
	time.Sleep(half) // whether or not the caller still waits
	kids, ids, err := s.launch(f, s.authorize(allowed, launching))
	time.Sleep(half)
	if err != nil {
		finish(err.Error())
		return nil, err
	}
	finish(strings.Join(ids, " "))
	return kids, nil
}

// launch makes the fleet. Where the caller may not launch machines, EC2 answers a fleet with that error for each choice.
func (s *Server) launch(f *form, denied error) (kids []element, ids []string, err error) {
	req, from, err := s.fleetRequest(f)
	if err != nil {
		return nil, nil, err
	}
	if denied != nil {
		e := ec2Dialect.read(denied)
		return []element{text("fleetId", "fleet-"+strings.Repeat("0", 36)), items("errorSet", req.Choices, func(c sim.FleetChoice) []element {
			return []element{from.describe(c), text("errorCode", e.code), text("errorMessage", e.message)}
		})}, nil, nil
	}
	result, err := s.Cloud.CreateFleet(req)
	if errors.Is(err, cloud.ErrTokenReused) {
		return nil, nil, badRequest("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments "+
			"used in previous request(s).")
	}
	if err != nil {
		return nil, nil, err
	}
	lifecycle := func(key cloud.OfferingKey) element {
		if key.Market == cloud.Spot {
			return text("lifecycle", "spot")
		}
		return text("lifecycle", "on-demand")
	}
	refused := items("errorSet", result.Errors, func(e sim.FleetError) []element {
		return []element{from.describe(e.Choice), lifecycle(e.Choice.Key), text("errorCode", e.Code), text("errorMessage", e.Message)}
	})
	launched := items("fleetInstanceSet", result.Machines, func(m sim.Machine) []element {
		ids = append(ids, m.ID)
		choice := sim.FleetChoice{Key: m.Key, SubnetID: m.SubnetID}
		return []element{from.describe(choice), lifecycle(m.Key), with("instanceIds", text("item", m.ID)), text("instanceType", m.Key.InstanceType),
			text("availabilityZone", m.Key.Zone), text("availabilityZoneId", m.ZoneID), text("subnetId", m.SubnetID)}
	})
	return []element{text("fleetId", result.FleetID), refused, launched}, ids, nil
}

// origins remember from which template and override each choice came: the answer names them.
type origins map[cloud.OfferingKey]origin

type origin struct {
	template *launchTemplate
	override *form
}

func (o origins) describe(choice sim.FleetChoice) element {
	from := o[choice.Key]
	overrides := []element{text("instanceType", choice.Key.InstanceType), text("availabilityZone", choice.Key.Zone)}
	if subnet := from.override.get("SubnetId"); subnet != "" {
		overrides = append(overrides, text("subnetId", subnet))
	}
	return with("launchTemplateAndOverrides",
		with("launchTemplateSpecification", text("launchTemplateId", from.template.id), text("launchTemplateName", from.template.name), text("version", "1")),
		with("overrides", overrides...))
}

// maxOverrides and maxToken are EC2's limits.
const (
	maxOverrides = 300
	maxToken     = 64
)

func (s *Server) fleetRequest(f *form) (sim.FleetRequest, origins, error) {
	fail := func(code, format string, args ...any) (sim.FleetRequest, origins, error) {
		return sim.FleetRequest{}, nil, badRequest(code, format, args...)
	}
	if t := f.get("Type"); t != "instant" {
		return fail("UnsupportedOperation", "fakeaws plays fleets of type instant only, not %q", t)
	}
	if len(f.get("ClientToken")) > maxToken {
		return fail("InvalidParameterValue", "Client token is longer than %d characters", maxToken)
	}
	count, err := f.number(0, "TargetCapacitySpecification", "TotalTargetCapacity")
	if err != nil || count < 1 {
		return fail("InvalidTargetCapacitySpecification", "TotalTargetCapacity must be at least 1")
	}
	market, options := cloud.OnDemand, "OnDemandOptions"
	switch word := f.get("TargetCapacitySpecification", "DefaultTargetCapacityType"); word {
	case "spot":
		market, options = cloud.Spot, "SpotOptions"
	case "on-demand", "":
	default:
		return fail("InvalidParameterValue", "fakeaws does not play DefaultTargetCapacityType %q", word)
	}
	if count > 1 && (f.get(options, "SingleInstanceType") == "true" || f.get(options, "SingleAvailabilityZone") == "true") {
		return fail("UnsupportedOperation", "fakeaws plays SingleInstanceType and SingleAvailabilityZone for one instance only")
	}
	least, err := f.number(0, options, "MinTargetCapacity")
	if err != nil || least > count {
		return fail("InvalidParameterValue", "MinTargetCapacity is above TotalTargetCapacity")
	}
	sum := sha256.Sum256([]byte(f.canonical("ClientToken")))
	req := sim.FleetRequest{
		Token: f.get("ClientToken"), Fingerprint: hex.EncodeToString(sum[:]), Count: count, AllOrNothing: least == count,
		Tags: tagsFor(f, "instance"),
	}
	if req.Strategy, err = strategy(market, f.get(options, "AllocationStrategy")); err != nil {
		return sim.FleetRequest{}, nil, err
	}
	from, err := s.choices(f, market, &req)
	return req, from, err
}

func strategy(market cloud.Market, word string) (sim.Strategy, error) {
	switch word {
	case "lowest-price", "":
		return sim.LowestPrice, nil
	case "price-capacity-optimized", "capacity-optimized":
		if market == cloud.Spot {
			return sim.PriceCapacityOptimized, nil
		}
	case "prioritized", "capacity-optimized-prioritized":
		if (word == "prioritized") == (market == cloud.OnDemand) {
			return sim.Prioritized, nil
		}
	}
	return "", badRequest("InvalidParameterValue", "AllocationStrategy %q is not valid for %s", word, market)
}

// choices reads the overrides into the request. The first problem refuses the whole request, as EC2 does.
func (s *Server) choices(f *form, market cloud.Market, req *sim.FleetRequest) (origins, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	zones := map[string]string{}
	for _, subnet := range s.Cloud.Network().Subnets {
		zones[subnet.ID] = subnet.Zone
	}
	from := origins{}
	for _, config := range f.list("LaunchTemplateConfigs") {
		spec := config.at("LaunchTemplateSpecification")
		template, err := s.findTemplate(spec.get("LaunchTemplateName"), spec.get("LaunchTemplateId"))
		if err != nil {
			return nil, err
		}
		if err := s.bootable(template); err != nil {
			return nil, err
		}
		for _, override := range config.list("Overrides") {
			choice, err := readOverride(override, template, market, zones)
			if err != nil {
				return nil, err
			}
			if _, duplicate := from[choice.Key]; duplicate {
				return nil, badRequest("InvalidFleetConfig", "The fleet configuration contains duplicate instance pools")
			}
			from[choice.Key] = origin{template, override}
			req.Choices = append(req.Choices, choice)
		}
	}
	if n := len(req.Choices); n < 1 || n > maxOverrides {
		return nil, badRequest("InvalidFleetConfiguration", "there are %d overrides; fakeaws takes 1 to %d", n, maxOverrides)
	}
	if req.Strategy == sim.Prioritized {
		slices.SortStableFunc(req.Choices, func(a, b sim.FleetChoice) int {
			return cmp.Compare(priority(from[a.Key].override), priority(from[b.Key].override))
		})
	}
	return from, nil
}

// bootable refuses a template that could not boot a machine. The caller holds the lock.
func (s *Server) bootable(t *launchTemplate) error {
	if !slices.ContainsFunc(s.Cloud.Network().Images, func(i sim.Image) bool { return i.ID == t.imageID }) {
		return badRequest("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", t.imageID)
	}
	if t.profile == "" {
		return nil
	}
	if p := s.profiles[t.profile]; p == nil || p.role == "" {
		return badRequest("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", t.profile)
	}
	return nil
}

func readOverride(o *form, t *launchTemplate, market cloud.Market, zones map[string]string) (sim.FleetChoice, error) {
	key := cloud.OfferingKey{InstanceType: o.get("InstanceType"), Zone: o.get("AvailabilityZone"), Market: market}
	subnet := o.get("SubnetId")
	if subnet != "" {
		zone, exists := zones[subnet]
		if !exists {
			return sim.FleetChoice{}, badRequest("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", subnet)
		}
		if key.Zone != "" && key.Zone != zone {
			return sim.FleetChoice{}, badRequest("InvalidParameterValue", "The subnet %s is in %s, not in %s", subnet, zone, key.Zone)
		}
		key.Zone = zone
	}
	if key.InstanceType == "" || key.Zone == "" {
		return sim.FleetChoice{}, badRequest("InvalidFleetConfiguration", "fakeaws needs InstanceType, and SubnetId or AvailabilityZone, in each override")
	}
	return sim.FleetChoice{Key: key, SubnetID: subnet, ImageID: cmp.Or(o.get("ImageId"), t.imageID), UserData: t.userData, DiskGiB: t.diskGiB}, nil
}

// priority is an override's; the lowest number comes first, and what has none comes last.
func priority(o *form) float64 {
	var p float64
	if _, err := fmt.Sscan(o.get("Priority"), &p); err != nil {
		return 1e9
	}
	return p
}
