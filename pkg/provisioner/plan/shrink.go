package plan

import (
	"cmp"
	"fmt"
	"time"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// Shrinking is what Shrink answers.
type Shrinking struct {
	// Retire are claims whose node is to go: fenced first, looked at again, and only then drained. By claim name.
	Retire []Retire
	// Release are claims that were to be retired for being idle and are in use again: the fence comes off. By name.
	Release []string
	// Next is when to look again if nothing changes before; zero: no node is waiting for its time.
	Next time.Time
}

// Retire is one node that is to go.
type Retire struct {
	Claim   string
	Reason  v1alpha1.RetireReason
	Message string
}

// Shrink decides which nodes are idle or expired. placed are the places that Grow gave on the same View: a node that a pod is expected on
// is not idle.
func Shrink(v View, placed []Placed) Shrinking {
	v = *canonical(v)
	s := shrinking{view: &v, expected: map[string]bool{}, expiring: map[string]int{}, count: map[string]int{}}
	for _, p := range placed {
		if p.Node != "" {
			s.expected[p.Node] = true
		}
	}
	nodes := map[string]*Node{}
	for i := range v.Nodes {
		if v.Nodes[i].Claim != "" {
			nodes[v.Nodes[i].Claim] = &v.Nodes[i]
		}
	}
	provisioners := map[string]*Provisioner{}
	for i := range v.Provisioners {
		provisioners[v.Provisioners[i].Object.Name] = &v.Provisioners[i]
	}
	for i := range v.Claims {
		c := &v.Claims[i].Object
		s.count[c.Spec.Provisioner]++
		if c.Status.Retire != nil && c.Status.Retire.Reason == v1alpha1.RetireExpired {
			s.expiring[c.Spec.Provisioner]++
		}
	}
	for i := range v.Claims {
		c := &v.Claims[i].Object
		if n, p := nodes[c.Name], provisioners[c.Spec.Provisioner]; n != nil && p != nil && c.DeletionTimestamp == nil {
			s.look(c, n, p.Object.Spec.Disruption)
		}
	}
	return s.answer
}

// defaultIdleAfter is the CRD's default, for a Provisioner that no API server has seen.
const defaultIdleAfter = "60s"

type shrinking struct {
	view     *View
	expected map[string]bool // nodes that a waiting pod is expected on
	expiring map[string]int  // claims that are going for their age, by Provisioner
	count    map[string]int  // claims by Provisioner
	answer   Shrinking
}

// look decides about one node with a claim that is not being deleted.
func (s *shrinking) look(c *v1alpha1.NodeClaim, n *Node, d v1alpha1.Disruption) {
	idleAfter := cmp.Or(d.IdleAfter, defaultIdleAfter)
	inUse := n.GPUPods > 0 || s.expected[n.Name]
	switch {
	case c.Status.Retire != nil:
		if inUse && c.Status.Retire.Reason == v1alpha1.RetireIdle {
			s.answer.Release = append(s.answer.Release, c.Name)
		}
	case !ready(c) || n.DoNotDisrupt:
	case !inUse && !n.IdleSince.IsZero() && s.due(n.IdleSince, idleAfter):
		s.retire(c, v1alpha1.RetireIdle, fmt.Sprintf("no pod has used its GPUs since %s (idleAfter %s)",
			n.IdleSince.UTC().Format(time.RFC3339), idleAfter))
	case s.due(n.CreatedAt, d.ExpireAfter):
		// A tenth of a Provisioner's nodes at a time, at least one: they were often launched together.
		if s.expiring[c.Spec.Provisioner] < max(1, s.count[c.Spec.Provisioner]/10) {
			s.expiring[c.Spec.Provisioner]++
			s.retire(c, v1alpha1.RetireExpired, fmt.Sprintf("it is older than expireAfter %s", d.ExpireAfter))
		}
	}
}

func (s *shrinking) retire(c *v1alpha1.NodeClaim, reason v1alpha1.RetireReason, message string) {
	s.answer.Retire = append(s.answer.Retire, Retire{Claim: c.Name, Reason: reason, Message: message})
}

// due tells whether a duration has passed since a time, and notes when it will have. "Never" and anything that is no duration are
// never due: the CRD refuses the latter, so it can only come from a newer version.
func (s *shrinking) due(since time.Time, after string) bool {
	d, err := time.ParseDuration(after)
	if err != nil {
		return false
	}
	at := since.Add(d)
	if !at.After(s.view.Now) {
		return true
	}
	if s.answer.Next.IsZero() || at.Before(s.answer.Next) {
		s.answer.Next = at
	}
	return false
}
