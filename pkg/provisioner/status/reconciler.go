package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

const (
	// DefaultRefresh is how often what no watch tells of is looked at: held pods, matching types, GPUs in use.
	DefaultRefresh = 10 * time.Second
	// pause is the least time between two writes of numbers: 100 claims that launch at once change them 100 times.
	pause = time.Second
)

// Outlook is what planning last found out about a Provisioner. It does not block.
type Outlook interface {
	// Held is how many pods wait that the Provisioner was considered for and could not serve.
	Held(provisioner string) int32
	// MatchingTypes is how many instance types its requirements leave; known is false before the first look.
	MatchingTypes(provisioner string) (count int, known bool)
}

// Config is what a Reconciler needs. Events may be nil; a zero Refresh means DefaultRefresh.
type Config struct {
	Client  client.Client
	Outlook Outlook
	Metrics *telemetry.Metrics
	Events  *telemetry.Events
	Refresh time.Duration
	Now     func() time.Time
}

// Validate answers everything that is missing.
func (c Config) Validate() error {
	if c.Client == nil || c.Outlook == nil || c.Metrics == nil || c.Now == nil {
		return errors.New("status.Config: Client, Outlook, Metrics and Now are all required")
	}
	if c.Refresh < 0 {
		return errors.New("status.Config: Refresh must not be negative")
	}
	return nil
}

// Reconciler keeps the status of Provisioners.
type Reconciler struct {
	cfg Config

	mu      sync.Mutex
	written map[string]time.Time // when the status of a Provisioner was last written
}

// New makes a Reconciler.
func New(cfg Config) (*Reconciler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Refresh = cmp.Or(cfg.Refresh, DefaultRefresh)
	return &Reconciler{cfg: cfg, written: map[string]time.Time{}}, nil
}

// SetupWithManager adds the controller, which is woken by claims and EC2NodeClasses too.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	ofClaim := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		return []reconcile.Request{request(o.(*v1alpha1.NodeClaim).Spec.Provisioner)}
	})
	return ctrl.NewControllerManagedBy(mgr).Named("provisioner-status").
		For(&v1alpha1.Provisioner{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.NodeClaim{}, ofClaim).
		Watches(&v1alpha1.EC2NodeClass{}, handler.EnqueueRequestsFromMapFunc(r.usersOf)).
		Complete(r)
}

func request(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}

// usersOf are the Provisioners of an EC2NodeClass. A list that fails costs one refresh.
func (r *Reconciler) usersOf(ctx context.Context, nodeClass client.Object) []reconcile.Request {
	var list v1alpha1.ProvisionerList
	if err := r.cfg.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if list.Items[i].Spec.NodeClassRef.Name == nodeClass.GetName() {
			requests = append(requests, request(list.Items[i].Name))
		}
	}
	return requests
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var p v1alpha1.Provisioner
	err := r.cfg.Client.Get(ctx, req.NamespacedName, &p)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("reading Provisioner %s: %w", req.Name, err)
	}
	exists := err == nil
	u, err := r.measure(ctx, req.Name, p.Spec.Limits)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !exists {
		return r.afterwards(req.Name, u), nil
	}
	before := p.DeepCopy()
	ready, err := r.ready(ctx, &p)
	if err != nil {
		return reconcile.Result{}, err
	}
	turned := meta.SetStatusCondition(&p.Status.Conditions, ready)
	p.Status.Resources = u.resources
	p.Status.Nodes = u.nodes
	p.Status.CostPerHour = cloud.FormatDollars(u.microUSD)
	p.Status.HeldPods = r.cfg.Outlook.Held(p.Name)
	return r.write(ctx, before, &p, turned)
}

// afterwards goes on measuring the nodes of a Provisioner that was deleted, until they are gone.
func (r *Reconciler) afterwards(name string, u usage) reconcile.Result {
	r.mu.Lock()
	delete(r.written, name)
	r.mu.Unlock()
	if u.nodes == 0 {
		r.cfg.Metrics.ProvisionerGone(name)
		return reconcile.Result{}
	}
	return reconcile.Result{RequeueAfter: r.cfg.Refresh}
}

// measure adds up the claims and tells the metrics.
func (r *Reconciler) measure(ctx context.Context, name string, limits v1alpha1.Limits) (usage, error) {
	var claims v1alpha1.NodeClaimList
	if err := r.cfg.Client.List(ctx, &claims, client.UnsafeDisableDeepCopy); err != nil {
		return usage{}, fmt.Errorf("listing NodeClaims: %w", err)
	}
	u := usageOf(claims.Items, name)
	var used int64
	if len(u.onNodes) > 0 {
		var pods corev1.PodList
		if err := r.cfg.Client.List(ctx, &pods, client.UnsafeDisableDeepCopy); err != nil {
			return usage{}, fmt.Errorf("listing pods: %w", err)
		}
		used = gpusAsked(pods.Items, u.onNodes)
	}
	r.cfg.Metrics.ProvisionerUses(name, telemetry.Usage{
		Nodes: u.markets, Blocked: u.blocked, GPULimit: gpuLimit(limits), GPUsUsed: used, GPUsIdle: max(0, u.gpus-used), CostMicroUSDPerHour: u.microUSD,
	})
	return u, nil
}

// write patches the status if it says something new; numbers alone wait until pause has passed. The lock keeps conditions of
// other writers.
func (r *Reconciler) write(ctx context.Context, before, p *v1alpha1.Provisioner, turned bool) (reconcile.Result, error) {
	if equality.Semantic.DeepEqual(before.Status, p.Status) {
		return reconcile.Result{RequeueAfter: r.cfg.Refresh}, nil
	}
	now := r.cfg.Now()
	r.mu.Lock()
	wait := pause - now.Sub(r.written[p.Name])
	if turned || wait <= 0 {
		r.written[p.Name] = now
	}
	r.mu.Unlock()
	if !turned && wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err := r.cfg.Client.Status().Patch(ctx, p, patch)
	switch {
	case apierrors.IsConflict(err):
		return reconcile.Result{RequeueAfter: pause}, nil
	case apierrors.IsNotFound(err):
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, fmt.Errorf("writing the status of Provisioner %s: %w", p.Name, err)
	}
	r.tell(before, p)
	return reconcile.Result{RequeueAfter: r.cfg.Refresh}, nil
}

// tell says by an event that the Provisioner became usable, or why it is not.
func (r *Reconciler) tell(before, p *v1alpha1.Provisioner) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	is := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
	if was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	if is.Status == metav1.ConditionTrue {
		r.cfg.Events.Usable(p, is.Message)
	} else {
		r.cfg.Events.NotUsable(p, v1alpha1.Reason(is.Reason), is.Message)
	}
}
