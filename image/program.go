package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// program is one Go program and how its container runs it.
type program struct {
	name, pkg, description string
	arguments              []string // used where the container is given none
}

// compile builds a program as `make build` does, so that what the demo and the tests ran is what is shipped.
func (o options) compile(ctx context.Context, p program, platform v1.Platform, output string) error {
	absolute, err := filepath.Abs(output)
	if err != nil {
		return fmt.Errorf("building %s: %w", p.name, err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+o.version, "-o", absolute, p.pkg)
	cmd.Dir = o.source
	if cmd.Env, err = o.environment(ctx, platform); err != nil {
		return fmt.Errorf("building %s: %w", p.name, err)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s for %s: %w", p.name, platform, err)
	}
	return nil
}

// machines are the settings of go that say where modules come from and where files go; they change nothing in a program.
var machines = []string{"GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GOVCS", "GOAUTH", "GOPATH", "GOMODCACHE", "GOCACHE", "GOTMPDIR"}

// environment is what programs are compiled in: this machine's, without any setting of go that could change what comes out (GOFLAGS, GOAMD64,
// GOEXPERIMENT, a go.work above, what `go env -w` wrote), and with the very Go that the module's toolchain line names.
func (o options) environment(ctx context.Context, platform v1.Platform) ([]string, error) {
	var environment []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "GO") && !strings.HasPrefix(e, "CGO_") {
			environment = append(environment, e)
		}
	}
	text, err := exec.CommandContext(ctx, "go", append([]string{"env", "-json"}, machines...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("asking go for its settings: %w", err)
	}
	settings := map[string]string{}
	if err := json.Unmarshal(text, &settings); err != nil {
		return nil, fmt.Errorf("reading go's settings: %w", err)
	}
	for _, name := range machines {
		environment = append(environment, name+"="+settings[name])
	}
	toolchain, err := o.toolchain()
	if err != nil {
		return nil, err
	}
	return append(environment, "GOENV=off", "GOWORK=off", "GOTOOLCHAIN="+toolchain, "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture), nil
}

var toolchainLine = regexp.MustCompile(`(?m)^toolchain (\S+)$`)

// toolchain is the version of Go that the module asks for; one that names none is compiled with what is there.
func (o options) toolchain() (string, error) {
	text, err := os.ReadFile(filepath.Join(o.source, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("looking for the version of Go: %w", err)
	}
	if line := toolchainLine.FindSubmatch(text); line != nil {
		return string(line[1]), nil
	}
	return "local", nil
}
