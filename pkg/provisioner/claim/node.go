package claim

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// findNode answers the node of the claim's machine, or nil: as the cache has it, with what this pass has changed since.
func (s *scope) findNode(ctx context.Context) (*corev1.Node, error) {
	if s.claim.Status.ProviderID == "" || s.node != nil {
		return s.node, nil
	}
	var nodes corev1.NodeList
	err := s.r.cfg.Client.List(ctx, &nodes, client.MatchingFields{indexNodeProviderID: s.claim.Status.ProviderID})
	if err != nil {
		return nil, fmt.Errorf("finding the node of %s: %w", s.claim.Status.ProviderID, err)
	}
	if len(nodes.Items) == 0 {
		return nil, nil
	}
	s.node = slices.MinFunc(pointers(nodes.Items), func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	return s.node, nil
}

func pointers[T any](items []T) []*T {
	list := make([]*T, len(items))
	for i := range items {
		list[i] = &items[i]
	}
	return list
}

// liveNode asks the API server for the node of the claim's machine by the name that it joined with; nil: there is none any more.
func (s *scope) liveNode(ctx context.Context) (*corev1.Node, error) {
	node := &corev1.Node{}
	err := s.r.cfg.Live.Get(ctx, client.ObjectKey{Name: s.claim.Status.NodeName}, node)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading node %s: %w", s.claim.Status.NodeName, err)
	case node.Spec.ProviderID != s.claim.Status.ProviderID:
		return nil, nil // another machine has taken the name
	}
	return node, nil
}

// patchNode changes the node as change says, in one patch that is refused if anybody changed it meanwhile: taints are one list,
// and a patch computed from an old one would undo what others did.
func (s *scope) patchNode(ctx context.Context, node *corev1.Node, change func(*corev1.Node)) error {
	after := node.DeepCopy()
	change(after)
	if err := s.r.cfg.Client.Patch(ctx, after, locked(node)); err != nil {
		return fmt.Errorf("patching node %s: %w", node.Name, err)
	}
	*node = *after
	return nil
}

func hasTaint(node *corev1.Node, key string) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key })
}

// sameTaint compares what identifies a taint: key and effect.
func sameTaint(a, b corev1.Taint) bool { return a.Key == b.Key && a.Effect == b.Effect }

func addTaint(node *corev1.Node, taint corev1.Taint) {
	if !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return sameTaint(t, taint) }) {
		node.Spec.Taints = append(node.Spec.Taints, taint)
	}
}

func removeTaint(node *corev1.Node, key string) {
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key })
}

func isGated(node *corev1.Node) bool { return node.Annotations[v1alpha1.AnnotationGated] == "true" }

func nodeCondition(node *corev1.Node, kind corev1.NodeConditionType) corev1.NodeCondition {
	for _, c := range node.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.NodeCondition{Type: kind, Status: corev1.ConditionUnknown, Message: "the kubelet has not reported yet"}
}

// deleteNode removes the node's object, unless another has taken its name.
func (s *scope) deleteNode(ctx context.Context, node *corev1.Node) error {
	uid := node.UID
	err := s.r.cfg.Client.Delete(ctx, node, client.Preconditions(metav1.Preconditions{UID: &uid}))
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting node %s: %w", node.Name, err)
	}
	return nil
}
