package plan

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the decisions in testdata")

const ruler = "----"

// TestStories decides each testdata/*.txt: a View in words above the ruler, the Decision and the Shrinking drawn below it.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("finding stories: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			story, want, _ := strings.Cut(string(raw), "\n"+ruler+"\n")
			story = strings.TrimRight(story, "\n")
			v, err := parseStory(story)
			if err != nil {
				t.Fatalf("parsing: %v", err)
			}
			d := grow(t, v)
			audit(t, v, d)
			got := draw(v, d, Shrink(v, d.Placed))
			if *update {
				if err := os.WriteFile(file, []byte(story+"\n"+ruler+"\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("decision (-want +got); -update accepts it:\n%s", diff)
			}
		})
	}
}
