package nodeclass

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// namedClaims is how many claims a message names; a person needs one to start with.
const namedClaims = 5

// release lets a class that is being deleted go once no claim refers to it. The class is closed for planning first and claims are
// looked for afterwards, on the API server: a claim that was planned before is then seen.
func (r *Reconciler) release(ctx context.Context, nc *v1alpha1.EC2NodeClass) (reconcile.Result, error) {
	if !controllerutil.ContainsFinalizer(nc, v1alpha1.FinalizerInUse) {
		return reconcile.Result{}, nil
	}
	e := r.cfg.Store.entry(nc.Name)
	e.uid, e.generation, e.closed = nc.UID, nc.Generation, true
	e.reason, e.message = v1alpha1.ReasonTerminating, "it is being deleted"
	r.cfg.Store.put(nc.Name, e)
	claims, err := r.claimsOf(ctx, nc.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	if len(claims) > 0 {
		e.message = "it is being deleted, and waits for the end of " + enumerate(claims)
		r.cfg.Store.put(nc.Name, e)
		r.cfg.Events.InUse(nc, e.message)
		if err := r.publish(ctx, nc, e); err != nil {
			return patched(err)
		}
		return reconcile.Result{RequeueAfter: releasePoll}, nil
	}
	if err := r.giveBack(ctx, nc); err != nil {
		return reconcile.Result{}, err
	}
	before := nc.DeepCopy()
	controllerutil.RemoveFinalizer(nc, v1alpha1.FinalizerInUse)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.cfg.Client.Patch(ctx, nc, patch); err != nil {
		return patched(fmt.Errorf("letting EC2NodeClass %s go: %w", nc.Name, err))
	}
	r.cfg.Store.forget(nc.Name)
	return reconcile.Result{}, nil
}

// giveBackFor is how long after its deletion a class stays so that what was made for it in the account is removed. Then it goes all the same:
// a cloud that does not answer any more must not keep it.
const giveBackFor = 5 * time.Minute

// giveBack has what was made in the account for a class removed. An error means that it is to be tried again.
func (r *Reconciler) giveBack(ctx context.Context, nc *v1alpha1.EC2NodeClass) error {
	err := r.cfg.Templates.Release(ctx, TemplateSpec(nc))
	denied := (*cloud.DeniedError)(nil)
	if err != nil && (errors.As(err, &denied) || r.cfg.Now().Sub(nc.DeletionTimestamp.Time) > giveBackFor) {
		r.cfg.Events.LeftBehind(nc, err.Error())
		return nil
	}
	return err
}

// claimsOf answers the names of the claims that refer to a class, sorted.
func (r *Reconciler) claimsOf(ctx context.Context, nodeClass string) ([]string, error) {
	var list v1alpha1.NodeClaimList
	if err := r.cfg.Live.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("looking for claims of EC2NodeClass %s: %w", nodeClass, err)
	}
	var names []string
	for i := range list.Items {
		if list.Items[i].Spec.NodeClassRef.Name == nodeClass {
			names = append(names, list.Items[i].Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func enumerate(names []string) string {
	text := "NodeClaims " + strings.Join(names[:min(namedClaims, len(names))], ", ")
	if more := len(names) - namedClaims; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
