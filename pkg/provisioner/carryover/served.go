package carryover

import (
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
)

// GroupVersions answers which kinds an API server serves; a discovery client does.
type GroupVersions interface {
	ServerResourcesForGroupVersion(groupVersion string) (*metav1.APIResourceList, error)
}

// Served tells whether the API server serves v1alpha5 Provisioners now, which it does from the moment that their CRD is established.
// An error means that it could not be asked.
func Served(discovery GroupVersions) (bool, error) {
	groupVersion := karpenterv1alpha5.GroupVersion.String()
	list, err := discovery.ServerResourcesForGroupVersion(groupVersion)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking whether %s is served: %w", groupVersion, err)
	}
	return slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Kind == "Provisioner" }), nil
}
