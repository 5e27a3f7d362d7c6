package stack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
	"github.com/slipway-sh/slipway/test/cluster/program"
)

// TestDocs: docs/aws.md says what each parameter, output and statement of the template is for.
func TestDocs(t *testing.T) {
	page := awsPage(t)
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
	document, err := WidestPolicies("demo", "queue")
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
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/aws.md does not mention %s", name)
		}
	}
}

func awsPage(t *testing.T) string {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "aws.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestDocsListEveryCall: the table of calls in docs/aws.md names every action that the policies allow, and no other but what needs no right.
func TestDocsListEveryCall(t *testing.T) {
	document, err := WidestPolicies("demo", "queue")
	if err != nil {
		t.Fatal(err)
	}
	set, err := policy.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	want := append(set.Actions(), "sts:getcalleridentity") // which everybody may call
	slices.Sort(want)
	if diff := cmp.Diff(want, listed(awsPage(t))); diff != "" {
		t.Errorf("the table of calls in docs/aws.md (-allowed +listed):\n%s", diff)
	}
}

// listed answers the actions in the table under Calls, in lower case and sorted: its first column is the service, its second the actions, with
// remarks in parentheses.
func listed(page string) []string {
	_, section, _ := strings.Cut(page, "\n## Calls\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var actions []string
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || strings.Trim(cells[1], "- ") == "" || strings.TrimSpace(cells[1]) == "service" {
			continue
		}
		for action := range strings.SplitSeq(remark.ReplaceAllString(cells[2], ""), ",") {
			actions = append(actions, strings.ToLower(strings.TrimSpace(cells[1])+":"+strings.TrimSpace(action)))
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

var remark = regexp.MustCompile(`\([^)]*\)`) // read only

func TestDocsListEveryCall_catches(t *testing.T) {
	page := "# A\n\n## Calls\n\n| service | actions | why |\n|---|---|---|\n| ec2 | RunInstances, CreateTags (while creating) | x, y |\n| sqs | DeleteMessage | z |\n\n## Tags\n\n| iam | GetRole | n |\n"
	if diff := cmp.Diff([]string{"ec2:createtags", "ec2:runinstances", "sqs:deletemessage"}, listed(page)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	whole := listed(awsPage(t))
	for _, planted := range []string{"| kms | ", "DescribeSubnets, ", ", PassRole"} {
		without := strings.Replace(awsPage(t), planted, "", 1)
		if slices.Equal(whole, listed(without)) {
			t.Errorf("without %q the page lists the same", planted)
		}
	}
}
