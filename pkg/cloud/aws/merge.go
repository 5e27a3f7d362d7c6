package aws

import (
	"context"
	"sync"
	"time"
)

const (
	// mergeEvery is the least time between two calls of the same kind that are merged: five a second, of the twenty that EC2 allows an
	// account to describe things in the long run.
	mergeEvery = 200 * time.Millisecond
	// mergeMost is how many values EC2 takes in one filter.
	mergeMost = 200
	// mergeTimeout bounds a merged call, which must not end because one of those who wait for it gives up.
	mergeTimeout = 30 * time.Second
)

// merger makes one call for all who ask at about the same time: six hundred claims that each look at their machine every 5 s would
// otherwise be 120 calls a second. Who asks is answered by a call that began afterwards, so nobody learns what was true before.
// Its methods may be called from many goroutines.
type merger[T any] struct {
	call func(ctx context.Context, ids []string) (T, error)

	mu   sync.Mutex
	next *round[T] // takes in who asks now; nil: there is none
	last time.Time // when the latest call begins, or began
}

// round is one call and those who wait for it.
type round[T any] struct {
	ids    []string
	done   chan struct{} // closed once answer and err are there
	answer T
	err    error
}

// ask answers what the next call answers, which includes the id. Callers share the answer and must not change it.
func (m *merger[T]) ask(ctx context.Context, id string) (T, error) {
	r := m.join(id)
	select {
	case <-r.done:
		return r.answer, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func (m *merger[T]) join(id string) *round[T] {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next == nil || len(m.next.ids) >= mergeMost {
		now := time.Now()
		begin := m.last.Add(mergeEvery)
		if begin.Before(now) {
			begin = now
		}
		r := &round[T]{done: make(chan struct{})}
		m.next, m.last = r, begin
		time.AfterFunc(begin.Sub(now), func() { m.run(r) })
	}
	m.next.ids = append(m.next.ids, id)
	return m.next
}

func (m *merger[T]) run(r *round[T]) {
	m.mu.Lock()
	if m.next == r {
		m.next = nil
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), mergeTimeout)
	defer cancel()
	defer close(r.done)
	r.answer, r.err = m.call(ctx, r.ids)
}
