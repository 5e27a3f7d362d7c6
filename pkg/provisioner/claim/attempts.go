package claim

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// attempts is what this process knows of launches before the API server does. It only saves time: forgotten, as after a crash, it
// costs a look at the cloud for each claim whose launch is not on record.
//
// It saves the two dearest steps of a burst: the note of an intent to launch, which is a write for each claim between a decision and
// its CreateFleet, and the search for a machine that a pass over a stale claim would begin.
type attempts struct {
	mu    sync.Mutex
	fresh map[string]bool // claims by name that this process creates; true until somebody asks the cloud for their machine
	made  map[types.UID]made
}

// made is a machine that this process has bought.
type made struct {
	instance cloud.Instance
	recorded bool // the claim's stored status names it: a claim without it is stale
}

func newAttempts() *attempts { return &attempts{fresh: map[string]bool{}, made: map[types.UID]made{}} }

// takeFresh answers whether nobody has asked the cloud for the claim's machine, and takes it that somebody does now.
func (a *attempts) takeFresh(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	fresh, ours := a.fresh[name]
	if ours {
		a.fresh[name] = false
	}
	return fresh
}

// isFresh is takeFresh for those who do not ask.
func (a *attempts) isFresh(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fresh[name]
}

func (a *attempts) bought(uid types.UID, instance cloud.Instance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made[uid] = made{instance: instance}
}

// machine answers what was bought for the claim, and whether that is on record.
func (a *attempts) machine(uid types.UID) (m made, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, known = a.made[uid]
	return m, known
}

// record notes that the stored status of the claim names its machine.
func (a *attempts) record(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m, known := a.made[uid]; known {
		m.recorded = true
		a.made[uid] = m
	}
}

func (a *attempts) forget(name string, uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.fresh, name)
	delete(a.made, uid)
}

// Created says that this process creates a claim of this name now, so that its first launch need not be announced. It must be
// called before the claim can be seen, and only by the one who creates it. Said again of a claim whose creation is repeated, because
// nobody knows whether it succeeded, it changes nothing: the claim may have been launched meanwhile.
func (r *Reconciler) Created(name string) {
	r.attempts.mu.Lock()
	defer r.attempts.mu.Unlock()
	if _, before := r.attempts.fresh[name]; !before {
		r.attempts.fresh[name] = true
	}
}

// Withdrawn takes Created back: the API server has refused the claim.
func (r *Reconciler) Withdrawn(name string) {
	r.attempts.mu.Lock()
	defer r.attempts.mu.Unlock()
	delete(r.attempts.fresh, name)
}
