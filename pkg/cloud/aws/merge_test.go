package aws

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Six hundred claims that look at their machines for a minute are five calls a second at most, and each sees its own machine.
func TestManyLookupsAreFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &fakeEC2{}
		for n := range 600 {
			api.instances = append(api.instances, machineOf("prod", fmt.Sprint("uid-", n), fmt.Sprint("i-", n), ec2types.InstanceStateNameRunning))
		}
		f, began := testFleet(api), time.Now()
		var wg sync.WaitGroup
		for n := range 600 {
			wg.Go(func() {
				for range 12 {
					if i, err := f.Instance(t.Context(), fmt.Sprint("i-", n)); err != nil || i.Token != fmt.Sprint("uid-", n) {
						t.Errorf("machine %d: got %+v, %v", n, i, err)
					}
					time.Sleep(5 * time.Second)
				}
			})
		}
		wg.Wait()
		if calls, most := len(api.described), int(time.Since(began)/mergeEvery)+1; calls > most {
			t.Errorf("%d calls for %d looks, want %d at most", calls, 12*600, most)
		}
		for _, ids := range api.described {
			if len(ids) > mergeMost {
				t.Errorf("a call names %d machines; EC2 takes %d", len(ids), mergeMost)
			}
		}
	})
}

// Who asks while a call is under way learns what the next one says: the machine may have been launched in between.
func TestAMergedAnswerIsNeverOlderThanTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Int32
		m := &merger[int32]{call: func(context.Context, []string) (int32, error) {
			read := now.Load()
			time.Sleep(time.Second) // the reply travels
			return read, nil
		}}
		first := make(chan int32)
		go func() {
			got, _ := m.ask(t.Context(), "a")
			first <- got
		}()
		time.Sleep(500 * time.Millisecond)
		now.Store(1)
		second, err := m.ask(t.Context(), "a")
		if got := <-first; got != 0 || second != 1 || err != nil {
			t.Errorf("got %d, then %d, %v; want 0, then 1", got, second, err)
		}
	})
}

// One who gives up neither waits nor takes the answer from the others.
func TestGivingUpALookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testFleet(&fakeEC2{instances: []ec2types.Instance{machineOf("prod", "a", "i-1", "running")}})
		if _, err := f.Instance(t.Context(), "i-1"); err != nil { // the next call waits its turn
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), mergeEvery/2)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := f.Instance(ctx, "i-1"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who gave up: got %v", err)
			}
		})
		wg.Go(func() {
			if i, err := f.Instance(t.Context(), "i-1"); err != nil || i.State != cloud.InstanceRunning {
				t.Errorf("who waits: got %+v, %v", i, err)
			}
		})
		wg.Wait()
	})
}
