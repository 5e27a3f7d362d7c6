package carryover

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// Reconciler keeps a native Provisioner equal to each v1alpha5 one, and tells the v1alpha5 one how it went. The native one is owned by
// the original, so that it goes when the original goes. What people change in the native one is put back.
//
// Its client needs: get, list, watch on provisioners.karpenter.sh and patch on their status; get, list, watch, create, update on
// provisioners.slipway.sh; and update on provisioners.karpenter.sh/finalizers where owner references that block deletion are guarded.
type Reconciler struct {
	// Client reads (through a cache if it likes) and writes. Its scheme knows both APIs.
	Client client.Client
	// Events says what no status can.
	Events Events
}

// SetupWithManager adds the reconciler to a manager whose scheme knows both APIs. The v1alpha5 CRD must be served: see Served.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("carryover").
		For(&karpenterv1alpha5.Provisioner{}).
		// Both kinds are cluster-scoped and share the name, so this also tells when a stranger's Provisioner makes room.
		Watches(&v1alpha1.Provisioner{}, &handler.EnqueueRequestForObject{}).
		Complete(r)
}

// verdict is what the conditions of the original will say.
type verdict struct {
	carried metav1.Condition
	// native is what stands now; nil if there is none of ours.
	native *v1alpha1.Provisioner
}

// Reconcile carries one v1alpha5 Provisioner over: read both, write the native one if it differs, then the status of the original.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var original karpenterv1alpha5.Provisioner
	if err := r.Client.Get(ctx, req.NamespacedName, &original); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !original.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // the garbage collector takes the native one
	}
	v, err := r.carry(ctx, &original)
	if err == nil {
		err = r.report(ctx, &original, v)
	}
	if message := unanswered(err); message != "" {
		log.FromContext(ctx).Error(err, "A webhook does not answer", "remedy", message, "retryIn", askAgain)
		r.Events.WebhookUnavailable(&original, message)
		return ctrl.Result{RequeueAfter: askAgain}, nil
	}
	return ctrl.Result{}, err
}

// carry makes the native Provisioner equal to the original. A native one that the original does not own is left alone, also one
// that a former original of the same name owned: it goes soon, and its end starts this again.
func (r *Reconciler) carry(ctx context.Context, original *karpenterv1alpha5.Provisioner) (verdict, error) {
	want, lost := Carry(original)
	if err := controllerutil.SetControllerReference(original, &want, r.Client.Scheme()); err != nil {
		return verdict{}, fmt.Errorf("owning Provisioner %s: %w", want.Name, err)
	}
	var have v1alpha1.Provisioner
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(&want), &have)
	switch {
	case apierrors.IsNotFound(err):
		err = r.Client.Create(ctx, &want)
		have = want
	case err != nil:
	case !metav1.IsControlledBy(&have, original) || !have.DeletionTimestamp.IsZero():
		return verdict{carried: nameTaken(&have)}, nil
	default:
		err = r.update(ctx, &have, &want)
	}
	if apierrors.IsInvalid(err) {
		return verdict{carried: refused(err)}, nil
	}
	if err != nil {
		return verdict{}, fmt.Errorf("carrying over Provisioner %s: %w", want.Name, err)
	}
	return verdict{carried: carried(lost), native: &have}, nil
}

// update writes have if it differs from want in what this package decides. Other annotations and labels are other people's.
func (r *Reconciler) update(ctx context.Context, have, want *v1alpha1.Provisioner) error {
	name := v1alpha1.AnnotationCarriedFrom
	if equality.Semantic.DeepEqual(have.Spec, want.Spec) && have.Annotations[name] == want.Annotations[name] {
		return nil
	}
	have.Spec = want.Spec
	metav1.SetMetaDataAnnotation(&have.ObjectMeta, name, want.Annotations[name])
	return r.Client.Update(ctx, have)
}

func carried(lost []NotCarried) metav1.Condition {
	if len(lost) == 0 {
		return condition(v1alpha1.ConditionCarriedOver, metav1.ConditionTrue, v1alpha1.ReasonOK, "every field was carried over")
	}
	sentences := make([]string, 0, len(lost))
	for _, l := range lost {
		sentences = append(sentences, l.Field+": "+l.Message+".")
	}
	return condition(v1alpha1.ConditionCarriedOver, metav1.ConditionFalse, v1alpha1.ReasonNotCarried, strings.Join(sentences, " "))
}

func nameTaken(have *v1alpha1.Provisioner) metav1.Condition {
	message := "metadata.name: there is a Provisioner.slipway.sh called " + have.Name + " that this one did not make: " +
		"delete it, or give this one another name"
	owner := metav1.GetControllerOf(have)
	if owner != nil && owner.APIVersion == karpenterv1alpha5.GroupVersion.String() || !have.DeletionTimestamp.IsZero() {
		message = "metadata.name: the Provisioner.slipway.sh called " + have.Name + " of a former object of this name is not gone yet: wait"
	}
	return condition(v1alpha1.ConditionCarriedOver, metav1.ConditionFalse, v1alpha1.ReasonNameTaken, message)
}

func refused(err error) metav1.Condition {
	return condition(v1alpha1.ConditionCarriedOver, metav1.ConditionFalse, v1alpha1.ReasonMisconfigured,
		"the API server refuses the native Provisioner, correct this one: "+err.Error())
}

// maxMessage is how long the API lets a condition's message be.
const maxMessage = 32768

func condition(kind string, status metav1.ConditionStatus, reason v1alpha1.Reason, message string) metav1.Condition {
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "")
	}
	return metav1.Condition{Type: kind, Status: status, Reason: string(reason), Message: message}
}

// report writes the status of the original, if it changed.
func (r *Reconciler) report(ctx context.Context, original *karpenterv1alpha5.Provisioner, v verdict) error {
	before := original.DeepCopy()
	for _, c := range conditions(v) {
		c.ObservedGeneration = original.Generation
		meta.SetStatusCondition(&original.Status.Conditions, c)
	}
	original.Status.Resources = resources(original, v.native)
	if equality.Semantic.DeepEqual(before.Status, original.Status) {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, original, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status of Provisioner %s: %w", original.Name, err)
	}
	return nil
}

// conditions are CarriedOver, and the native Provisioner's Ready under the two names that users of v1alpha5 look for.
func conditions(v verdict) []metav1.Condition {
	ready := condition(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonNotReported, "nothing is known yet of the native Provisioner")
	if v.native == nil {
		ready = condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.Reason(v.carried.Reason), v.carried.Message)
	} else if c := meta.FindStatusCondition(v.native.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		ready = condition(v1alpha1.ConditionReady, c.Status, v1alpha1.Reason(c.Reason), c.Message)
	}
	active := ready
	active.Type = v1alpha1.ConditionActive
	return []metav1.Condition{v.carried, active, ready}
}

// resources mirrors what the native Provisioner counts; nvidia.com/gpu stands besides gpu where the user limits it by that name.
func resources(original *karpenterv1alpha5.Provisioner, native *v1alpha1.Provisioner) corev1.ResourceList {
	if native == nil {
		return nil
	}
	list := native.Status.Resources.DeepCopy()
	if limits := original.Spec.Limits; limits != nil {
		_, limited := limits.Resources[v1alpha1.ResourceGPU]
		_, counted := list[v1alpha1.ResourceGPU]
		if gpus, ok := list[v1alpha1.LimitGPU]; ok && limited && !counted {
			list[v1alpha1.ResourceGPU] = gpus
		}
	}
	return list
}
