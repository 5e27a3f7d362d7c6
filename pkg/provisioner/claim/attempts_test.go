package claim

import "testing"

// A claim whose creation is repeated, because nobody knew whether it had succeeded, is not fresh again.
func TestCreatedAgainIsNotFreshAgain(t *testing.T) {
	r := &Reconciler{attempts: newAttempts()}
	if r.attempts.takeFresh("a") {
		t.Error("a claim that this process has not created is fresh")
	}
	r.Created("a")
	if !r.attempts.isFresh("a") || !r.attempts.takeFresh("a") {
		t.Error("a claim that was just created is not fresh")
	}
	r.Created("a")
	if r.attempts.isFresh("a") || r.attempts.takeFresh("a") {
		t.Error("a claim that was asked for once is fresh again")
	}
	r.attempts.forget("a", "")
	r.Created("a")
	if !r.attempts.takeFresh("a") {
		t.Error("a new claim of an old name is not fresh")
	}
}
