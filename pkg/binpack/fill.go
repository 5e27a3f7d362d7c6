package binpack

import (
	"cmp"
	"slices"
)

// room is a place, bin or new node, that takes some pods of a demand.
type room struct {
	at       int
	most     int   // pods that fit
	stranded int64 // GPU that would stay free and that no CPU and memory is left for
	leftover int64 // what would stay free is worth: see leftoverValue
	free     int64 // GPU that is free now
}

// tightest orders rooms so that the one which strands the fewest GPUs comes first, then what leaves the least value behind, then the
// smallest, then by name.
func tightest(rooms []room) {
	slices.SortFunc(rooms, func(a, b room) int {
		return cmp.Or(cmp.Compare(a.stranded, b.stranded), cmp.Compare(a.leftover, b.leftover), cmp.Compare(a.free, b.free), cmp.Compare(a.at, b.at))
	})
}

// scale is what is needed to judge what stays free on a place.
type scale struct {
	perGPU Vector // by resource: the least that any demand asks of it for a thousand of the GPU resource
	weight Vector // by resource: of one unit; 0 where not every demand asks for it
}

// gpuWeight is how much dearer all GPUs of a machine are than all of any other resource of it: about what EC2 charges.
const gpuWeight = 3

// newScale weighs each resource that every demand asks for by the mean that shapes have of it, so that memory in MiB and CPU in
// milli-cores compare.
func newScale(p *Problem) scale {
	sc := scale{make(Vector, len(p.Resources)), make(Vector, len(p.Resources))}
	for r := range p.Resources {
		total, shared, least := int64(0), len(p.Demands) > 0, int64(-1)
		for i := range p.Shapes {
			total += p.Shapes[i].Capacity[r]
		}
		for i := range p.Demands {
			size := p.Demands[i].Size
			shared = shared && size[r] > 0
			if p.GPU >= 0 && size[p.GPU] > 0 {
				if each := size[r] * 1000 / size[p.GPU]; least < 0 || each < least {
					least = each
				}
			}
		}
		sc.perGPU[r] = max(0, least)
		if shared && total > 0 {
			sc.weight[r] = int64(len(p.Shapes)) << 30 / total
		}
		if r == p.GPU {
			sc.weight[r] *= gpuWeight
		}
	}
	return sc
}

// judge fills in what stays free of a place when most pods of a size have come.
func (s *solver) judge(r *room, size, free Vector) {
	left := func(i int) int64 { return free[i] - size[i]*int64(r.most) }
	for i, w := range s.scale.weight {
		if w > 0 {
			r.leftover += left(i) * w
		}
	}
	if s.p.GPU < 0 {
		return
	}
	r.free = free[s.p.GPU]
	fed := left(s.p.GPU)
	for i, each := range s.scale.perGPU {
		if each > 0 && i != s.p.GPU {
			fed = min(fed, left(i)*1000/each)
		}
	}
	r.stranded = left(s.p.GPU) - fed
}

func (s *solver) roomFor(d, at int, free Vector, contents []Content, left int) (room, bool) {
	demand := &s.p.Demands[d]
	most := copiesIn(demand.Size, free, min(left, perNode(demand)-held(contents, d)))
	if most == 0 || s.clashes(d, contents) {
		return room{}, false
	}
	r := room{at: at, most: most}
	s.judge(&r, demand.Size, free)
	return r, true
}

// fillBins puts pods of the demands, in their order, onto bins, which cost nothing, at the strictest level that has room.
// O(demands x levels x bins).
func (s *solver) fillBins(st *state, demands []int) {
	for _, d := range demands {
		for level := range s.p.Demands[d].Levels {
			if st.left[d] == 0 {
				break
			}
			s.rooms = s.rooms[:0]
			allowed := s.p.Demands[d].Levels[level].Bins
			for b := range st.free {
				if !allowed.Has(b) {
					continue
				}
				if r, ok := s.roomFor(d, b, st.free[b], st.fills[b], st.left[d]); ok {
					s.rooms = append(s.rooms, r)
				}
			}
			tightest(s.rooms)
			for _, r := range s.rooms {
				n := min(r.most, st.left[d])
				if n == 0 {
					break
				}
				st.fills[r.at] = with(st.fills[r.at], d, n)
				st.free[r.at] = minus(st.free[r.at], s.p.Demands[d].Size, n)
				st.left[d] -= n
			}
		}
	}
}

