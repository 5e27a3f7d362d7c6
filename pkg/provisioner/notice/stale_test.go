package notice_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// stale is a client that shows the past, as a cache may.
type stale struct {
	client.Client
	claims v1alpha1.NodeClaimList
	nodes  corev1.NodeList
}

func (s *stale) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	switch l := list.(type) {
	case *v1alpha1.NodeClaimList:
		s.claims.DeepCopyInto(l)
	case *corev1.NodeList:
		s.nodes.DeepCopyInto(l)
	default:
		return s.Client.List(ctx, list, opts...)
	}
	return nil
}

func (s *stale) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if n, ok := o.(*corev1.Node); ok {
		for i := range s.nodes.Items {
			if s.nodes.Items[i].Name == key.Name {
				s.nodes.Items[i].DeepCopyInto(n)
				return nil
			}
		}
	}
	return s.Client.Get(ctx, key, o, opts...)
}

func TestAStaleCacheOverwritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, claim("a"), node("a"))
		past := &stale{Client: w}
		if err := w.List(t.Context(), &past.claims); err != nil {
			t.Fatal(err)
		}
		if err := w.List(t.Context(), &past.nodes); err != nil {
			t.Fatal(err)
		}
		var n corev1.Node
		if err := w.Get(t.Context(), client.ObjectKey{Name: "node-a"}, &n); err != nil {
			t.Fatal(err)
		}
		theirs := corev1.Taint{Key: "example.com/theirs", Effect: corev1.TaintEffectNoExecute}
		n.Spec.Taints = []corev1.Taint{theirs}
		if err := w.Update(t.Context(), &n); err != nil {
			t.Fatal(err)
		}
		c := w.claim(t, "a")
		sooner := v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Deadline: new(metav1.NewTime(time.Now().Add(time.Minute)))}
		c.Status.Retire = &sooner
		if err := w.Status().Update(t.Context(), c); err != nil {
			t.Fatal(err)
		}

		w.config.Client = past
		w.queue.send(spot("a", 2*time.Minute))
		stop := w.run(t)
		time.Sleep(5 * time.Second)
		stop()

		if err := w.Get(t.Context(), client.ObjectKey{Name: "node-a"}, &n); err != nil {
			t.Fatal(err)
		}
		if len(n.Spec.Taints) != 2 || n.Spec.Taints[0].Key != theirs.Key || !w.fenced(t, "a") {
			t.Errorf("taints %v; want theirs and the fence", n.Spec.Taints)
		}
		got := w.claim(t, "a")
		if !got.Status.Retire.Deadline.Equal(sooner.Deadline) || got.DeletionTimestamp == nil || w.queue.left() != 0 {
			t.Errorf("retire %+v, deleted %v; want the sooner deadline kept, and the claim deleted", got.Status.Retire, got.DeletionTimestamp)
		}
	})
}

// Between the cache and the write, the claim ended and another got its name: that one is innocent.
func TestAnotherClaimOfTheSameNameIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := claim("a")
		heir := claim("a")
		heir.UID, heir.Status.InstanceID = "uid-heir", "i-heir"
		heir.Labels = map[string]string{"changed": "true"}
		w := newWorld(t, heir)
		old.ResourceVersion = "1"
		w.config.Client = &stale{Client: w, claims: v1alpha1.NodeClaimList{Items: []v1alpha1.NodeClaim{*old}}}
		w.queue.send(spot("a", 2*time.Minute))
		stop := w.run(t)
		time.Sleep(5 * time.Second)
		stop()
		if got := w.claim(t, "a"); got.Status.Retire != nil || got.DeletionTimestamp != nil || w.queue.left() != 0 {
			t.Errorf("retire %v, deleted %v, messages left %d; want the heir untouched and the notice done", got.Status.Retire, got.DeletionTimestamp, w.queue.left())
		}
	})
}
