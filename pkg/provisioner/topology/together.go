package topology

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// Member is a number of equal pods, some of which may have to share a node with others.
type Member struct {
	Count int
	// Near is the selector of required affinity to pods on the same node; empty: none.
	Near   demand.SelectorKey
	Chosen []demand.SelectorKey
	// Absent: the pods will have no place, so nobody can be near them.
	Absent bool
}

// Share is a number of pods of a member.
type Share struct{ Member, Pods int }

// Company is pods that share a node, Count times.
type Company struct {
	Shares []Share // by member
	Count  int
	// Holding, if not empty: only nodes will do that hold a pod of this selector already.
	Holding demand.SelectorKey
	// First: it has the first of a kind, and is to be bound before others of that kind, which have no room for it.
	First bool
}

// Lonely is a number of pods whose affinity to pods on the same node cannot be served.
type Lonely struct {
	Member, Count int
	// Full: there is such a node, or there will be, without room for them; else there is none.
	Full bool
}

// Nodes is what Together has to know of nodes.
type Nodes interface {
	// Runs tells whether a pod that the selector chooses is on any node.
	Runs(demand.SelectorKey) bool
	// Room answers how many pods of a member fit onto nodes that hold pods of its Near.
	Room(member int) int
	// Fits tells whether there is anything to put a company onto that holds nothing else.
	Fits([]Share) bool
}

// Together decides who shares a node because of required affinity with the key Hostname. Pods go where those run that they must be near; else
// each waiting pod that they must be near takes an equal number of them along; else, if they are of the first of their kind, they go
// onto one node, as many as fit: kube-scheduler lets only the first of them choose. Those who find no room along with anybody do so, too.
// O(members x companies).
func Together(members []Member, nodes Nodes) ([]Company, []Lonely) {
	t := &gathering{members: members, nodes: nodes, left: make([]int, len(members))}
	groups := map[demand.SelectorKey][]int{}
	for i, m := range members {
		t.left[i] = m.Count
		if m.Near == "" {
			t.companies = append(t.companies, Company{Shares: []Share{{i, 1}}, Count: m.Count})
			t.left[i] = 0
			continue
		}
		groups[m.Near] = append(groups[m.Near], i)
	}
	pending := make([]demand.SelectorKey, 0, len(groups))
	for selector := range groups {
		pending = append(pending, selector)
	}
	slices.Sort(pending)
	for len(pending) > 0 {
		next := slices.IndexFunc(pending, func(s demand.SelectorKey) bool { return nodes.Runs(s) || t.rooted(s) })
		first := next < 0
		if first {
			next = max(0, slices.IndexFunc(pending, func(s demand.SelectorKey) bool { return t.firstOf(s, groups[s]) >= 0 }))
		}
		selector := pending[next]
		pending = slices.Delete(pending, next, next+1)
		if first {
			t.found(selector, groups[selector])
		} else {
			t.join(selector, groups[selector])
		}
	}
	return alike(t.companies), t.lonely()
}

// alike puts equal companies together.
func alike(list []Company) []Company {
	var all []Company
	at := map[string]int{}
	for _, c := range list {
		key := fmt.Sprint(c.Holding, c.Shares, c.First)
		if i, known := at[key]; known {
			all[i].Count += c.Count
			continue
		}
		at[key] = len(all)
		all = append(all, c)
	}
	return all
}

type gathering struct {
	members   []Member
	nodes     Nodes
	left      []int // pods by member that have no company yet
	full      map[int]bool
	companies []Company
}

func (t *gathering) chosen(member int, s demand.SelectorKey) bool {
	return !t.members[member].Absent && slices.Contains(t.members[member].Chosen, s)
}

func (t *gathering) holds(c *Company, s demand.SelectorKey) bool {
	return slices.ContainsFunc(c.Shares, func(share Share) bool { return t.chosen(share.Member, s) })
}

// rooted tells whether a company has a pod that the selector chooses.
func (t *gathering) rooted(s demand.SelectorKey) bool {
	return slices.ContainsFunc(t.companies, func(c Company) bool { return c.Holding == "" && t.holds(&c, s) })
}

// firstOf answers a member that may be the first of its kind: one that its own affinity chooses; negative: none.
func (t *gathering) firstOf(s demand.SelectorKey, group []int) int {
	return slices.IndexFunc(group, func(i int) bool { return t.chosen(i, s) && t.left[i] > 0 })
}

