package wire

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
)

// What each call comes to for IAM: which actions on which resources, with which condition keys. The sources are the Service Authorization
// Reference of each service, and EC2's user guide for what a fleet asks for beside CreateFleet. Where AWS does not say which of a fleet's
// two checks, CreateFleet's and RunInstances', looks at a resource, both do.

// unauthorizedError is a call that the policies do not allow.
type unauthorizedError struct {
	user string
	*policy.DeniedError
}

func (e *unauthorizedError) Error() string { return "User: " + e.user + " " + e.DeniedError.Error() }

// Administrator is the access key of somebody who may do everything, whatever the policies say, which are the others'.
const Administrator = "administrator"

// policyOf answers what the caller of a request may do.
func (s *Server) policyOf(r *http.Request) *policy.Set {
	if key, _, _ := strings.Cut(credential(r), "/"); key == Administrator {
		return nil
	}
	return s.Policy
}

// authorize refuses a call of which the policies do not allow every part.
func (s *Server) authorize(allowed *policy.Set, requests []policy.Request) error {
	for _, r := range requests {
		if r.Context == nil {
			r.Context = map[string][]string{}
		}
		r.Context["aws:RequestedRegion"] = []string{s.Cloud.Region()}
		err := allowed.Check(r)
		if strings.HasPrefix(r.Action, "sqs:") && r.Resource == s.arn("sqs", s.Cloud.Region(), s.QueueName) {
			err = s.queue.Check(allowed, policy.Caller{ARN: s.caller()}, r)
		}
		var denied *policy.DeniedError
		if errors.As(err, &denied) {
			s.Log.Info("denying", "action", r.Action, "resource", r.Resource)
			return &unauthorizedError{user: s.caller(), DeniedError: denied}
		}
	}
	return nil
}

// queryRequests answers what a call of EC2, IAM or STS comes to, except for CreateFleet. A resource that is not there asks for nothing: the call
// itself answers that.
func (s *Server) queryRequests(service, action string, f *form) []policy.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch service {
	case "iam":
		return s.profileRequests(action, f)
	case "sts":
		return nil // anybody may ask who they are
	}
	name := "ec2:" + action
	switch action {
	case "CreateLaunchTemplate":
		return creating(name, s.ec2ARN("launch-template/*"), tagsFor(f, "launch-template"))
	case "DeleteLaunchTemplate":
		if t, err := s.findTemplate(f.get("LaunchTemplateName"), f.get("LaunchTemplateId")); err == nil {
			return []policy.Request{{Action: name, Resource: s.ec2ARN("launch-template/" + t.id), Context: tagged("aws:ResourceTag/", t.tags)}}
		}
		return nil
	case "TerminateInstances", "CreateTags":
		var requests []policy.Request
		for _, m := range s.Cloud.Machines() {
			if slices.Contains(append(f.texts("InstanceId"), f.texts("ResourceId")...), m.ID) {
				context := tagged("aws:ResourceTag/", m.Tags)
				maps.Copy(context, tagged("aws:RequestTag/", f.tags("Tag")))
				requests = append(requests, policy.Request{Action: name, Resource: s.ec2ARN("instance/" + m.ID), Context: context})
			}
		}
		return requests
	case "RunInstances":
		return s.machineRequests(name, machineOf(f), f)
	}
	return []policy.Request{{Action: name, Resource: "*"}}
}

// profileRequests answers what a call of IAM comes to. The caller holds the lock.
func (s *Server) profileRequests(action string, f *form) []policy.Request {
	if role := f.get("RoleName"); action == "GetRole" {
		if role == spotRole {
			role = "aws-service-role/spot.amazonaws.com/" + role
		}
		return []policy.Request{{Action: "iam:GetRole", Resource: s.arn("iam", "", "role/"+role)}}
	}
	name := f.get("InstanceProfileName")
	r := policy.Request{Action: "iam:" + action, Resource: s.arn("iam", "", "instance-profile/"+name)}
	given := f.tags("Tags", "member")
	r.Context = tagged("aws:RequestTag/", given)
	if p := s.profiles[name]; p != nil && action != "GetInstanceProfile" {
		maps.Copy(r.Context, tagged("aws:ResourceTag/", p.tags))
	}
	switch action {
	case "CreateInstanceProfile":
		// IAM's user guide, "Global condition keys": aws:ResourceTag is there "in requests that create a resource with an attached tag", too.
		maps.Copy(r.Context, tagged("aws:ResourceTag/", given))
		if len(given) > 0 {
			return []policy.Request{r, {Action: "iam:TagInstanceProfile", Resource: r.Resource, Context: maps.Clone(r.Context)}}
		}
	case "AddRoleToInstanceProfile":
		return []policy.Request{r, s.passing(f.get("RoleName"))}
	}
	return []policy.Request{r}
}

