// Package program knows where the programs of a control plane are on this machine and how to call them.
//
// There are three places, and the first that is set wins:
//
//	SLIPWAY_CONTROLPLANE   a file: the one program of test/controlplane, which plays every component
//	KUBEBUILDER_ASSETS     a directory with one program for each component, as envtest's users have it
//	bin/controlplane       in the tree of the main module, where `make controlplane` puts it
//
// A place that is set and does not hold what is needed is an error that says what is missing; the next place is not
// tried, because a test that silently ran against another Kubernetes than the one asked for proves nothing.
//
// The package imports the standard library only: the command that builds the program imports it too, and must start
// within a second on a machine that has compiled nothing yet.
package program

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Component is one program of a control plane, by the name of its executable.
type Component string

// The components, in the order in which they start.
const (
	Etcd              Component = "etcd"
	APIServer         Component = "kube-apiserver"
	Scheduler         Component = "kube-scheduler"
	ControllerManager Component = "kube-controller-manager"
)

// Components returns all components, in the order in which they start.
func Components() []Component {
	return []Component{Etcd, APIServer, Scheduler, ControllerManager}
}

// The environment variables that name a place other than the tree's own.
const (
	FileVariable      = "SLIPWAY_CONTROLPLANE"
	DirectoryVariable = "KUBEBUILDER_ASSETS"
)

// Module is the path of the module whose tree holds bin/controlplane.
const Module = "github.com/slipway-sh/slipway"

// ErrNotFound is what Find's errors wrap when there is no control plane to run.
var ErrNotFound = errors.New("no control plane to run")

// Programs says how to call each component.
type Programs struct {
	// Source is where they were found, for messages: a path, with the variable that named it if there was one.
	Source string

	file      string // the one program, or
	directory string // the directory of one program for each component
}

// Command returns the executable that runs component c and the arguments that come before its flags.
func (p Programs) Command(c Component) (executable string, arguments []string) {
	if p.file != "" {
		return p.file, []string{string(c)}
	}
	return filepath.Join(p.directory, string(c)), nil
}

// Find returns the programs for the needed components. Its error wraps ErrNotFound and says what to do about it.
func Find(needed ...Component) (Programs, error) {
	if named, ok, err := Named(needed...); ok {
		return named, err
	}
	root, err := Root()
	if err != nil {
		return Programs{}, fmt.Errorf("%w: %w; set %s to the program that `make controlplane` builds",
			ErrNotFound, err, FileVariable)
	}
	file := Built(root)
	if !isExecutable(file) {
		return Programs{}, fmt.Errorf("%w: %s is not there: run `make controlplane` (once, about 10 minutes on 2 cores), "+
			"or set %s or %s", ErrNotFound, file, FileVariable, DirectoryVariable)
	}
	return Programs{Source: file, file: file}, nil
}

// Named returns the programs that the environment names, and false if it names none.
func Named(needed ...Component) (programs Programs, ok bool, err error) {
	if file := absolute(os.Getenv(FileVariable)); file != "" {
		if !isExecutable(file) {
			return Programs{}, true, fmt.Errorf("%w: %s=%s is not an executable file", ErrNotFound, FileVariable, file)
		}
		return Programs{Source: FileVariable + "=" + file, file: file}, true, nil
	}
	if directory := absolute(os.Getenv(DirectoryVariable)); directory != "" {
		programs, err = inDirectory(directory, needed)
		return programs, true, err
	}
	return Programs{}, false, nil
}

// absolute makes a path good for a process that works in another directory.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if long, err := filepath.Abs(path); err == nil {
		return long
	}
	return path
}

func inDirectory(directory string, needed []Component) (Programs, error) {
	var missing []string
	for _, c := range needed {
		if !isExecutable(filepath.Join(directory, string(c))) {
			missing = append(missing, string(c))
		}
	}
	if len(missing) == 0 {
		return Programs{Source: DirectoryVariable + "=" + directory, directory: directory}, nil
	}
	hint := ""
	if slices.Contains(missing, string(Scheduler)) || slices.Contains(missing, string(ControllerManager)) {
		hint = " (envtest's own assets hold etcd and kube-apiserver only)"
	}
	return Programs{}, fmt.Errorf("%w: %s=%s lacks %s%s: add it, or unset %s and run `make controlplane`",
		ErrNotFound, DirectoryVariable, directory, strings.Join(missing, " and "), hint, DirectoryVariable)
}

// Built returns where in the tree at root `make controlplane` puts the program.
func Built(root string) string { return filepath.Join(root, "bin", "controlplane") }

// Root returns the directory of the main module's go.mod: the nearest at or above the working directory, past the
// go.mod files of nested modules.
func Root() (string, error) {
	working, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	for directory := working; ; directory = filepath.Dir(directory) {
		if isRoot(directory) {
			return directory, nil
		}
		if directory == filepath.Dir(directory) {
			return "", fmt.Errorf("%s is not inside a tree of module %s", working, Module)
		}
	}
}

func isRoot(directory string) bool {
	text, err := os.ReadFile(filepath.Join(directory, "go.mod"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "module" {
			return fields[1] == Module
		}
	}
	return false
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
