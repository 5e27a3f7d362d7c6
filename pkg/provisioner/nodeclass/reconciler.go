package nodeclass

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

const (
	// DefaultRefresh is how often a class is looked up again: new images and subnets are found within it.
	DefaultRefresh = 5 * time.Minute
	// lookAtCatalog is how often the condition CatalogFresh is looked after.
	lookAtCatalog = time.Minute
	// releasePoll is how often a class that is being deleted looks for claims, besides being told of their ends.
	releasePoll = 30 * time.Second
)

// Config is what a Reconciler needs. Events, Changed and Degraded may be nil; a zero Refresh means DefaultRefresh.
type Config struct {
	Client client.Client
	// Live reads from the API server: a class is let go only if no claim is there, not if no claim has been seen yet.
	Live      client.Reader
	Templates cloud.Templates
	Store     *Store
	Events    *telemetry.Events
	// Refresh is how often a class is looked up again, give or take a tenth.
	Refresh time.Duration
	// Changed is called after a class became ready, or stopped being so. It must not block.
	Changed func()
	// Degraded answers the sources of prices and types that are replaced by older facts; with it the condition CatalogFresh is kept.
	Degraded func() []cloud.Degradation
	Now      func() time.Time
}

// Validate answers everything that is missing.
func (c Config) Validate() error {
	if c.Client == nil || c.Live == nil || c.Templates == nil || c.Store == nil || c.Now == nil {
		return errors.New("nodeclass.Config: Client, Live, Templates, Store and Now are all required")
	}
	if c.Refresh < 0 {
		return errors.New("nodeclass.Config: Refresh must not be negative")
	}
	return nil
}

// Reconciler looks EC2NodeClasses up.
type Reconciler struct{ cfg Config }

// New makes a Reconciler.
func New(cfg Config) (*Reconciler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Refresh = cmp.Or(cfg.Refresh, DefaultRefresh)
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	return &Reconciler{cfg: cfg}, nil
}

// SetupWithManager adds the controller. A class's own status does not wake it; the end of a claim does, for a class that waits to go.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	ended := predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
	toClass := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		name := o.(*v1alpha1.NodeClaim).Spec.NodeClassRef.Name
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: name}}}
	})
	return ctrl.NewControllerManagedBy(mgr).Named("nodeclass").
		For(&v1alpha1.EC2NodeClass{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.NodeClaim{}, toClass, builder.WithPredicates(ended)).
		Complete(r)
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var nc v1alpha1.EC2NodeClass
	if err := r.cfg.Client.Get(ctx, req.NamespacedName, &nc); err != nil {
		if apierrors.IsNotFound(err) {
			r.cfg.Store.forget(req.Name)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("reading EC2NodeClass %s: %w", req.Name, err)
	}
	if nc.DeletionTimestamp != nil {
		return r.release(ctx, &nc)
	}
	if err := r.hold(ctx, &nc); err != nil {
		return patched(err)
	}
	e := r.cfg.Store.entry(nc.Name)
	if !e.of(&nc) || e.closed || !r.cfg.Now().Before(e.due) {
		wasReady := e.of(&nc) && e.template != nil
		e = r.resolve(ctx, &nc, e)
		r.cfg.Store.put(nc.Name, e)
		if wasReady != (e.template != nil) {
			r.cfg.Changed()
		}
	}
	if err := r.publish(ctx, &nc, e); err != nil {
		return patched(err)
	}
	wait := max(time.Second, e.due.Sub(r.cfg.Now()))
	if r.cfg.Degraded != nil {
		wait = min(wait, lookAtCatalog)
	}
	return reconcile.Result{RequeueAfter: wait}, nil
}

// patched takes a conflict for what it is: somebody else wrote in between, and the cache will show it in a moment.
func patched(err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: time.Second}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

// hold puts the finalizer on.
func (r *Reconciler) hold(ctx context.Context, nc *v1alpha1.EC2NodeClass) error {
	before := nc.DeepCopy()
	if !controllerutil.AddFinalizer(nc, v1alpha1.FinalizerInUse) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.cfg.Client.Patch(ctx, nc, patch); err != nil {
		return fmt.Errorf("putting the finalizer on EC2NodeClass %s: %w", nc.Name, err)
	}
	return nil
}

// publish writes what is known into the status, if it says something new. The lock keeps conditions of other writers.
func (r *Reconciler) publish(ctx context.Context, nc *v1alpha1.EC2NodeClass, e entry) error {
	before := nc.DeepCopy()
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	fill(&nc.Status, e)
	ready := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: nc.Generation,
		Reason: string(e.reason), Message: e.message,
	}
	if e.template != nil && !e.closed {
		ready.Status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&nc.Status.Conditions, ready)
	if r.cfg.Degraded != nil {
		meta.SetStatusCondition(&nc.Status.Conditions, fresh(r.cfg.Degraded(), nc.Generation))
	}
	if equality.Semantic.DeepEqual(before.Status, nc.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.cfg.Client.Status().Patch(ctx, nc, patch); err != nil {
		return fmt.Errorf("writing the status of EC2NodeClass %s: %w", nc.Name, err)
	}
	switch {
	case e.closed, was != nil && was.Status == ready.Status && was.Reason == ready.Reason:
	case e.reason == v1alpha1.ReasonOK:
		r.cfg.Events.Usable(nc, e.message)
	default:
		r.cfg.Events.NotUsable(nc, e.reason, e.message)
	}
	return nil
}

// fill writes what was resolved; what a template of an earlier generation left there is removed.
func fill(status *v1alpha1.EC2NodeClassStatus, e entry) {
	status.AMIs, status.Subnets, status.SecurityGroups, status.InstanceProfile = nil, nil, nil, ""
	if e.template == nil {
		return
	}
	for _, i := range e.template.Images {
		status.AMIs = append(status.AMIs, v1alpha1.ResolvedAMI{ID: i.ID, Name: i.Name, Architecture: i.Architecture, Variant: i.Variant})
	}
	for _, n := range e.template.Subnets {
		status.Subnets = append(status.Subnets, v1alpha1.ResolvedSubnet{ID: n.ID, Zone: n.Zone, ZoneID: n.ZoneID})
	}
	slices.SortFunc(status.Subnets, func(a, b v1alpha1.ResolvedSubnet) int { return strings.Compare(a.ID, b.ID) })
	status.SecurityGroups = slices.Sorted(slices.Values(e.template.SecurityGroupIDs))
	status.InstanceProfile = e.template.InstanceProfile
}

func fresh(degraded []cloud.Degradation, generation int64) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionCatalogFresh, Status: metav1.ConditionTrue, ObservedGeneration: generation,
		Reason: string(v1alpha1.ReasonOK), Message: "prices and instance types come from live sources",
	}
	if len(degraded) == 0 {
		return c
	}
	parts := make([]string, len(degraded))
	for i, d := range degraded {
		parts[i] = d.Source + ": " + d.Message
	}
	slices.Sort(parts)
	c.Status, c.Reason, c.Message = metav1.ConditionFalse, string(v1alpha1.ReasonDegraded), strings.Join(parts, "; ")
	return c
}
