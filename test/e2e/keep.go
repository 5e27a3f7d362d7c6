package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

// fakeAWS is the namespace, the Service and the Deployment of fakeaws where it runs in the cluster.
const fakeAWS = "fakeaws"

// keepObjects writes what the API server knows of the pods, Deployments and events of the release and of fakeaws into a directory, a file for each
// kind and namespace. It needs no story to have begun: helm install may be what failed.
func keepObjects(ctx context.Context, client kubernetes.Interface, directory string) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return fmt.Errorf("making the directory for objects: %w", err)
	}
	var errs []error
	for _, namespace := range []string{Namespace, fakeAWS} {
		for kind, list := range map[string]func() (any, error){
			"pods": func() (any, error) { return client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{}) },
			"events": func() (any, error) {
				return client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
			},
			"deployments": func() (any, error) {
				return client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
			},
		} {
			found, err := list()
			if err != nil {
				errs = append(errs, fmt.Errorf("listing %s of %s: %w", kind, namespace, err))
				continue
			}
			text, err := yaml.Marshal(found)
			if err == nil {
				err = os.WriteFile(filepath.Join(directory, namespace+"-"+kind+".yaml"), text, 0o644)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("keeping %s of %s: %w", kind, namespace, err))
			}
		}
	}
	return errors.Join(errs...)
}
