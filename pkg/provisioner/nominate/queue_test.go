package nominate

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// podSet answers the pods of these numbers.
func podSet(numbers ...int) map[types.UID]bool {
	set := map[types.UID]bool{}
	for _, i := range numbers {
		set[types.UID(fmt.Sprint("p", i))] = true
	}
	return set
}

// judge has a scheduler go through pods, each in its time.
func (q *queue) judge(pace time.Duration, priority int32, from, to int) {
	for i := from; i < to; i++ {
		time.Sleep(pace)
		p := waiting(fmt.Sprint("p", i), 1, 1)
		p.Spec.Priority = &priority
		q.see(p, true)
	}
}

// TestWhoIsNext: a node may open while its pods have just been tried, and not while one is about to be, in whatever line it stands.
func TestWhoIsNext(t *testing.T) {
	const pace = 10 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(time.Now)
		q.judge(pace, 0, 0, 100)
		q.judge(pace, 5, 100, 140)
		if !q.spares(podSet(0, 100), false) {
			t.Error("pods that have just come, each for the first time, are taken for a scheduler that goes through those that wait")
		}
		q.judge(pace, 0, 0, 50) // 50 is next, after 49
		next := nextLeast + int(2*(preparingTakes+openingTakes)/pace)
		for name, tc := range map[string]struct {
			pods map[types.UID]bool
			want bool
		}{
			"the next":                    {podSet(3, 50), false},
			"the last of the next":        {podSet(50 + next - 1), false},
			"behind them":                 {podSet(50+next, 49, 3), true},
			"the next of a higher line":   {podSet(49, 100), false},
			"behind them in a higher one": {podSet(49, 100+next), true},
			"none":                        {nil, true},
			"one that does not wait":      {podSet(1000), true},
		} {
			if got := q.spares(tc.pods, false); got != tc.want {
				t.Errorf("%s: spared %v, want %v", name, got, tc.want)
			}
		}
		for i := 60; i < 63; i++ { // nothing was heard of the attempts at those before
			time.Sleep(pace)
			q.see(waiting(fmt.Sprint("p", i), 1, 1), true)
		}
		if q.spares(podSet(63), false) || q.spares(podSet(63+next-1), false) || !q.spares(podSet(63+next), false) || q.spares(podSet(50), false) {
			t.Error("who follows the one that was tried last is not next")
		}
		q.judge(pace, 0, 50, 60)
		if behind := podSet(63 + nextLeast + int(2*openingTakes/pace)); q.spares(behind, false) || !q.spares(behind, true) {
			t.Error("to open a node takes as long as to nominate its pods, too")
		}
		for i := 63; i < 80; i++ { // as they are bound
			time.Sleep(pace)
			q.forget(types.UID(fmt.Sprint("p", i)), true)
		}
		if q.spares(podSet(80+next-101), false) || !q.spares(podSet(80+next-100), false) {
			t.Error("those behind bound pods do not move up")
		}
	})
}

// TestDepth: the slower a node opens and the faster pods are tried, the more of them count as next.
func TestDepth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(time.Now)
		q.judge(time.Millisecond, 0, 0, 10)
		if got := q.depth(time.Millisecond); got != nextMost {
			t.Errorf("%d are next before the pace is known, want the most", got)
		}
		q.judge(5*time.Millisecond, 0, 0, paceOver)
		q.judge(5*time.Millisecond, 0, 0, paceOver)
		for during, want := range map[time.Duration]int{0: nextLeast, 20 * time.Millisecond: nextLeast + 8, time.Hour: nextMost} {
			if got := q.depth(during); got != want {
				t.Errorf("in %s %d are next, want %d", during, got, want)
			}
		}
		for range 20 {
			q.took(800*time.Millisecond, 40*time.Millisecond)
		}
		if p, o := q.preparing.Round(10*time.Millisecond), q.opening.Round(time.Millisecond); p != 800*time.Millisecond || o != 40*time.Millisecond {
			t.Errorf("preparing and opening are said to take %s and %s", p, o)
		}
	})
}

// TestRest: where no pod that waits is tried, a node opens at once, and alone: it wakes them.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(time.Now)
		q.judge(time.Millisecond, 0, 0, 8)
		time.Sleep(time.Second)
		if !q.spares(podSet(0), true) {
			t.Fatal("not while the scheduler rests")
		}
		if q.spares(podSet(1), true) {
			t.Error("another node opened at the same time")
		}
		time.Sleep(calm)
		if !q.spares(podSet(1), true) {
			t.Errorf("the other node does not open %s later", calm)
		}
	})
}

// TestLines: a pod whose priority changes, or that waits no more, leaves no trace.
func TestLines(t *testing.T) {
	q := newQueue(time.Now)
	p := waiting("a", 1, 1)
	q.see(p, true)
	high := int32(7)
	p.Spec.Priority = &high
	p.Status.NominatedNodeName = "n1"
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: v1alpha1.PodNominated, Status: corev1.ConditionTrue, Message: "n1"})
	q.see(p, true)
	if node, waits := q.expected("a"); node != "n1" || !waits || len(q.lines) != 1 {
		t.Errorf("nominated to %q, waits %v, %d lines", node, waits, len(q.lines))
	}
	q.forget("a", false)
	if _, waits := q.expected("a"); waits || len(q.lines)+len(q.at) != 0 || q.count != 1 {
		t.Errorf("waits %v, %d lines, %d pods, %d attempts", waits, len(q.lines), len(q.at), q.count)
	}
}
