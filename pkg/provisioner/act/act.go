// Package act carries decisions out: it creates claims, marks them for retirement, takes the mark off, and deletes them.
//
// It decides nothing. Every effect can be repeated: a claim's name follows from its decision, a mark that is there is left alone,
// a deletion is bound to the claim's UID. It may import pkg/apis, pkg/provisioner/plan and controller-runtime's client.
package act

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// parallel bounds the requests to the API server that one call keeps in flight.
const parallel = 20

// Actor carries out decisions.
type Actor struct {
	client client.Client
	// created is told of each claim before it is sent and of each that was refused, so that limits hold from the first moment.
	created  func(v1alpha1.NodeClaim)
	withdraw func(name string)
	now      func() time.Time
}

// New answers an Actor. created is called before a claim is sent to the API server, withdraw if it was refused for good.
func New(c client.Client, created func(v1alpha1.NodeClaim), withdraw func(name string), now func() time.Time) *Actor {
	return &Actor{client: c, created: created, withdraw: withdraw, now: now}
}

// Create creates claims, each once however often it is called. A claim whose creation ended in an unknown outcome stays counted until
// the cache or a later call tells. The error joins what went wrong.
func (a *Actor) Create(ctx context.Context, claims []v1alpha1.NodeClaim) error {
	errs := make([]error, len(claims))
	each(len(claims), func(i int) {
		claim := claims[i].DeepCopy()
		a.created(*claim)
		err := a.client.Create(ctx, claim)
		switch {
		case err == nil, apierrors.IsAlreadyExists(err):
		case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err), apierrors.IsNotFound(err):
			a.withdraw(claim.Name)
			errs[i] = fmt.Errorf("creating NodeClaim %s: %w", claim.Name, err)
		default:
			errs[i] = fmt.Errorf("creating NodeClaim %s, outcome unknown: %w", claim.Name, err)
		}
	})
	return errors.Join(errs...)
}

// Retire marks a claim: its node is to go. The claim's reconciler fences the node. A mark that is there already stays.
func (a *Actor) Retire(ctx context.Context, claim *v1alpha1.NodeClaim, r plan.Retire) error {
	if claim.Status.Retire != nil || claim.DeletionTimestamp != nil {
		return nil
	}
	marked := claim.DeepCopy()
	marked.Status.Retire = &v1alpha1.Retirement{Reason: r.Reason, Message: r.Message, Since: metav1.NewTime(a.now())}
	if err := a.patch(ctx, marked, claim); err != nil {
		return fmt.Errorf("marking NodeClaim %s to be retired: %w", claim.Name, err)
	}
	return nil
}

// Release takes the mark off a claim whose node is in use again.
func (a *Actor) Release(ctx context.Context, claim *v1alpha1.NodeClaim) error {
	if claim.Status.Retire == nil || claim.DeletionTimestamp != nil {
		return nil
	}
	clean := claim.DeepCopy()
	clean.Status.Retire = nil
	if err := a.patch(ctx, clean, claim); err != nil {
		return fmt.Errorf("taking NodeClaim %s back into use: %w", claim.Name, err)
	}
	return nil
}

// patch writes a status under the version that was read: a notice that came in between is not overwritten.
func (a *Actor) patch(ctx context.Context, to, from *v1alpha1.NodeClaim) error {
	return a.client.Status().Patch(ctx, to, client.MergeFromWithOptions(from, client.MergeFromWithOptimisticLock{}))
}

// Delete ends a claim: its reconciler drains the node and ends the machine.
func (a *Actor) Delete(ctx context.Context, claim *v1alpha1.NodeClaim) error {
	uid, version := claim.UID, claim.ResourceVersion
	err := a.client.Delete(ctx, claim, client.Preconditions{UID: &uid, ResourceVersion: &version})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting NodeClaim %s: %w", claim.Name, err)
	}
	return nil
}

// each calls f for 0..n-1, several at a time, and waits for all.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
