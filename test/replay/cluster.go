package main

import "cmp"

// pod is one pod that arrived.
type pod struct {
	id    int
	at    int64
	lasts int64
	size  size
}

// node is a machine that was bought.
type node struct {
	id       int
	kind     *kind
	free     size
	pods     int // on it, or promised to it
	bought   int64
	ready    int64
	idle     int64 // since when it has no pods, if it has none
	promised []*pod
}

// cluster is what stands at an instant.
type cluster struct {
	now   int64
	nodes []*node // by id, which is by age
	next  int
	spent float64 // dollars, of nodes that are gone
	count int     // nodes bought so far
}

func (c *cluster) buy(k *kind, boot int64) *node {
	n := &node{id: c.next, kind: k, free: k.free, bought: c.now, ready: c.now + boot, idle: c.now}
	c.next++
	c.count++
	c.nodes = append(c.nodes, n)
	return n
}

// remove ends a node's life.
func (c *cluster) remove(n *node) {
	for i := range c.nodes {
		if c.nodes[i] == n {
			c.nodes = append(c.nodes[:i], c.nodes[i+1:]...)
			break
		}
	}
	c.spent += n.cost(c.now)
}

// cost is what the node has cost until an instant, in dollars.
func (n *node) cost(now int64) float64 {
	return float64(n.kind.price) / 1e6 * float64(now-n.bought) / 3600
}

// total is what everything has cost so far.
func (c *cluster) total() float64 {
	sum := c.spent
	for _, n := range c.nodes {
		sum += n.cost(c.now)
	}
	return sum
}

func (n *node) take(p *pod) {
	n.free = n.free.plus(p.size, -1)
	n.pods++
}

func (n *node) release(s size, now int64) {
	n.free = n.free.plus(s, 1)
	if n.pods--; n.pods == 0 {
		n.idle = now
	}
}

// scheduler is how kube-scheduler chooses among nodes that are ready and have room.
type scheduler func(a, b *node) bool // a before b

// schedulers are kube-scheduler's ways: by age, or as a bin-packing profile does, onto the node that has the least left.
var schedulers = map[string]scheduler{
	"first-fit": func(a, b *node) bool { return a.id < b.id },
	"tight": func(a, b *node) bool {
		return cmp.Or(cmp.Compare(a.free[gpu], b.free[gpu]), cmp.Compare(a.free[cpu], b.free[cpu]),
			cmp.Compare(a.free[memory], b.free[memory]), cmp.Compare(a.id, b.id)) < 0
	},
}

// place answers the node that the scheduler binds a pod to; nil: none that is ready has room.
func (c *cluster) place(p *pod, before scheduler) *node {
	var best *node
	for _, n := range c.nodes {
		if n.ready <= c.now && p.size.fits(n.free) && (best == nil || before(n, best)) {
			best = n
		}
	}
	return best
}
