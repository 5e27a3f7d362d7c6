// Command image builds the container images of slipway and fakeaws without Docker: a static program, nothing else, from scratch.
//
//	go run . -version v1.0.0 -out ../bin/image                                        # for this machine's architecture
//	go run . -version v1.0.0 -platforms linux/amd64,linux/arm64 -push registry/path   # and to a registry, with docker's credentials
//
// For each program it leaves NAME.tar (for `docker load`, `kind load image-archive`, `ctr images import`), NAME.cdx.json (what is in it,
// as a CycloneDX bill of materials, which is also in the image) and NAME.digest.
//
// The same commit and version give the same digest on every machine: programs are built by the Go that go.mod's toolchain line names (go
// fetches it where another is installed), with -trimpath, without cgo or VCS stamps and without the machine's own settings of go; every time in
// an image is the commit's (-epoch), and layers are written in one order. Builds need no network but the module proxy.
//
// It is a module of its own so that slipway's does not depend on registries. It imports nothing of slipway.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// programs are what images are made of, by name: the package and what a registry shows about it.
var programs = []program{
	{name: "slipway", pkg: "./cmd/slipway", description: "Launches GPU nodes on EKS for pods that wait for a GPU", arguments: []string{"controller"}},
	{name: "fakeaws", pkg: "./cmd/fakeaws", description: "An AWS account in memory, for tests and demos of Slipway"},
}

// options are the flags.
type options struct {
	source, out, version, revision string
	repository, push               string
	programs                       []program
	platforms                      []v1.Platform
	created                        time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	for _, p := range o.programs {
		if err == nil {
			err = o.make(ctx, p)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func parse(arguments []string) (options, error) {
	var o options
	var platforms, names string
	var epoch int64
	f := flag.NewFlagSet("image", flag.ContinueOnError)
	f.StringVar(&o.source, "source", "..", "root of slipway's module")
	f.StringVar(&o.out, "out", "../bin/image", "directory for the images")
	f.StringVar(&o.version, "version", "", "version and tag (required)")
	f.StringVar(&o.revision, "revision", "", "commit, for the image's labels")
	f.Int64Var(&epoch, "epoch", 0, "seconds since 1970 of every time in the images: the commit's")
	f.StringVar(&o.repository, "repository", "ghcr.io/slipway-sh", "path that the images' names begin with")
	f.StringVar(&platforms, "platforms", "linux/"+runtime.GOARCH, "comma-separated platforms; the files are for the first, a registry gets all")
	f.StringVar(&names, "programs", "slipway,fakeaws", "comma-separated programs to make images of")
	f.StringVar(&o.push, "push", "", "path in a registry to push to; empty: nothing is pushed")
	if err := f.Parse(arguments); err != nil {
		return o, err
	}
	o.created = time.Unix(epoch, 0).UTC()
	if o.version == "" || f.NArg() > 0 {
		return o, fmt.Errorf("-version is required, and arguments that are no flags (%q) are not known", f.Args())
	}
	for _, text := range strings.Split(platforms, ",") {
		p, err := v1.ParsePlatform(text)
		if err != nil || p.OS != "linux" || p.Architecture == "" {
			return o, fmt.Errorf("-platforms: %q is no platform such as linux/amd64", text)
		}
		o.platforms = append(o.platforms, *p)
	}
	for _, name := range strings.Split(names, ",") {
		i := slices.IndexFunc(programs, func(p program) bool { return p.name == name })
		if i < 0 {
			return o, fmt.Errorf("-programs: %q is neither slipway nor fakeaws", name)
		}
		o.programs = append(o.programs, programs[i])
	}
	return o, nil
}

// make builds a program's image for every platform, and leaves it where the flags say.
func (o options) make(ctx context.Context, p program) error {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("making the directory for images: %w", err)
	}
	var images []v1.Image
	for _, platform := range o.platforms {
		fmt.Printf("%s: building for %s\n", p.name, platform)
		binary := filepath.Join(o.out, fmt.Sprintf("%s-%s-%s", p.name, platform.OS, platform.Architecture))
		if err := o.compile(ctx, p, platform, binary); err != nil {
			return err
		}
		bom, err := bill(binary, p.name, o.version, o.created)
		if err != nil {
			return err
		}
		image, err := o.assemble(p, platform, binary, bom)
		if err != nil {
			return err
		}
		if len(images) == 0 {
			if err := o.save(p, image, bom); err != nil {
				return err
			}
		}
		images = append(images, image)
	}
	if o.push == "" {
		return nil
	}
	return o.publish(ctx, p, images)
}
