package migrate

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// Node groups as AWS describes them are accounted for and admitted as everything else is.
func TestImportGroupsGolden(t *testing.T) {
	for _, name := range []string{"nodegroup", "autoscaling"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile("testdata/aws/" + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			documents, err := ReadGroups(name+".json", bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			result, err := Import(documents, Config{})
			if err != nil {
				t.Fatal(err)
			}
			admitted(t, &result)
			for i, r := range result.Reports {
				if r.LeftAlone != "" {
					continue
				}
				if err := unaccounted(tree(t, documents[i]), r.Entries); err != nil {
					t.Errorf("%s: %v", r.Source, err)
				}
				if err := untrue(t, documents, i, r.Entries); err != nil {
					t.Errorf("%s: %v", r.Source, err)
				}
			}
			var manifests, report bytes.Buffer
			if err := result.WriteManifests(&manifests); err != nil {
				t.Fatal(err)
			}
			if err := result.WriteText(&report); err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/aws/"+name+".out.yaml", manifests.String())
			golden(t, "testdata/aws/"+name+".report.txt", report.String())
		})
	}
}

// AWS prints fields that are not set with nothing in them. That is no loss; what Slipway does not know is one, whether something is in it or not.
func TestFieldsWithNothingInThem(t *testing.T) {
	documents, err := ReadGroups("g.json", strings.NewReader(`{"nodegroup": {"nodegroupName": "a", "clusterName": "c", "instanceTypes": ["g5.xlarge"],
		"nodeRole": "arn:aws:iam::1:role/r", "subnets": ["subnet-0123456789abcdef0"], "amiType": "AL2023_x86_64_NVIDIA", "scalingConfig": {"maxSize": 1},
		"labels": {}, "taints": [], "tags": {}, "novelty": {}, "novelties": []}}`))
	if err != nil {
		t.Fatal(err)
	}
	result, err := Import(documents, Config{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Outcome{"labels": LeftOut, "taints": LeftOut, "tags": LeftOut, "novelty": NotCarried, "novelties": NotCarried}
	for _, e := range result.Reports[0].Entries {
		if outcome, ok := want[e.Field]; ok && e.Outcome != outcome {
			t.Errorf("%s: %s, %q, want %s", e.Field, e.Outcome, e.Message, outcome)
		}
		delete(want, e.Field)
	}
	if len(want) > 0 {
		t.Errorf("nothing is said of %v", want)
	}
}

func TestReadGroupsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"nodegroup: {}": "ask aws for --output json",
		`{"other": 1}`:  "neither nodegroup nor AutoScalingGroups",
	} {
		if _, err := ReadGroups("x", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q: %v", text, want, err)
		}
	}
}

// FuzzImportGroups: whatever AWS may answer is accounted for, or refused.
func FuzzImportGroups(f *testing.F) {
	for _, name := range []string{"nodegroup", "autoscaling"} {
		text, err := os.ReadFile("testdata/aws/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		documents, err := ReadGroups("x", bytes.NewReader(text))
		if err != nil {
			return
		}
		if err := lawful(t, documents); err != nil {
			t.Fatal(err)
		}
	})
}
