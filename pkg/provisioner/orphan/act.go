package orphan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// end terminates an orphan, unless a GPU pod works on it: then its end waits for the pod's. A node is fenced one sweep before it is looked at: a
// scheduler that has not seen the fence yet may still bind a pod.
func (s *sweep) end(ctx context.Context, i cloud.Instance) error {
	node := s.node(i)
	if node != nil {
		if fenced, err := s.fence(ctx, node); fenced || err != nil {
			return err
		}
		pod, err := s.busy(ctx, node)
		if err != nil {
			return err
		}
		if pod != "" {
			s.cfg.Log.Info("Leaving a machine without a claim until its pod has ended", "instance", i.ID, "Node", node.Name, "Pod", pod)
			s.cfg.Events.Eventf(node, nil, corev1.EventTypeWarning, v1alpha1.EventOrphaned, "Terminating",
				"instance %s has no NodeClaim; it is terminated once pod %s has ended", i.ID, pod)
			return nil
		}
	}
	if err := s.cfg.Fleet.Terminate(ctx, i.ID); err != nil && !errors.Is(err, cloud.ErrGone) {
		return fmt.Errorf("terminating orphan %s: %w", i.ID, err)
	}
	s.cfg.Meter.OrphanTerminated()
	s.cfg.Log.Info("Terminated a machine without a claim", "instance", i.ID, "token", i.Token, "claim", i.Claim, "offering", i.OfferingKey)
	if node != nil {
		s.cfg.Events.Eventf(node, nil, corev1.EventTypeWarning, v1alpha1.EventOrphaned, "Terminating", "instance %s has no NodeClaim; it is terminated", i.ID)
	}
	return nil
}

func (s *sweep) node(i cloud.Instance) *corev1.Node {
	n := slices.IndexFunc(s.nodes, func(n corev1.Node) bool { return n.Spec.ProviderID == i.ProviderID })
	if n < 0 {
		return nil
	}
	return &s.nodes[n]
}

// fence keeps new pods off, and answers whether they were not kept off before. The patch is refused if the node has changed since: taints are
// one list.
func (s *sweep) fence(ctx context.Context, node *corev1.Node) (fenced bool, err error) {
	if slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == v1alpha1.TaintRetiring }) {
		return false, nil
	}
	after := node.DeepCopy()
	after.Spec.Taints = append(after.Spec.Taints, corev1.Taint{Key: v1alpha1.TaintRetiring, Effect: corev1.TaintEffectNoSchedule})
	err = s.cfg.Client.Patch(ctx, after, client.MergeFromWithOptions(node, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("fencing node %s: %w", node.Name, err)
	}
	return true, nil
}

// busy answers a GPU pod that is bound to a node and has not ended, from the API server; empty: there is none.
func (s *sweep) busy(ctx context.Context, node *corev1.Node) (string, error) {
	var pods corev1.PodList
	if err := s.cfg.Live.List(ctx, &pods, client.MatchingFields{"spec.nodeName": node.Name}); err != nil {
		return "", fmt.Errorf("listing the pods of node %s: %w", node.Name, err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if demand.UsesGPU(p, s.now) {
			return p.Namespace + "/" + p.Name, nil
		}
	}
	return "", nil
}

// retireGone retires the claims whose machine is gone. The list of machines only raises the suspicion: each is asked for by ID.
func (s *sweep) retireGone(ctx context.Context) error {
	seen := map[string]bool{}
	for _, i := range s.instances {
		seen[i.ID] = true
	}
	var errs []error
	for i := range s.claims {
		claim := &s.claims[i]
		if claim.Status.InstanceID == "" || seen[claim.Status.InstanceID] || s.young(claim) || settled(claim) {
			continue
		}
		_, err := s.cfg.Fleet.Instance(ctx, claim.Status.InstanceID)
		switch {
		case errors.Is(err, cloud.ErrGone):
			errs = append(errs, s.gone(ctx, claim, cloud.EndReason(err)))
		case err != nil:
			errs = append(errs, fmt.Errorf("looking at instance %s: %w", claim.Status.InstanceID, err))
		}
	}
	return errors.Join(errs...)
}

func (s *sweep) young(claim *v1alpha1.NodeClaim) bool {
	launched := meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionLaunched)
	return launched == nil || s.now.Sub(launched.LastTransitionTime.Time) < s.cfg.Grace
}

