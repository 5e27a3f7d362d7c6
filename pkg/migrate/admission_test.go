package migrate

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/manifest"
)

// parts are the objects within a source whose fields stand for themselves: each may be there or not, and be taken from another source of the kind.
var parts = []path{{"spec"}, {"spec", "template", "spec"}, {"spec", "template", "metadata"}, {"spec", "disruption"},
	{"managedNodeGroups", "[0]"}, {"nodeGroups", "[0]"}, {"nodeGroups", "[1]"}}

// part answers the object at a place, or nil.
func part(object map[string]any, at path) map[string]any {
	var value any = object
	for _, word := range at {
		switch v := value.(type) {
		case map[string]any:
			value = v[word]
		case []any:
			if n := int(word[1] - '0'); n < len(v) {
				value = v[n]
			}
		}
	}
	m, _ := value.(map[string]any)
	return m
}

// cross takes fields away from a source, or puts those of another in their place. What other autoscalers require stays.
func cross(t *rapid.T, object, other map[string]any) {
	at := rapid.SampledFrom(parts).Draw(t, "part")
	to, from := part(object, at), part(other, at)
	keys := slices.Compact(slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(to)), slices.Collect(maps.Keys(from))))))
	keys = slices.DeleteFunc(keys, func(k string) bool { return k == "name" || k == "template" })
	if to == nil || len(keys) == 0 {
		return
	}
	key := rapid.SampledFrom(keys).Draw(t, "key")
	if value, has := from[key]; has {
		to[key] = value
	} else {
		delete(to, key)
	}
}

// Whatever fields sources have of those that are valid where they come from, the API server takes what comes of them.
func TestImportedIsAdmitted(t *testing.T) {
	byKind := map[string][]manifest.Document{}
	var all []manifest.Document
	for _, file := range sources(t) {
		for _, d := range readFile(t, file) {
			all = append(all, d)
			byKind[d.Kind] = append(byKind[d.Kind], d)
		}
	}
	crds := load(t)
	drawn, imported := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		drawn++
		d := rapid.SampledFrom(all).Draw(t, "document")
		object := tree(t, d)
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			cross(t, object, tree(t, rapid.SampledFrom(byKind[d.Kind]).Draw(t, "other")))
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		documents, err := manifest.Read([]string{"-"}, bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		result, err := Import(documents, Config{All: true})
		if err != nil {
			t.Fatalf("%v\nof\n%s", err, text)
		}
		imported += len(result.Provisioners) + len(result.NodeClasses)
		if refused := crds.refused(t, &result); len(refused) > 0 {
			t.Fatalf("%s\nof\n%s", strings.Join(refused, "\n"), text)
		}
	})
	if 2*imported < drawn {
		t.Errorf("only %d objects were made of %d: the generator no longer tests much", imported, drawn)
	}
}

// An object that the API server does not take is noticed.
func TestImportedIsAdmitted_catches(t *testing.T) {
	result, err := Import(readFile(t, "testdata/nodepool_v1.yaml"), Config{})
	if err != nil {
		t.Fatal(err)
	}
	result.Provisioners[0].Spec.Disruption.IdleAfter = "soon"
	result.NodeClasses[0].Spec.Role, result.NodeClasses[0].Spec.InstanceProfile = "a", "b"
	if refused := load(t).refused(t, &result); len(refused) < 2 {
		t.Errorf("noticed only %q", refused)
	}
}
