package inventory

import (
	"maps"
	"time"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// expectationLasts bounds how long a claim counts that the cache does not show: one that was created and ended while the watch was
// broken never shows. No watch is behind for so long without the controller's lease being lost.
const expectationLasts = 10 * time.Minute

// expectation is a claim that was created a moment ago.
type expectation struct {
	claim v1alpha1.NodeClaim
	since time.Time
}

// Expect counts a claim that was just created until the cache shows it.
func (m *Mirror) Expect(claim v1alpha1.NodeClaim) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expected[claim.Name] = expectation{claim, m.Now()}
}

// Seen forgets the expectation of a claim: the cache has shown it, or its end.
func (m *Mirror) Seen(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.expected, name)
}

// expectations answers what is expected now. It must be asked before the cache is read: a claim that the cache shows a moment after it
// was read is Seen then, and would be in neither.
func (m *Mirror) expectations(now time.Time) map[string]expectation {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.expected, func(_ string, e expectation) bool { return now.Sub(e.since) > expectationLasts })
	return maps.Clone(m.expected)
}