// fillByWorth puts onto each bin, the smallest first, those pods of the demands that would cost the most elsewhere: the bin's best contents
// when a pod is worth its cheapest price per pod. O(bins x knapsack).
func (s *solver) fillByWorth(st *state, demands []int) {
	bins := make([]room, 0, len(st.free))
	for b := range st.free {
		r := room{at: b}
		if s.p.GPU >= 0 {
			r.free = st.free[b][s.p.GPU]
		}
		bins = append(bins, r)
	}
	tightest(bins)
	for _, r := range bins {
		j, values, left := s.binJob(st, demands, r.at)
		if len(j.items) == 0 {
			continue
		}
		parts, _ := s.knapsack(j, &j.cands[0], values, left)
		for _, p := range parts {
			d := j.items[p.item].demand
			st.fills[r.at] = with(st.fills[r.at], d, p.count)
			st.free[r.at] = minus(st.free[r.at], s.p.Demands[d].Size, p.count)
			st.left[d] -= p.count
		}
	}
}

// binJob answers what may go onto a bin now, as a job whose only candidate is the bin.
func (s *solver) binJob(st *state, demands []int, b int) (j *job, values []int64, left []int) {
	j = &job{}
	for _, d := range demands {
		demand := &s.p.Demands[d]
		if r, ok := s.roomFor(d, b, st.free[b], st.fills[b], st.left[d]); ok && slices.ContainsFunc(demand.Levels, func(l Level) bool { return l.Bins.Has(b) }) {
			j.items = append(j.items, item{demand: d, size: demand.Size, most: r.most})
			values, left = append(values, s.worth[d]), append(left, st.left[d])
		}
	}
	all := NewSet(len(j.items))
	for i := range j.items {
		all.Add(i)
	}
	j.apart = s.apartItems(j.items)
	j.cands = []candidate{{capacity: st.free[b], allowed: all}}
	return j, values, left
}

// topUp puts pods of the demands, in their order, onto new nodes that have room, which costs nothing more.
// O(demands x distinct nodes).
func (s *solver) topUp(st *state, demands []int) {
	for _, d := range demands {
		if st.left[d] == 0 {
			continue
		}
		s.rooms = s.rooms[:0]
		for i := range st.nodes {
			if s.levelOf(d, st.nodes[i].offering) < 0 {
				continue
			}
			if r, ok := s.roomFor(d, i, st.nodes[i].free, st.nodes[i].contents, st.left[d]); ok {
				s.rooms = append(s.rooms, r)
			}
		}
		tightest(s.rooms)
		for _, r := range s.rooms {
			s.topUpNode(st, d, r)
		}
	}
}

// topUpNode fills as many copies of a node as there are pods for, splitting the copies that get none or fewer.
func (s *solver) topUpNode(st *state, d int, r room) {
	node := st.nodes[r.at]
	most := min(r.most, st.left[d])
	if most == 0 {
		return
	}
	full := min(node.copies, st.left[d]/most)
	filled := func(copies, n int) bought {
		return bought{
			offering: node.offering, copies: copies,
			contents: with(node.contents, d, n), free: minus(node.free, s.p.Demands[d].Size, n),
		}
	}
	st.nodes[r.at] = filled(full, most)
	st.left[d] -= full * most
	rest := node.copies - full
	if n := min(most, st.left[d]); rest > 0 && n > 0 {
		st.nodes = append(st.nodes, filled(1, n))
		st.left[d] -= n
		rest--
	}
	if rest > 0 {
		node.copies = rest
		st.nodes = append(st.nodes, node)
	}
}

// levelOf answers the strictest level at which the demand may use the offering, -1 if there is none.
func (s *solver) levelOf(d, offering int) int {
	levels := s.p.Demands[d].Levels
	for l := range levels {
		if levels[l].Offerings.Has(offering) {
			return l
		}
	}
	return -1
}
