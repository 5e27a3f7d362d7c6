package topology

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// shelf is nodes of one size.
type shelf struct {
	holds map[demand.SelectorKey]int // room for pods beside those that run
	size  int                        // pods on a new node
	apart []int                      // members of which no two share a node, and that share none with each other
	near  []demand.SelectorKey       // by member
}

func (s shelf) Runs(key demand.SelectorKey) bool { _, is := s.holds[key]; return is }

func (s shelf) Room(member int) int { return s.holds[s.near[member]] }

func (s shelf) Fits(shares []Share) bool {
	pods, alone := 0, 0
	for _, share := range shares {
		pods += share.Pods
		if slices.Contains(s.apart, share.Member) {
			alone += share.Pods
		}
	}
	return pods <= s.size && alone <= 1
}

func TestTogether(t *testing.T) {
	free := func(n int, chosen ...demand.SelectorKey) Member { return Member{Count: n, Chosen: chosen} }
	near := func(n int, to demand.SelectorKey, chosen ...demand.SelectorKey) Member {
		return Member{Count: n, Near: to, Chosen: chosen}
	}
	absent := func(m Member) Member { m.Absent = true; return m }
	type shares = []Share
	tests := map[string]struct {
		members []Member
		nodes   shelf
		want    []Company
		lonely  []Lonely
	}{
		"nobody asks": {[]Member{free(3)}, shelf{size: 4}, []Company{{Shares: shares{{0, 1}}, Count: 3}}, nil},
		"beside those that run": {[]Member{near(3, "a")}, shelf{size: 4, holds: holds{"a": 2}},
			[]Company{{Shares: shares{{0, 1}}, Count: 2, Holding: "a"}}, []Lonely{{Member: 0, Count: 1, Full: true}}},
		"an equal share of those that wait": {[]Member{free(2, "a"), near(5, "a")}, shelf{size: 8},
			[]Company{{Shares: shares{{0, 1}, {1, 3}}, Count: 1}, {Shares: shares{{0, 1}, {1, 2}}, Count: 1}}, nil},
		"as many as fit go along": {[]Member{free(2, "a"), near(8, "a")}, shelf{size: 3},
			[]Company{{Shares: shares{{0, 1}, {1, 2}}, Count: 2}}, []Lonely{{Member: 1, Count: 4, Full: true}}},
		"the first of their kind": {[]Member{near(6, "a", "a")}, shelf{size: 4},
			[]Company{{Shares: shares{{0, 4}}, Count: 1}}, []Lonely{{Member: 0, Count: 2, Full: true}}},
		"one of a kind takes others along": {[]Member{near(1, "a"), near(2, "a", "a")}, shelf{size: 4},
			[]Company{{Shares: shares{{0, 1}, {1, 2}}, Count: 1}}, nil},
		"nobody is there": {[]Member{near(2, "a")}, shelf{size: 4}, nil, []Lonely{{Member: 0, Count: 2}}},
		"a chain": {[]Member{near(1, "b"), near(1, "a", "b"), free(1, "a")}, shelf{size: 4},
			[]Company{{Shares: shares{{0, 1}, {1, 1}, {2, 1}}, Count: 1}}, nil},
		"no two share a node": {[]Member{near(3, "a", "a")}, shelf{size: 4, apart: []int{0}},
			[]Company{{Shares: shares{{0, 1}}, Count: 1}}, []Lonely{{Member: 0, Count: 2, Full: true}}},
		"no room beside those who wait": {[]Member{free(1, "a"), near(1, "a", "a")}, shelf{size: 4, apart: []int{0, 1}},
			[]Company{{Shares: shares{{0, 1}}, Count: 1}, {Shares: shares{{1, 1}}, Count: 1, First: true}}, nil},
		"no room beside those who wait, and not of that kind": {[]Member{free(1, "a"), near(1, "a")}, shelf{size: 4, apart: []int{0, 1}},
			[]Company{{Shares: shares{{0, 1}}, Count: 1}}, []Lonely{{Member: 1, Count: 1, Full: true}}},
		"too large for any node, for the solver to say": {[]Member{near(2, "a", "a")}, shelf{size: 0},
			[]Company{{Shares: shares{{0, 1}}, Count: 1}}, []Lonely{{Member: 0, Count: 1, Full: true}}},
		"who will not come is nobody's company": {[]Member{absent(free(2, "a")), near(2, "a", "a")}, shelf{size: 4},
			[]Company{{Shares: shares{{0, 1}}, Count: 2}, {Shares: shares{{1, 2}}, Count: 1}}, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, m := range tc.members {
				tc.nodes.near = append(tc.nodes.near, m.Near)
			}
			companies, lonely := Together(tc.members, tc.nodes)
			if diff := cmp.Diff(tc.want, companies); diff != "" {
				t.Errorf("companies (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.lonely, lonely); diff != "" {
				t.Errorf("lonely (-want +got):\n%s", diff)
			}
		})
	}
}
