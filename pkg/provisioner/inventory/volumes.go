package inventory

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// readStorage lists what says where volumes are. The first call starts the watches.
func readStorage(ctx context.Context, r client.Reader) (demand.Storage, error) {
	var claims corev1.PersistentVolumeClaimList
	var volumes corev1.PersistentVolumeList
	var classes storagev1.StorageClassList
	var nodes storagev1.CSINodeList
	var drivers storagev1.CSIDriverList
	if err := listAll(ctx, r, &claims, &volumes, &classes, &nodes, &drivers); err != nil {
		return demand.Storage{}, err
	}
	return demand.Storage{Claims: pointers(claims.Items), Volumes: pointers(volumes.Items), Classes: pointers(classes.Items),
		Nodes: pointers(nodes.Items), Drivers: pointers(drivers.Items)}, nil
}

// Volumes answers what pods' volumes need of a node.
type Volumes struct{ Reader client.Reader }

// MissingDriver answers a CSI driver that a node must run before schedulers put one of these pods there, and does not run yet; empty: there is
// none. Pods that are gone, or bound elsewhere, do not count.
func (v Volumes) MissingDriver(ctx context.Context, node string, refs []v1alpha1.PodRef) (string, error) {
	var pods []*corev1.Pod
	for _, ref := range refs {
		pod := &corev1.Pod{}
		err := v.Reader.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, pod)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return "", fmt.Errorf("reading pod %s/%s: %w", ref.Namespace, ref.Name, err)
		case pod.UID == ref.UID && pod.Spec.NodeName == "" && demand.UsesVolumes(pod):
			pods = append(pods, pod)
		}
	}
	if len(pods) == 0 {
		return "", nil
	}
	s, err := readStorage(ctx, v.Reader)
	if err != nil {
		return "", err
	}
	return demand.MissingDriver(s, node, pods), nil
}
