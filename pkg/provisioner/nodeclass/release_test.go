package nodeclass_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

func TestAClassInUseWaitsForItsClaims(t *testing.T) {
	objects := []client.Object{class()}
	for i := range 7 {
		objects = append(objects, &v1alpha1.NodeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("gpu-", i)},
			Spec:       v1alpha1.NodeClaimSpec{NodeClassRef: v1alpha1.NodeClassRef{Name: "default"}},
		})
	}
	objects = append(objects, &v1alpha1.NodeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "unrelated"}, Spec: v1alpha1.NodeClaimSpec{NodeClassRef: v1alpha1.NodeClassRef{Name: "other"}},
	})
	b := newBench(t, objects...)
	b.reconcile()
	if err := b.Delete(t.Context(), b.class()); err != nil {
		t.Fatal(err)
	}
	b.reconcile()
	message := "it is being deleted, and waits for the end of NodeClaims gpu-0, gpu-1, gpu-2, gpu-3, gpu-4 and 2 more"
	if got := b.ready(); !strings.HasPrefix(got, "False Terminating") || !strings.HasSuffix(got, message) {
		t.Errorf("Ready is %q; want False Terminating with %q", got, message)
	}
	if got := b.events[len(b.events)-1]; got != "InUse: "+message {
		t.Errorf("event %q", got)
	}
	if _, err := b.store.Template("default"); err != nil {
		t.Errorf("claims that exist can no longer be launched: %v", err)
	}
	if _, err := b.store.PlanningFacts("default"); reason(err) != v1alpha1.ReasonTerminating {
		t.Errorf("new claims may be planned: %v", err)
	}
	for i := range 7 {
		if err := b.Delete(t.Context(), objects[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	b.reconcile()
	if err := b.Get(t.Context(), types.NamespacedName{Name: "default"}, &v1alpha1.EC2NodeClass{}); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the class is still there: %v", err)
	}
	b.reconcile()
	if _, err := b.store.Template("default"); reason(err) != v1alpha1.ReasonNodeClassNotReady {
		t.Errorf("the class is remembered after its end: %v", err)
	}
}

// What was made in the account goes before the class does; a cloud that refuses, or does not answer for long, keeps nothing.
func TestAClassGivesBackWhatWasMadeForIt(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		after  time.Duration
		stays  bool
		events int
	}{
		"removed":             {},
		"no answer":           {err: errors.New("timeout"), stays: true},
		"no answer for long":  {err: errors.New("timeout"), after: time.Hour, events: 1},
		"denied":              {err: &cloud.DeniedError{Action: "iam:DeleteInstanceProfile"}, events: 1},
		"throttled for a bit": {err: cloud.ErrThrottled, after: time.Minute, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, class())
			b.reconcile()
			if err := b.Delete(t.Context(), b.class()); err != nil {
				t.Fatal(err)
			}
			told := len(b.events)
			b.now, b.err = b.class().DeletionTimestamp.Add(tc.after), tc.err
			_, err := b.r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "default"}})
			if (err != nil) != tc.stays {
				t.Errorf("got error %v", err)
			}
			if want := "default " + class().Spec.Role; !slices.Equal(b.released, []string{want}) {
				t.Errorf("released %q, want %q", b.released, want)
			}
			err = b.Get(t.Context(), types.NamespacedName{Name: "default"}, &v1alpha1.EC2NodeClass{})
			if client.IgnoreNotFound(err) != nil || (err == nil) != tc.stays {
				t.Errorf("stays: %v (%v), want %v", err == nil, err, tc.stays)
			}
			if said := b.events[told:]; len(said) != tc.events || tc.events > 0 && !strings.HasPrefix(said[0], "LeftBehind: ") {
				t.Errorf("events %q", said)
			}
		})
	}
}
