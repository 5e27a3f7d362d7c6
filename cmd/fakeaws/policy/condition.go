package policy

import (
	"fmt"
	"slices"
	"strings"
)

// condition is one key of one operator; its values are alternatives.
type condition struct {
	key      string // lower case
	values   []string
	match    func(pattern, value string) bool
	negated  bool // ...Not...: holds where no value matches
	ifExists bool // holds where the request has not got the key
	all      bool // ForAllValues: every value of the request must match; holds where there is none
	null     bool // Null: whether the key is missing
}

// newCondition reads an operator.
func newCondition(operator, key string, values []string) (condition, error) {
	c := condition{key: strings.ToLower(key), values: values}
	name, all := strings.CutPrefix(operator, "ForAllValues:")
	name = strings.TrimPrefix(name, "ForAnyValue:")
	c.all = all
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	plain := strings.Replace(name, "Not", "", 1)
	c.negated = plain != name
	switch plain {
	case "StringEquals", "ArnEquals", "StringLike", "ArnLike":
		c.match = like // ArnEquals and ArnLike are the same to IAM
		if plain == "StringEquals" {
			c.match = func(want, have string) bool { return want == have }
		}
	case "Bool":
		c.match = strings.EqualFold
	case "Null":
		c.null = true
	default:
		return c, fmt.Errorf("the condition operator %s is not known here", operator)
	}
	if (c.null || plain == "Bool") && (c.negated || len(values) != 1) || c.null && c.ifExists {
		return c, fmt.Errorf("the condition %s on %s is not used like that", operator, key)
	}
	if slices.ContainsFunc(values, hasVariable) || hasVariable(key) {
		return c, fmt.Errorf("the condition on %s has a policy variable, which is not known here", key)
	}
	return c, nil
}

func (c condition) holds(context map[string][]string) bool {
	have, exists := context[c.key]
	switch {
	case c.null:
		return exists == (c.values[0] == "false")
	case !exists || len(have) == 0:
		return c.ifExists || c.all || c.negated
	}
	fits := func(value string) bool {
		return slices.ContainsFunc(c.values, func(want string) bool { return c.match(want, value) }) != c.negated
	}
	if c.all || c.negated {
		return !slices.ContainsFunc(have, func(value string) bool { return !fits(value) })
	}
	return slices.ContainsFunc(have, fits)
}
