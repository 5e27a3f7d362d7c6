package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is the one that distroless images call nonroot. A number, since Kubernetes cannot check runAsNonRoot for a name.
const user = "65532:65532"

// assemble makes the image: the program at /NAME, its bill of materials at /NAME.cdx.json, nothing else.
func (o options) assemble(p program, platform v1.Platform, binary string, bom []byte) (v1.Image, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("reading the program: %w", err)
	}
	files := []file{{p.name, 0o555, content}, {p.name + ".cdx.json", 0o444, bom}}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return archive(files, o.created) },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("making the layer of %s: %w", p.name, err)
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: o.created}, CreatedBy: "image " + p.pkg}})
	if err != nil {
		return nil, fmt.Errorf("making the image of %s: %w", p.name, err)
	}
	image, err = mutate.ConfigFile(image, o.config(p, platform, image))
	if err != nil {
		return nil, fmt.Errorf("configuring the image of %s: %w", p.name, err)
	}
	return image, nil
}

func (o options) config(p program, platform v1.Platform, image v1.Image) *v1.ConfigFile {
	config := &v1.ConfigFile{}
	if had, err := image.ConfigFile(); err == nil { // an image that was made here has one
		config = had.DeepCopy()
	}
	config.OS, config.Architecture, config.Created = platform.OS, platform.Architecture, v1.Time{Time: o.created}
	config.Config = v1.Config{
		User: user, Entrypoint: []string{"/" + p.name}, Cmd: p.arguments, WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":       p.name,
			"org.opencontainers.image.description": p.description,
			"org.opencontainers.image.version":     o.version,
			"org.opencontainers.image.revision":    o.revision,
			"org.opencontainers.image.created":     o.created.Format(time.RFC3339),
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.source":      "https://github.com/slipway-sh/slipway",
		},
	}
	return config
}

// file is one file of a layer.
type file struct {
	name    string
	mode    int64
	content []byte
}

// archive writes files in their order, owned by root, all with one time.
func archive(files []file, at time.Time) (io.ReadCloser, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: at, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", f.name, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("archiving: %w", err)
	}
	return io.NopCloser(&buffer), nil
}

// save leaves an image, its bill of materials and its digest as files.
func (o options) save(p program, image v1.Image, bom []byte) error {
	tag, err := name.NewTag(o.repository + "/" + p.name + ":" + o.version)
	if err != nil {
		return fmt.Errorf("naming the image (give another -repository or -version): %w", err)
	}
	digest, err := image.Digest()
	if err != nil {
		return fmt.Errorf("digesting the image of %s: %w", p.name, err)
	}
	path := filepath.Join(o.out, p.name)
	if err := errors.Join(
		tarball.WriteToFile(path+".tar", tag, image),
		os.WriteFile(path+".cdx.json", bom, 0o644),
		os.WriteFile(path+".digest", []byte(digest.String()+"\n"), 0o644),
		os.WriteFile(path+".ref", []byte(tag.String()+"\n"), 0o644),
	); err != nil {
		return fmt.Errorf("writing the image of %s: %w", p.name, err)
	}
	fmt.Printf("%s: %s.tar is %s, %s\n", p.name, path, tag, digest)
	return nil
}

// publish pushes all platforms under one tag, with the credentials of `docker login`.
func (o options) publish(ctx context.Context, p program, images []v1.Image) error {
	tag, err := name.NewTag(o.push + "/" + p.name + ":" + o.version)
	if err != nil {
		return fmt.Errorf("naming the image (give another -push or -version): %w", err)
	}
	var index v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, image := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &o.platforms[i]}})
	}
	if err := remote.WriteIndex(tag, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("pushing %s: %w", tag, err)
	}
	digest, err := index.Digest()
	if err != nil {
		return fmt.Errorf("digesting what was pushed: %w", err)
	}
	fmt.Printf("%s: pushed %s, %s\n", p.name, tag, digest)
	return nil
}
