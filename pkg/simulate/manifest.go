package simulate

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

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// maxInput bounds what is read of one file, in bytes.
const maxInput = 256 << 20

// Manifest is one object and where it stood.
type Manifest struct {
	// Where names file, document and object for messages: jobs.yaml: document 2 (Job default/train).
	Where string
	// Object is typed if its kind is one of Kubernetes' own or ours, else *unstructured.Unstructured.
	Object client.Object
}

// Reader reads manifests.
type reader struct {
	decoder runtime.Decoder
	scheme  *runtime.Scheme
	found   []Manifest
	errs    []error
}

// ReadManifests reads files, directories (all of their .yaml, .yml and .json, at any depth) and stdin ("-") in that order: YAML and JSON
// of one or several documents, and lists. The error joins everything that is wrong, each with file, document and field.
func ReadManifests(paths []string, stdin io.Reader) ([]Manifest, error) {
	r, err := newReader()
	if err != nil {
		return nil, err
	}
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

func newReader() (*reader, error) {
	scheme, err := knownKinds()
	if err != nil {
		return nil, err
	}
	return &reader{scheme: scheme, decoder: serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()}, nil
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
	where = fmt.Sprintf("%s (%s %s)", where, head.Kind, strings.TrimPrefix(head.Metadata.Namespace+"/"+head.Metadata.Name, "/"))
	object, err := r.decode(text)
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %w", where, err))
		return
	}
	r.found = append(r.found, Manifest{Where: where, Object: object})
}

// decode reads a known kind strictly, and any other as it is.
func (r *reader) decode(text []byte) (client.Object, error) {
	decoded, gvk, err := r.decoder.Decode(text, nil, nil)
	if err == nil {
		object, ok := decoded.(client.Object)
		if !ok {
			return nil, fmt.Errorf("%s is no object that a cluster keeps", gvk.Kind)
		}
		object.GetObjectKind().SetGroupVersionKind(*gvk)
		return object, nil
	}
	if !runtime.IsNotRegisteredError(err) {
		return nil, err
	}
	if gvk != nil && (r.scheme.IsGroupRegistered(gvk.Group)) && !foreign(gvk.Group) {
		return nil, fmt.Errorf("%s knows no kind %s", gvk.GroupVersion(), gvk.Kind)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	return u, nil
}

// foreign tells of groups of which this program knows some kinds only, so that any other is skipped, not refused.
func foreign(group string) bool { return group == "karpenter.sh" }
