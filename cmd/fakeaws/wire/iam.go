package wire

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// profile is an instance profile; its role may still be missing.
type profile struct {
	name, role string
	tags       map[string]string
}

func (s *Server) findProfile(f *form) (*profile, error) {
	name := f.get("InstanceProfileName")
	if p := s.profiles[name]; p != nil {
		return p, nil
	}
	return nil, apiError{http.StatusNotFound, "NoSuchEntity", fmt.Sprintf("Instance Profile %s cannot be found.", name)}
}

func (s *Server) profileElement(p *profile) element {
	roles := element{name: "Roles"}
	if p.role != "" {
		roles.kids = append(roles.kids, with("member", text("RoleName", p.role), text("RoleId", "AROAFAKEROLE00000001"), text("Path", "/"),
			text("Arn", s.arn("iam", "", "role/"+p.role)), text("CreateDate", "2026-08-01T00:00:00Z")))
	}
	tags := element{name: "Tags"}
	for _, key := range slices.Sorted(maps.Keys(p.tags)) {
		tags.kids = append(tags.kids, with("member", text("Key", key), text("Value", p.tags[key])))
	}
	return with("InstanceProfile", text("InstanceProfileName", p.name), text("InstanceProfileId", "AIPAFAKEPROFILE000001"), text("Path", "/"),
		text("Arn", s.arn("iam", "", "instance-profile/"+p.name)), text("CreateDate", "2026-08-01T00:00:00Z"), roles, tags)
}

func (s *Server) getInstanceProfile(f *form) ([]element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findProfile(f)
	if err != nil {
		return nil, err
	}
	return []element{s.profileElement(p)}, nil
}

func (s *Server) createInstanceProfile(f *form) ([]element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := f.get("InstanceProfileName")
	if len(name) < 1 || len(name) > 128 {
		return nil, badRequest("ValidationError", "InstanceProfileName must have 1 to 128 characters, not %d", len(name))
	}
	if s.profiles[name] != nil {
		return nil, apiError{http.StatusConflict, "EntityAlreadyExists", fmt.Sprintf("Instance Profile %s already exists.", name)}
	}
	p := &profile{name: name, tags: f.tags("Tags", "member")}
	s.profiles[name] = p
	return []element{s.profileElement(p)}, nil
}

func (s *Server) addRoleToInstanceProfile(f *form) ([]element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findProfile(f)
	if err != nil {
		return nil, err
	}
	role := f.get("RoleName")
	if !slices.Contains(s.Cloud.Network().Roles, role) {
		return nil, apiError{http.StatusNotFound, "NoSuchEntity", fmt.Sprintf("The role with name %s cannot be found.", role)}
	}
	if p.role != "" {
		return nil, apiError{http.StatusConflict, "LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"}
	}
	p.role = role
	return nil, nil
}

func (s *Server) removeRoleFromInstanceProfile(f *form) ([]element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findProfile(f)
	if err != nil {
		return nil, err
	}
	if role := f.get("RoleName"); p.role != role {
		return nil, apiError{http.StatusNotFound, "NoSuchEntity", fmt.Sprintf("The role with name %s cannot be found.", role)}
	}
	p.role = ""
	return nil, nil
}

func (s *Server) deleteInstanceProfile(f *form) ([]element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findProfile(f)
	if err != nil {
		return nil, err
	}
	if p.role != "" {
		return nil, apiError{http.StatusConflict, "DeleteConflict", "Cannot delete entity, must remove roles from instance profile first."}
	}
	delete(s.profiles, p.name)
	return nil, nil
}

func (s *Server) tagInstanceProfile(f *form) ([]element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findProfile(f)
	if err != nil {
		return nil, err
	}
	if p.tags == nil {
		p.tags = map[string]string{}
	}
	maps.Copy(p.tags, f.tags("Tags", "member"))
	return nil, nil
}

// spotRole is the role of EC2's own that an account must have for spot machines.
const spotRole = "AWSServiceRoleForEC2Spot"

func (s *Server) getRole(f *form) ([]element, error) {
	name := f.get("RoleName")
	path := "/"
	if name == spotRole && !s.WithoutSpotRole {
		path = "/aws-service-role/spot.amazonaws.com/"
	} else if !slices.Contains(s.Cloud.Network().Roles, name) {
		return nil, apiError{http.StatusNotFound, "NoSuchEntity", fmt.Sprintf("The role with name %s cannot be found.", name)}
	}
	return []element{with("Role", text("RoleName", name), text("RoleId", "AROAFAKEROLE00000001"), text("Path", path),
		text("Arn", s.arn("iam", "", "role"+path+name)), text("CreateDate", "2026-08-01T00:00:00Z"))}, nil
}

// caller is the ARN of whoever calls: signatures are not verified.
func (s *Server) caller() string { return s.arn("sts", "", "assumed-role/slipway-controller/fakeaws") }

func (s *Server) getCallerIdentity(*form) ([]element, error) {
	return []element{text("Arn", s.caller()), text("UserId", "AROAFAKEROLE00000002:fakeaws"), text("Account", s.Account)}, nil
}
