package machine

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// leaseEvery is how often a kubelet renews its lease.
const leaseEvery = 10 * time.Second

// played is what is known of one machine's part in the cluster.
//
//	booting ─► joined ─► initialized ─► GPUs shown
//	   └► refused (its user data lets no kubelet start)      any ─► node gone
type played struct {
	player  *Player
	machine sim.Machine

	refused, joined, initialized, gpusShown, nodeGone bool

	allocatable corev1.ResourceList
	leaseDue    time.Time
	pods        map[string]*playedPod // by UID
}

func (s *played) step(ctx context.Context, now time.Time, pods []*corev1.Pod) error {
	m := s.machine
	switch {
	case m.State == cloud.InstanceTerminated:
		return s.end(ctx, pods)
	case !m.Alive(), s.refused, m.JoinAt.IsZero(), now.Before(m.JoinAt):
		return nil // no kubelet runs: what it last said stands
	}
	if err := s.stepNode(ctx, now); err != nil {
		return fmt.Errorf("playing node %s: %w", m.PrivateDNS, err)
	}
	if !s.joined {
		return nil
	}
	return s.stepPods(ctx, now, pods)
}

func (s *played) stepNode(ctx context.Context, now time.Time) error {
	switch {
	case !s.joined:
		return s.join(ctx, now)
	case s.nodeGone: // a kubelet registers once: a Node that someone deleted does not come back
		return nil
	case !s.initialized:
		return s.settleIn(ctx, now)
	case !s.gpusShown && !s.machine.GPUAt.IsZero() && !now.Before(s.machine.GPUAt):
		if err := s.showGPUs(ctx); err != nil {
			return err
		}
	}
	return s.renew(ctx, now)
}

// config answers what the machine boots with: its user data or, where it was launched through sim's port, a value.
func (s *played) config() (Boot, error) {
	if s.machine.Choice.UserData == "" {
		boot := Boot{Cluster: s.player.Cloud.ClusterName(), NodeConfig: s.machine.Node}
		return boot, boot.check()
	}
	boot, err := ParseUserData(s.machine.Choice.UserData)
	if err == nil && boot.Cluster != s.player.Cloud.ClusterName() {
		err = fmt.Errorf("the user data joins cluster %q; this is %q", boot.Cluster, s.player.Cloud.ClusterName())
	}
	return boot, err
}

func (s *played) join(ctx context.Context, now time.Time) error {
	m := s.machine
	boot, err := s.config()
	var node *corev1.Node
	if err == nil {
		node, err = register(m, s.player.types[m.Key.InstanceType], boot, now)
	}
	if err != nil {
		s.refused = true
		s.player.Log.Error("the machine cannot join", "instance", m.ID, "reason", err)
		return nil
	}
	nodes := s.player.Client.CoreV1().Nodes()
	created, err := nodes.Create(ctx, node, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		created, err = s.takeOver(ctx, node)
	}
	if err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	s.joined, s.allocatable, s.leaseDue = true, created.Status.Allocatable.DeepCopy(), now.Add(leaseEvery)
	s.player.Log.Info("node joined", "node", m.PrivateDNS, "instance", m.ID, "type", m.Key.InstanceType)
	lease := newLease(created, now)
	if _, err := s.player.Client.CoordinationV1().Leases(leaseNamespace).Create(ctx, lease, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the lease: %w", err)
	}
	return nil
}

// takeOver answers the Node of that name if it is this machine's, and removes it if it is another's, which is gone.
func (s *played) takeOver(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	nodes := s.player.Client.CoreV1().Nodes()
	old, err := nodes.Get(ctx, node.Name, metav1.GetOptions{})
	if err != nil || old.Spec.ProviderID == node.Spec.ProviderID {
		return old, err
	}
	if err := nodes.Delete(ctx, old.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(old.UID))}); err != nil {
		return nil, err
	}
	return nodes.Create(ctx, node, metav1.CreateOptions{})
}

// settleIn lets the cloud controller manager see the node, and then the kubelet be ready.
func (s *played) settleIn(ctx context.Context, now time.Time) error {
	nodes := s.player.Client.CoreV1().Nodes()
	node, err := s.getNode(ctx)
	if node == nil {
		return err
	}
	initialize(node, s.machine, s.player.Cloud.Region())
	if node, err = nodes.Update(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("initializing: %w", err)
	}
	node.Status.Conditions = conditions(now, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status")
	if _, err := nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("posting that it is ready: %w", err)
	}
	s.initialized = true
	return nil
}

// getNode answers the machine's Node; nil, and it is gone for good, where there is none.
func (s *played) getNode(ctx context.Context) (*corev1.Node, error) {
	node, err := s.player.Client.CoreV1().Nodes().Get(ctx, s.machine.PrivateDNS, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		s.nodeGone = true
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the node: %w", err)
	}
	return node, nil
}

func (s *played) showGPUs(ctx context.Context) error {
	node, err := s.getNode(ctx)
	if node == nil {
		return err
	}
	name := GPUResource(s.player.types[s.machine.Key.InstanceType].GPU)
	count := *resource.NewQuantity(int64(s.machine.GPUs), resource.DecimalSI)
	node.Status.Capacity[name], node.Status.Allocatable[name] = count, count
	if _, err := s.player.Client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("showing the GPUs: %w", err)
	}
	s.gpusShown, s.allocatable[name] = true, count
	s.player.Log.Info("GPUs are ready", "node", node.Name, "gpus", s.machine.GPUs)
	return nil
}

func (s *played) renew(ctx context.Context, now time.Time) error {
	if now.Before(s.leaseDue) {
		return nil
	}
	patch := fmt.Sprintf(`{"spec":{"renewTime":%q}}`, now.UTC().Format(metav1.RFC3339Micro))
	_, err := s.player.Client.CoordinationV1().Leases(leaseNamespace).Patch(ctx, s.machine.PrivateDNS, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("renewing the lease: %w", err)
	}
	s.leaseDue = now.Add(leaseEvery)
	return nil
}

// end takes the Node of a terminated machine away, and fails what was left on it. Pods that the scheduler bound at the last
// moment come here later.
func (s *played) end(ctx context.Context, pods []*corev1.Pod) error {
	if s.joined && !s.nodeGone {
		err := s.player.Client.CoreV1().Nodes().Delete(ctx, s.machine.PrivateDNS, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("removing node %s: %w", s.machine.PrivateDNS, err)
		}
		s.nodeGone = true
		s.player.Log.Info("node is gone", "node", s.machine.PrivateDNS, "instance", s.machine.ID, "reason", s.machine.StateReason)
	}
	var errs []error
	for _, pod := range pods {
		errs = append(errs, s.orphaned(ctx, pod))
	}
	return errors.Join(errs...)
}
