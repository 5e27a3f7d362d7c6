package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
)

// sweeps counts.
type sweeps int

func (s *sweeps) SweepLaunchTemplates(context.Context, time.Duration) (int, error) {
	*s++
	return 0, nil
}

// TestShortLeadersSweep: where the leader changes every few hours, launch templates are swept all the same.
func TestShortLeadersSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Hour)
		defer cancel()
		var done sweeps
		if err := (templateSweeper{fleet: &done, log: logr.Discard()}).Start(ctx); err != nil {
			t.Fatal(err)
		}
		if done == 0 || done > 6 {
			t.Errorf("a leader of six hours swept %d times", done)
		}
	})
}
