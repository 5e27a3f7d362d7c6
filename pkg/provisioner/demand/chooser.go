package demand

import (
	"maps"
	"slices"
)

// chooser tells which of many selectors choose a pod. It looks at a pod's namespace and at those of its labels that any selector
// asks for, once for all pods that are alike in them, and asks only selectors that may choose: O(labels asked for) per pod.
type chooser struct {
	selectors []*selector // by key
	labels    []string    // that they ask for, sorted
	// byValue and general divide the selectors: those that want one of some values under a key, by the first such key, and the others.
	byValue map[labelValue][]int
	general []int

	seen    map[string]*choice // by namespace and labels
	choices map[string]*choice // by content
	buffer  encoding
}

type labelValue struct{ key, value string }

// choice is a set of selectors.
type choice struct {
	chosen []SelectorKey // sorted; shared, nobody changes it
	id     int           // among the chooser's choices
}

func newChooser(selectors map[SelectorKey]*selector) *chooser {
	c := &chooser{byValue: map[labelValue][]int{}, seen: map[string]*choice{}, choices: map[string]*choice{}}
	asked := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(selectors)) {
		s := selectors[key]
		if s.never {
			continue
		}
		i := len(c.selectors)
		c.selectors = append(c.selectors, s)
		for _, condition := range s.conditions {
			asked[condition.key] = true
		}
		if first := slices.IndexFunc(s.conditions, func(c condition) bool { return c.only != nil }); first >= 0 {
			for _, value := range s.conditions[first].only {
				at := labelValue{s.conditions[first].key, value}
				c.byValue[at] = append(c.byValue[at], i)
			}
		} else {
			c.general = append(c.general, i)
		}
	}
	c.labels = slices.Sorted(maps.Keys(asked))
	return c
}

// of answers the selectors that choose a pod.
func (c *chooser) of(namespace string, labels map[string]string) *choice {
	c.buffer = c.buffer[:0]
	if len(c.selectors) > 0 {
		c.buffer = c.buffer.text(namespace)
	}
	for _, key := range c.labels {
		value, has := labels[key]
		c.buffer = c.buffer.flag(has).text(value)
	}
	if known, ok := c.seen[string(c.buffer)]; ok {
		return known
	}
	print := string(c.buffer)
	var indices []int
	try := func(list []int) {
		for _, i := range list {
			if c.selectors[i].chooses(namespace, labels) {
				indices = append(indices, i)
			}
		}
	}
	try(c.general)
	for _, key := range c.labels {
		if value, has := labels[key]; has {
			try(c.byValue[labelValue{key, value}])
		}
	}
	found := c.choice(indices)
	c.seen[print] = found
	return found
}

// choice answers one and the same for the same selectors.
func (c *chooser) choice(indices []int) *choice {
	slices.Sort(indices)
	var content encoding
	for _, i := range indices {
		content = content.number(int64(i))
	}
	known, ok := c.choices[string(content)]
	if !ok {
		known = &choice{id: len(c.choices)}
		for _, i := range indices {
			known.chosen = append(known.chosen, c.selectors[i].key)
		}
		c.choices[string(content)] = known
	}
	return known
}
