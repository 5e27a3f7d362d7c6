package record

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits bound a Directory. Both are above 0.
type Limits struct {
	Files int
	Bytes int64
}

// DefaultLimits hold a few days of a busy cluster: a View of 1,000 pods has about 60 KiB.
func DefaultLimits() Limits { return Limits{Files: 2000, Bytes: 256 << 20} }

// Directory keeps the newest Records in files. It touches no file but its own. One process writes to it at a time.
type Directory struct {
	path   string
	limits Limits
}

// stamp is the time in a file's name: the order of names is that of times.
const stamp = "20060102T150405.000000000Z"

var (
	// ours is the name of a finished file: its time, and a number for those of the same instant.
	ours = regexp.MustCompile(`^view-\d{8}T\d{6}\.\d{9}Z-\d{3}\.json\.gz$`)
	// halfDone is how a file is called while it is written.
	halfDone = "view-*.part"
)

// Open makes the directory if it is not there, clears away what a crash has left half written, and keeps to the limits from then on.
func Open(path string, limits Limits) (*Directory, error) {
	if limits.Files <= 0 || limits.Bytes <= 0 {
		return nil, fmt.Errorf("opening the record directory %s: limits of %d files and %d bytes; want both above 0", path, limits.Files, limits.Bytes)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("opening the record directory: %w", err)
	}
	d := &Directory{path: path, limits: limits}
	left, err := filepath.Glob(filepath.Join(path, halfDone))
	if err != nil {
		return nil, fmt.Errorf("opening the record directory: %w", err)
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil {
			return nil, fmt.Errorf("clearing the record directory: %w", err)
		}
	}
	return d, d.makeRoom(0, 0)
}

// Write adds a Record and answers its path. The oldest files go first to stay within the limits, before the new one is there.
// A Record that is larger than the limit is refused.
func (d *Directory) Write(r Record) (string, error) {
	var b bytes.Buffer
	if err := r.Encode(&b); err != nil {
		return "", err
	}
	if int64(b.Len()) > d.limits.Bytes {
		return "", fmt.Errorf("recording a View: it has %d bytes, and the directory may hold %d", b.Len(), d.limits.Bytes)
	}
	if err := d.makeRoom(1, int64(b.Len())); err != nil {
		return "", err
	}
	path, err := d.write(b.Bytes(), r.View.Now)
	if err != nil {
		return "", fmt.Errorf("recording a View: %w", err)
	}
	return path, nil
}

// write puts the file there whole or not at all: it is written under another name, synced and renamed.
func (d *Directory) write(content []byte, at time.Time) (string, error) {
	f, err := os.CreateTemp(d.path, halfDone)
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	for n := range 1000 {
		path := filepath.Join(d.path, fmt.Sprintf("view-%s-%03d.json.gz", at.UTC().Format(stamp), n))
		if _, err = os.Lstat(path); err == nil {
			continue // of the same instant; nobody else writes here, so what is free now stays free
		}
		if err = os.Rename(f.Name(), path); err == nil {
			return path, nil
		}
		break
	}
	return "", errors.Join(err, os.Remove(f.Name()))
}

// Paths answers the files that are there, oldest first.
func (d *Directory) Paths() ([]string, error) {
	files, err := d.files()
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = filepath.Join(d.path, f.name)
	}
	return paths, err
}

type file struct {
	name string
	size int64
}

// files are those of ours, oldest first.
func (d *Directory) files() ([]file, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("listing the record directory: %w", err)
	}
	var list []file
	for _, e := range entries {
		if !ours.MatchString(e.Name()) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody has taken it away in this moment
		}
		if err != nil {
			return nil, fmt.Errorf("listing the record directory: %w", err)
		}
		list = append(list, file{e.Name(), info.Size()})
	}
	slices.SortFunc(list, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

// makeRoom removes the oldest files until so many more files and bytes are within the limits.
func (d *Directory) makeRoom(files int, bytes int64) error {
	list, err := d.files()
	if err != nil {
		return err
	}
	files += len(list)
	for _, f := range list {
		bytes += f.size
	}
	for _, f := range list {
		if files <= d.limits.Files && bytes <= d.limits.Bytes {
			return nil
		}
		if err := os.Remove(filepath.Join(d.path, f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("making room in the record directory: %w", err)
		}
		files--
		bytes -= f.size
	}
	return nil
}
