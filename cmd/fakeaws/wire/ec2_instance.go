package wire

import (
	"errors"
	"regexp"
	"slices"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

var instanceID = regexp.MustCompile(`^i-([0-9a-f]{8}|[0-9a-f]{17})$`) // read only

// stateCode is EC2's number for a state.
func stateCode(state cloud.InstanceState) int {
	return map[cloud.InstanceState]int{
		cloud.InstancePending: 0, cloud.InstanceRunning: 16, cloud.InstanceShuttingDown: 32,
		cloud.InstanceTerminated: 48, cloud.InstanceStopping: 64, cloud.InstanceStopped: 80,
	}[state]
}

func stateOf(name string, state cloud.InstanceState) element {
	return with(name, number("code", stateCode(state)), text("name", string(state)))
}

// visible answers the machines that EC2 shows by now: a new one takes a moment.
func (s *Server) visible() []sim.Machine {
	now := s.Cloud.Now()
	return slices.DeleteFunc(s.Cloud.Machines(), func(m sim.Machine) bool { return m.VisibleAt.After(now) })
}

func checkIDs(ids []string, machines []sim.Machine) error {
	for _, id := range ids {
		if !instanceID.MatchString(id) {
			return badRequest("InvalidInstanceID.Malformed", "Invalid id: %q", id)
		}
		if !slices.ContainsFunc(machines, func(m sim.Machine) bool { return m.ID == id }) {
			return badRequest("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		}
	}
	return nil
}

func (s *Server) describeInstances(f *form) ([]element, error) {
	machines := s.visible()
	if ids := f.texts("InstanceId"); len(ids) > 0 {
		if f.has("MaxResults") {
			return nil, badRequest("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
		}
		if err := checkIDs(ids, machines); err != nil {
			return nil, err
		}
		machines = slices.DeleteFunc(machines, func(m sim.Machine) bool { return !slices.Contains(ids, m.ID) })
	}
	machines, err := selected(machines, f, func(m sim.Machine) record {
		return record{tags: m.Tags, fields: map[string][]string{"instance-id": {m.ID}, "instance-state-name": {string(m.State)},
			"instance-type": {m.Key.InstanceType}, "availability-zone": {m.Key.Zone}, "subnet-id": {m.SubnetID}, "vpc-id": {vpcID},
			"private-dns-name": {m.PrivateDNS}, "instance-lifecycle": {string(m.Key.Market)}, "private-ip-address": {m.PrivateIP}}}
	})
	if err != nil {
		return nil, err
	}
	machines, next, err := page(machines, f, 1000)
	return append([]element{items("reservationSet", machines, func(m sim.Machine) []element {
		return []element{text("reservationId", "r-"+m.ID[2:]), text("ownerId", s.Account), with("instancesSet", with("item", s.instance(m)...))}
	})}, next...), err
}

func (s *Server) instance(m sim.Machine) []element {
	described := []element{
		text("instanceId", m.ID), text("instanceType", m.Key.InstanceType), stateOf("instanceState", m.State), instant("launchTime", m.LaunchedAt),
		with("placement", text("availabilityZone", m.Key.Zone), text("availabilityZoneId", m.ZoneID), text("tenancy", "default")),
		text("imageId", m.Choice.ImageID), tagSet(m.Tags), text("virtualizationType", "hvm"),
	}
	if t, known := s.typeOf(m); known {
		described = append(described, text("architecture", ec2Architecture(t.Architecture)),
			with("cpuOptions", number("coreCount", t.VCPUs/2), number("threadsPerCore", 2)))
	}
	if m.State != cloud.InstanceTerminated { // EC2 forgets a terminated machine's network
		described = append(described, text("privateDnsName", m.PrivateDNS), text("privateIpAddress", m.PrivateIP),
			text("subnetId", m.SubnetID), text("vpcId", vpcID))
	}
	if m.Key.Market == cloud.Spot {
		described = append(described, text("instanceLifecycle", "spot"), text("spotInstanceRequestId", "sir-"+m.ID[11:]))
	}
	if m.StateReason != "" {
		described = append(described, with("stateReason", text("code", m.StateReason), text("message", m.StateReason)))
	}
	return described
}

func (s *Server) typeOf(m sim.Machine) (cloud.InstanceType, bool) {
	types := s.Cloud.Types()
	i := slices.IndexFunc(types, func(t cloud.InstanceType) bool { return t.Name == m.Key.InstanceType })
	if i < 0 {
		return cloud.InstanceType{}, false
	}
	return types[i], true
}

// terminateInstances ends all or, where one ID is unknown, none. A machine that EC2 does not show yet can be ended.
func (s *Server) terminateInstances(f *form) ([]element, error) {
	ids := f.texts("InstanceId")
	if len(ids) == 0 {
		return nil, badRequest("MissingParameter", "The request must contain the parameter InstanceId")
	}
	if err := checkIDs(ids, s.Cloud.Machines()); err != nil {
		return nil, err
	}
	var ended []element
	for _, id := range ids {
		before, after, err := s.Cloud.TerminateMachine(id)
		if errors.Is(err, cloud.ErrGone) { // forgotten since it was checked
			before, after = cloud.InstanceTerminated, cloud.InstanceTerminated
		}
		ended = append(ended, with("item", text("instanceId", id), stateOf("previousState", before), stateOf("currentState", after)))
	}
	return []element{with("instancesSet", ended...)}, nil
}

func (s *Server) createTags(f *form) ([]element, error) {
	ids, tags := f.texts("ResourceId"), f.tags("Tag")
	if len(ids) == 0 || len(tags) == 0 {
		return nil, badRequest("MissingParameter", "The request must contain the parameters resourceIdSet and tagSet")
	}
	if err := checkIDs(ids, s.visible()); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := s.Cloud.Tag(id, tags); err != nil {
			return nil, badRequest("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		}
	}
	return []element{truth("return", true)}, nil
}

// runInstances plays the dry run only: machines come of fleets.
func (s *Server) runInstances(*form) ([]element, error) {
	return nil, badRequest("UnsupportedOperation", "fakeaws plays RunInstances with DryRun only")
}
