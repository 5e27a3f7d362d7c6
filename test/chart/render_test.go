package chart

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	k8syaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const charts = "../../charts"

// cluster is what Helm knows about the cluster that it renders for, and the CRDs that are there.
type cluster struct {
	serves []string
	crds   []*unstructured.Unstructured
}

// GetClientFor answers the client that the templates' lookup asks.
func (c cluster) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	if apiVersion != "apiextensions.k8s.io/v1" || kind != "CustomResourceDefinition" {
		return nil, false, fmt.Errorf("a template looks for %s %s, which no test plays", apiVersion, kind)
	}
	var objects []runtime.Object
	for _, o := range c.crds {
		objects = append(objects, o)
	}
	resource := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{resource: kind + "List"}, objects...)
	return client.Resource(resource), false, nil
}

// render answers what a chart makes of values, by template.
func render(name string, values map[string]any, c cluster) (map[string]string, error) {
	loaded, err := loader.LoadDir(filepath.Join(charts, name))
	if err != nil {
		return nil, fmt.Errorf("loading the chart: %w", err)
	}
	return renderLoaded(loaded, values, c)
}

func renderLoaded(loaded *chart.Chart, values map[string]any, c cluster) (map[string]string, error) {
	capabilities := common.DefaultCapabilities.Copy()
	capabilities.KubeVersion = common.KubeVersion{Version: "v1.37.2", Major: "1", Minor: "37"}
	capabilities.APIVersions = append(slices.Clone(capabilities.APIVersions), c.serves...)
	options := common.ReleaseOptions{Name: "slipway", Namespace: "slipway-system", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(loaded, values, options, capabilities)
	if err != nil {
		return nil, err
	}
	return engine.RenderWithClientProvider(loaded, all, c)
}

// rendered is render for values that must do, as objects in the order of their templates.
func rendered(t *testing.T, values map[string]any, c cluster) []*unstructured.Unstructured {
	t.Helper()
	files, err := render("slipway", values, c)
	if err != nil {
		t.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	for _, name := range sorted(files) {
		if path.Ext(name) == ".yaml" {
			objects = append(objects, decode(t, name, files[name])...)
		}
	}
	return objects
}

func sorted(files map[string]string) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// decode reads objects; those of Kubernetes' own kinds must have no field that Kubernetes does not know.
func decode(t *testing.T, name, text string) []*unstructured.Unstructured {
	t.Helper()
	strict := serializer.NewCodecFactory(clientgoscheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var objects []*unstructured.Unstructured
	for reader := k8syaml.NewYAMLReader(newReader(text)); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(document, &object.Object); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, document)
		}
		if len(object.Object) == 0 {
			continue
		}
		if _, _, err := strict.Decode(document, nil, nil); err != nil && !runtime.IsNotRegisteredError(err) {
			t.Errorf("%s: %v\n%s", name, err, document)
		}
		objects = append(objects, object)
	}
}

// of answers the one object of a kind and name.
func of(t *testing.T, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	i := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind && o.GetName() == name })
	if i < 0 {
		t.Fatalf("no %s %s is rendered", kind, name)
	}
	return objects[i]
}

// as converts an object to its Go type.
func as[T any](t *testing.T, object *unstructured.Unstructured) *T {
	t.Helper()
	var typed T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &typed); err != nil {
		t.Fatal(err)
	}
	return &typed
}

// values reads YAML as values of a chart.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	v, err := loader.LoadValues(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// matchGolden compares with a reviewed file; with -update it writes it.
func matchGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := compare(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it, then read the difference):\n%s", name, diff)
	}
}
