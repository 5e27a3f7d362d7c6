package carryover

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// noEndpoints is what an API server answers for a webhook of a Deployment without pods.
func noEndpoints(webhook string) error {
	return apierrors.NewInternalError(errors.New(`failed calling webhook "` + webhook + `": failed to call webhook: ` +
		`Post "https://karpenter.karpenter.svc:8443/?timeout=10s": no endpoints available for service "karpenter"`))
}

func TestUnanswered(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want []string // parts of what is said; none: nothing is
	}{
		"no error":               {nil, nil},
		"another internal error": {apierrors.NewInternalError(errors.New("etcdserver: request timed out")), nil},
		"a webhook that refuses": {apierrors.NewForbidden(schema.GroupResource{Group: "karpenter.sh", Resource: "provisioners"}, "gpu", errors.New(`failed calling webhook "x": no`)), nil},
		"Karpenter's of 0.30":    {noEndpoints("defaulting.webhook.karpenter.sh"), []string{"defaulting.webhook.karpenter.sh", removeKarpenters, "no endpoints"}},
		"Karpenter's of 0.16":    {noEndpoints("validation.webhook.provisioners.karpenter.sh"), []string{removeKarpenters}},
		"somebody else's":        {noEndpoints("policy.example.com"), []string{"policy.example.com", "start what serves it", "no endpoints"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := unanswered(tc.err)
			if (got == "") != (len(tc.want) == 0) {
				t.Errorf("said %q", got)
			}
			for _, part := range tc.want {
				if !strings.Contains(got, part) {
					t.Errorf("%q does not say %q", got, part)
				}
			}
		})
	}
}

// A webhook that Karpenter left behind keeps the status from being written: the event says so and what helps, what the original means is kept
// equal meanwhile, and the status comes without anybody touching the Provisioner.
func TestReconcileNamesADeadWebhook(t *testing.T) {
	w := newWorld(t, design())
	dead := true
	w.reconciler.Client = interceptor.NewClient(w.Client.(client.WithWatch), interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			if dead {
				return noEndpoints("defaulting.webhook.karpenter.sh")
			}
			return c.SubResource(sub).Patch(ctx, o, patch, opts...)
		}})
	look := func() ctrl.Result {
		result, err := w.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "gpu"}})
		if err != nil {
			t.Fatal(err) // which would wait for longer and longer
		}
		return result
	}
	if again := look().RequeueAfter; again != askAgain {
		t.Errorf("the next look is after %s, want %s", again, askAgain)
	}
	if len(w.said.messages) != 1 || !strings.Contains(w.said.messages[0], removeKarpenters) {
		t.Errorf("said %q", w.said.messages)
	}
	if w.native() == nil {
		t.Error("nothing was carried over")
	}
	dead = false
	if again := look().RequeueAfter; again != 0 || len(w.original().Status.Conditions) == 0 {
		t.Errorf("without the webhook: next look after %s, conditions %v", again, w.original().Status.Conditions)
	}
}
