package stack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-sh/slipway/test/cluster/program"
)

// TestDocs: docs/aws.md says what each parameter, output and statement of the template is for.
func TestDocs(t *testing.T) {
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "aws.md"))
	if err != nil {
		t.Fatal(err)
	}
	template, err := Slipway()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range template.Parameters {
		names = append(names, name)
	}
	for name := range template.Outputs {
		names = append(names, name)
	}
	document, err := ControllerPolicies("demo", "queue")
	if err != nil {
		t.Fatal(err)
	}
	var policies []struct{ Statement []struct{ Sid string } }
	if err := json.Unmarshal(document, &policies); err != nil {
		t.Fatal(err)
	}
	for _, p := range policies {
		for _, s := range p.Statement {
			names = append(names, s.Sid)
		}
	}
	if len(names) < 30 {
		t.Fatalf("only %d names were found", len(names))
	}
	for _, name := range names {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/aws.md does not mention %s", name)
		}
	}
}
