package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// passing are kinds whose objects come and go by themselves, and one that is no object.
var passing = []string{"Event", "ComponentStatus"}

// objects answers every object of a cluster, of every kind that its API server has, as kind, namespace and name.
func objects(ctx context.Context, config *rest.Config) (map[string]bool, error) {
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	lists, err := kinds.ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("asking for all kinds: %w", err)
	}
	all := map[string]bool{}
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("reading the kinds: %w", err)
		}
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains(passing, r.Kind) {
				continue
			}
			found, err := client.Resource(group.WithResource(r.Name)).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) {
				continue // the kind has gone meanwhile
			}
			if err != nil {
				return nil, fmt.Errorf("listing %s: %w", r.Name, err)
			}
			for _, o := range found.Items {
				all[fmt.Sprintf("%s.%s %s/%s", r.Kind, group.Group, o.Namespace, o.Name)] = true
			}
		}
	}
	return all, nil
}

// added waits until the objects that were not there when the suite began are exactly these.
func (s *story) added(want ...string) {
	s.Helper()
	slices.Sort(want)
	s.Eventually(soon, fmt.Sprintf("what is left to be %q", want), func() error {
		now, err := objects(s.Context(), s.site.Cluster.Config())
		if err != nil {
			return err
		}
		var more, less []string
		for o := range now {
			if !s.site.before[o] {
				more = append(more, o)
			}
		}
		for o := range s.site.before {
			if !now[o] {
				less = append(less, o)
			}
		}
		slices.Sort(more)
		if len(less) > 0 {
			slices.Sort(less)
			return fmt.Errorf("objects of others are gone: %q", less)
		}
		if !slices.Equal(more, want) {
			return fmt.Errorf("left are %q", more)
		}
		return nil
	})
}

// gone waits until namespaces are no more.
func (s *story) gone(namespaces ...string) {
	s.Helper()
	s.Eventually(soon, fmt.Sprintf("namespaces %q to go", namespaces), func() error {
		var left []error
		for _, name := range namespaces {
			n, err := s.kube.CoreV1().Namespaces().Get(s.Context(), name, metav1.GetOptions{})
			switch {
			case err == nil:
				left = append(left, fmt.Errorf("%s is %s: %v", name, n.Status.Phase, n.Status.Conditions))
			case !apierrors.IsNotFound(err):
				left = append(left, err)
			}
		}
		return errors.Join(left...)
	})
}
