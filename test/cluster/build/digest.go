package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// digest sums what the program is built from. Times of files are not asked: a checkout sets them all anew, and would
// cost whoever has no build cache ten minutes for nothing.
func digest(source string) (string, error) {
	files, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil {
		return "", fmt.Errorf("listing the program's source: %w", err)
	}
	files = append(files, filepath.Join(source, "go.mod"), filepath.Join(source, "go.sum"))
	slices.Sort(files)
	sum := sha256.New()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			return "", fmt.Errorf("reading the program's source: %w", err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", filepath.Base(file), len(text), text)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:12]), nil
}

// builtFrom asks a built program for the digest of its source. No answer at all (no program yet, one of another
// machine's kind, half a one) means the same as a wrong answer: build.
func builtFrom(ctx context.Context, path string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "version").Output()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(out)) {
		if value, found := strings.CutPrefix(line, "inputs "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
