package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// reachFirst and reachLast bound the time between two tries to reach AWS: twice as long each time. A new role's rights take some ten
// seconds until they hold everywhere.
const (
	reachFirst = 2 * time.Second
	reachLast  = 30 * time.Second
)

// reachHint is what usually helps.
const reachHint = "give the controller's ServiceAccount an IAM role (EKS Pod Identity or IRSA), a region, and a way to AWS' endpoints; " +
	"slipway preflight says which of them is missing"

// reach is how AWS is waited for. A process that ended instead would say it once, and then be left alone for minutes in CrashLoopBackOff,
// also after what was missing is there.
type reach struct {
	// probes is the address of /healthz and /readyz, which are served meanwhile: alive, and not ready, with the reason. "0" or empty: none.
	probes      string
	log         logr.Logger
	first, last time.Duration
}

// until calls dial until it answers, or ctx ends.
func (r reach) until(ctx context.Context, dial func(context.Context) error) error {
	err := dial(ctx)
	if err == nil {
		return nil
	}
	var reason atomic.Pointer[string]
	say := func(err error, retryIn time.Duration) {
		text := err.Error()
		reason.Store(&text)
		r.log.Error(err, "AWS cannot be reached: nothing is launched until it can", "hint", reachHint, "retryIn", retryIn.String())
	}
	say(err, r.first)
	close, err := r.serve(ctx, &reason)
	if err != nil {
		return err
	}
	defer close()
	for wait := r.first; ; wait = min(2*wait, r.last) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		if err := dial(ctx); err == nil {
			r.log.Info("AWS is reached")
			return nil
		} else if ctx.Err() == nil {
			say(err, min(2*wait, r.last))
		}
	}
}

// serve answers probes until it is told to close, and then leaves the address to the manager.
func (r reach) serve(ctx context.Context, reason *atomic.Pointer[string]) (closes func(), err error) {
	if r.probes == "" || r.probes == "0" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.probes)
	if err != nil {
		return nil, fmt.Errorf("serving probes: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "AWS cannot be reached: "+*reason.Load(), http.StatusServiceUnavailable)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			r.log.Error(err, "Serving probes")
		}
	}, nil
}
