package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	fieldManager = "slipway-test"
	// kindAppears bounds the wait for what comes a moment after something else: a kind after its
	// CustomResourceDefinition.
	kindAppears = 20 * time.Second
)

// ApplyManifests does what `kubectl apply --server-side --force-conflicts` does: it creates or updates every object in
// the given YAML or JSON texts (several documents each, Lists taken apart), namespaces and custom resource definitions
// first and the rest in the given order. It returns when all are accepted and every definition is established, so that
// its kind can be used. An object of a namespaced kind that names no namespace goes to "default".
//
// The first object that is refused ends it; the error names that object and wraps the API server's error.
func ApplyManifests(ctx context.Context, config *rest.Config, manifests ...[]byte) error {
	var objects []*unstructured.Unstructured
	for _, text := range manifests {
		read, err := readObjects(text)
		if err != nil {
			return fmt.Errorf("reading manifests: %w", err)
		}
		objects = append(objects, read...)
	}
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return applyRank(a) - applyRank(b) })
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("applying manifests: %w", err)
	}
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("applying manifests: %w", err)
	}
	a := applier{client: client, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kinds))}
	for _, object := range objects {
		if err := a.apply(ctx, object); err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

type applier struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

func (a applier) apply(ctx context.Context, object *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, kindAppears)
	defer cancel()
	resource, err := a.resourceFor(ctx, object)
	if err != nil {
		return err
	}
	text, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("encoding it: %w", err)
	}
	force := true
	_, err = resource.Patch(ctx, object.GetName(), types.ApplyPatchType, text,
		metav1.PatchOptions{FieldManager: fieldManager, Force: &force, FieldValidation: metav1.FieldValidationStrict})
	if err != nil || !isDefinition(object) {
		return err
	}
	return poll(ctx, func() error {
		got, err := resource.Get(ctx, object.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		return established(got)
	})
}

// resourceFor finds where objects of this kind live. It asks again for a while if there is no such kind: a definition
// is established a moment before the kind is listed.
func (a applier) resourceFor(ctx context.Context, object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	var mapping *meta.RESTMapping
	begin := time.Now()
	err := poll(ctx, func() (err error) {
		mapping, err = a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err == nil {
			return nil
		}
		if !meta.IsNoMatchError(err) && !apierrors.IsServiceUnavailable(err) || time.Since(begin) > kindAppears/2 {
			return final{err}
		}
		a.mapper.Reset()
		return err
	})
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return a.client.Resource(mapping.Resource), nil
	}
	if object.GetNamespace() == "" {
		object.SetNamespace(metav1.NamespaceDefault)
	}
	return a.client.Resource(mapping.Resource).Namespace(object.GetNamespace()), nil
}

// established returns nil once the API server serves what the definition defines.
func established(definition *unstructured.Unstructured) error {
	// Until the API server has looked at it the list is null, which this calls an error.
	conditions, _, _ := unstructured.NestedSlice(definition.Object, "status", "conditions")
	for _, condition := range conditions {
		c, ok := condition.(map[string]any)
		if !ok {
			continue
		}
		switch {
		case c["type"] == "Established" && c["status"] == "True":
			return nil
		case c["type"] == "NamesAccepted" && c["status"] == "False":
			return final{fmt.Errorf("its names are not accepted: %v", c["message"])}
		}
	}
	return errors.New("it is not established")
}

// readObjects takes a text of several documents apart. Documents that hold nothing but comments are left out.
func readObjects(text []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for n := 1; ; n++ {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if !object.IsList() {
			objects = append(objects, object)
			continue
		}
		err = object.EachListItem(func(item runtime.Object) error {
			objects = append(objects, item.(*unstructured.Unstructured))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
	}
}

// applyRank puts first what other objects cannot be without.
func applyRank(object *unstructured.Unstructured) int {
	switch {
	case object.GetKind() == "Namespace" && object.GroupVersionKind().Group == "":
		return 0
	case isDefinition(object):
		return 1
	}
	return 2
}

func isDefinition(object *unstructured.Unstructured) bool {
	kind := object.GroupVersionKind()
	return kind.Kind == "CustomResourceDefinition" && kind.Group == "apiextensions.k8s.io"
}
