// Package manifest reads files of Kubernetes objects: YAML and JSON, of one or several documents, lists, directories and stdin.
//
// It decides what one object is and where it stood, and nothing of what it means: callers decode it, strictly or not. It refuses YAML that
// says a key twice, documents without apiVersion and kind, and files that are larger than any manifest is. Whatever is wrong is
// said of all files at once, each with file, document and object, since people correct their files in one go.
//
// It may import the standard library and what reads YAML.
package manifest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// maxInput bounds what is read of one file, in bytes.
const maxInput = 256 << 20

// Document is one object.
type Document struct {
	// Where names file, document and object for messages: jobs.yaml: document 2 (Job default/train).
	Where      string
	APIVersion string
	Kind       string
	// JSON is the whole object.
	JSON []byte
}

// Read reads files, directories (all of their .yaml, .yml and .json, at any depth, hidden ones left out) and stdin ("-") in that order.
// It answers what it could read, and an error that joins everything that is wrong.
func Read(paths []string, stdin io.Reader) ([]Document, error) {
	r := &reader{}
	for _, path := range paths {
		if path == "-" {
			r.stream("stdin", stdin)
			continue
		}
		if err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			return r.visit(path, file, entry, err)
		}); err != nil {
			r.errs = append(r.errs, fmt.Errorf("reading manifests: %w", err))
		}
	}
	return r.found, errors.Join(r.errs...)
}

type reader struct {
	found []Document
	errs  []error
}

// visit reads one entry of a walk from root. In a directory only manifests are read; a file that was named is read whatever it is called.
func (r *reader) visit(root, file string, entry fs.DirEntry, err error) error {
	hidden := file != root && strings.HasPrefix(entry.Name(), ".")
	switch {
	case err != nil:
		return err
	case entry.IsDir() && hidden:
		return fs.SkipDir
	case entry.IsDir() || hidden:
		return nil
	}
	switch filepath.Ext(file) {
	case ".yaml", ".yml", ".json":
	default:
		if file != root {
			return nil
		}
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	r.stream(file, f)
	return nil
}

// stream reads the documents of one file.
func (r *reader) stream(name string, from io.Reader) {
	text, err := io.ReadAll(io.LimitReader(from, maxInput+1))
	switch {
	case err != nil:
		r.errs = append(r.errs, fmt.Errorf("%s: %w", name, err))
		return
	case len(text) > maxInput:
		r.errs = append(r.errs, fmt.Errorf("%s: larger than %d MiB", name, maxInput>>20))
		return
	}
	next := yamlDocuments(text)
	if trimmed := bytes.TrimSpace(text); bytes.HasPrefix(trimmed, []byte("{")) {
		next = jsonDocuments(trimmed)
	}
	for n := 1; ; n++ {
		doc, err := next()
		if errors.Is(err, io.EOF) {
			return
		}
		where := fmt.Sprintf("%s: document %d", name, n)
		if err != nil {
			r.errs = append(r.errs, fmt.Errorf("%s: %w", where, err))
			return // where the next one begins is not known
		}
		r.document(where, doc)
	}
}

func yamlDocuments(text []byte) func() ([]byte, error) {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	return func() ([]byte, error) {
		doc, err := documents.Read()
		if err != nil {
			return nil, err
		}
		return yaml.YAMLToJSONStrict(doc)
	}
}

func jsonDocuments(text []byte) func() ([]byte, error) {
	documents := json.NewDecoder(bytes.NewReader(text))
	return func() ([]byte, error) {
		var doc json.RawMessage
		err := documents.Decode(&doc)
		return doc, err
	}
}

// document reads one object, or each object of a list.
func (r *reader) document(where string, text []byte) {
	if bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		return // comments only
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"metadata"`
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: it is no Kubernetes object: %w", where, err))
		return
	}
	if head.Kind == "" || head.APIVersion == "" {
		r.errs = append(r.errs, fmt.Errorf("%s: apiVersion and kind are required", where))
		return
	}
	if strings.HasSuffix(head.Kind, "List") && head.Items != nil {
		for i, item := range head.Items {
			r.document(fmt.Sprintf("%s, item %d", where, i+1), item)
		}
		return
	}
	r.found = append(r.found, Document{
		Where:      fmt.Sprintf("%s (%s %s)", where, head.Kind, strings.TrimPrefix(head.Metadata.Namespace+"/"+head.Metadata.Name, "/")),
		APIVersion: head.APIVersion, Kind: head.Kind, JSON: text,
	})
}
