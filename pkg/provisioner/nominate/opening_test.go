package nominate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// scheduler does what kube-scheduler does with pods that wait: an opening node and a dropped nomination wake all, whoever was tried longest ago
// is tried first, a nominated pod on its node, every other on any that is open and whose room is not held by nominations. It hears of
// everything late.
type scheduler struct {
	*world
	pace, lag time.Duration

	mu        sync.Mutex
	order     []string             // longest ago first
	todo      int                  // how many attempts are to be made before it rests
	nominated map[string]time.Time // by pod: since when
	opened    map[string]time.Time // by node
	on        map[string]int       // pods by node
	dropped   int
}

func (s *scheduler) saw(before, after *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if node := after.Status.NominatedNodeName; node != before.Status.NominatedNodeName && node != "" {
		s.nominated[after.Name] = time.Now()
	}
}

func (s *scheduler) nodeOpens(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened[name] = time.Now()
}

// run goes on until ctx ends.
func (s *scheduler) run(ctx context.Context) {
	known := 0
	for ctx.Err() == nil {
		time.Sleep(s.pace)
		s.mu.Lock()
		if now := len(s.visible()); now > known {
			known, s.todo = now, len(s.order)
		}
		idle := s.todo == 0 || len(s.order) == 0
		if !idle {
			s.todo--
		}
		s.mu.Unlock()
		if !idle {
			s.attempt()
		}
	}
}

// visible answers the nodes that it knows to be open.
func (s *scheduler) visible() []string {
	var list []string
	for name, since := range s.opened {
		if time.Since(since) >= s.lag {
			list = append(list, name)
		}
	}
	return slices.Sorted(slices.Values(list))
}

// holds answers where a pod is nominated, as far as it knows.
func (s *scheduler) holds(name string) string {
	if since, told := s.nominated[name]; !told || time.Since(since) < s.lag {
		return ""
	}
	return s.pod(name).Status.NominatedNodeName
}

func (s *scheduler) attempt() {
	s.mu.Lock()
	name := s.order[0]
	s.order = s.order[1:]
	open, held := s.visible(), map[string]int{}
	for _, other := range s.order {
		held[s.holds(other)]++
	}
	own := s.holds(name)
	to := own
	if !slices.Contains(open, own) {
		to = ""
		for _, node := range open {
			if s.on[node]+held[node] < room {
				to = node
				break
			}
		}
	}
	if to != "" {
		s.on[to]++
	} else {
		s.order = append(s.order, name)
		if own != "" {
			delete(s.nominated, name)
			s.dropped++
			s.todo = len(s.order)
		}
	}
	s.mu.Unlock()
	before := s.pod(name)
	after := before.DeepCopy()
	if to != "" {
		after.Spec.NodeName = to
		if err := s.Update(context.Background(), after); err != nil {
			s.Error(err)
		}
		s.nominator.Saw(context.Background(), before, after)
		return
	}
	after.Status.Conditions[0].Message = fmt.Sprint("tried at ", time.Now())
	if own != "" {
		after.Status.NominatedNodeName = ""
	}
	if err := s.Status().Update(context.Background(), after); err != nil {
		s.Error(err)
	}
}

// room is how many pods of the tests fit a node.
const room = 4

// TestBoundAsPlanned: a scheduler that is busy with pods that wait, and hears late of what is done, binds those that have a node where it was
// bought for them, however the nodes come.
func TestBoundAsPlanned(t *testing.T) {
	const nodes, others = 20, 40
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			var objects []client.Object
			var names []string
			for i := range nodes * room {
				names = append(names, fmt.Sprint("p", i))
			}
			for i := range nodes {
				n := node(fmt.Sprint("n", i), 100, room)
				n.Spec.Unschedulable = true
				objects = append(objects, n, claim(fmt.Sprint("c", i), n.Name, names[i*room:(i+1)*room]...))
			}
			for i := range others {
				names = append(names, fmt.Sprint("other", i))
			}
			for _, name := range names {
				objects = append(objects, waiting(name, 1, 1))
			}
			w := newWorld(t, false, objects...)
			random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			s := &scheduler{world: w, pace: 5 * time.Millisecond, lag: 8 * time.Millisecond, order: names, todo: len(names),
				nominated: map[string]time.Time{}, opened: map[string]time.Time{}, on: map[string]int{}}
			w.watch = s.saw
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { s.run(ctx) })
			running.Go(func() { _ = w.nominator.Start(ctx) })
			var opens sync.WaitGroup
			for i := range nodes {
				ready := time.Duration(random.Int64N(int64(3 * time.Second)))
				opens.Go(func() {
					time.Sleep(ready)
					s.open(fmt.Sprint("c", i), fmt.Sprint("n", i))
				})
			}
			opens.Wait()
			time.Sleep(2 * time.Second)
			cancel()
			running.Wait()
			astray := 0
			for i := range nodes * room {
				if got := w.pod(fmt.Sprint("p", i)).Spec.NodeName; got != fmt.Sprint("n", i/room) {
					astray++
				}
			}
			if astray > 0 || s.dropped > nodes {
				t.Errorf("seed %d: %d of %d pods are not bound where planned; %d nominations were dropped for %d nodes", seed, astray, nodes*room, s.dropped, nodes)
			}
		})
	}
}

