package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Resource is the policy of a resource, such as a queue's.
type Resource struct{ statements []statement }

// Caller is who makes a request: an AWS service in its own name, or a principal of an account. The zero Caller is anonymous.
type Caller struct {
	Service string // events.amazonaws.com
	ARN     string // arn:aws:iam::123456789012:user/a
}

// ParseResource reads the policy of a resource. Every statement must say to whom it applies: to anybody, to services, to ARNs or to accounts.
func ParseResource(text []byte) (*Resource, error) {
	statements, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("reading a resource's policy: %w", err)
	}
	for _, st := range statements {
		if len(st.principals) == 0 {
			return nil, fmt.Errorf("reading a resource's policy: statement %s has no Principal", st.sid)
		}
	}
	return &Resource{statements}, nil
}

// Check answers nil where the request of a caller in the resource's account is allowed, else a *DeniedError: a Deny of the caller's own policies or
// of the resource's wins, then an Allow of either is enough. The user guide of IAM, "Policy evaluation for requests within a single account". The
// condition key aws:PrincipalIsAWSService is set here; an anonymous request has none, as its reference says.
func (p *Resource) Check(own *Set, by Caller, r Request) error {
	context := map[string][]string{}
	for key, values := range r.Context {
		context[strings.ToLower(key)] = values
	}
	switch {
	case by.Service != "":
		own, context["aws:principalisawsservice"] = &Set{}, []string{"true"} // a service in its own name has no policies
	case by.ARN != "":
		context["aws:principalisawsservice"] = []string{"false"}
	default:
		own = &Set{}
	}
	allowed := false
	for _, st := range p.statements {
		if !st.covers(r, context) || !slices.ContainsFunc(st.principals, func(one principal) bool { return one.is(by, st.deny) }) {
			continue
		}
		if st.deny {
			return &DeniedError{Request: r, Explicit: true, ByResource: true}
		}
		allowed = true
	}
	r.Context = context
	err := own.Check(r)
	var denied *DeniedError
	if allowed && errors.As(err, &denied) && !denied.Explicit {
		return nil
	}
	return err
}

// principal is one to whom a statement applies.
type principal struct {
	kind string // *: anybody; Service; AWS
	name string
}

// is says whether a statement for the principal applies to a caller. An Allow for an account leaves it to the account's own policies.
func (p principal) is(by Caller, deny bool) bool {
	switch {
	case p.kind == "*":
		return true
	case p.kind == "Service":
		return p.name == by.Service
	}
	fields := strings.Split(by.ARN, ":")
	account, whole := strings.CutSuffix(p.name, ":root")
	return p.name == by.ARN || deny && whole && len(fields) > 4 && strings.HasSuffix(account, ":"+fields[4])
}

// principalsOf reads a statement's Principal: "*", or a map of AWS and Service. It refuses other kinds, and accounts without their ARN.
func principalsOf(text json.RawMessage) ([]principal, error) {
	if len(text) == 0 {
		return nil, nil
	}
	if string(text) == `"*"` {
		return []principal{{kind: "*"}}, nil
	}
	var kinds map[string]words
	if err := json.Unmarshal(text, &kinds); err != nil {
		return nil, fmt.Errorf("reading Principal: %w", err)
	}
	var all []principal
	for kind, names := range kinds {
		for _, name := range names {
			switch {
			case kind == "AWS" && name == "*":
				all = append(all, principal{kind: "*"})
			case kind == "Service", kind == "AWS" && strings.HasPrefix(name, "arn:"):
				all = append(all, principal{kind, name})
			default:
				return nil, fmt.Errorf("the principal %s %s is not known here", kind, name)
			}
		}
	}
	return all, nil
}
