package nominate

import (
	"container/list"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

const (
	// calm is how long no pod that waits was tried and no node opened when schedulers have gone through them.
	calm = 200 * time.Millisecond
	// nextLeast is how many pods count as about to be tried where a node opens at once: pods of about the same age go in any order. nextMost bounds
	// the work.
	nextLeast, nextMost = 10, 100
	// preparingTakes and openingTakes are how long it takes to nominate the pods of a node and to open it, until that has been seen.
	preparingTakes, openingTakes = 100 * time.Millisecond, 20 * time.Millisecond
	// paceOver is over how many attempts the time that one takes is averaged.
	paceOver = 16
)

// queue tells which pods their schedulers will try next.
//
// An opening node wakes every pod that waits, and an attempt that fails drops the pod's nomination: its place is then anybody's. So the
// moment that must not meet an attempt at one of a node's own pods is the one in which it opens. kube-scheduler orders pods of one
// priority by the end of their last attempt (its queue sort plugin PrioritySort, and the timestamp that AddUnschedulablePodIfNotPresent
// sets; 1.37), so whoever was judged longest ago is next:
//
//	tried last: 10 s   9 s   8 s   ...   0.1 s   ago
//	            [ next    ]               a node whose pods are all here may open
//
// A failed attempt takes the scheduler a write of the pod's status, about as long as it takes to open a node; hundreds of pods that wait take
// it seconds, and it seldom comes to rest while nodes join.
type queue struct {
	now func() time.Time

	mu                 sync.Mutex
	lines              map[line]*inLine
	at                 map[types.UID]*list.Element
	attempts           [paceOver]time.Time // when the latest have ended, a ring
	count              int                 // of attempts
	opened             time.Time           // when a node was last opened
	preparing, opening time.Duration       // what it takes of late to nominate the pods of a node, and to open it
}

// line is whose pods a scheduler tries in order.
type line struct {
	scheduler string
	priority  int32
}

// inLine are the pods of a line, the one that was tried longest ago first. An attempt of which nothing was heard (it found what the one before
// did) leaves its pod where it was, so next is whoever follows the one that was tried last; nil: the first.
type inLine struct {
	list.List // of queued
	next      *list.Element
}

// among tells whether one of some pods is among so many, from an element on.
func among(from *list.Element, depth int, own map[types.UID]bool) bool {
	for ; depth > 0 && from != nil; depth, from = depth-1, from.Next() {
		if own[from.Value.(queued).uid] {
			return true
		}
	}
	return false
}

// queued is a pod in its line.
type queued struct {
	line
	uid      types.UID
	expected string // the node that it is nominated to, as far as news has come
}

func newQueue(now func() time.Time) *queue {
	return &queue{now: now, lines: map[line]*inLine{}, at: map[types.UID]*list.Element{}, preparing: preparingTakes, opening: openingTakes}
}

// see takes note of a pod that waits, and of its having been found unschedulable just now, if so.
func (q *queue) see(pod *corev1.Pod, judged bool) {
	own := queued{line{scheduler: schedulerOf(pod.Spec.SchedulerName)}, pod.UID, demand.Expected(pod)}
	if pod.Spec.Priority != nil {
		own.priority = *pod.Spec.Priority
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.at[own.uid]; e != nil && !judged {
		e.Value = own
		return
	}
	q.tried(own.uid)
	if q.lines[own.line] == nil {
		q.lines[own.line] = &inLine{}
	}
	q.at[own.uid] = q.lines[own.line].PushBack(own)
}

// tried: an attempt at a pod has ended just now. One at a pod that has just come tells nothing of those that wait.
func (q *queue) tried(uid types.UID) {
	if e := q.at[uid]; e != nil {
		q.lines[e.Value.(queued).line].next = e
		q.remove(uid)
		q.attempts[q.count%paceOver] = q.now()
		q.count++
	}
}

// forget: the pod waits no more, since it was bound, or for another reason.
func (q *queue) forget(uid types.UID, bound bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if bound {
		q.tried(uid)
	}
	q.remove(uid)
}

func (q *queue) remove(uid types.UID) {
	e := q.at[uid]
	if e == nil {
		return
	}
	delete(q.at, uid)
	key := e.Value.(queued).line
	l := q.lines[key]
	if l.next == e {
		l.next = e.Next()
	}
	if l.Remove(e); l.Len() == 0 {
		delete(q.lines, key)
	}
}

// expected answers where a pod is nominated to, and whether it waits.
func (q *queue) expected(uid types.UID) (node string, waits bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.at[uid]
	if e == nil {
		return "", false
	}
	return e.Value.(queued).expected, true
}

// spares tells whether schedulers will not try any of these pods while their node is nominated and opened, or, if that is all that is left to
// do, opened: they rest, and no node has just woken them; or none of the pods is among the next. O(nextMost) for each scheduler and priority.
func (q *queue) spares(own map[types.UID]bool, opens bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	now, during := q.now(), q.opening
	if !opens {
		during += q.preparing
	}
	if quiet := max(calm, during); now.Sub(q.latest()) < quiet || now.Sub(q.opened) < quiet {
		depth := q.depth(during)
		for _, l := range q.lines {
			if among(l.Front(), depth, own) || among(l.next, depth, own) {
				return false
			}
		}
	}
	if opens {
		q.opened = now
	}
	return true
}

func (q *queue) latest() time.Time {
	return q.attempts[(q.count+paceOver-1)%paceOver]
}

// depth answers how many pods may be tried in a time.
func (q *queue) depth(during time.Duration) int {
	if q.count < paceOver {
		return nextMost
	}
	pace := q.latest().Sub(q.attempts[q.count%paceOver]) / (paceOver - 1)
	if pace <= 0 {
		return nextMost
	}
	return min(nextMost, nextLeast+int(2*during/pace))
}

// took notes how long it took to nominate the pods of a node, and to open it.
func (q *queue) took(preparing, opening time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.preparing, q.opening = (3*q.preparing+preparing)/4, (3*q.opening+opening)/4
}
