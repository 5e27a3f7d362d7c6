package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/slipway-sh/slipway/pkg/manifest"
	"github.com/slipway-sh/slipway/pkg/migrate"
)

// outcomes are how the tables call what becomes of a field.
var outcomes = map[migrate.Outcome]string{
	migrate.Carried: "carried", migrate.Approximated: "approximated", migrate.NotCarried: "not carried", migrate.LeftOut: "left out",
}

// examples are the sources that the page shows the import of.
var examples = []string{"karpenter-v1alpha5.yaml", "karpenter-v1.yaml", "eksctl.yaml"}

// migratePage puts the tables of pkg/migrate and imports of the examples between the marks of docs/migrate.md, and leaves all else of it alone.
func migratePage(root, page string) (string, error) {
	for _, t := range migrate.Tables() {
		var err error
		if page, err = between(page, "fields of "+t.Kind, migrationTable(t).String()); err != nil {
			return "", err
		}
	}
	for _, name := range examples {
		report, manifests, err := imported(root, name)
		if err != nil {
			return "", err
		}
		if page, err = between(page, "import of "+name, "```text\n"+report+"```\n\nand writes\n\n```yaml\n"+manifests+"```\n"); err != nil {
			return "", err
		}
	}
	return page, nil
}

// between puts a text between a mark and the next end.
func between(page, mark, text string) (string, error) {
	begin, end := "<!-- "+mark+" -->\n", "<!-- end -->\n"
	before, rest, found := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("there are no marks %q and %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + "\n" + text + "\n" + end + after, nil
}

// imported is what slipway import says and writes of an example.
func imported(root, name string) (report, manifests string, err error) {
	documents, err := manifest.Read([]string{filepath.Join(root, "docs", "examples", name)}, nil)
	if err != nil {
		return "", "", err
	}
	for i := range documents {
		documents[i].Where = strings.TrimPrefix(documents[i].Where, root+"/")
	}
	result, err := migrate.Import(documents, migrate.Config{})
	if err != nil {
		return "", "", err
	}
	var said, made bytes.Buffer
	if err := errors.Join(result.WriteText(&said), result.WriteManifests(&made)); err != nil {
		return "", "", err
	}
	return said.String(), made.String(), nil
}

func migrationTable(t migrate.Table) *table {
	out := &table{head: []string{t.APIVersion, "Here", "How"}}
	for _, r := range t.Rules {
		if r.Outcome == migrate.LeftOut && (r.Field == "apiVersion" || r.Field == "kind") {
			continue
		}
		field := strings.NewReplacer(".**", "", ".*", "[]").Replace(r.Field)
		if len(r.Of) > 0 {
			field += " (" + strings.Join(r.Of, ", ") + ")"
		}
		how := outcomes[r.Outcome]
		if r.Message != "" {
			how += ": " + cell(r.Message)
		}
		out.row(code(field), code(r.Ours), how)
	}
	return out
}
