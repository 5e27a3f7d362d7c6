package claim

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// fence keeps new pods off a node from the moment at which its retirement is decided, and lets them in again if it is withdrawn.
// The transition time of Fenced is when the taint was put on: whoever counts pods afterwards misses none that were bound before.
func (s *scope) fence(ctx context.Context) (bool, error) {
	node, err := s.findNode(ctx)
	if err != nil || node == nil {
		return true, err
	}
	wanted, there := s.claim.Status.Retire != nil, hasTaint(node, v1alpha1.TaintRetiring)
	switch {
	case wanted && !there:
		taint := corev1.Taint{Key: v1alpha1.TaintRetiring, Effect: corev1.TaintEffectNoSchedule}
		err = s.patchNode(ctx, node, func(n *corev1.Node) { addTaint(n, taint) })
	case !wanted && there && s.isTrue(v1alpha1.ConditionFenced):
		// A fence that the claim does not know of is a notice's, whose mark is being written at this moment.
		err = s.patchNode(ctx, node, func(n *corev1.Node) { removeTaint(n, v1alpha1.TaintRetiring) })
	}
	if err != nil {
		return true, err
	}
	if wanted {
		retire := s.claim.Status.Retire
		message := "node " + node.Name + " takes no new pods: " + retire.Message
		// Where the taint was there already the notice has put it on, and told of it.
		if s.reach(v1alpha1.ConditionFenced, v1alpha1.Reason(retire.Reason), message) && retire.Reason == v1alpha1.RetireNotice && !there {
			s.r.cfg.Meter.FencedAfter(s.now.Sub(retire.Since.Time))
		}
	} else if s.isTrue(v1alpha1.ConditionFenced) {
		s.say(corev1.EventTypeNormal, string(v1alpha1.ReasonUnfenced), "node %s takes pods again", node.Name)
		s.set(v1alpha1.ConditionFenced, metav1.ConditionFalse, v1alpha1.ReasonUnfenced, "node "+node.Name+" takes pods again")
	}
	return true, nil
}
