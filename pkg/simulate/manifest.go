package simulate

import (
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/manifest"
)

// Manifest is one object and where it stood.
type Manifest struct {
	// Where names file, document and object for messages: jobs.yaml: document 2 (Job default/train).
	Where string
	// Object is typed if its kind is one of Kubernetes' own or ours, else *unstructured.Unstructured.
	Object client.Object
}

// reader decodes manifests.
type reader struct {
	decoder runtime.Decoder
	scheme  *runtime.Scheme
}

// ReadManifests reads what manifest.Read does, and decodes it. The error joins everything that is wrong, each with file, document and field.
func ReadManifests(paths []string, stdin io.Reader) ([]Manifest, error) {
	r, err := newReader()
	if err != nil {
		return nil, err
	}
	documents, err := manifest.Read(paths, stdin)
	errs := []error{err}
	var found []Manifest
	for _, d := range documents {
		object, err := r.decode(d.JSON)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", d.Where, err))
			continue
		}
		found = append(found, Manifest{Where: d.Where, Object: object})
	}
	return found, errors.Join(errs...)
}

func newReader() (*reader, error) {
	scheme, err := knownKinds()
	if err != nil {
		return nil, err
	}
	return &reader{scheme: scheme, decoder: serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()}, nil
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
