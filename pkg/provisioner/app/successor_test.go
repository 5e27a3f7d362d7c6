package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/grow"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// looks counts the looks of a grow loop.
type looks struct{ views int }

func (l *looks) View(context.Context) (plan.View, error) {
	l.views++
	return plan.View{Now: time.Now()}, nil
}
func (*looks) Create(context.Context, []v1alpha1.NodeClaim) error { return nil }
func (*looks) Decided(plan.View, plan.Decision)                   {}
func (*looks) Planned(plan.View, plan.Decision, time.Duration)    {}
func (*looks) HeldPod(demand.Pod, plan.Held)                      {}
func claimWith(name string, uid types.UID) *v1alpha1.NodeClaim {
	return &v1alpha1.NodeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid}}
}

// A leader that is new must not decide before its cache shows what the former leader created last, nor before it knows the orphans.
func TestASuccessorWaitsForTheClaimsOfItsPredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scheme, err := newScheme()
		if err != nil {
			t.Fatal(err)
		}
		live := fake.NewClientBuilder().WithScheme(scheme).WithObjects(claimWith("a", "1"), claimWith("b", "2"), claimWith("gone", "3")).Build()
		cached := fake.NewClientBuilder().WithScheme(scheme).WithObjects(claimWith("a", "1"), claimWith("b", "of an earlier b")).Build()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l, swept := &looks{}, make(chan struct{})
		go func() {
			_ = successor{grow.New(grow.DefaultWindows(), l, l, l, logr.Discard()), swept, live, cached, logr.Discard()}.Start(ctx)
		}()
		stays := func(when string) {
			t.Helper()
			time.Sleep(time.Minute)
			synctest.Wait()
			if l.views != 0 {
				t.Fatalf("growing began %s", when)
			}
		}
		stays("before the first sweep")
		close(swept)
		stays("while two claims are not in the cache")
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(live.Delete(ctx, claimWith("gone", "3"))) // it ends without ever showing
		stays("while one claim is not in the cache")
		must(cached.Delete(ctx, claimWith("b", "")))
		must(cached.Create(ctx, claimWith("b", "2")))
		time.Sleep(time.Second)
		synctest.Wait()
		if l.views == 0 {
			t.Error("growing did not begin when the cache had caught up")
		}
	})
}
