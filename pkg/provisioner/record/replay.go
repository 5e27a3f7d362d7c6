package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// Replayed is what a Record decides today.
type Replayed struct {
	// Decision is today's; empty if there is a Fault.
	Decision plan.Decision
	Fault    string
	// Differences are where today's differs from the recorded one, in the order of the JSON; none: the bytes are the same.
	Differences []Difference
	// More is how many differences there are beyond those listed.
	More int
}

// Same tells whether the decision, or the fault, is the recorded one byte for byte.
func (r *Replayed) Same() bool { return len(r.Differences) == 0 }

// Difference is a place in a Decision where the recorded one and today's differ.
type Difference struct {
	Path     string `json:"path"`               // Create[0].spec.market
	Recorded string `json:"recorded,omitempty"` // as JSON; empty: absent
	Today    string `json:"today,omitempty"`
}

// maxDifferences that are listed: more are no help to a person.
const maxDifferences = 20

// Replay decides again about the recorded View under the recorded Policy, and compares.
func (r *Record) Replay() (Replayed, error) {
	var today Replayed
	d, fault := plan.Grow(r.View, r.Policy)
	var text []byte
	if fault != nil {
		today.Fault = fault.Error()
	} else {
		today.Decision = d
		var err error
		if text, err = json.Marshal(d); err != nil {
			return Replayed{}, fmt.Errorf("writing a decision as JSON: %w", err)
		}
	}
	if r.Fault != today.Fault {
		today.Differences = append(today.Differences, Difference{"fault", r.Fault, today.Fault})
	}
	if r.Fault != "" || today.Fault != "" || bytes.Equal(text, r.Decision) {
		return today, nil
	}
	c := comparison{found: &today}
	if err := c.texts(r.Decision, text); err != nil {
		return Replayed{}, err
	}
	if today.Same() { // the same values in other bytes: a field has moved
		today.Differences = append(today.Differences, Difference{Path: "the order of fields"})
	}
	return today, nil
}

// comparison lists the differences of two JSON values.
type comparison struct{ found *Replayed }

func (c comparison) texts(recorded, today []byte) error {
	var a, b any
	for text, value := range map[*[]byte]*any{&recorded: &a, &today: &b} {
		d := json.NewDecoder(bytes.NewReader(*text))
		d.UseNumber()
		if err := d.Decode(value); err != nil {
			return fmt.Errorf("reading a decision: %w", err)
		}
	}
	c.values("", a, b)
	return nil
}

func (c comparison) values(path string, recorded, today any) {
	switch a := recorded.(type) {
	case map[string]any:
		if b, ok := today.(map[string]any); ok {
			c.objects(path, a, b)
			return
		}
	case []any:
		if b, ok := today.([]any); ok {
			c.lists(path, a, b)
			return
		}
	default:
		if recorded == today {
			return
		}
	}
	c.report(path, text(recorded), text(today))
}

func (c comparison) objects(path string, a, b map[string]any) {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		below := key
		if path != "" {
			below = path + "." + key
		}
		x, inA := a[key]
		y, inB := b[key]
		switch {
		case !inA:
			c.report(below, "", text(y))
		case !inB:
			c.report(below, text(x), "")
		default:
			c.values(below, x, y)
		}
	}
}

func (c comparison) lists(path string, a, b []any) {
	for i := range max(len(a), len(b)) {
		below := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case i >= len(a):
			c.report(below, "", text(b[i]))
		case i >= len(b):
			c.report(below, text(a[i]), "")
		default:
			c.values(below, a[i], b[i])
		}
	}
}

func (c comparison) report(path, recorded, today string) {
	if len(c.found.Differences) == maxDifferences {
		c.found.More++
		return
	}
	c.found.Differences = append(c.found.Differences, Difference{path, recorded, today})
}

// maxText is how much of a value is shown.
const maxText = 200

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // it came from JSON
		panic(err)
	}
	if len(b) > maxText {
		return string(bytes.ToValidUTF8(b[:maxText], nil)) + "..."
	}
	return string(b)
}
