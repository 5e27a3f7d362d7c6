package notice

import (
	"sync"
	"time"
)

// remembered is how long it is remembered that something was said: well beyond the life of a notice in the queue after its first delivery.
const remembered = time.Hour

// memory keeps what must be said once although the notice comes again. It is lost on a restart, which costs a repetition.
type memory struct {
	now func() time.Time

	mu    sync.Mutex
	until map[string]time.Time
}

func newMemory(now func() time.Time) *memory {
	return &memory{now: now, until: map[string]time.Time{}}
}

// first says whether this is new, and remembers it.
func (m *memory) first(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if _, known := m.until[key]; known {
		return false
	}
	for k, until := range m.until {
		if now.After(until) {
			delete(m.until, k)
		}
	}
	m.until[key] = now.Add(remembered)
	return true
}
