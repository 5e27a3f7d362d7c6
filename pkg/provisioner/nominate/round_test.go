package nominate

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

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
			r.arrive(t.Context(), own)
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

// TestRoundsGoOn: neither pods that come all the time nor a node whose preparation never ends keep others closed for long.
func TestRoundsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rounds{now: time.Now}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		stuck, _ := r.join()
		other, _ := r.join()
		start := time.Now()
		r.arrive(ctx, other)
		if took := time.Since(start); took != time.Second {
			t.Errorf("waited %s for another's preparation, want the deadline's second", took)
		}
		r.arrive(ctx, stuck)
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
