package claim

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// Reconciler takes claims through their phases. What it keeps in memory between two calls only saves time.
type Reconciler struct {
	cfg      Config
	attempts *attempts
}

// New answers a Reconciler, or what is wrong with the Config.
func New(cfg Config) (*Reconciler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the claim reconciler: %w", err)
	}
	return &Reconciler{cfg: cfg.withDefaults(), attempts: newAttempts()}, nil
}

// phase reads the world, acts, and notes the outcome in the scope. It answers whether the next phase may run.
type phase func(*scope, context.Context) (bool, error)

var (
	forward  = []phase{(*scope).protect, (*scope).informed, (*scope).launch, (*scope).join, (*scope).ready}
	backward = []phase{(*scope).drain, (*scope).release}
)

// Reconcile takes one claim as far as it goes.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	claim := &v1alpha1.NodeClaim{}
	if err := r.cfg.Client.Get(ctx, req.NamespacedName, claim); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	s := newScope(r, claim, ctrl.LoggerFrom(ctx))
	if s.deleting() {
		if !controllerutil.ContainsFinalizer(claim, v1alpha1.FinalizerInstance) {
			return reconcile.Result{}, nil
		}
		s.explainDeletion()
	}
	// The fence goes up, or down, whatever the other phases do: under a notice nothing waits for anything.
	errs := []error{s.run(ctx, []phase{(*scope).fence})}
	if s.deleting() {
		errs = append(errs, s.run(ctx, backward))
	} else {
		errs = append(errs, s.run(ctx, forward))
	}
	errs = append(errs, s.finish(ctx))
	if err := errors.Join(errs...); err != nil {
		return reconcile.Result{}, fmt.Errorf("reconciling claim %s: %w", claim.Name, err)
	}
	return reconcile.Result{RequeueAfter: s.wait}, nil
}

// finish writes down what happened. A claim that is released is not written any more: it goes. A claim that retires by itself is
// deleted only after its reason is on record.
func (s *scope) finish(ctx context.Context) error {
	if s.released {
		return s.letGo(ctx)
	}
	if err := s.writeStatus(ctx); err != nil {
		return s.soften(err)
	}
	s.tell()
	if !s.deleting() && s.retiresItself() {
		return s.delete(ctx)
	}
	return nil
}

// informed waits until instance types are known: a node that joined before that would never get the labels of its type.
func (s *scope) informed(context.Context) (bool, error) {
	select {
	case <-s.r.cfg.Catalog.Loaded():
		return true, nil
	default:
		s.again(time.Second)
		return false, nil
	}
}

// protect puts the finalizer on before anything is bought.
func (s *scope) protect(ctx context.Context) (bool, error) {
	if controllerutil.ContainsFinalizer(s.claim, v1alpha1.FinalizerInstance) {
		return true, nil
	}
	before := s.claim.DeepCopy()
	status := s.claim.Status.DeepCopy()
	controllerutil.AddFinalizer(s.claim, v1alpha1.FinalizerInstance)
	if err := s.r.cfg.Client.Patch(ctx, s.claim, locked(before)); err != nil {
		return false, fmt.Errorf("adding the finalizer: %w", err)
	}
	s.before = s.claim.DeepCopy()
	s.claim.Status = *status
	return true, nil
}

// letGo removes the finalizer, if the claim is still as it was when that was decided.
func (s *scope) letGo(ctx context.Context) error {
	before := s.claim.DeepCopy()
	controllerutil.RemoveFinalizer(s.claim, v1alpha1.FinalizerInstance)
	if err := s.r.cfg.Client.Patch(ctx, s.claim, locked(before)); client.IgnoreNotFound(err) != nil {
		return s.soften(err)
	}
	s.r.attempts.forget(s.claim.Name, s.claim.UID)
	if id := s.claim.Status.InstanceID; id != "" {
		s.log.Info("Claim ended", "reason", s.claim.Status.Retire.Reason, "instance", id)
		s.r.cfg.Meter.ClaimTerminated(s.claim.Status.Retire.Reason, s.now.Sub(s.since(v1alpha1.ConditionDrained)))
	}
	s.tell()
	return nil
}

func (s *scope) delete(ctx context.Context) error {
	uid := s.claim.UID
	err := s.r.cfg.Client.Delete(ctx, s.claim, client.Preconditions{UID: &uid})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting the claim: %w", err)
	}
	return nil
}

// locked is a merge patch that is refused if the object has changed since.
func locked(before client.Object) client.Patch {
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}