// join sends a group onto the nodes that hold what it must be near, and then along with the companies that have it.
func (t *gathering) join(s demand.SelectorKey, group []int) {
	for _, i := range group {
		if n := min(t.left[i], t.room(i)); n > 0 {
			t.companies = append(t.companies, Company{Shares: []Share{{i, 1}}, Count: n, Holding: s})
			t.left[i] -= n
		}
	}
	before := slices.Clone(t.left)
	for _, i := range group {
		t.along(s, i)
	}
	if !t.nodes.Runs(s) && slices.Equal(before, t.left) {
		t.alone(s, group)
	}
	for _, i := range group {
		t.noteFull(i)
	}
}

// alone lets the first of a kind go where nobody is, with as many of its group as fit, when none of them finds room beside those who wait: whom
// its own affinity chooses, kube-scheduler binds anywhere before it has bound any that it would have to be near.
func (t *gathering) alone(s demand.SelectorKey, group []int) {
	if at := t.firstOf(s, group); at >= 0 && t.nodes.Fits([]Share{{group[at], 1}}) {
		t.found(s, group)
		t.companies[len(t.companies)-1].First = true
	}
}

func (t *gathering) room(i int) int {
	if !t.nodes.Runs(t.members[i].Near) {
		return 0
	}
	return t.nodes.Room(i)
}

func (t *gathering) noteFull(i int) {
	if t.left[i] > 0 {
		if t.full == nil {
			t.full = map[int]bool{}
		}
		t.full[i] = true
	}
}

// along spreads the pods of a member evenly over the companies that hold what it must be near.
func (t *gathering) along(s demand.SelectorKey, member int) {
	hosts := 0
	var rest []Company
	var with []Company
	for _, c := range t.companies {
		if c.Holding == "" && t.holds(&c, s) {
			hosts += c.Count
			with = append(with, c)
		} else {
			rest = append(rest, c)
		}
	}
	if hosts == 0 || t.left[member] == 0 {
		return
	}
	each, more := t.left[member]/hosts, t.left[member]%hosts
	for _, c := range with {
		larger := min(more, c.Count)
		more -= larger
		rest = t.extend(rest, c, larger, member, each+1)
		rest = t.extend(rest, c, c.Count-larger, member, each)
	}
	t.companies = rest
}

// extend adds so many pods of a member, or as many as fit, to count companies like c.
func (t *gathering) extend(list []Company, c Company, count, member, pods int) []Company {
	if count == 0 {
		return list
	}
	n := t.fitting(c.Shares, member, min(pods, t.left[member]))
	if n > 0 {
		c.Shares = with(c.Shares, member, n)
		t.left[member] -= n * count
	}
	c.Count = count
	return append(list, c)
}

func with(shares []Share, member, n int) []Share {
	list := slices.Clone(shares)
	if at := slices.IndexFunc(list, func(s Share) bool { return s.Member == member }); at >= 0 {
		list[at].Pods += n
		return list
	}
	list = append(list, Share{member, n})
	slices.SortFunc(list, func(a, b Share) int { return cmp.Compare(a.Member, b.Member) })
	return list
}

// fitting answers how many of n pods of a member fit besides the shares.
func (t *gathering) fitting(shares []Share, member, n int) int {
	low, high := 0, n // low fits, or is nothing more
	for low < high {
		mid := (low + high + 1) / 2
		if t.nodes.Fits(with(shares, member, mid)) {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}

// found puts as many pods of a group as fit onto one node, one first that may be the first of its kind.
func (t *gathering) found(s demand.SelectorKey, group []int) {
	at := t.firstOf(s, group)
	if at < 0 {
		return
	}
	first := group[at]
	var shares []Share
	for _, i := range slices.Concat([]int{first}, group) {
		n := t.fitting(shares, i, t.left[i])
		if n > 0 {
			shares = with(shares, i, n)
			t.left[i] -= n
		} else if len(shares) == 0 {
			// It fits nowhere: let the solver say why.
			shares, t.left[i] = []Share{{i, 1}}, t.left[i]-1
		}
	}
	t.companies = append(t.companies, Company{Shares: shares, Count: 1})
	for _, i := range group {
		t.noteFull(i)
	}
}

func (t *gathering) lonely() []Lonely {
	var list []Lonely
	for i, n := range t.left {
		if n > 0 {
			list = append(list, Lonely{Member: i, Count: n, Full: t.full[i]})
		}
	}
	return list
}
