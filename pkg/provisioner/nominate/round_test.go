package nominate

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/act"
)

func settled([]act.Nomination) {}

// TestRounds: what is ready together opens together, once all are prepared; the next waits until no pod is being judged.
func TestRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rounds{now: time.Now}
		opened := make(chan string, 10)
		open := func(name string, prepares time.Duration) {
			own, wait := r.join()
			for ; own == nil; own, wait = r.join() {
				time.Sleep(wait)
			}
			time.Sleep(prepares)
			r.arrive(t.Context(), own, nil, 0, settled)
			opened <- name
		}
		start := time.Now()
		go open("quick", 0)
		go open("slow", 300*time.Millisecond)
		synctest.Wait()
		time.Sleep(roundLasts)
		synctest.Wait()
		if len(opened) > 0 {
			t.Errorf("%s opened before its whole round was prepared", <-opened)
		}
		go open("late", 0)
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		if len(opened) != 2 {
			t.Fatalf("%d nodes are open after %s, want the two of the first round", len(opened), time.Since(start))
		}
		<-opened
		<-opened
		for range 10 { // the scheduler goes through the pods for a second
			r.note()
			time.Sleep(100 * time.Millisecond)
		}
		if len(opened) > 0 {
			t.Error("a node opened while pods were judged")
		}
		time.Sleep(calm + roundBusy + roundLasts)
		synctest.Wait()
		if len(opened) != 1 {
			t.Errorf("the late node is not open %s after the last pod was judged", calm+roundBusy+roundLasts)
		}
	})
}

// TestStill: nodes open between two waves of attempts, and if those never end, after a second.
func TestStill(t *testing.T) {
	for judging, want := range map[time.Duration]time.Duration{0: roundLasts, 300 * time.Millisecond: 300*time.Millisecond + still, time.Hour: roundLasts + stillMost} {
		synctest.Test(t, func(t *testing.T) {
			r := rounds{now: time.Now}
			start := time.Now()
			own, _ := r.join()
			done := make(chan struct{})
			var attempts sync.WaitGroup
			attempts.Go(func() {
				for time.Since(start) < judging {
					r.note()
					select {
					case <-done:
						return
					case <-time.After(10 * time.Millisecond):
					}
				}
			})
			r.arrive(t.Context(), own, make([]act.Nomination, 1), 0, settled)
			close(done)
			attempts.Wait()
			if took := time.Since(start); took < want-10*time.Millisecond || took > want+still {
				t.Errorf("pods are judged for %s: open after %s, want %s", judging, took, want)
			}
		})
	}
}

// TestOneInstant: a node that learns late what became of its nominations does not open after the others of its round, and the next round
// waits as long as news takes.
func TestOneInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := claim("c1", "n1", "a"), claim("c2", "n2", "b")
		w := newWorld(t, false, waiting("a", 1, 1), waiting("b", 1, 1), node("n1", 4, 1), node("n2", 4, 1), a, b)
		const slow = 400 * time.Millisecond
		w.nominator.Cache = lagging{w, map[string]time.Duration{"b": slow}}
		opened := make(chan time.Time, 2)
		for _, c := range []*v1alpha1.NodeClaim{a, b} {
			go func() {
				w.opening(c.Name, c.Status.NodeName)
				opened <- time.Now()
			}()
		}
		first, second := <-opened, <-opened
		if !first.Equal(second) {
			t.Errorf("the second node opened %s after the first", second.Sub(first))
		}
		if wait := w.opening("c1", "n1"); wait == 0 {
			t.Error("another round began at once")
		}
		time.Sleep(calm + 50*time.Millisecond)
		if own, _ := w.nominator.rounds.join(); own != nil {
			t.Errorf("another round began %s after one in which news took more than %s", calm+50*time.Millisecond, slow)
		}
	})
}

// lagging answers for some pods late.
type lagging struct {
	client.Reader
	by map[string]time.Duration
}

func (l lagging) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if _, pod := o.(*corev1.Pod); pod {
		time.Sleep(l.by[key.Name])
	}
	return l.Reader.Get(ctx, key, o, options...)
}

// TestRoundsGoOn: neither pods that come all the time nor a node whose preparation never ends keep others closed for long.
func TestRoundsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rounds{now: time.Now}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		stuck, _ := r.join()
		other, _ := r.join()
		start := time.Now()
		r.arrive(ctx, other, nil, 0, settled)
		if took := time.Since(start); took != time.Second {
			t.Errorf("waited %s for another's preparation, want the deadline's second", took)
		}
		r.arrive(ctx, stuck, nil, 0, settled)
		for start = time.Now(); time.Since(start) < calmMost; time.Sleep(calm / 2) {
			if own, _ := r.join(); own != nil {
				t.Fatalf("a round began %s after the last, while pods were judged", time.Since(start))
			}
			r.note()
		}
		if own, _ := r.join(); own == nil {
			t.Errorf("no round begins %s after the last", time.Since(start))
		}
	})
}
