package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

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
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s for %s: %w", p.name, platform, err)
	}
	return nil
}
