package nominate

import (
	"strings"
	"testing"
	"time"
)

// TestTally: users are told once when plans are not followed, with what helps, and again only after it was better.
func TestTally(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	key := tallyKey{"gpu", "default-scheduler"}
	var all tallies
	add := func(count int, r result, off bool) (said []string) {
		for range count {
			if message := all.add(key, r, off); message != "" {
				said = append(said, message)
			}
		}
		return said
	}
	followed, missed := result{followed: true, nominated: true}, result{nominated: true, emptier: true}
	off := result{emptier: true}
	steps := []struct {
		name string
		do   func() []string
		want []string // words of the one message; nil: nothing is said
	}{
		{"too few to judge", func() []string { return add(enough-1, off, true) }, nil},
		{"all elsewhere", func() []string { return add(30, off, true) }, []string{"of the last 20 pods", "bound 20", "--nominate", "docs/scheduling.md"}},
		{"still", func() []string { return add(100, off, true) }, nil},
		{"better", func() []string { return add(95, followed, false) }, nil},
		{"a fifth elsewhere", func() []string { return add(20, missed, false) }, []string{"of the last 100 pods", "docs/scheduling.md"}},
		{"nominations are ignored", func() []string { return add(40, missed, false) }, []string{"stop for 30m0s", "status.nominatedNodeName", "docs/scheduling.md"}},
	}
	all = newTallies(func() time.Time { return now })
	for _, step := range steps {
		said := step.do()
		if len(said) != min(len(step.want), 1) {
			t.Fatalf("%s: said %q", step.name, said)
		}
		for _, word := range step.want {
			if !strings.Contains(said[0], word) {
				t.Errorf("%s: %q does not say %q", step.name, said[0], word)
			}
		}
	}
	if !all.ignores("default-scheduler") || !all.ignores("") || all.ignores("other") {
		t.Error("nominations have stopped for the wrong schedulers")
	}
	now = now.Add(pause)
	if all.ignores("") {
		t.Error("a scheduler gets no other chance")
	}
}
