package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestViews(t *testing.T) {
	directory := t.TempDir()
	for name, text := range map[string]string{"view-1.json.gz": "first", "view-2.json.gz": "second", "secret": "no record"} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		args       []string
		want, fail string
	}{
		"list":             {want: "view-1.json.gz\t5 bytes\nview-2.json.gz\t6 bytes\n"},
		"one":              {args: []string{"view-1.json.gz"}, want: "first"},
		"latest":           {args: []string{"latest"}, want: "second"},
		"none of the name": {args: []string{"view-3.json.gz"}, fail: `no record "view-3.json.gz"`},
		"what is no view":  {args: []string{"secret"}, fail: "no record"},
		"another place":    {args: []string{"../view-1.json.gz"}, fail: "no record"},
		"no directory":     {args: []string{"--dir", filepath.Join(directory, "none")}, fail: "reading --dir"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := viewsCommand()
			var out bytes.Buffer
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			cmd.SilenceUsage = true
			cmd.SetArgs(append([]string{"--dir", directory}, tc.args...))
			err := cmd.Execute()
			if tc.fail == "" && (err != nil || out.String() != tc.want) {
				t.Errorf("got %q, %v; want %q", out.String(), err, tc.want)
			}
			if tc.fail != "" && (err == nil || !strings.Contains(err.Error(), tc.fail)) {
				t.Errorf("got %v, want %q", err, tc.fail)
			}
		})
	}
}
