package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Request is one thing that somebody wants to do to one resource. An API call may be several.
type Request struct {
	Action   string // ec2:RunInstances
	Resource string // an ARN, or * where the action has no resources
	// Context holds the condition keys that the request has, such as aws:RequestTag/Name. IAM does not tell upper from lower case in them.
	Context map[string][]string
}

// DeniedError is a request that is not allowed.
type DeniedError struct {
	Request    Request
	Explicit   bool // a Deny says so
	ByResource bool // and it is the resource's
}

// Error answers the reason as IAM words it, to stand after "User: ARN ".
func (e *DeniedError) Error() string {
	said := fmt.Sprintf("is not authorized to perform: %s on resource: %s ", e.Request.Action, e.Request.Resource)
	switch {
	case e.Explicit && e.ByResource:
		return said + "with an explicit deny in a resource-based policy"
	case e.Explicit:
		return said + "with an explicit deny in an identity-based policy"
	}
	return said + "because no identity-based policy allows the " + e.Request.Action + " action"
}

// Check answers nil where the request is allowed, else a *DeniedError.
func (s *Set) Check(r Request) error {
	if s == nil {
		return nil
	}
	context := map[string][]string{}
	for key, values := range r.Context {
		context[strings.ToLower(key)] = values
	}
	allowed := false
	for _, st := range s.statements {
		if !st.covers(r, context) {
			continue
		}
		if st.deny {
			return &DeniedError{Request: r, Explicit: true}
		}
		allowed = true
	}
	if !allowed {
		return &DeniedError{Request: r}
	}
	return nil
}

func (st statement) covers(r Request, context map[string][]string) bool {
	action := strings.ToLower(r.Action)
	return slices.ContainsFunc(st.actions, func(pattern string) bool { return like(pattern, action) }) &&
		slices.ContainsFunc(st.resources, func(pattern string) bool { return like(pattern, r.Resource) }) &&
		!slices.ContainsFunc(st.conditions, func(c condition) bool { return !c.holds(context) })
}

// like matches IAM's wildcards: * is any text, ? is one character. O(pattern x text).
func like(pattern, text string) bool {
	star, from := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0: // the last star takes one character more
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
