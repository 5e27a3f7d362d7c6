package wire

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// launchTemplate is a launch template with one version: nothing here makes more.
type launchTemplate struct {
	id, name string
	created  time.Time
	userData string // decoded
	diskGiB  int64  // largest volume; 0: none is asked for
	tags     map[string]string
	machineParts
}

// templates are kept by name; order is that of their creation.
type templates struct {
	byName  map[string]*launchTemplate
	order   []string
	ordinal int
}

func newTemplates() templates { return templates{byName: map[string]*launchTemplate{}} }

const maxUserDataBytes = 16384

func (s *Server) createLaunchTemplate(f *form) ([]element, error) {
	name, data := f.get("LaunchTemplateName"), f.at("LaunchTemplateData")
	if len(name) < 3 || len(name) > 128 {
		return nil, badRequest("InvalidLaunchTemplateName.MalformedException", "Launch template name %q must have 3 to 128 characters.", name)
	}
	userData, err := decodeUserData(data.get("UserData"))
	if err != nil {
		return nil, err
	}
	if id := data.get("ImageId"); id == "" || !strings.HasPrefix(id, "ami-") {
		return nil, badRequest("InvalidAMIID.Malformed", "Invalid id: %q (expecting \"ami-...\")", id)
	}
	disk, err := largestVolume(data)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.templates.byName[name]; exists {
		return nil, badRequest("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
	}
	s.templates.ordinal++
	t := &launchTemplate{
		id: fmt.Sprintf("lt-%017x", s.templates.ordinal), name: name, created: s.Cloud.Now(), userData: userData,
		diskGiB: int64(disk), tags: tagsFor(f, "launch-template"), machineParts: machineOf(data),
	}
	s.templates.byName[name] = t
	s.templates.order = append(s.templates.order, name)
	return []element{with("launchTemplate", s.launchTemplate(t)...)}, nil
}

func decodeUserData(encoded string) (string, error) {
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", badRequest("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	}
	if len(decoded) > maxUserDataBytes {
		return "", badRequest("InvalidParameterValue", "User data is limited to %d bytes", maxUserDataBytes)
	}
	return string(decoded), nil
}

func largestVolume(data *form) (int, error) {
	largest := 0
	for _, device := range data.list("BlockDeviceMapping") {
		size, err := device.number(0, "Ebs", "VolumeSize")
		if err != nil {
			return 0, err
		}
		largest = max(largest, size)
	}
	return largest, nil
}

// tagsFor answers the tags that a request asks for on a type of resource.
func tagsFor(f *form, resource string) map[string]string {
	for _, specification := range f.list("TagSpecification") {
		if specification.get("ResourceType") == resource {
			return specification.tags("Tag")
		}
	}
	return nil
}

func (s *Server) launchTemplate(t *launchTemplate) []element {
	return []element{text("launchTemplateId", t.id), text("launchTemplateName", t.name), instant("createTime", t.created),
		text("createdBy", s.caller()), number("defaultVersionNumber", 1), number("latestVersionNumber", 1), tagSet(t.tags)}
}

func (s *Server) describeLaunchTemplates(f *form) ([]element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, ids := f.texts("LaunchTemplateName"), f.texts("LaunchTemplateId")
	var found []*launchTemplate
	for _, name := range s.templates.order {
		t := s.templates.byName[name]
		if len(names)+len(ids) == 0 || slices.Contains(names, t.name) || slices.Contains(ids, t.id) {
			found = append(found, t)
		}
	}
	if len(names)+len(ids) > len(found) && len(names) > 0 {
		return nil, badRequest("InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.")
	}
	if len(names)+len(ids) > len(found) && len(ids) > 0 {
		return nil, badRequest("InvalidLaunchTemplateId.NotFound", "At least one of the launch templates specified in the request does not exist.")
	}
	found, err := selected(found, f, func(t *launchTemplate) record {
		if t == nil {
			t = &launchTemplate{}
		}
		return record{tags: t.tags, fields: map[string][]string{"launch-template-name": {t.name}, "create-time": {t.created.UTC().Format(time.RFC3339)}}}
	})
	if err != nil {
		return nil, err
	}
	found, next, err := page(found, f, 200)
	return append([]element{items("launchTemplates", found, s.launchTemplate)}, next...), err
}

func (s *Server) deleteLaunchTemplate(f *form) ([]element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.findTemplate(f.get("LaunchTemplateName"), f.get("LaunchTemplateId"))
	if err != nil {
		return nil, err
	}
	delete(s.templates.byName, t.name)
	s.templates.order = slices.DeleteFunc(s.templates.order, func(name string) bool { return name == t.name })
	return []element{with("launchTemplate", s.launchTemplate(t)...)}, nil
}

// findTemplate answers the template of a name or an ID. The caller holds the lock.
func (s *Server) findTemplate(name, id string) (*launchTemplate, error) {
	if name != "" {
		if t := s.templates.byName[name]; t != nil {
			return t, nil
		}
		return nil, badRequest("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
	}
	for _, t := range s.templates.byName {
		if t.id == id {
			return t, nil
		}
	}
	return nil, badRequest("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
}
