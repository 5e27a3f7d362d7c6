package migrate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/manifest"
)

// unaccounted answers the first leaf of a source that does not stand exactly once in its report, or nil.
func unaccounted(source map[string]any, entries []Entry) error {
	count := map[string]int{}
	for _, e := range entries {
		if e.Outcome == "" || e.Outcome != Carried && e.Outcome != LeftOut && e.Message == "" {
			return fmt.Errorf("%s is %s without a word", e.Field, e.Outcome)
		}
		for _, leaf := range e.Leaves {
			count[leaf]++
		}
	}
	for _, leaf := range leavesOf(nil, source) {
		at := leaf.path.String()
		if count[at] != 1 {
			return fmt.Errorf("%s stands %d times in the report", at, count[at])
		}
		delete(count, at)
	}
	for at := range count {
		return fmt.Errorf("%s is in the report and not in the source", at)
	}
	return nil
}

func tree(t interface{ Fatal(...any) }, d manifest.Document) map[string]any {
	var object map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(d.JSON, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// lawful imports documents and answers what is not accounted for; refusals and what is left alone are no offence.
func lawful(t interface{ Fatal(...any) }, documents []manifest.Document) error {
	byPlace := map[string]map[string]any{}
	for _, d := range documents {
		byPlace[d.Where] = tree(t, d)
	}
	result, err := Import(documents, Config{All: true})
	if err != nil {
		return nil
	}
	for _, r := range result.Reports {
		if r.LeftAlone != "" {
			continue
		}
		if err := unaccounted(byPlace[r.Source], r.Entries); err != nil {
			return fmt.Errorf("%s: %w", r.Source, err)
		}
	}
	var out bytes.Buffer
	if err := result.WriteManifests(&out); err != nil {
		return err
	}
	return result.WriteText(&out)
}

// Every leaf of every source stands in the report exactly once, whatever fields are added, taken away or changed.
func TestImportAccountsForEveryLeaf(t *testing.T) {
	var all []manifest.Document
	for _, file := range sources(t) {
		all = append(all, readFile(t, file)...)
	}
	drawn, imported := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		drawn++
		d := all[rapid.IntRange(0, len(all)-1).Draw(t, "document")]
		object := tree(t, d)
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			if fields := known[d.Kind]; len(fields) > 0 && rapid.Bool().Draw(t, "known") {
				place(t, object, fields)
			} else {
				change(t, object)
			}
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		documents, err := manifest.Read([]string{"-"}, bytes.NewReader(text))
		if err != nil {
			return // a change took the kind away
		}
		if result, err := Import(documents, Config{All: true}); err == nil && result.Reports[0].LeftAlone == "" {
			imported++
		}
		if err := lawful(t, documents); err != nil {
			t.Fatalf("%v\nof\n%s", err, text)
		}
	})
	if 5*imported < drawn {
		t.Errorf("only %d of %d were imported: the generator no longer tests much", imported, drawn)
	}
}

// known are the fields of each kind that the tables have, as patterns.
var known = map[string][]string{
	"NodePool": fieldsOf(nodePoolRules()), "EC2NodeClass": fieldsOf(nodeClassRules()), "Provisioner": fieldsOf(provisionerRules()),
	"AWSNodeTemplate": fieldsOf(nodeTemplateRules()), "ClusterConfig": fieldsOf(clusterRules()),
}

func fieldsOf(rules []Rule) []string {
	var fields []string
	for _, r := range rules {
		for _, of := range append(r.Of, "") {
			fields = append(fields, strings.TrimSuffix(r.Field+"."+of, "."))
		}
	}
	return slices.DeleteFunc(fields, func(f string) bool { return f == "**" || f == "apiVersion" || f == "kind" })
}

// place puts a value where one of the known fields stands, and makes what is above it.
func place(t *rapid.T, object map[string]any, fields []string) {
	words := strings.Split(rapid.SampledFrom(fields).Draw(t, "field"), ".")
	value := rapid.SampledFrom([]any{"x", "", "10", "1h", "50%", "spot", "RAID0", "sg-0123456789abcdef0", int64(0), int64(7), int64(-1), true, false, []any{"a", "b"},
		[]any{map[string]any{}}, map[string]any{"a": "b"}}).Draw(t, "value")
	var at any = object
	for i, word := range words {
		last := i == len(words)-1
		switch v := at.(type) {
		case map[string]any:
			if strings.HasPrefix(word, "*") {
				word = rapid.SampledFrom([]string{"a", "example.com/b", "nvidia.com/gpu", "memory"}).Draw(t, "key")
			}
			if last {
				v[word] = value
				return
			}
			if !isContainer(v[word]) {
				v[word] = map[string]any{}
				if words[i+1] == "*" && rapid.Bool().Draw(t, "list") {
					v[word] = []any{map[string]any{}}
				}
			}
			at = v[word]
		case []any:
			if len(v) == 0 {
				return
			}
			n := rapid.IntRange(0, len(v)-1).Draw(t, "item")
			if last {
				v[n] = value
				return
			}
			at = v[n]
		default:
			return
		}
	}
}

// change adds, replaces or removes something anywhere in an object but in what says which kind it is.
func change(t *rapid.T, object map[string]any) {
	at := object["spec"]
	if at == nil {
		at = object
	}
	for {
		switch v := at.(type) {
		case map[string]any:
			keys := slices.Sorted(maps.Keys(v))
			if len(keys) > 0 && rapid.IntRange(0, 3).Draw(t, "deeper") > 0 {
				key := rapid.SampledFrom(keys).Draw(t, "key")
				if next := v[key]; isContainer(next) {
					at = next
					continue
				}
				if rapid.Bool().Draw(t, "remove") {
					delete(v, key)
					return
				}
			}
			key := rapid.SampledFrom([]string{"surprise", "a.b/c", "name", "tags", "values", "ebs", "kubelet", ""}).Draw(t, "new")
			v[key] = rapid.SampledFrom([]any{"x", int64(3), true, nil, map[string]any{}, []any{}, []any{"y"}, map[string]any{"z": int64(1)}}).Draw(t, "value")
			return
		case []any:
			if len(v) == 0 || !isContainer(v[0]) {
				return
			}
			at = v[rapid.IntRange(0, len(v)-1).Draw(t, "index")]
		default:
			return
		}
	}
}

