package status

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// ready is the condition Ready: the first thing that is in the way, with its remedy.
func (r *Reconciler) ready(ctx context.Context, p *v1alpha1.Provisioner) (metav1.Condition, error) {
	condition := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: p.Generation,
	}
	if p.DeletionTimestamp != nil {
		condition.Reason, condition.Message = string(v1alpha1.ReasonTerminating), "it is being deleted"
		return condition, nil
	}
	obstacle, err := r.nodeClassObstacle(ctx, p.Spec.NodeClassRef.Name)
	if err != nil {
		return condition, err
	}
	if obstacle != "" {
		condition.Reason, condition.Message = string(v1alpha1.ReasonNodeClassNotReady), obstacle
		return condition, nil
	}
	matching, known := r.cfg.Outlook.MatchingTypes(p.Name)
	switch {
	case known && matching == 0:
		condition.Reason = string(v1alpha1.ReasonNoMatchingTypes)
		condition.Message = "no instance type satisfies spec.requirements in the zones of the EC2NodeClass: widen the requirements on " +
			"instance type, family, zone or capacity type"
	case known:
		condition.Status, condition.Reason = metav1.ConditionTrue, string(v1alpha1.ReasonOK)
		condition.Message = fmt.Sprintf("%d instance types can be launched", matching)
	default:
		condition.Status, condition.Reason = metav1.ConditionTrue, string(v1alpha1.ReasonOK)
		condition.Message = "its EC2NodeClass is ready"
	}
	return condition, nil
}

// nodeClassObstacle says why an EC2NodeClass is not usable; empty: it is.
func (r *Reconciler) nodeClassObstacle(ctx context.Context, name string) (string, error) {
	var nc v1alpha1.EC2NodeClass
	err := r.cfg.Client.Get(ctx, types.NamespacedName{Name: name}, &nc)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("EC2NodeClass %s does not exist: create it, or name another in spec.nodeClassRef.name", name), nil
	case err != nil:
		return "", fmt.Errorf("reading EC2NodeClass %s: %w", name, err)
	}
	c := meta.FindStatusCondition(nc.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case nc.DeletionTimestamp != nil:
		return fmt.Sprintf("EC2NodeClass %s is being deleted: name another in spec.nodeClassRef.name", name), nil
	case c == nil || c.ObservedGeneration != nc.Generation:
		return fmt.Sprintf("EC2NodeClass %s has not been looked up yet: wait some seconds", name), nil
	case c.Status != metav1.ConditionTrue:
		return fmt.Sprintf("EC2NodeClass %s is not ready (%s): %s", name, c.Reason, c.Message), nil
	}
	return "", nil
}
