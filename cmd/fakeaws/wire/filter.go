package wire

import (
	"encoding/base64"
	"path"
	"slices"
	"strconv"
	"strings"
)

// record is what the filters of a Describe action look at.
type record struct {
	fields map[string][]string // filter name to the values that a resource has
	tags   map[string]string
}

// matches says whether a resource passes every filter: within a filter any value will do, * and ? are wildcards.
func (r record) matches(filters []*form) (bool, error) {
	for _, filter := range filters {
		name, values := filter.get("Name"), filter.texts("Value")
		var have []string
		switch key, isTag := strings.CutPrefix(name, "tag:"); {
		case isTag:
			if value, tagged := r.tags[key]; tagged {
				have = []string{value}
			}
		case name == "tag-key":
			for key := range r.tags {
				have = append(have, key)
			}
		default:
			known := false
			if have, known = r.fields[name]; !known {
				return false, badRequest("InvalidParameterValue", "The filter '%s' is invalid", name)
			}
		}
		if !anyMatch(values, have) {
			return false, nil
		}
	}
	return true, nil
}

func anyMatch(patterns, have []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		return slices.ContainsFunc(have, func(value string) bool { return glob(pattern, value) })
	})
}

// glob matches EC2's wildcards, which do not stop at a slash and know no character classes.
func glob(pattern, value string) bool {
	escape := strings.NewReplacer("/", "\x00", "[", `\[`)
	matched, err := path.Match(escape.Replace(pattern), strings.ReplaceAll(value, "/", "\x00"))
	return err == nil && matched
}

// selected answers the entries that the request's IDs and filters leave over.
func selected[T any](entries []T, f *form, describe func(T) record) ([]T, error) {
	filters := f.list("Filter")
	var kept []T
	for _, entry := range entries {
		matched, err := describe(entry).matches(filters)
		if err != nil {
			return nil, err
		}
		if matched {
			kept = append(kept, entry)
		}
	}
	if len(entries) == 0 && len(filters) > 0 { // an unknown filter is an error whatever there is to filter
		_, err := describe(*new(T)).matches(filters)
		return nil, err
	}
	return kept, nil
}

// page answers the request's page of the entries and, unless it is the last, the element that leads to the next.
func page[T any](entries []T, f *form, most int) ([]T, []element, error) {
	size, err := f.number(most, "MaxResults")
	if err != nil {
		return nil, nil, err
	}
	rest, token, err := cut(entries, f.get("NextToken"), min(size, most))
	if err != nil {
		return nil, nil, badRequest("InvalidNextToken", "The token %q is invalid.", f.get("NextToken"))
	}
	if token == "" {
		return rest, nil, nil
	}
	return rest, []element{text("nextToken", token)}, nil
}

// cut answers up to size entries from where the token points, and the token of what follows; empty at the end.
func cut[T any](entries []T, token string, size int) ([]T, string, error) {
	start := 0
	if token != "" {
		decoded, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return nil, "", err
		}
		if start, err = strconv.Atoi(string(decoded)); err != nil {
			return nil, "", err
		}
	}
	start = min(max(0, start), len(entries))
	if len(entries)-start <= max(1, size) {
		return entries[start:], "", nil
	}
	end := start + max(1, size)
	return entries[start:end], base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(end))), nil
}