// The law notices a leaf that is dropped, one that is said twice, one that was never there, and an entry without a word.
func TestAccounting_catches(t *testing.T) {
	d := readFile(t, "testdata/nodepool_v1.yaml")[0]
	result, err := Import([]manifest.Document{d}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	entries := result.Reports[0].Entries
	for name, spoil := range map[string]func([]Entry) []Entry{
		"dropped":  func(e []Entry) []Entry { return e[1:] },
		"twice":    func(e []Entry) []Entry { return append(e, e[0]) },
		"invented": func(e []Entry) []Entry { return append(e, Entry{Outcome: Carried, Leaves: []string{"spec.nothing"}}) },
		"wordless": func(e []Entry) []Entry { return append(e, Entry{Outcome: NotCarried}) },
	} {
		if unaccounted(tree(t, d), spoil(slices.Clone(entries))) == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
	// A converter that speaks twice for a field must not make it stand twice.
	l := newLedger(map[string]any{"spec": map[string]any{"a": "b"}})
	l.say(Entry{Outcome: Carried}, path{"spec", "a"})
	if l.say(Entry{Outcome: NotCarried, Message: "again"}, path{"spec", "a"}) {
		t.Error("a leaf was claimed twice")
	}
}

// same are fields that are carried, and whose absence means the same as what the sources of testdata say.
var same = []string{"spec.amiFamily", "spec.consolidation.enabled", "spec.template.spec.nodeClassRef.name", "labels[k8s.amazonaws.com/accelerator]",
	"volumeType", "ebs.volumeType"}

// untrue answers the first entry that does not tell the truth about a document: what is carried makes a difference to what is made when it is
// taken away, and what is not carried makes none. table is what the entries are taken from.
func untrue(t *testing.T, all []manifest.Document, which int, entries []Entry) error {
	made := func(documents []manifest.Document) (string, bool) {
		result, err := Import(documents, Config{All: true})
		if err != nil || result.Reports[which].LeftAlone != "" {
			return "", false
		}
		var out bytes.Buffer
		if err := result.WriteManifests(&out); err != nil {
			t.Fatal(err)
		}
		return out.String(), true
	}
	before, _ := made(all)
	for _, e := range entries {
		if len(e.Leaves) == 0 || slices.ContainsFunc(same, func(s string) bool { return e.Field == s || strings.HasSuffix(e.Field, "]."+s) }) {
			continue
		}
		object := tree(t, all[which])
		remove(object, nil, e.Leaves)
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		changed := slices.Clone(all)
		changed[which].JSON = text
		if changed[which].Kind, _ = object["kind"].(string); changed[which].APIVersion == awsGroup {
			changed[which].Kind = all[which].Kind
		}
		after, ok := made(changed)
		switch {
		case !ok: // without it, it is no source
		case e.Outcome == Carried && after == before:
			return fmt.Errorf("%s is said to be carried, and changes nothing", e.Field)
		case (e.Outcome == NotCarried || e.Outcome == LeftOut) && after != before && !strings.Contains(e.Message, "nothing is launched"):
			return fmt.Errorf("%s is said to be %s, and changes what is made", e.Field, e.Outcome)
		}
	}
	return nil
}

// remove takes leaves out of a tree, and then the items of lists that are left empty.
func remove(value any, at path, leaves []string) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if slices.Contains(leaves, at.with(key).String()) {
				delete(v, key)
				continue
			}
			v[key] = remove(inner, at.with(key), leaves)
		}
	case []any:
		var kept []any
		for i, inner := range v {
			inner = remove(inner, at.with(index(i)), leaves)
			if m, ok := inner.(map[string]any); !ok || len(m) > 0 {
				kept = append(kept, inner)
			}
		}
		return kept
	}
	return value
}

// What the report says of each field of the sources is true.
func TestReportsAreTrue(t *testing.T) {
	for _, file := range sources(t) {
		documents := readFile(t, file)
		result, err := Import(documents, Config{All: true})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range result.Reports {
			if err := untrue(t, documents, i, r.Entries); err != nil {
				t.Errorf("%s %s: %v", file, r.Source, err)
			}
		}
	}
}

// An entry that lies in either direction is noticed.
func TestReportsAreTrue_catches(t *testing.T) {
	documents := readFile(t, "testdata/nodepool_v1.yaml")
	for name, lie := range map[string]Entry{
		"carried and lost":     {Field: "spec.replicas", Outcome: Carried, Leaves: []string{"spec.template.spec.terminationGracePeriod"}},
		"lost and carried":     {Field: "spec.weight", Outcome: NotCarried, Leaves: []string{"spec.weight"}},
		"left out and carried": {Field: "spec.limits", Outcome: LeftOut, Leaves: []string{"spec.limits.cpu"}},
	} {
		if untrue(t, documents, 0, []Entry{lie}) == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

// FuzzImport: no input makes it fail otherwise than with an error, and whatever it imports is accounted for.
func FuzzImport(f *testing.F) {
	for _, file := range sources(f) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		documents, err := manifest.Read([]string{"-"}, bytes.NewReader(text))
		if err != nil {
			return
		}
		if err := lawful(t, documents); err != nil {
			t.Fatal(err)
		}
	})
}
