package chart

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// leaves answers the path of every value: keys of maps and indexes of lists, down to what is neither.
func leaves(value any, at []any) (all [][]any) {
	below := func(key any, value any) { all = append(all, leaves(value, append(slices.Clone(at), key))...) }
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			below(key, v[key])
		}
	case []any:
		for i := range v {
			below(i, v[i])
		}
	default:
		all = append(all, at)
	}
	return all
}

// without answers a copy of value that lacks what is at path.
func without(value any, path []any) any {
	last := len(path) == 1
	switch v := value.(type) {
	case map[string]any:
		copied, key := maps.Clone(v), path[0].(string)
		if delete(copied, key); !last {
			copied[key] = without(v[key], path[1:])
		}
		return copied
	case []any:
		copied, i := slices.Clone(v), path[0].(int)
		if last {
			return slices.Delete(copied, i, i+1)
		}
		copied[i] = without(v[i], path[1:])
		return copied
	}
	return value
}

// idle answers those leaves of values that change nothing in what is rendered.
func idle(t *testing.T, given map[string]any) (all []string) {
	t.Helper()
	loaded, err := loader.LoadDir(charts + "/slipway")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := renderLoaded(loaded, given, cluster{})
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range leaves(given, nil) {
		// A value without which nothing is rendered matters, too.
		if less, err := renderLoaded(loaded, without(given, leaf).(map[string]any), cluster{}); err == nil && maps.Equal(whole, less) {
			all = append(all, fmt.Sprint(leaf))
		}
	}
	return all
}

// TestEveryValueCounts: each leaf of the values that a user can give shows in what is rendered: none is read by no template.
func TestEveryValueCounts(t *testing.T) {
	given := values(t, everything)
	if n := len(leaves(given, nil)); n < 60 {
		t.Errorf("only %d leaves are looked at", n)
	}
	for _, leaf := range idle(t, given) {
		t.Errorf("without %s the same is rendered", leaf)
	}
}

// A value that no template reads is found; that one which is the default changes nothing stands for it.
func TestEveryValueCounts_catches(t *testing.T) {
	got := idle(t, values(t, "{clusterName: a, logLevel: info, extraArgs: [--x], podLabels: {team: b}, networkPolicy: {enabled: true}}"))
	if want := []string{"[logLevel]", "[networkPolicy enabled]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
