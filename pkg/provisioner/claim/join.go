package claim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// join lets the node in, to DaemonSets only.
//
// Until here slipway.sh/unregistered:NoExecute has kept every pod off. The patch that takes it away puts the node's labels and
// taints on and closes the node with spec.unschedulable. That is the gate behind which the GPUs appear, and it is a cordon and not
// a taint of our own for a reason: the device plugin that makes the GPUs appear is a DaemonSet, which does not tolerate our
// taints, but every DaemonSet's pod tolerates node.kubernetes.io/unschedulable, and no other pod does unless it tolerates
// everything. So kube-scheduler cannot put a pod on one GPU of eight, or on none (invariant 8). The annotation
// slipway.sh/gated tells this cordon from a person's; ready takes away only what carries it.
func (s *scope) join(ctx context.Context) (bool, error) {
	if s.claim.Status.Retire != nil {
		return false, nil
	}
	node, err := s.findNode(ctx)
	if err != nil {
		return false, err
	}
	joined := s.isTrue(v1alpha1.ConditionJoined)
	switch {
	case node == nil && joined:
		return false, s.missNode(ctx)
	case node == nil:
		return false, s.awaitNode(ctx)
	case joined && !node.DeletionTimestamp.IsZero():
		s.retire(v1alpha1.RetireDeleted, "node "+node.Name+" is being deleted")
		return false, nil
	}
	if node.Labels[v1alpha1.LabelClaim] != s.claim.Name || hasTaint(node, v1alpha1.TaintUnregistered) {
		if err := s.patchNode(ctx, node, s.register); err != nil {
			return false, err
		}
	}
	s.claim.Status.NodeName = node.Name
	if !joined {
		s.sayOf(node, corev1.EventTypeNormal, v1alpha1.ConditionJoined, "joined for claim %s; closed until its GPUs are there", s.claim.Name)
	}
	if s.reach(v1alpha1.ConditionJoined, v1alpha1.ReasonOK, "node "+node.Name+" has joined") {
		s.r.cfg.Meter.ClaimJoined(s.now.Sub(s.since(v1alpha1.ConditionLaunched)))
	}
	return true, nil
}

// register makes a node that has just joined the claim's.
func (s *scope) register(node *corev1.Node) {
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	for key, value := range s.nodeLabels() {
		// What NVIDIA's feature discovery has seen on the machine is truer than what a table says.
		if _, told := node.Labels[key]; !told || !strings.HasPrefix(key, "nvidia.com/") {
			node.Labels[key] = value
		}
	}
	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}
	maps.Copy(node.Annotations, s.claim.Spec.Annotations)
	for _, taint := range s.claim.Spec.Taints {
		addTaint(node, taint)
	}
	if !hasTaint(node, v1alpha1.TaintUnregistered) {
		// The kubelet did not take the taints that its user data names, so startup taints were never on. Where it took them, one
		// that is missing was removed by its owner, who will not do so again.
		for _, taint := range s.claim.Spec.StartupTaints {
			addTaint(node, taint)
		}
	}
	removeTaint(node, v1alpha1.TaintUnregistered)
	if !node.Spec.Unschedulable { // a person's cordon stays a person's
		node.Spec.Unschedulable = true
		node.Annotations[v1alpha1.AnnotationGated] = "true"
		// Kubernetes puts this on for the cordon, some time later: where it is there already, the node stays as the cache shows it, and
		// its gate can be opened at the first try.
		addTaint(node, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
}

func (s *scope) nodeLabels() map[string]string {
	status, spec := &s.claim.Status, &s.claim.Spec
	labels := maps.Clone(spec.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	if t, known := s.r.cfg.Catalog.Type(status.InstanceType); known {
		maps.Copy(labels, plan.TypeLabels(t))
	}
	key := cloud.OfferingKey{InstanceType: status.InstanceType, Zone: status.Zone, Market: cloud.Market(spec.Market)}
	offering, _ := s.r.cfg.Catalog.Offering(key)
	maps.Copy(labels, plan.PlaceLabels(key, s.r.cfg.Region, offering.ZoneID))
	maps.Copy(labels, plan.OwnerLabels(spec.Provisioner, spec.NodeClassRef.Name))
	labels[v1alpha1.LabelClaim] = s.claim.Name
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
	return labels
}

// awaitNode waits for the machine's node, and looks at the machine now and then: it may be gone.
func (s *scope) awaitNode(ctx context.Context) error {
	launched := s.since(v1alpha1.ConditionLaunched)
	id, state := s.claim.Status.InstanceID, "launched"
	if s.now.Sub(launched) >= visibleWithin {
		instance, err := s.r.cfg.Fleet.Instance(ctx, id)
		switch {
		case errors.Is(err, cloud.ErrGone):
			s.retire(v1alpha1.RetireGone, "instance "+id+" ended before its node joined"+because(cloud.EndReason(err)))
			return nil
		case err != nil:
			return fmt.Errorf("looking at instance %s: %w", id, err)
		case !alive(instance):
			s.retire(v1alpha1.RetireGone, fmt.Sprintf("instance %s is %s; its node never joined", id, instance.State)+because(instance.StateReason))
			return nil
		}
		state = string(instance.State)
	}
	s.set(v1alpha1.ConditionJoined, metav1.ConditionFalse, v1alpha1.ReasonWaitingForNode,
		fmt.Sprintf("instance %s is %s; its node has not registered", id, state))
	left := launched.Add(s.r.cfg.Deadlines.Join).Sub(s.now)
	if left <= 0 {
		s.r.cfg.Meter.ClaimNeverJoined(v1alpha1.ReasonWaitingForNode)
		s.retire(v1alpha1.RetireJoin, fmt.Sprintf("instance %s is %s, but its node has not registered within %s; see the machine's "+
			"console output; usual causes: the node role may not join the cluster (access entry, aws-auth), a security group or "+
			"subnet without a way to the API server, user data", id, state, s.r.cfg.Deadlines.Join))
		return nil
	}
	s.again(min(left, lookInterval))
	return nil
}

// missNode finds out why the node of a claim that had joined is not in the cache.
func (s *scope) missNode(ctx context.Context) error {
	node, err := s.liveNode(ctx)
	if err != nil {
		return err
	}
	if node != nil {
		s.again(pollInterval) // the cache is behind
		return nil
	}
	instance, err := s.r.cfg.Fleet.Instance(ctx, s.claim.Status.InstanceID)
	switch {
	case errors.Is(err, cloud.ErrTerminated),
		errors.Is(err, cloud.ErrGone) && s.now.Sub(s.since(v1alpha1.ConditionLaunched)) >= visibleWithin:
		s.retire(v1alpha1.RetireGone, "instance "+s.claim.Status.InstanceID+" is gone"+because(cloud.EndReason(err)))
	case errors.Is(err, cloud.ErrGone):
		s.again(pollInterval)
	case err != nil:
		return fmt.Errorf("looking at instance %s: %w", s.claim.Status.InstanceID, err)
	case !alive(instance):
		s.retire(v1alpha1.RetireGone, fmt.Sprintf("instance %s is %s", instance.ID, instance.State)+because(instance.StateReason))
	default:
		s.retire(v1alpha1.RetireDeleted, "node "+s.claim.Status.NodeName+" was deleted")
	}
	return nil
}

// because puts a reason behind a sentence.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
