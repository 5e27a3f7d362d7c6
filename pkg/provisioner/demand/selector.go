package demand

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// nothing is the key of every selector that can choose no pod.
const nothing SelectorKey = "(nothing)"

// maxNamed is how many namespaces a key spells out; of more it gives the number and a digest.
const maxNamed = 8

// selector chooses pods by namespace and labels. Two selectors choose the same exactly if they are equal, and exactly then their
// keys are: a namespace is in or out, and what is asked of one label comes to one of the forms of condition.
type selector struct {
	key        SelectorKey
	never      bool
	anywhere   bool     // every namespace
	namespaces []string // sorted, unique; if not anywhere
	conditions []condition
}

// condition is all that a selector asks of one label key. A value must be one of only, if that is not nil, and none of not.
type condition struct {
	key             string
	present, absent bool     // must be there, must not; never both
	only            []string // sorted, unique; implies present, and not is empty then
	not             []string // sorted, unique
}

// newSelector makes the canonical selector of a label selector, in every namespace or in those named.
func newSelector(anywhere bool, namespaces []string, chosen labels.Selector) *selector {
	s := &selector{anywhere: anywhere}
	if !anywhere {
		s.namespaces = slices.Compact(slices.Sorted(slices.Values(namespaces)))
	}
	requirements, selectable := chosen.Requirements()
	s.never = !selectable || !anywhere && len(s.namespaces) == 0
	byKey := map[string]*condition{}
	for _, r := range requirements {
		c := byKey[r.Key()]
		if c == nil {
			c = &condition{key: r.Key()}
			byKey[r.Key()] = c
		}
		s.never = !c.narrow(r.Operator(), r.ValuesUnsorted()) || s.never
	}
	for _, c := range byKey {
		s.conditions = append(s.conditions, *c)
	}
	return s.settle()
}

// settle puts the conditions in their form and order, and writes the key.
func (s *selector) settle() *selector {
	for i := range s.conditions {
		s.never = !s.conditions[i].settle() || s.never
	}
	if s.never {
		return &selector{key: nothing, never: true}
	}
	slices.SortFunc(s.conditions, func(a, b condition) int { return strings.Compare(a.key, b.key) })
	s.key = s.text()
	return s
}

// narrow adds a requirement; false if nothing can satisfy both.
func (c *condition) narrow(op selection.Operator, values []string) bool {
	switch op {
	case selection.Equals, selection.DoubleEquals, selection.In:
		c.present = true
		if c.only == nil {
			c.only = slices.Clone(values)
		} else {
			c.only = slices.DeleteFunc(c.only, func(v string) bool { return !slices.Contains(values, v) })
		}
	case selection.NotEquals, selection.NotIn:
		c.not = append(c.not, values...)
	case selection.Exists:
		c.present = true
	case selection.DoesNotExist:
		c.absent = true
	default:
		return false // a label selector knows no other
	}
	return true
}

// settle answers false if nothing satisfies the condition.
func (c *condition) settle() bool {
	switch {
	case c.absent:
		c.not = nil
		return !c.present
	case c.only != nil:
		c.only = slices.DeleteFunc(c.only, func(v string) bool { return slices.Contains(c.not, v) })
		slices.Sort(c.only)
		c.only, c.not = slices.Compact(c.only), nil
		return len(c.only) > 0
	}
	slices.Sort(c.not)
	c.not = slices.Compact(c.not)
	return true
}

// both answers the selector of what a and b choose both.
func both(a, b *selector) *selector {
	if a.never || b.never {
		return &selector{key: nothing, never: true}
	}
	s := &selector{anywhere: a.anywhere && b.anywhere}
	switch {
	case s.anywhere:
	case a.anywhere:
		s.namespaces = b.namespaces
	case b.anywhere:
		s.namespaces = a.namespaces
	default:
		s.namespaces = slices.DeleteFunc(slices.Clone(a.namespaces), func(n string) bool { return !slices.Contains(b.namespaces, n) })
		s.never = len(s.namespaces) == 0
	}
	s.conditions = slices.Clone(a.conditions)
	for _, c := range b.conditions {
		i := slices.IndexFunc(s.conditions, func(have condition) bool { return have.key == c.key })
		if i < 0 {
			s.conditions = append(s.conditions, c)
			continue
		}
		merged := s.conditions[i]
		merged.present, merged.absent = merged.present || c.present, merged.absent || c.absent
		merged.not = slices.Concat(merged.not, c.not)
		merged.only = slices.Clone(merged.only)
		if c.only != nil {
			merged.narrow(selection.In, c.only)
		}
		s.conditions[i] = merged
	}
	return s.settle()
}

