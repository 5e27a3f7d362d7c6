package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// small is a program that compiles in a second; the images of the real ones are run by the end-to-end suite.
func small(t *testing.T) (options, program) {
	t.Helper()
	source := t.TempDir()
	for file, text := range map[string]string{
		"go.mod":  "module example.org/small\n\ngo 1.26\n",
		"main.go": "package main\n\nvar version string\n\nfunc main() { println(version) }\n",
	} {
		if err := os.WriteFile(filepath.Join(source, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, err := parse([]string{"-source", source, "-out", t.TempDir(), "-version", "v1.2.3", "-revision", "abc", "-epoch", "1700000000"})
	if err != nil {
		t.Fatal(err)
	}
	return o, program{name: "small", pkg: ".", description: "says its version", arguments: []string{"now"}}
}

func TestImage(t *testing.T) {
	o, p := small(t)
	if err := o.make(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(filepath.Join(o.out, "small.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/small"}) || !slices.Equal(c.Cmd, []string{"now"}) {
		t.Errorf("user %q, entrypoint %q, arguments %q", c.User, c.Entrypoint, c.Cmd)
	}
	if got := config.Config.Labels["org.opencontainers.image.version"]; got != "v1.2.3" || config.Architecture != runtime.GOARCH {
		t.Errorf("version %q for %s", got, config.Architecture)
	}
	want := map[string]int64{"small": 0o555, "small.cdx.json": 0o444}
	if got := modes(t, image, time.Unix(1700000000, 0)); len(got) != len(want) || got["small"] != want["small"] || got["small.cdx.json"] != want["small.cdx.json"] {
		t.Errorf("files %v, want %v", got, want)
	}
}

// modes answers the mode of every file of an image; each must have the given time and no owner but root.
func modes(t *testing.T, image v1.Image, at time.Time) map[string]int64 {
	t.Helper()
	content := mutate.Extract(image)
	defer content.Close()
	got := map[string]int64{}
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(at) || header.Uid != 0 || header.Gid != 0 {
			t.Errorf("%s is of %s and belongs to %d:%d", header.Name, header.ModTime, header.Uid, header.Gid)
		}
		got[header.Name] = header.Mode
	}
}

// TestReproducible: the same source in two directories gives one digest, and another version another.
func TestReproducible(t *testing.T) {
	digest := func(version string) string {
		o, p := small(t)
		o.version = version
		if err := o.make(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(o.out, "small.digest"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := digest("v1.2.3")
	if again := digest("v1.2.3"); again != first {
		t.Errorf("%s and %s from one source", first, again)
	}
	if other := digest("v1.2.4"); other == first {
		t.Errorf("%s for two versions", first)
	}
}

func TestPublish(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	o, p := small(t)
	o.push = strings.TrimPrefix(server.URL, "http://") + "/slipway"
	o.platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	if err := o.make(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(o.push + "/small:v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	for _, platform := range o.platforms {
		image, err := remote.Image(tag, remote.WithPlatform(platform))
		if err != nil {
			t.Fatal(err)
		}
		if config, err := image.ConfigFile(); err != nil || config.Architecture != platform.Architecture {
			t.Errorf("%v: got %v, %v", platform, config.Architecture, err)
		}
	}
}

func TestBill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := bill(self, "image", "v1.2.3", time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	var got cdx.BOM
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(*got.Components, func(c cdx.Component) bool { return c.Name == "github.com/CycloneDX/cyclonedx-go" })
	if at < 0 {
		t.Fatalf("the library that this test links is not on the bill:\n%s", text)
	}
	if c := (*got.Components)[at]; !strings.HasPrefix(c.PackageURL, "pkg:golang/github.com/CycloneDX/cyclonedx-go@v") || c.Properties == nil {
		t.Errorf("%+v has no package URL or no sum", c)
	}
	if _, err := bill(os.DevNull, "nothing", "", time.Time{}); err == nil {
		t.Error("a file that is no program has a bill")
	}
}

func TestParseRefuses(t *testing.T) {
	for name, arguments := range map[string][]string{
		"no version":       {},
		"an argument":      {"-version", "v1", "slipway"},
		"another system":   {"-version", "v1", "-platforms", "windows/amd64"},
		"no architecture":  {"-version", "v1", "-platforms", "linux"},
		"an empty version": {"-version", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(arguments); err == nil {
				t.Errorf("%q is taken", arguments)
			}
		})
	}
}
