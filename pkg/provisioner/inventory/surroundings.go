package inventory

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// surroundings are the pods that wait, those whose node the cloud is about to take (their successors will need a place, and its launch
// must not wait until they have been evicted), and what is around them.
func (m *Mirror) surroundings(ctx context.Context, l *lists, placed podsByNode, v *plan.View) (demand.Surroundings, error) {
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
	s.Moving = moving(placed, v.Claims, v.Nodes)
	var err error
	if s.Storage, err = m.storage(ctx, s.Waiting, s.Moving); err != nil {
		return s, err
	}
	s.Defaults, err = m.defaults(ctx)
	return s, err
}

// moving are the pods on nodes that the cloud has said it will take.
func moving(placed podsByNode, claims []plan.Claim, nodes []plan.Node) []*corev1.Pod {
	noticed := map[string]bool{}
	for _, c := range claims {
		if r := c.Object.Status.Retire; r != nil && r.Reason == v1alpha1.RetireNotice {
			noticed[c.Object.Name] = true
		}
	}
	var pods []*corev1.Pod
	for _, n := range nodes {
		if n.Claim != "" && noticed[n.Claim] {
			pods = append(pods, placed.bound[n.Name]...)
		}
	}
	return pods
}

// storage reads what decides where the volumes of pods are, if any of the pods that may be demands has one. It is watched from the first such
// pod on: a cluster whose GPU pods have no volumes pays nothing. What has changed since the pods were read is newer than they are, as it
// is for their scheduler.
func (m *Mirror) storage(ctx context.Context, lists ...[]*corev1.Pod) (demand.Storage, error) {
	if !slices.ContainsFunc(slices.Concat(lists...), func(p *corev1.Pod) bool { return demand.AsksForGPU(p) && demand.UsesVolumes(p) }) {
		return demand.Storage{}, nil
	}
	return readStorage(ctx, m.Reader)
}

// defaults reads which pods belong together, if the scheduler spreads those by itself. Nothing of it is watched otherwise.
func (m *Mirror) defaults(ctx context.Context) (demand.Defaults, error) {
	if len(m.DefaultSpread) == 0 {
		return demand.Defaults{}, nil
	}
	var services corev1.ServiceList
	var controllers corev1.ReplicationControllerList
	var replicaSets appsv1.ReplicaSetList
	var statefulSets appsv1.StatefulSetList
	if err := listAll(ctx, m.Reader, &services, &controllers, &replicaSets, &statefulSets); err != nil {
		return demand.Defaults{}, err
	}
	return demand.Defaults{
		Constraints: m.DefaultSpread, Services: pointers(services.Items), Controllers: pointers(controllers.Items),
		ReplicaSets: pointers(replicaSets.Items), StatefulSets: pointers(statefulSets.Items),
	}, nil
}

func listAll(ctx context.Context, r client.Reader, lists ...client.ObjectList) error {
	for _, list := range lists {
		if err := r.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("listing %T: %w", list, err)
		}
	}
	return nil
}

func pointers[T any](items []T) []*T {
	list := make([]*T, len(items))
	for i := range items {
		list[i] = &items[i]
	}
	return list
}

// keepCompany says of each node what the pods on it are to those that wait, and answers what volumes it would take besides if it ran the
// drivers that it misses.
func keepCompany(nodes []plan.Node, pods podsByNode, around *demand.Neighbourhood) map[string]demand.Resources {
	missing := map[string]demand.Resources{}
	for i := range nodes {
		n := &nodes[i]
		c := around.Company(n.Name, pods.of(n.Name))
		n.Chosen, n.Lasting, n.Apart, n.Ports = c.Chosen, c.Lasting, c.Apart, c.Ports
		n.Free = n.Free.Add(c.Attachable)
		if len(c.Missing) > 0 {
			missing[n.Name] = c.Missing
		}
	}
	return missing
}
