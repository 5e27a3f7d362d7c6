package program_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-sh/slipway/test/cluster/program"
)

func TestFind(t *testing.T) {
	file := executable(t, t.TempDir(), "controlplane")
	complete, envtest := t.TempDir(), t.TempDir()
	for _, c := range program.Components() {
		executable(t, complete, string(c))
	}
	executable(t, envtest, "etcd")
	executable(t, envtest, "kube-apiserver")
	tree, empty := t.TempDir(), t.TempDir()
	nested := module(t, tree, program.Module, "test/e2e", program.Module+"/test/e2e")
	executable(t, filepath.Join(tree, "bin"), "controlplane")
	module(t, empty, program.Module, "test", "example.com/other")

	for name, tc := range map[string]struct {
		file, directory, working string
		needed                   []program.Component
		want                     string // how kube-apiserver is called
		wantError                []string
	}{
		"the file that the environment names": {
			file: file, directory: complete, working: tree, want: file + " kube-apiserver"},
		"the named file is not there, though others are": {
			file: file + "x", directory: complete, working: tree, wantError: []string{"SLIPWAY_CONTROLPLANE", file + "x"}},
		"a directory of four programs": {
			directory: complete, working: tree, want: filepath.Join(complete, "kube-apiserver")},
		"envtest's assets, and all four are needed": {
			directory: envtest, working: tree, wantError: []string{"lacks kube-scheduler and kube-controller-manager"}},
		"envtest's assets, which are enough": {
			directory: envtest, needed: []program.Component{program.Etcd, program.APIServer}, working: tree,
			want: filepath.Join(envtest, "kube-apiserver")},
		"the tree's own, from a nested module": {
			working: nested, want: filepath.Join(tree, "bin/controlplane") + " kube-apiserver"},
		"a tree that has none yet": {
			working: empty, wantError: []string{"make controlplane", filepath.Join(empty, "bin/controlplane")}},
		"outside any tree": {
			working: t.TempDir(), wantError: []string{"not inside a tree", "SLIPWAY_CONTROLPLANE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(program.FileVariable, tc.file)
			t.Setenv(program.DirectoryVariable, tc.directory)
			t.Chdir(tc.working)
			needed := tc.needed
			if needed == nil {
				needed = program.Components()
			}
			programs, err := program.Find(needed...)
			if len(tc.wantError) > 0 {
				if !errors.Is(err, program.ErrNotFound) {
					t.Fatalf("error %v does not wrap ErrNotFound", err)
				}
				for _, want := range tc.wantError {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("error %q does not say %q", err, want)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			path, arguments := programs.Command(program.APIServer)
			if got := strings.Join(append([]string{path}, arguments...), " "); got != tc.want {
				t.Errorf("kube-apiserver is called as %q, want %q", got, tc.want)
			}
		})
	}
}

func executable(t *testing.T, directory, name string) string {
	t.Helper()
	path := filepath.Join(directory, name)
	write(t, path, "#!/bin/sh\n", 0o755)
	return path
}

// module writes go.mod files for a module at root and one nested under it, and returns the nested one's directory.
func module(t *testing.T, root, path, under, nestedPath string) string {
	t.Helper()
	write(t, filepath.Join(root, "go.mod"), "module "+path+"\n", 0o644)
	nested := filepath.Join(root, under)
	write(t, filepath.Join(nested, "go.mod"), "module "+nestedPath+"\n", 0o644)
	return nested
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
