package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Set is the policies of one principal. The nil Set allows everything.
type Set struct{ statements []statement }

type statement struct {
	sid        string
	principals []principal // of a resource's policy only
	deny       bool
	actions    []string // patterns, lower case
	resources  []string // patterns
	conditions []condition
}

// words is a JSON value that is a text or a list of them.
type words []string

func (w *words) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*w = words{one}
		return nil
	}
	var several []string
	if err := json.Unmarshal(text, &several); err != nil {
		return errors.New("want a text or a list of texts")
	}
	*w = several
	return nil
}

type document struct {
	Version   string
	ID        string `json:"Id"`
	Statement []struct {
		Sid       string
		Effect    string
		Principal json.RawMessage
		Action    words
		Resource  words
		Condition map[string]map[string]words
	}
}

// Parse reads one policy or a JSON list of policies.
func Parse(text []byte) (*Set, error) {
	var documents []json.RawMessage
	if json.Unmarshal(text, &documents) != nil {
		documents = []json.RawMessage{text}
	}
	s := &Set{}
	for i, one := range documents {
		if err := s.add(one); err != nil {
			return nil, fmt.Errorf("reading policy %d: %w", i+1, err)
		}
	}
	return s, nil
}

func (s *Set) add(text []byte) error {
	statements, err := read(text)
	if err != nil {
		return err
	}
	for _, st := range statements {
		if len(st.principals) > 0 {
			return fmt.Errorf("statement %s: a principal's own policy has no Principal", st.sid)
		}
	}
	s.statements = append(s.statements, statements...)
	return nil
}

// read reads one policy, of a principal or of a resource.
func read(text []byte) ([]statement, error) {
	var d document
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return nil, err
	}
	if d.Version != "2012-10-17" {
		return nil, fmt.Errorf("version %q is not 2012-10-17", d.Version)
	}
	var statements []statement
	for _, raw := range d.Statement {
		st := statement{sid: raw.Sid, deny: raw.Effect == "Deny", resources: raw.Resource}
		if raw.Effect != "Allow" && raw.Effect != "Deny" {
			return nil, fmt.Errorf("statement %s: effect %q", raw.Sid, raw.Effect)
		}
		if len(raw.Action) == 0 || len(raw.Resource) == 0 {
			return nil, fmt.Errorf("statement %s: Action and Resource are required", raw.Sid)
		}
		for _, action := range raw.Action {
			st.actions = append(st.actions, strings.ToLower(action))
		}
		var err error
		if st.conditions, err = conditionsOf(raw.Condition); err != nil {
			return nil, fmt.Errorf("statement %s: %w", raw.Sid, err)
		}
		if st.principals, err = principalsOf(raw.Principal); err != nil {
			return nil, fmt.Errorf("statement %s: %w", raw.Sid, err)
		}
		if slices.ContainsFunc(slices.Concat(raw.Action, raw.Resource), hasVariable) {
			return nil, fmt.Errorf("statement %s: policy variables are not known here", raw.Sid)
		}
		statements = append(statements, st)
	}
	return statements, nil
}

func conditionsOf(block map[string]map[string]words) ([]condition, error) {
	var conditions []condition
	for operator, keys := range block {
		for key, values := range keys {
			c, err := newCondition(operator, key, values)
			if err != nil {
				return nil, err
			}
			conditions = append(conditions, c)
		}
	}
	return conditions, nil
}

func hasVariable(text string) bool { return strings.Contains(text, "${") }

// Actions answers every action pattern that a statement allows, sorted, in lower case as IAM compares them.
func (s *Set) Actions() []string {
	var all []string
	for _, st := range s.statements {
		if !st.deny {
			all = append(all, st.actions...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
