package apis_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// heard is what users were told by events.
type heard struct {
	mu       sync.Mutex
	messages []string
}

func (h *heard) WebhookUnavailable(provisioner client.Object, message string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = append(h.messages, provisioner.GetName()+": "+message)
}

// about answers the messages about a Provisioner.
func (h *heard) about(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, m := range h.messages {
		if strings.HasPrefix(m, name+": ") {
			all = append(all, m)
		}
	}
	return strings.Join(all, "\n")
}

// ofKarpenter labels what Karpenter's chart makes.
var ofKarpenter = client.MatchingLabels{"app.kubernetes.io/name": "karpenter"}

// karpentersWebhooks are those of Karpenter before v1, as its chart makes them. Nobody serves them.
func karpentersWebhooks() []client.Object {
	fail, none := admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone
	service := admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Namespace: "karpenter", Name: "karpenter"}}
	rules := []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{"CREATE", "UPDATE"},
		Rule: admissionregistrationv1.Rule{APIGroups: []string{"karpenter.sh"}, APIVersions: []string{"v1alpha5"},
			Resources: []string{"provisioners", "provisioners/status"}},
	}}
	const defaulting, validation = "defaulting.webhook.karpenter.sh", "validation.webhook.karpenter.sh"
	return []client.Object{
		&admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: defaulting, Labels: ofKarpenter},
			Webhooks: []admissionregistrationv1.MutatingWebhook{{Name: defaulting, ClientConfig: service, Rules: rules, FailurePolicy: &fail,
				SideEffects: &none, AdmissionReviewVersions: []string{"v1"}}}},
		&admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: validation, Labels: ofKarpenter},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: validation, ClientConfig: service, Rules: rules, FailurePolicy: &fail,
				SideEffects: &none, AdmissionReviewVersions: []string{"v1"}}}},
	}
}

// deadWebhooks: Karpenter is scaled to 0 and its webhooks are there. Nobody can change a Provisioner, and the reconciler not its status: it says
// which webhook and what helps, and when that is done the status comes by itself.
func (w world) deadWebhooks(t *testing.T, heard *heard) {
	original := &karpenterv1alpha5.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "guarded"}}
	if err := w.Create(t.Context(), original); err != nil {
		t.Fatal(err)
	}
	native := &v1alpha1.Provisioner{}
	eventually(t, func() error { return w.Get(t.Context(), client.ObjectKeyFromObject(original), native) })
	for _, o := range karpentersWebhooks() {
		if err := w.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() error {
		err := w.Patch(t.Context(), original.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"weight":7}}`)))
		if err == nil || !strings.Contains(err.Error(), `failed calling webhook "defaulting.webhook.karpenter.sh"`) {
			return fmt.Errorf("a change of the original: %w", err)
		}
		return nil
	})
	meta.SetStatusCondition(&native.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "OK"})
	if err := w.Status().Update(t.Context(), native); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		said := heard.about("guarded")
		for _, part := range []string{"defaulting.webhook.karpenter.sh", "kubectl delete validatingwebhookconfigurations,mutatingwebhookconfigurations -l"} {
			if !strings.Contains(said, part) {
				return fmt.Errorf("%q does not say %q", said, part)
			}
		}
		return nil
	})
	for _, kind := range []client.Object{&admissionregistrationv1.MutatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}} {
		if err := w.DeleteAllOf(t.Context(), kind, ofKarpenter); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() error {
		if err := w.Get(t.Context(), client.ObjectKeyFromObject(original), original); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(original.Status.Conditions, v1alpha1.ConditionReady) {
			return fmt.Errorf("Ready is not mirrored: %+v", original.Status.Conditions)
		}
		return nil
	})
}
