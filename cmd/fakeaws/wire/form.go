package wire

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// form is a query request as a tree: Filter.1.Name=x is the value of form["Filter"]["1"]["Name"].
type form struct {
	value string
	kids  map[string]*form
}

func parseForm(values url.Values) *form {
	root := &form{}
	for key, all := range values {
		at := root
		for _, part := range strings.Split(key, ".") {
			at = at.grow(part)
		}
		if len(all) > 0 {
			at.value = all[0]
		}
	}
	return root
}

func (f *form) grow(name string) *form {
	if f.kids == nil {
		f.kids = map[string]*form{}
	}
	if f.kids[name] == nil {
		f.kids[name] = &form{}
	}
	return f.kids[name]
}

// at answers the part under a path; one without content where there is none.
func (f *form) at(path ...string) *form {
	for _, name := range path {
		if f = f.kids[name]; f == nil {
			return &form{}
		}
	}
	return f
}

func (f *form) get(path ...string) string { return f.at(path...).value }

func (f *form) has(path ...string) bool {
	part := f.at(path...)
	return part.value != "" || len(part.kids) > 0
}

// list answers the members of a list, in the order of their numbers.
func (f *form) list(path ...string) []*form {
	part := f.at(path...)
	var numbers []int
	for name := range part.kids {
		if n, err := strconv.Atoi(name); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	members := make([]*form, len(numbers))
	for i, n := range numbers {
		members[i] = part.kids[strconv.Itoa(n)]
	}
	return members
}

// texts answers a list of plain values.
func (f *form) texts(path ...string) []string {
	var texts []string
	for _, member := range f.list(path...) {
		texts = append(texts, member.value)
	}
	return texts
}

// number answers a number, or fallback where there is none.
func (f *form) number(fallback int, path ...string) (int, error) {
	text := f.get(path...)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, badRequest("InvalidParameterValue", "Value (%s) for parameter %s is invalid.", text, strings.Join(path, "."))
	}
	return n, nil
}

// tags answers a list of Key and Value.
func (f *form) tags(path ...string) map[string]string {
	tags := map[string]string{}
	for _, tag := range f.list(path...) {
		tags[tag.get("Key")] = tag.get("Value")
	}
	return tags
}

// canonical writes the form's content in one way only, without the parts that are named.
func (f *form) canonical(without ...string) string {
	var b strings.Builder
	f.write(&b, "", without)
	return b.String()
}

func (f *form) write(b *strings.Builder, path string, without []string) {
	if f.value != "" {
		b.WriteString(path + "=" + strconv.Quote(f.value) + "\n")
	}
	names := make([]string, 0, len(f.kids))
	for name := range f.kids {
		if !slices.Contains(without, name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	for _, name := range names {
		f.kids[name].write(b, path+"."+name, nil)
	}
}