// chooses tells whether a pod of this namespace with these labels is chosen.
func (s *selector) chooses(namespace string, labels map[string]string) bool {
	if s.never {
		return false
	}
	if !s.anywhere {
		if _, in := slices.BinarySearch(s.namespaces, namespace); !in {
			return false
		}
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(labels) {
			return false
		}
	}
	return true
}

func (c *condition) holds(labels map[string]string) bool {
	value, has := labels[c.key]
	switch {
	case !has:
		return !c.present
	case c.absent:
		return false
	case c.only != nil:
		_, in := slices.BinarySearch(c.only, value)
		return in
	}
	_, out := slices.BinarySearch(c.not, value)
	return !out
}

// text is namespaces/conditions: ml/app=web,!canary or */tier in (a,b). Keys and values of labels hold none of the marks.
func (s *selector) text() SelectorKey {
	var b strings.Builder
	switch {
	case s.anywhere:
		b.WriteString("*")
	case len(s.namespaces) > maxNamed:
		sum := sha256.Sum256([]byte(strings.Join(s.namespaces, "/")))
		b.WriteString(strconv.Itoa(len(s.namespaces)) + " namespaces#" + hex.EncodeToString(sum[:8]))
	default:
		for i, n := range s.namespaces {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString(named(n))
		}
	}
	for i := range s.conditions {
		if i == 0 {
			b.WriteString("/")
		} else {
			b.WriteString(",")
		}
		s.conditions[i].write(&b)
	}
	return SelectorKey(b.String())
}

// named quotes what is no namespace's name, which only a manifest that the API server has not seen can hold.
func named(namespace string) string {
	if strings.Trim(namespace, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || namespace == "" {
		return strconv.Quote(namespace)
	}
	return namespace
}

func (c *condition) write(b *strings.Builder) {
	switch {
	case c.absent:
		b.WriteString("!" + c.key)
	case len(c.only) == 1:
		b.WriteString(c.key + "=" + c.only[0])
	case c.only != nil:
		b.WriteString(c.key + " in (" + strings.Join(c.only, ",") + ")")
	case len(c.not) == 0:
		b.WriteString(c.key)
	case c.present:
		b.WriteString(c.key + "," + c.key + " notin (" + strings.Join(c.not, ",") + ")")
	default:
		b.WriteString(c.key + " notin (" + strings.Join(c.not, ",") + ")")
	}
}

// keyed adds what matchLabelKeys and mismatchLabelKeys say of the pod's own labels. The API server has done so already to what it has
// stored, and doing it twice changes nothing. A selector that is nil chooses nothing, with them too; keys that the pod does not
// carry are left out.
func keyed(s *metav1.LabelSelector, match, mismatch []string, own map[string]string) *metav1.LabelSelector {
	if s == nil || len(match)+len(mismatch) == 0 {
		return s
	}
	all := &metav1.LabelSelector{MatchLabels: s.MatchLabels, MatchExpressions: slices.Clone(s.MatchExpressions)}
	add := func(keys []string, op metav1.LabelSelectorOperator) {
		for _, key := range keys {
			if value, has := own[key]; has {
				all.MatchExpressions = append(all.MatchExpressions, metav1.LabelSelectorRequirement{Key: key, Operator: op, Values: []string{value}})
			}
		}
	}
	add(match, metav1.LabelSelectorOpIn)
	add(mismatch, metav1.LabelSelectorOpNotIn)
	return all
}
