package claim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// The cache's indexes that the Reconciler reads. They have names of their own, so that another package may index the same field.
const (
	indexNodeProviderID  = "claim.node.spec.providerID"
	indexClaimProviderID = "claim.nodeclaim.status.providerID"
)

// Index is a field index that Config.Client needs; tests hand them to a fake client.
type Index struct {
	Object  client.Object
	Field   string
	Extract client.IndexerFunc
}

// Indexes answers the indexes that Config.Client needs.
func Indexes() []Index {
	return []Index{
		{&corev1.Node{}, indexNodeProviderID, func(o client.Object) []string {
			return nonEmpty(o.(*corev1.Node).Spec.ProviderID)
		}},
		{&v1alpha1.NodeClaim{}, indexClaimProviderID, func(o client.Object) []string {
			return nonEmpty(o.(*v1alpha1.NodeClaim).Status.ProviderID)
		}},
	}
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// SetupWithManager adds the indexes and the controller. Retries after errors are at most 10 s apart: a notice does not wait.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	for _, index := range Indexes() {
		if err := mgr.GetFieldIndexer().IndexField(ctx, index.Object, index.Field, index.Extract); err != nil {
			return fmt.Errorf("indexing %s: %w", index.Field, err)
		}
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("claim").
		For(&v1alpha1.NodeClaim{}).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(r.claimsOf)).
		WithEventFilter(predicate.Funcs{UpdateFunc: relevant}).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: r.cfg.Concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](200*time.Millisecond, 10*time.Second),
		}).
		Complete(r)
}

// claimsOf answers the claims of a node's machine: by provider ID, and by label where the node is no more what it was.
func (r *Reconciler) claimsOf(ctx context.Context, o client.Object) []reconcile.Request {
	names := map[string]bool{}
	if name := o.GetLabels()[v1alpha1.LabelClaim]; name != "" {
		names[name] = true
	}
	if node, ok := o.(*corev1.Node); ok && node.Spec.ProviderID != "" {
		var claims v1alpha1.NodeClaimList
		err := r.cfg.Client.List(ctx, &claims, client.MatchingFields{indexClaimProviderID: node.Spec.ProviderID})
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Finding the claim of a node", "Node", node.Name)
		}
		for i := range claims.Items {
			names[claims.Items[i].Name] = true
		}
	}
	var requests []reconcile.Request
	for _, name := range slices.Sorted(maps.Keys(names)) {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
	}
	return requests
}

// relevant keeps the heartbeats of a large cluster away from the queue.
func relevant(e event.UpdateEvent) bool {
	before, isNode := e.ObjectOld.(*corev1.Node)
	if !isNode {
		return true
	}
	after, isNode := e.ObjectNew.(*corev1.Node)
	if !isNode {
		return true
	}
	return !equality.Semantic.DeepEqual(before.Spec, after.Spec) ||
		!maps.Equal(before.Labels, after.Labels) ||
		before.Annotations[v1alpha1.AnnotationGated] != after.Annotations[v1alpha1.AnnotationGated] ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() ||
		readyStatus(before) != readyStatus(after) ||
		!equality.Semantic.DeepEqual(before.Status.Allocatable, after.Status.Allocatable)
}

func readyStatus(node *corev1.Node) corev1.ConditionStatus {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status
		}
	}
	return corev1.ConditionUnknown
}
