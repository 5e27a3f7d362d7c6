package binpack

import "testing"

// Among states that serve the same and cost the same, the one that buys fewer GPUs wins, whatever its nodes.
func TestFewerStrandedGPUsWin(t *testing.T) {
	p, _, err := parseStory("resources cpu gpu*\nshape one 8 1\nshape two 8 2\nshape eight 64 8\noffering one one $1\noffering two two $1\noffering eight eight $2\ndemand d x2 1 1")
	if err != nil {
		t.Fatal(err)
	}
	s := newSolver(p, Policy{})
	state := func(offering, copies int) *state {
		st := s.start()
		st.left[0] = 0
		st.nodes = []bought{{offering: offering, copies: copies}}
		return st
	}
	if s.compare(state(0, 2), state(1, 2)) <= 0 || s.compare(state(0, 2), state(2, 1)) <= 0 {
		t.Error("two nodes of 1 GPU do not beat nodes at the same price that strand some")
	}
	if s.compare(state(1, 1), state(0, 2)) <= 0 {
		t.Error("a cheaper node does not beat two that strand fewer")
	}
}
