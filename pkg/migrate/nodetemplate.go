package migrate

import (
	"maps"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// nodeTemplate is what is read of a karpenter.k8s.aws/v1alpha1 AWSNodeTemplate.
type nodeTemplate struct {
	Spec struct {
		AMIFamily             string                   `json:"amiFamily"`
		AMISelector           map[string]string        `json:"amiSelector"`
		SubnetSelector        map[string]string        `json:"subnetSelector"`
		SecurityGroupSelector map[string]string        `json:"securityGroupSelector"`
		InstanceProfile       string                   `json:"instanceProfile"`
		UserData              string                   `json:"userData"`
		Tags                  map[string]string        `json:"tags"`
		BlockDeviceMappings   []device                 `json:"blockDeviceMappings"`
		MetadataOptions       v1alpha1.MetadataOptions `json:"metadataOptions"`
		DetailedMonitoring    *bool                    `json:"detailedMonitoring"`
	} `json:"spec"`
}

// fromTemplate carries an AWSNodeTemplate. Its selectors are maps whose values may list several with commas.
func (s *classSource) fromTemplate() {
	in, out := &s.old.Spec, &s.out.Spec
	var terms []v1alpha1.AMISelectorTerm
	for _, t := range s.selector(in.AMISelector, s.at.with("amiSelector")) {
		terms = append(terms, v1alpha1.AMISelectorTerm{ID: t.id, Name: t.name, Owner: t.owner, Tags: t.tags})
	}
	s.images(terms, in.AMIFamily)
	for _, t := range s.selector(in.SubnetSelector, s.at.with("subnetSelector")) {
		out.SubnetSelectorTerms = append(out.SubnetSelectorTerms, v1alpha1.SubnetSelectorTerm{ID: t.id, Tags: t.tags})
	}
	for _, t := range s.selector(in.SecurityGroupSelector, s.at.with("securityGroupSelector")) {
		out.SecurityGroupSelectorTerms = append(out.SecurityGroupSelectorTerms, v1alpha1.SecurityGroupSelectorTerm{ID: t.id, Tags: t.tags})
	}
	out.InstanceProfile = in.InstanceProfile
	s.userData(in.UserData)
	s.tags(in.Tags)
	s.devices(in.BlockDeviceMappings)
	out.DetailedMonitoring = in.DetailedMonitoring != nil && *in.DetailedMonitoring
	out.MetadataOptions = in.MetadataOptions
}

// maxTerms is how many terms a selector takes.
const maxTerms = 30

type selected struct {
	id, name, owner string
	tags            map[string]string
}

// selector writes a map of tags as terms. Values with commas mean any of them, so the terms are all combinations; ids, and names and owners of
// images, have keys of their own.
func (s *classSource) selector(tags map[string]string, at path) []selected {
	if ids := s.ids(tags, at); len(ids) > 0 {
		return ids
	}
	terms := []selected{{}}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		values := split(tags[key])
		if len(values) == 0 || len(terms)*len(values) > maxTerms {
			s.ledger.say(Entry{Outcome: NotCarried, Message: "it lists no value, or more combinations than a selector takes: select by id, or by another tag"}, at.with(key))
			continue
		}
		var more []selected
		for _, t := range terms {
			for _, value := range values {
				more = append(more, t.and(key, value))
			}
		}
		terms = more
		if len(values) > 1 {
			s.ledger.say(Entry{Outcome: Carried, Ours: "one term for each value"}, at.with(key))
		}
	}
	return slices.DeleteFunc(terms, func(t selected) bool { return t.name == "" && len(t.tags) == 0 })
}

func (t selected) and(key, value string) selected {
	switch key {
	case "aws::name":
		t.name = value
	case "aws::owners":
		t.owner = value
	default:
		t.tags = maps.Clone(t.tags)
		if t.tags == nil {
			t.tags = map[string]string{}
		}
		t.tags[key] = value
	}
	return t
}

// ids answers a term for each id that a selector lists; tags beside them narrowed the ids, which a term cannot say.
func (s *classSource) ids(tags map[string]string, at path) []selected {
	var list []selected
	for _, key := range []string{"aws-ids", "aws::ids"} {
		for _, id := range split(tags[key]) {
			if len(list) < maxTerms {
				list = append(list, selected{id: id})
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	for key := range tags {
		if key != "aws-ids" && key != "aws::ids" {
			s.ledger.say(Entry{Outcome: NotCarried, Message: "ids are selected as they stand here: see that each has the tag"}, at.with(key))
		}
	}
	return list
}

func split(text string) []string {
	var list []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" && !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	return list
}
