package record

import (
	"bytes"
	"context"
	"time"

	"github.com/go-logr/logr"

	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

const (
	// queued is how many decisions may wait for the disk. They share their objects with the caches, so they cost little memory.
	queued = 16
	// repeatEvery is the pace of records while the decision stays the same: the loop looks every few seconds as long as a pod waits,
	// and pictures of a standstill must not push out those of what led to it.
	repeatEvery = time.Minute
)

// Recorder writes the decisions of a loop into a Directory, behind its back. It is a manager.Runnable.
type Recorder struct {
	directory *Directory
	program   string
	log       logr.Logger
	queue     chan kept
	dropped   int // since the last that was taken; the loop's only

	last []byte // the decision that was written last, and when it was made; Start's only
	at   time.Time
}

// kept is a decision that waits to be written.
type kept struct {
	view     plan.View
	policy   plan.Policy
	decision plan.Decision
	fault    error
	dropped  int
}

// NewRecorder answers a Recorder for decisions of the program of that version.
func NewRecorder(directory *Directory, program string, log logr.Logger) *Recorder {
	return &Recorder{directory: directory, program: program, log: log, queue: make(chan kept, queued)}
}

// Keep takes a decision, or the fault in its place, to be written soon. It never blocks: if the disk is too slow, the decision is dropped,
// and the log says so. Nobody may change what it is given. One goroutine calls it.
func (r *Recorder) Keep(v plan.View, policy plan.Policy, d plan.Decision, fault error) {
	select {
	case r.queue <- kept{v, policy, d, fault, r.dropped}:
		r.dropped = 0
	default:
		r.dropped++
	}
}

// NeedLeaderElection is false: it writes what the leader's loop gives it, and must be there before the loop and after it.
func (r *Recorder) NeedLeaderElection() bool { return false }

// Start writes until ctx ends, and then what is queued.
func (r *Recorder) Start(ctx context.Context) error {
	for {
		select {
		case k := <-r.queue:
			r.write(k)
			continue
		case <-ctx.Done():
		}
		for {
			select {
			case k := <-r.queue:
				r.write(k)
			default:
				return nil
			}
		}
	}
}

func (r *Recorder) write(k kept) {
	if k.dropped > 0 {
		r.log.Info("Views were not recorded: the disk is too slow", "dropped", k.dropped)
	}
	record, err := Of(r.program, k.view, k.policy, k.decision, k.fault)
	if err != nil {
		r.log.Error(err, "Recording a View")
		return
	}
	decided := append([]byte(record.Fault), record.Decision...)
	if bytes.Equal(decided, r.last) && k.view.Now.Sub(r.at) < repeatEvery {
		return
	}
	if _, err := r.directory.Write(record); err != nil {
		r.log.Error(err, "Recording a View")
		return
	}
	r.last, r.at = decided, k.view.Now
}
