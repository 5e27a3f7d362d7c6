package notice

import (
	"context"
	"fmt"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// batch finds the claims of the machines that one delivery of notices is about. A queue may carry notices for every machine of the
// account: the API server is asked at most once per delivery for those that the cache does not know.
type batch struct {
	cached client.Reader
	live   func(context.Context) (*v1alpha1.NodeClaimList, error)
}

func newBatch(cached, live client.Reader) *batch {
	var (
		mu   sync.Mutex
		list *v1alpha1.NodeClaimList
	)
	return &batch{cached: cached, live: func(ctx context.Context) (*v1alpha1.NodeClaimList, error) {
		mu.Lock()
		defer mu.Unlock()
		if list != nil {
			return list, nil
		}
		var fresh v1alpha1.NodeClaimList
		if err := live.List(ctx, &fresh); err != nil {
			return nil, fmt.Errorf("listing NodeClaims on the API server: %w", err)
		}
		list = &fresh
		return list, nil
	}}
}

// find answers a copy of the claim of a machine; nil: there is none, and launching says whether some claim may yet turn out to have it.
func (b *batch) find(ctx context.Context, instanceID string) (claim *v1alpha1.NodeClaim, launching bool, err error) {
	var cached v1alpha1.NodeClaimList
	if err := b.cached.List(ctx, &cached, client.UnsafeDisableDeepCopy); err != nil {
		return nil, false, fmt.Errorf("listing NodeClaims: %w", err)
	}
	if claim, _ := pick(cached.Items, instanceID); claim != nil {
		return claim, false, nil
	}
	list, err := b.live(ctx)
	if err != nil {
		return nil, false, err
	}
	claim, launching = pick(list.Items, instanceID)
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
