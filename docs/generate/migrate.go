package main

import (
	"fmt"
	"strings"

	"github.com/slipway-sh/slipway/pkg/migrate"
)

// outcomes are how the tables call what becomes of a field.
var outcomes = map[migrate.Outcome]string{
	migrate.Carried: "carried", migrate.Approximated: "approximated", migrate.NotCarried: "not carried", migrate.LeftOut: "left out",
}

// migrationTables puts the tables of pkg/migrate between the marks of docs/migrate.md, which everything else of the page leaves alone.
func migrationTables(page string) (string, error) {
	for _, t := range migrate.Tables() {
		begin, end := "<!-- fields of "+t.Kind+" -->\n", "<!-- end -->\n"
		before, rest, found := strings.Cut(page, begin)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			return "", fmt.Errorf("there are no marks %q and %q for the table", strings.TrimSpace(begin), strings.TrimSpace(end))
		}
		page = before + begin + "\n" + migrationTable(t).String() + "\n" + end + after
	}
	return page, nil
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
