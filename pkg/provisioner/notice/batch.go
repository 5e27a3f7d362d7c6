package notice

import (
	"context"
	"fmt"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// batch finds the claims of the machines that one delivery of notices is about. A queue may carry notices for every machine of the
// account: for those that the cache does not know, the API server is asked once per delivery, not once each.
type batch struct {
	cached, live func(context.Context) ([]v1alpha1.NodeClaim, error)
}

func newBatch(cached, live client.Reader) *batch {
	return &batch{cached: listOnce(cached, client.UnsafeDisableDeepCopy), live: listOnce(live)}
}

// listOnce answers the same list again, once there is one.
func listOnce(from client.Reader, opts ...client.ListOption) func(context.Context) ([]v1alpha1.NodeClaim, error) {
	var (
		mu   sync.Mutex
		have *v1alpha1.NodeClaimList
	)
	return func(ctx context.Context) ([]v1alpha1.NodeClaim, error) {
		mu.Lock()
		defer mu.Unlock()
		if have == nil {
			var list v1alpha1.NodeClaimList
			if err := from.List(ctx, &list, opts...); err != nil {
				return nil, fmt.Errorf("listing NodeClaims: %w", err)
			}
			have = &list
		}
		return have.Items, nil
	}
}

// find answers a copy of the claim of a machine; nil: there is none, and launching says whether some claim may yet turn out to have it.
func (b *batch) find(ctx context.Context, instanceID string) (claim *v1alpha1.NodeClaim, launching bool, err error) {
	claims, err := b.cached(ctx)
	if err != nil {
		return nil, false, err
	}
	if claim, _ := pick(claims, instanceID); claim != nil {
		return claim, false, nil
	}
	if claims, err = b.live(ctx); err != nil {
		return nil, false, fmt.Errorf("asking the API server: %w", err)
	}
	claim, launching = pick(claims, instanceID)
	return claim, launching, nil
}

func pick(claims []v1alpha1.NodeClaim, instanceID string) (claim *v1alpha1.NodeClaim, launching bool) {
	for i := range claims {
		switch claims[i].Status.InstanceID {
		case instanceID:
			return claims[i].DeepCopy(), false
		case "":
			launching = true
		}
	}
	return nil, launching
}
