// Command generate gives the CRDs that controller-gen wrote the bounds and rules of Kubernetes' own types.
//
// Requirements and taints are types of k8s.io/api, which cannot carry markers of ours, and controller-gen has no marker for the
// values of a map of strings. Without a bound on every string, the API server estimates the worst case of a CEL rule as megabytes
// and refuses the CRD. So whatever looks like a requirement, a taint, node labels or a limit gets the same bounds and the
// same rules here, in every CRD: rules.go says which.
//
// It rewrites the files that it is given, and refuses what is no CRD with a spec. go generate runs it after controller-gen. It also gives the
// charts their copies, since a chart can hold no file from outside of it.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

func main() {
	for _, path := range os.Args[1:] {
		if err := rewrite(path); err != nil {
			fmt.Fprintf(os.Stderr, "guarding %s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func rewrite(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(raw, &crd); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	for i := range crd.Spec.Versions {
		spec, ok := crd.Spec.Versions[i].Schema.OpenAPIV3Schema.Properties["spec"]
		if !ok {
			return fmt.Errorf("version %s has no spec", crd.Spec.Versions[i].Name)
		}
		g := guarding{group: crd.Spec.Group, boundsOnly: crd.Spec.Names.Kind == "NodeClaim"}
		g.guard("spec", &spec)
		crd.Spec.Versions[i].Schema.OpenAPIV3Schema.Properties["spec"] = spec
	}
	out, err := yaml.Marshal(struct {
		APIVersion string                                       `json:"apiVersion"`
		Kind       string                                       `json:"kind"`
		Metadata   map[string]any                               `json:"metadata"`
		Spec       apiextensionsv1.CustomResourceDefinitionSpec `json:"spec"`
	}{crd.APIVersion, crd.Kind, map[string]any{"name": crd.Name, "annotations": crd.Annotations}, crd.Spec})
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path, append([]byte("---\n"), out...), 0o644), copyToCharts(&crd, filepath.Base(path), out))
}

// charts is seen from the packages of the types, where go generate runs.
const charts = "../../../charts"

// copyToCharts writes a native CRD into slipway's crds, which Helm installs once and then leaves alone, and as a template into slipway-crds,
// with which it is upgraded. The one of v1alpha5 is a file that slipway's template decides about.
func copyToCharts(crd *apiextensionsv1.CustomResourceDefinition, name string, content []byte) error {
	if crd.Spec.Group != v1alpha1.Group {
		return os.WriteFile(filepath.Join(charts, "slipway", "files", name), content, 0o644)
	}
	if bytes.Contains(content, []byte("{{")) {
		return fmt.Errorf("%s has {{, which Helm would take for its own", name)
	}
	annotations := []byte("  annotations:\n")
	kept := bytes.Replace(content, annotations, append(annotations, "    helm.sh/resource-policy: keep\n"...), 1)
	if bytes.Equal(kept, content) {
		return fmt.Errorf("%s has no annotations, to which the one that keeps it could be added", name)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(charts, "slipway", "crds", name), content, 0o644),
		os.WriteFile(filepath.Join(charts, "slipway-crds", "templates", name), kept, 0o644))
}