// settled: the claim knows that its machine ends, or is gone, and is being deleted.
func settled(claim *v1alpha1.NodeClaim) bool {
	if claim.DeletionTimestamp.IsZero() {
		return false
	}
	drained := meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionDrained)
	ending := drained != nil && drained.Reason == string(v1alpha1.ReasonTerminating)
	return ending || claim.Status.Retire != nil && claim.Status.Retire.Reason == v1alpha1.RetireGone
}

// gone notes why a claim goes, with the cloud's reason if there is one, and deletes it. Both are refused if the claim has changed since it was read.
func (s *sweep) gone(ctx context.Context, claim *v1alpha1.NodeClaim, reason string) error {
	if claim.Status.Retire == nil || claim.Status.Retire.Reason != v1alpha1.RetireGone {
		before := claim.DeepCopy()
		message := "instance " + claim.Status.InstanceID + " does not exist any more"
		if reason != "" {
			message += ": " + reason
		}
		claim.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireGone, Message: message, Since: metav1.NewTime(s.now)}
		err := s.cfg.Client.Status().Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil // the next sweep sees the claim as it is now
		}
		if err != nil {
			return fmt.Errorf("retiring claim %s: %w", claim.Name, err)
		}
		s.cfg.Log.Info("Retiring a claim whose machine is gone", "NodeClaim", claim.Name, "instance", claim.Status.InstanceID)
		s.cfg.Events.Eventf(claim, nil, corev1.EventTypeWarning, string(v1alpha1.RetireGone), "Retiring", "%s", message)
	}
	uid := claim.UID
	if err := s.cfg.Client.Delete(ctx, claim, client.Preconditions{UID: &uid}); err != nil && !apierrors.IsConflict(err) {
		if err = client.IgnoreNotFound(err); err != nil {
			return fmt.Errorf("deleting claim %s: %w", claim.Name, err)
		}
	}
	return nil
}

// removeNodes deletes the nodes that orphans have left behind: nodes that carry our marks, have no claim, and whose machine is gone.
func (s *sweep) removeNodes(ctx context.Context) error {
	claims, machines := map[string]bool{}, map[string]bool{}
	for i := range s.claims {
		claims[s.claims[i].Name] = true
		machines[s.claims[i].Status.ProviderID] = true
	}
	for _, i := range s.instances {
		machines[i.ProviderID] = true
	}
	var errs []error
	for i := range s.nodes {
		node := &s.nodes[i]
		young := s.now.Sub(node.CreationTimestamp.Time) < s.cfg.Grace
		if !marked(node) || young || claims[node.Labels[v1alpha1.LabelClaim]] || machines[node.Spec.ProviderID] {
			continue
		}
		errs = append(errs, s.removeNode(ctx, node))
	}
	return errors.Join(errs...)
}

// marked: only Slipway puts these on.
func marked(node *corev1.Node) bool {
	unregistered := slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == v1alpha1.TaintUnregistered })
	return node.Spec.ProviderID != "" && (node.Labels[v1alpha1.LabelClaim] != "" || unregistered)
}

func (s *sweep) removeNode(ctx context.Context, node *corev1.Node) error {
	id := node.Spec.ProviderID[strings.LastIndex(node.Spec.ProviderID, "/")+1:]
	_, err := s.cfg.Fleet.Instance(ctx, id)
	if err == nil {
		return nil
	}
	if !errors.Is(err, cloud.ErrGone) {
		return fmt.Errorf("looking at instance %s: %w", id, err)
	}
	uid := node.UID
	if err := s.cfg.Client.Delete(ctx, node, client.Preconditions{UID: &uid}); err != nil && !apierrors.IsConflict(err) {
		if err = client.IgnoreNotFound(err); err != nil {
			return fmt.Errorf("deleting node %s: %w", node.Name, err)
		}
	}
	s.cfg.Log.Info("Deleted the node of a machine that is gone", "Node", node.Name)
	return nil
}