// creating answers what the creation of a resource comes to: with tags it is their creation too.
func creating(action, resource string, tags map[string]string) []policy.Request {
	requests := []policy.Request{{Action: action, Resource: resource, Context: tagged("aws:RequestTag/", tags)}}
	if len(tags) > 0 {
		context := tagged("aws:RequestTag/", tags)
		context["ec2:CreateAction"] = []string{strings.TrimPrefix(action, "ec2:")}
		requests = append(requests, policy.Request{Action: "ec2:CreateTags", Resource: resource, Context: context})
	}
	return requests
}

// tagged answers tags as condition keys.
func tagged(prefix string, tags map[string]string) map[string][]string {
	context := map[string][]string{}
	for key, value := range tags {
		context[prefix+key] = []string{value}
	}
	if prefix == "aws:RequestTag/" && len(tags) > 0 {
		context["aws:TagKeys"] = slices.Sorted(maps.Keys(tags))
	}
	return context
}

// machineParts is what a machine is made of, of a launch template or of RunInstances itself.
type machineParts struct {
	imageID, profile string
	groups, subnets  []string
	snapshots        []string
	interfaceTags    map[string]string
}

func machineOf(data *form) machineParts {
	m := machineParts{
		imageID: data.get("ImageId"), profile: data.get("IamInstanceProfile", "Name"), groups: data.texts("SecurityGroupId"),
		interfaceTags: tagsFor(data, "network-interface"),
	}
	if subnet := data.get("SubnetId"); subnet != "" {
		m.subnets = []string{subnet}
	}
	for _, i := range data.list("NetworkInterface") {
		m.groups = append(m.groups, i.texts("SecurityGroupId")...)
		if subnet := i.get("SubnetId"); subnet != "" {
			m.subnets = append(m.subnets, subnet)
		}
	}
	for _, d := range data.list("BlockDeviceMapping") {
		if id := d.get("Ebs", "SnapshotId"); id != "" {
			m.snapshots = append(m.snapshots, id)
		}
	}
	return m
}

// machineRequests answers what making machines of these parts comes to for one action; f has the tags of machines and volumes. The caller holds
// the lock.
func (s *Server) machineRequests(action string, m machineParts, f *form) []policy.Request {
	public := "arn:aws:ec2:" + s.Cloud.Region() + "::"
	requests := []policy.Request{{Action: action, Resource: public + "image/" + m.imageID}}
	for _, id := range m.groups {
		requests = append(requests, policy.Request{Action: action, Resource: s.ec2ARN("security-group/" + id)})
	}
	for _, id := range m.subnets {
		requests = append(requests, policy.Request{Action: action, Resource: s.ec2ARN("subnet/" + id)})
	}
	for _, id := range m.snapshots {
		requests = append(requests, policy.Request{Action: action, Resource: public + "snapshot/" + id})
	}
	for _, kind := range []string{"instance", "volume"} {
		requests = append(requests, creating(action, s.ec2ARN(kind+"/*"), tagsFor(f, kind))...)
	}
	requests = append(requests, creating(action, s.ec2ARN("network-interface/*"), m.interfaceTags)...)
	if p := s.profiles[m.profile]; p != nil && p.role != "" {
		requests = append(requests, s.passing(p.role))
	}
	return requests
}

// fleetRequests answers what a CreateFleet comes to, and what the launch that it makes does in the caller's name.
func (s *Server) fleetRequests(f *form) (asking, launching []policy.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asking = creating("ec2:CreateFleet", s.ec2ARN("fleet/*"), tagsFor(f, "fleet"))
	for _, config := range f.list("LaunchTemplateConfigs") {
		t, err := s.findTemplate(config.get("LaunchTemplateSpecification", "LaunchTemplateName"), config.get("LaunchTemplateSpecification", "LaunchTemplateId"))
		if err != nil {
			continue
		}
		parts := t.machineParts
		for _, override := range config.list("Overrides") {
			if subnet := override.get("SubnetId"); subnet != "" && !slices.Contains(parts.subnets, subnet) {
				parts.subnets = append(slices.Clone(parts.subnets), subnet)
			}
		}
		asking = append(asking, s.fromTemplate("ec2:CreateFleet", t, parts, f)...)
		launching = append(launching, s.fromTemplate("ec2:RunInstances", t, parts, f)...)
	}
	return asking, launching
}

func (s *Server) fromTemplate(action string, t *launchTemplate, parts machineParts, f *form) []policy.Request {
	using := policy.Request{Action: action, Resource: s.ec2ARN("launch-template/" + t.id), Context: tagged("aws:ResourceTag/", t.tags)}
	return append([]policy.Request{using}, s.machineRequests(action, parts, f)...)
}

func (s *Server) passing(role string) policy.Request {
	return policy.Request{Action: "iam:PassRole", Resource: s.arn("iam", "", "role/"+role),
		Context: map[string][]string{"iam:PassedToService": {"ec2.amazonaws.com"}}}
}

func (s *Server) ec2ARN(resource string) string { return s.arn("ec2", s.Cloud.Region(), resource) }
