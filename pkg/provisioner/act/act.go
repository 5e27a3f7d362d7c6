// Package act carries decisions out: it creates claims, marks them for retirement, takes the mark off, and deletes them.
//
// It decides nothing. Every effect can be repeated: a claim's name follows from its decision, a mark that is there is left alone,
// a deletion is bound to the claim's UID. It may import pkg/apis, pkg/provisioner/plan and controller-runtime's client.
package act

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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

	mu       sync.Mutex
	doubtful map[string]v1alpha1.NodeClaim // sent with an unknown outcome, by name
}

// New answers an Actor. created is called before a claim is sent to the API server, withdraw if it was refused for good.
func New(c client.Client, created func(v1alpha1.NodeClaim), withdraw func(name string), now func() time.Time) *Actor {
	return &Actor{client: c, created: created, withdraw: withdraw, now: now, doubtful: map[string]v1alpha1.NodeClaim{}}
}

// Create creates claims, each once however often it is called. A claim whose creation ended in an unknown outcome stays counted, and each
// later call, also one without claims, sends it again under the same name until the API server says what became of it: given up, it
// might turn up later; only counted, its pods would wait forever. The error joins what went wrong.
func (a *Actor) Create(ctx context.Context, claims []v1alpha1.NodeClaim) error {
	claims = slices.Concat(a.inDoubt(), claims)
	errs := make([]error, len(claims))
	each(len(claims), func(i int) { errs[i] = a.create(ctx, &claims[i]) })
	return errors.Join(errs...)
}

// inDoubt answers the claims whose creation nobody knows the outcome of, by name.
func (a *Actor) inDoubt() []v1alpha1.NodeClaim {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]v1alpha1.NodeClaim, 0, len(a.doubtful))
	for _, name := range slices.Sorted(maps.Keys(a.doubtful)) {
		list = append(list, a.doubtful[name])
	}
	return list
}

func (a *Actor) doubt(claim *v1alpha1.NodeClaim, unknown bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if unknown {
		a.doubtful[claim.Name] = *claim
	} else {
		delete(a.doubtful, claim.Name)
	}
}

func (a *Actor) create(ctx context.Context, claim *v1alpha1.NodeClaim) error {
	a.created(*claim.DeepCopy())
	err := a.client.Create(ctx, claim.DeepCopy())
	known := err == nil || apierrors.IsAlreadyExists(err) || refused(err)
	a.doubt(claim, !known)
	switch {
	case !known:
		return fmt.Errorf("creating NodeClaim %s, outcome unknown: %w", claim.Name, err)
	case refused(err):
		a.withdraw(claim.Name)
		return fmt.Errorf("creating NodeClaim %s: %w", claim.Name, err)
	}
	return nil
}

// refused tells whether the API server has said that it will not create the object. 401 and 429 are answers, too, before anything is
// done. A nil error is no refusal.
func refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) ||
		apierrors.IsUnauthorized(err) || apierrors.IsTooManyRequests(err) || apierrors.IsRequestEntityTooLargeError(err)
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
