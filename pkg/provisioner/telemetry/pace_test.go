package telemetry_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// heard keeps what was said and when.
type heard struct {
	notes []string
	at    []time.Time
}

func (h *heard) Eventf(_, _ runtime.Object, _, _, _, note string, args ...any) {
	h.notes = append(h.notes, fmt.Sprintf(note, args...))
	h.at = append(h.at, time.Now())
}

func TestPacerPassesOnInOrderAndOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		h := &heard{}
		p := telemetry.NewPacer(h)
		done := make(chan error)
		go func() { done <- p.Start(ctx) }()
		for i := range 100 {
			p.Eventf(&corev1.Pod{}, nil, "Normal", "R", "A", "%d", i)
		}
		time.Sleep(3 * time.Second)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(h.notes) != 100 {
			t.Fatalf("%d events were passed on, want 100", len(h.notes))
		}
		for i, note := range h.notes {
			if note != fmt.Sprint(i) {
				t.Errorf("event %d is %q", i, note)
			}
			if i > 0 && h.at[i].Sub(h.at[i-1]) < 10*time.Millisecond {
				t.Errorf("events %d and %d are %s apart", i-1, i, h.at[i].Sub(h.at[i-1]))
			}
		}
	})
}

func TestPacerNeverBlocks(t *testing.T) {
	p := telemetry.NewPacer(&heard{})
	for i := range 20_000 {
		p.Eventf(&corev1.Pod{}, nil, "Normal", "R", "A", "%d", i)
	}
}
