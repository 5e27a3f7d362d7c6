package inventory

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// surroundings are the pods that wait, those whose node the cloud is about to take (their successors will need a place, and its launch
// must not wait until they have been evicted), and what is around them.
func surroundings(l *lists, placed podsByNode, claims []plan.Claim, nodes []plan.Node) demand.Surroundings {
	s := demand.Surroundings{
		Waiting: make([]*corev1.Pod, 0, 64), Namespaces: make(map[string]map[string]string, len(l.namespaces.Items)),
		DaemonSets: pointers(l.daemonSets.Items),
	}
	for i := range l.pods.Items {
		if p := &l.pods.Items[i]; p.Spec.NodeName == "" && !slices.Contains(placed.nominated[p.Status.NominatedNodeName], p) {
			s.Waiting = append(s.Waiting, p)
		}
	}
	for _, by := range []map[string][]*corev1.Pod{placed.bound, placed.nominated} {
		for _, pods := range by {
			s.Placed = append(s.Placed, pods...) // in any order: none reaches the demands
		}
	}
	for i := range l.namespaces.Items {
		s.Namespaces[l.namespaces.Items[i].Name] = l.namespaces.Items[i].Labels
	}
	noticed := map[string]bool{}
	for _, c := range claims {
		if r := c.Object.Status.Retire; r != nil && r.Reason == v1alpha1.RetireNotice {
			noticed[c.Object.Name] = true
		}
	}
	for _, n := range nodes {
		if n.Claim != "" && noticed[n.Claim] {
			s.Moving = append(s.Moving, placed.bound[n.Name]...)
		}
	}
	return s
}

// storage reads what decides where the volumes of pods are, if any of the pods that may be demands has one. It is watched from the first such
// pod on: a cluster whose GPU pods have no volumes pays nothing. What has changed since the pods were read is newer than they are, as it
// is for their scheduler.
func (m *Mirror) storage(ctx context.Context, lists ...[]*corev1.Pod) (demand.Storage, error) {
	if !slices.ContainsFunc(slices.Concat(lists...), func(p *corev1.Pod) bool { return demand.AsksForGPU(p) && demand.UsesVolumes(p) }) {
		return demand.Storage{}, nil
	}
	var claims corev1.PersistentVolumeClaimList
	var volumes corev1.PersistentVolumeList
	var classes storagev1.StorageClassList
	var nodes storagev1.CSINodeList
	for _, list := range []client.ObjectList{&claims, &volumes, &classes, &nodes} {
		if err := m.Reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return demand.Storage{}, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	return demand.Storage{
		Claims: pointers(claims.Items), Volumes: pointers(volumes.Items), Classes: pointers(classes.Items), Nodes: pointers(nodes.Items),
	}, nil
}

func pointers[T any](items []T) []*T {
	list := make([]*T, len(items))
	for i := range items {
		list[i] = &items[i]
	}
	return list
}

// keepCompany says of each node what the pods on it are to those that wait.
func keepCompany(nodes []plan.Node, pods podsByNode, around *demand.Neighbourhood) {
	for i := range nodes {
		n := &nodes[i]
		c := around.Company(n.Name, pods.of(n.Name))
		n.Chosen, n.Lasting, n.Apart, n.Ports = c.Chosen, c.Lasting, c.Apart, c.Ports
		n.Free = n.Free.Add(c.Attachable)
	}
}