// open opens a node, in the time that a request takes.
func (s *scheduler) open(claim, name string) {
	c, o := read(s.world, &v1alpha1.NodeClaim{}, "", claim), read(s.world, &corev1.Node{}, "", name)
	for called := false; !called; {
		var err error
		if called, err = s.nominator.Opening(context.Background(), c, o, func() error {
			time.Sleep(5 * time.Millisecond)
			o.Spec.Unschedulable = false
			s.nodeOpens(name)
			return s.Update(context.Background(), o)
		}); err != nil {
			s.Error(err)
		}
		if !called {
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// TestPatience: whatever schedulers do, a node opens in the end, with its pods nominated.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n1 := node("n1", 8, 4)
		n1.Spec.Unschedulable = true
		w := newWorld(t, false, waiting("a", 1, 1), waiting("b", 1, 1), n1, claim("c1", "n1", "a"))
		done := make(chan struct{})
		var trying sync.WaitGroup
		trying.Go(func() { // both are tried all the time
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				case <-time.After(20 * time.Millisecond):
				}
				for _, name := range []string{"a", "b"} {
					p := w.pod(name)
					p.Status.Conditions[0].Message = fmt.Sprint("attempt ", i)
					if err := w.Status().Update(t.Context(), p); err != nil {
						t.Error(err)
					}
				}
			}
		})
		time.Sleep(time.Second)
		start := time.Now()
		w.opening("c1", "n1")
		took := time.Since(start)
		close(done)
		trying.Wait()
		if took < openingPatience || took > openingTimeout || w.nominated("a") != "n1" {
			t.Errorf("opened after %s, want %s to %s; its pod is nominated to %q", took, openingPatience, openingTimeout, w.nominated("a"))
		}
	})
}

// TestDroppedWhileItOpens: a nomination that is lost in the moment in which the node opens is written again.
func TestDroppedWhileItOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n1 := node("n1", 8, 4)
		n1.Spec.Unschedulable = true
		c := claim("c1", "n1", "a")
		w := newWorld(t, false, waiting("a", 1, 1), n1, c)
		go func() { _ = w.nominator.Start(t.Context()) }()
		called, err := w.nominator.Opening(t.Context(), c, n1, func() error { w.drop("a"); return nil })
		synctest.Wait()
		if !called || err != nil || w.nominated("a") != "n1" {
			t.Errorf("called %v, %v; nominated to %q", called, err, w.nominated("a"))
		}
	})
}

// TestCrowdAtTheGate: few callers are kept waiting, an error of theirs is theirs, and the rest are told to come again.
func TestCrowdAtTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = openingWait + 10
		objects := []client.Object{}
		for i := range callers {
			objects = append(objects, node(fmt.Sprint("n", i), 8, 4), claim(fmt.Sprint("c", i), fmt.Sprint("n", i)))
		}
		w := newWorld(t, false, objects...)
		broken := errors.New("broken")
		answers := map[bool]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				c, o := read(w, &v1alpha1.NodeClaim{}, "", fmt.Sprint("c", i)), read(w, &corev1.Node{}, "", fmt.Sprint("n", i))
				called, err := w.nominator.Opening(t.Context(), c, o, func() error { time.Sleep(time.Second); return broken })
				mu.Lock()
				defer mu.Unlock()
				answers[called]++
				if called != errors.Is(err, broken) {
					t.Errorf("called: %v, error: %v", called, err)
				}
			})
		}
		all.Wait()
		if want := map[bool]int{true: openingWait, false: callers - openingWait}; !maps.Equal(answers, want) {
			t.Errorf("called: %v, want %v", answers, want)
		}
	})
}
