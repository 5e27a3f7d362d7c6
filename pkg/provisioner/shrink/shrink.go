// Package shrink is the loop that retires nodes nobody needs: mark and fence, let the fence sink in, look again on fresh state, and
// only then delete the claim.
//
//	idle ──mark──► fenced ──settled, live list shows no GPU pod──► deleted (the claim's reconciler drains and terminates)
//	  ▲               │
//	  └───release─────┘ a pod came, or is expected
//
// The race that it closes: kube-scheduler may have chosen the node before it saw the fence, and bind the pod a moment after. So
// nothing irreversible happens before Settle has passed and the API server itself, not a cache, lists no GPU pod there.
//
// It decides nothing itself. It may import pkg/provisioner/{inventory,plan,act,demand} and controller-runtime's client.
package shrink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// View answers the present picture.
type View interface {
	View(ctx context.Context) (plan.View, error)
}

// Retirer marks, unmarks and ends claims.
type Retirer interface {
	Retire(ctx context.Context, claim *v1alpha1.NodeClaim, r plan.Retire) error
	Release(ctx context.Context, claim *v1alpha1.NodeClaim) error
	Delete(ctx context.Context, claim *v1alpha1.NodeClaim) error
}

// Config is what a Loop works with.
type Config struct {
	View    View
	Retirer Retirer
	Live    client.Reader // uncached
	Now     func() time.Time
	Log     logr.Logger
	// Tick is the pace of looking; Settle how long a fence must have stood before the last look.
	Tick, Settle time.Duration
}

// Validate tells what is missing.
func (c Config) Validate() error {
	if c.View == nil || c.Retirer == nil || c.Live == nil || c.Now == nil {
		return errors.New("shrink.Config: View, Retirer, Live and Now are all required")
	}
	if c.Tick <= 0 || c.Settle <= 0 {
		return errors.New("shrink.Config: Tick and Settle must be positive")
	}
	return nil
}

// Loop is the shrink loop, a manager.Runnable of the leader.
type Loop struct{ Config }

// New answers a loop.
func New(c Config) (*Loop, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Loop{c}, nil
}

// NeedLeaderElection is true.
func (l *Loop) NeedLeaderElection() bool { return true }

// Start runs until ctx ends.
func (l *Loop) Start(ctx context.Context) error {
	wait := l.Tick
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		next, err := l.Once(ctx)
		if err != nil && !errors.Is(err, inventory.ErrNotLoaded) && ctx.Err() == nil {
			l.Log.Error(err, "Shrinking; the next look tries again")
		}
		wait = l.Tick
		if !next.IsZero() {
			wait = min(l.Tick, max(next.Sub(l.Now()), 10*time.Millisecond))
		}
	}
}

// Once looks, decides and acts. It answers when the next node is due; zero if none waits for its time.
func (l *Loop) Once(ctx context.Context) (time.Time, error) {
	v, err := l.View.View(ctx)
	if err != nil {
		return time.Time{}, err
	}
	grown, err := plan.Grow(v, plan.Policy{})
	if err != nil {
		return time.Time{}, err
	}
	s := plan.Shrink(v, grown.Placed)
	claims := map[string]*v1alpha1.NodeClaim{}
	for i := range v.Claims {
		claims[v.Claims[i].Object.Name] = &v.Claims[i].Object
	}
	var errs []error
	released := map[string]bool{}
	for _, name := range s.Release {
		l.Log.Info("Taking a node back into use", "claim", name)
		released[name] = true
		errs = append(errs, unlessStale(l.Retirer.Release(ctx, claims[name])))
	}
	for _, r := range s.Retire {
		l.Log.Info("Retiring a node", "claim", r.Claim, "reason", r.Reason, "message", r.Message)
		errs = append(errs, unlessStale(l.Retirer.Retire(ctx, claims[r.Claim], r)))
	}
	nodes := map[string]*plan.Node{}
	for i := range v.Nodes {
		nodes[v.Nodes[i].Claim] = &v.Nodes[i]
	}
	for _, c := range v.Claims {
		if !released[c.Object.Name] {
			errs = append(errs, unlessStale(l.finish(ctx, &c.Object, nodes[c.Object.Name])))
		}
	}
	return s.Next, errors.Join(errs...)
}

// unlessStale drops the refusal of a write over a claim that has changed since it was looked at: the next look sees it as it is.
func unlessStale(err error) error {
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// finish deletes a marked claim whose fence has settled, after one more look at the API server itself.
func (l *Loop) finish(ctx context.Context, claim *v1alpha1.NodeClaim, node *plan.Node) error {
	retire := claim.Status.Retire
	if retire == nil || claim.DeletionTimestamp != nil {
		return nil
	}
	switch retire.Reason {
	case v1alpha1.RetireIdle, v1alpha1.RetireExpired:
	default:
		return nil // whoever marked it deletes it
	}
	if !l.settled(claim, node) {
		return nil
	}
	if retire.Reason == v1alpha1.RetireIdle {
		name := claim.Status.NodeName
		if node != nil {
			name = node.Name
		}
		busy, err := l.busy(ctx, name)
		if err != nil {
			return err
		}
		if busy {
			l.Log.Info("A pod came before the fence; taking the node back into use", "claim", claim.Name, "node", name)
			return l.Retirer.Release(ctx, claim)
		}
	}
	return l.Retirer.Delete(ctx, claim)
}

// settled tells whether the fence has stood for Settle. It counts from the younger of the mark and the condition: the condition may be
// left from a mark that was taken off and put on again. Where the node is gone there is nothing to fence, and its claim must not wait for
// it. Times in objects are cut to seconds, hence one more.
func (l *Loop) settled(claim *v1alpha1.NodeClaim, node *plan.Node) bool {
	since := claim.Status.Retire.Since.Time
	if node != nil {
		fenced := meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionFenced)
		if fenced == nil || fenced.Status != "True" ||
			!slices.ContainsFunc(node.Taints, func(t corev1.Taint) bool { return t.Key == v1alpha1.TaintRetiring }) {
			return false
		}
		if fenced.LastTransitionTime.After(since) {
			since = fenced.LastTransitionTime.Time
		}
	}
	return l.Now().Sub(since) >= l.Settle+time.Second
}

// busy asks the API server whether a pod that uses a GPU is bound to the node.
func (l *Loop) busy(ctx context.Context, node string) (bool, error) {
	if node == "" {
		return false, nil
	}
	var pods corev1.PodList
	if err := l.Live.List(ctx, &pods, client.MatchingFields{"spec.nodeName": node}); err != nil {
		return false, fmt.Errorf("listing the pods of node %s: %w", node, err)
	}
	for i := range pods.Items {
		if demand.UsesGPU(&pods.Items[i], l.Now()) {
			return true, nil
		}
	}
	return false, nil
}
