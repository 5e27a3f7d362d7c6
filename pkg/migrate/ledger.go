package migrate

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Outcome is what became of a field.
type Outcome string

// The outcomes.
const (
	Carried      Outcome = "carried"      // it means the same here
	Approximated Outcome = "approximated" // it is written as the nearest thing: the message says how that differs
	NotCarried   Outcome = "notCarried"   // it is lost: the message says why, and what to do
	LeftOut      Outcome = "leftOut"      // it is no wish about nodes: bookkeeping of an API server, or about other things
)

// Entry says what became of one field of the source, or of several leaves that make one thing, such as a requirement.
type Entry struct {
	// Field is its path in the source. A silence has the path of the field that is not there.
	Field string `json:"field"`
	// Value is what the source says, as JSON, shortened; empty for a silence.
	Value   string  `json:"value,omitempty"`
	Outcome Outcome `json:"outcome"`
	// Ours is the path of the field that it is carried into.
	Ours string `json:"ours,omitempty"`
	// Message says how, why, and what to do.
	Message string `json:"message,omitempty"`
	// Leaves are the paths that the entry speaks for. Over all entries of a report each leaf of the source stands here exactly once.
	Leaves []string `json:"leaves,omitempty"`
}

// path is where a leaf is: names of fields and keys of maps as they are, indices as [0].
type path []string

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// String writes a path as people do: spec.limits[nvidia.com/gpu], spec.taints[0].key.
func (p path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]"):
			b.WriteString(s)
		case !plainName.MatchString(s):
			b.WriteString("[" + s + "]")
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s)
		}
	}
	return b.String()
}

func (p path) with(more ...string) path { return append(slices.Clip(p), more...) }

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// leaf is a value without fields: a scalar, a list of scalars, null, or something empty.
type leaf struct {
	path  path
	value any
}

// leavesOf lists the leaves below a value, in the order of keys and indices. O(leaves).
func leavesOf(at path, value any) []leaf {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			break
		}
		var all []leaf
		for _, key := range slices.Sorted(maps.Keys(v)) {
			all = append(all, leavesOf(at.with(key), v[key])...)
		}
		return all
	case []any:
		if !slices.ContainsFunc(v, isContainer) {
			break
		}
		var all []leaf
		for i, item := range v {
			all = append(all, leavesOf(at.with(index(i)), item)...)
		}
		return all
	}
	return []leaf{{at, value}}
}

func isContainer(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// empty tells whether a leaf is a map or a list with nothing in it.
func (l leaf) empty() bool {
	switch v := l.value.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// ledger keeps account of the leaves of one source.
type ledger struct {
	leaves  []leaf
	taken   []bool
	entries []Entry
	// place is the index of the leaf that an entry stands at, for the order of the report; silences stand at the end.
	place []int
	// places are where the fields of a translation stand in the source, if it is read as something else; nil: it is read as it is.
	places map[string]path
}

func newLedger(object map[string]any) *ledger {
	leaves := leavesOf(nil, object)
	return &ledger{leaves: leaves, taken: make([]bool, len(leaves))}
}

// say enters what became of the leaves at or below field, or below it at the fields of, as far as they are there and not spoken for.
// It answers whether there were any.
func (l *ledger) say(e Entry, field path, of ...string) bool {
	field, ok := l.inSource(field)
	if !ok {
		return false
	}
	var at []int
	for i, leaf := range l.leaves {
		if !l.taken[i] && covers(field, of, leaf.path) {
			at = append(at, i)
		}
	}
	return l.enter(e, field, at)
}

// inSource answers where a field stands in the source: there is nothing at one that the translation alone has.
func (l *ledger) inSource(field path) (path, bool) {
	if l.places == nil {
		return field, true
	}
	for n := len(field); n > 0; n-- {
		if at, ok := l.places[field[:n].String()]; ok {
			return at.with(field[n:]...), true
		}
	}
	return nil, false
}

func (l *ledger) enter(e Entry, field path, leaves []int) bool {
	if len(leaves) == 0 {
		return false
	}
	for _, i := range leaves {
		l.taken[i] = true
		e.Leaves = append(e.Leaves, l.leaves[i].path.String())
	}
	e.Field = field.String()
	e.Value = l.valueAt(field, leaves)
	l.entries, l.place = append(l.entries, e), append(l.place, leaves[0])
	return true
}

func covers(field path, of []string, leaf path) bool {
	if len(leaf) < len(field) || !slices.Equal(leaf[:len(field)], field) {
		return false
	}
	return len(of) == 0 || len(leaf) > len(field) && slices.Contains(of, leaf[len(field)])
}

// silence enters what it means that a field is not there.
func (l *ledger) silence(field string, e Entry) {
	e.Field = strings.TrimLeft(field, ". ") // below the source itself there is nothing before it
	l.entries, l.place = append(l.entries, e), append(l.place, len(l.leaves))
}

// close enters what nobody has spoken for by the table, and what the table does not know as unknown; it answers the report in the
// order of the source. O(leaves x rules).
func (l *ledger) close(rules []Rule) []Entry {
	type thing struct {
		rule  *Rule
		field string
	}
	together := map[thing][]int{}
	var order []int // the first leaf of each thing
	things := make([]thing, len(l.leaves))
	fields := make([]path, len(l.leaves))
	for i, leaf := range l.leaves {
		if l.taken[i] {
			continue
		}
		rule, field := find(rules, leaf.path)
		if rule == nil {
			field = leaf.path
		}
		things[i], fields[i] = thing{rule, field.String()}, field
		if together[things[i]] == nil {
			order = append(order, i)
		}
		together[things[i]] = append(together[things[i]], i)
	}
	for _, i := range order {
		e := Entry{Outcome: NotCarried, Message: unknown}
		if r := things[i].rule; r != nil {
			e = Entry{Outcome: r.Outcome, Ours: r.Ours, Message: r.Message}
		} else if l.leaves[i].empty() && within(rules, fields[i]) {
			e = Entry{Outcome: LeftOut, Message: nothing}
		}
		l.enter(e, fields[i], together[things[i]])
	}
	return l.sorted()
}

// nothing is the message about a known field with nothing in it, as AWS prints those that are not set.
const nothing = "there is nothing in it"

// unknown is the message about a leaf that no rule is about.
const unknown = "Slipway knows no such field: see what it does, and whether anything here does the same"

func (l *ledger) sorted() []Entry {
	order := make([]int, len(l.entries))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return l.place[a] - l.place[b] })
	sorted := make([]Entry, len(order))
	for i, at := range order {
		sorted[i] = l.entries[at]
	}
	return sorted
}

// maxValue is how many characters of a value a report shows.
const maxValue = 120

// valueAt shows what stands at a field, as JSON: one leaf by itself, several as an object.
func (l *ledger) valueAt(field path, leaves []int) string {
	var value any
	for _, i := range leaves {
		leaf := l.leaves[i]
		if len(leaf.path) == len(field) {
			value = leaf.value
			break
		}
		object, ok := value.(map[string]any)
		if !ok {
			object = map[string]any{}
			value = object
		}
		object[leaf.path[len(field):].String()] = leaf.value
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	if runes := []rune(string(text)); len(runes) > maxValue {
		return string(runes[:maxValue-1]) + "…"
	}
	return string(text)
}
