package main

import (
	"archive/tar"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/authn"
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
		"else.go": "//go:build other\n\npackage main\n\nfunc init() { println(1) }\n",
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

// digest builds the small program's image from a directory of its own.
func digest(t *testing.T, version string) string {
	t.Helper()
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

// TestReproducible: the same source in two directories gives one digest, whatever this machine's settings of go are, and another version another.
func TestReproducible(t *testing.T) {
	first := digest(t, "v1.2.3")
	written := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(written, []byte("GOFLAGS=-tags=other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, setting := range map[string][2]string{
		"again":                     {"EDITOR", "ed"},
		"a flag":                    {"GOFLAGS", "-tags=other"},
		"what go env -w wrote":      {"GOENV", written},
		"a newer amd64":             {"GOAMD64", "v3"},
		"an experiment":             {"GOEXPERIMENT", "nodwarf5"},
		"checksums of cryptography": {"GOFIPS140", "latest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(setting[0], setting[1])
			if again := digest(t, "v1.2.3"); again != first {
				t.Errorf("%s and %s from one source", first, again)
			}
		})
	}
	if other := digest(t, "v1.2.4"); other == first {
		t.Errorf("%s for two versions", first)
	}
}

// A module is compiled by the very Go that it names: whatever is newer here would give another digest.
func TestToolchain(t *testing.T) {
	for text, want := range map[string]string{
		"module x\n\ngo 1.26.0\n\ntoolchain go1.26.1\n": "go1.26.1",
		"module x\n\ngo 1.26.0\n":                       "local",
	} {
		o := options{source: t.TempDir()}
		if err := os.WriteFile(filepath.Join(o.source, "go.mod"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := o.environment(t.Context(), v1.Platform{OS: "linux", Architecture: "arm64"})
		if err != nil || !slices.Contains(got, "GOTOOLCHAIN="+want) || !slices.Contains(got, "GOARCH=arm64") {
			t.Errorf("%q: %v, %q has no GOTOOLCHAIN=%s", text, err, got, want)
		}
	}
	if got, err := (options{source: ".."}).toolchain(); err != nil || got == "local" {
		t.Errorf("slipway's module names no toolchain: %q, %v", got, err)
	}
}

// TestPublish: an image for two platforms goes to a registry that asks who it is, with the file that docs/install.md writes.
func TestPublish(t *testing.T) {
	images := registry.New()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "AWS" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="ECR"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		images.ServeHTTP(w, r)
	}))
	defer server.Close()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	login := fmt.Sprintf(`{"auths":{"%s":{"auth":"%s"}}}`, strings.TrimPrefix(server.URL, "http://"), base64.StdEncoding.EncodeToString([]byte("AWS:secret")))
	if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(login), 0o600); err != nil {
		t.Fatal(err)
	}
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
		image, err := remote.Image(tag, remote.WithPlatform(platform), remote.WithAuthFromKeychain(authn.DefaultKeychain))
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

// Whoever only installs Slipway makes and pushes its image alone.
func TestParsePrograms(t *testing.T) {
	for given, want := range map[string]int{"": 2, "slipway": 1} {
		arguments := []string{"-version", "v1"}
		if given != "" {
			arguments = append(arguments, "-programs", given)
		}
		o, err := parse(arguments)
		if err != nil || len(o.programs) != want || o.programs[0].name != "slipway" {
			t.Errorf("-programs %q: %+v, %v", given, o.programs, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, arguments := range map[string][]string{
		"no version":       {},
		"an argument":      {"-version", "v1", "slipway"},
		"another system":   {"-version", "v1", "-platforms", "windows/amd64"},
		"no architecture":  {"-version", "v1", "-platforms", "linux"},
		"an empty version": {"-version", ""},
		"another program":  {"-version", "v1", "-programs", "slipway,demo"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(arguments); err == nil {
				t.Errorf("%q is taken", arguments)
			}
		})
	}
}
