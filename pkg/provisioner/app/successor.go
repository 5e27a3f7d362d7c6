package app

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/grow"
)

// successor starts growing once it knows all that a former leader has left: the machines that have no claim, from the first sweep, and
// the claims. What the former leader created last may not be in this process's cache yet; a decision without it would exceed a limit and
// buy the same nodes again.
type successor struct {
	*grow.Loop
	swept  <-chan struct{}
	live   client.Reader
	cached client.Reader
	log    logr.Logger
}

// catchUpEvery is how often the cache is compared with the API server until it has caught up.
const catchUpEvery = 200 * time.Millisecond

// Start waits, then runs the loop.
func (s successor) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.swept:
	}
	if !s.catchUp(ctx) {
		return nil
	}
	s.Wake()
	return s.Loop.Start(ctx)
}

// catchUp waits until the cache shows every claim that the API server has. It answers false when ctx has ended.
func (s successor) catchUp(ctx context.Context) bool {
	said := false
	for {
		missing, err := s.missing(ctx)
		if err == nil && missing == 0 {
			return true
		}
		if !said && ctx.Err() == nil {
			s.log.Info("Growing waits for the claims of a former leader", "missing", missing, "reason", err)
			said = true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(catchUpEvery):
		}
	}
}

// missing answers how many claims the API server has that the cache does not show.
func (s successor) missing(ctx context.Context) (int, error) {
	var live, cached v1alpha1.NodeClaimList
	if err := s.live.List(ctx, &live); err != nil {
		return 0, fmt.Errorf("asking the API server for NodeClaims: %w", err)
	}
	if err := s.cached.List(ctx, &cached, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("listing NodeClaims: %w", err)
	}
	shown := make(map[types.UID]bool, len(cached.Items))
	for i := range cached.Items {
		shown[cached.Items[i].UID] = true
	}
	missing := 0
	for i := range live.Items {
		if !shown[live.Items[i].UID] {
			missing++
		}
	}
	return missing, nil
}
