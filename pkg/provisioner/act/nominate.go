package act

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// Nomination is a pod and the node that its scheduler is to try first.
type Nomination struct {
	Pod *corev1.Pod
	// Node is its name; empty: the nomination that Slipway has given is taken back.
	Node string
}

// Nominations writes what pods' schedulers are told.
type Nominations struct {
	client client.Client
	now    func() time.Time
}

// NewNominations answers Nominations that write through a client.
func NewNominations(c client.Client, now func() time.Time) *Nominations {
	return &Nominations{client: c, now: now}
}

// Nominate writes nominations, each in one patch of the pod's status together with the condition that tells whose it is. It answers how many
// were written; the error joins what went wrong. A pod that is gone, bound or another by now is neither: the world has moved on.
func (a *Nominations) Nominate(ctx context.Context, list []Nomination) (int, error) {
	errs := make([]error, len(list))
	var written atomic.Int64
	each(len(list), func(i int) {
		switch err := a.nominate(ctx, list[i]); {
		case err == nil:
			written.Add(1)
		case apierrors.IsNotFound(err), apierrors.IsConflict(err), apierrors.IsInvalid(err):
		default:
			errs[i] = fmt.Errorf("nominating %q for pod %s/%s: %w", list[i].Node, list[i].Pod.Namespace, list[i].Pod.Name, err)
		}
	})
	return int(written.Load()), errors.Join(errs...)
}

// nominate patches one pod. The patch names the pod's UID, so it never hits a successor of the same name. Nominating is not bound to the
// version that was read: its scheduler rewrites a waiting pod's conditions all the time. Taking back is: what stands there by now
// may be a preemption's.
func (a *Nominations) nominate(ctx context.Context, n Nomination) error {
	metadata := map[string]any{"uid": n.Pod.UID}
	status := map[string]any{}
	if n.Node != "" {
		status["nominatedNodeName"] = n.Node
		status["conditions"] = []corev1.PodCondition{{Type: v1alpha1.PodNominated, Status: corev1.ConditionTrue, Reason: "Planned",
			Message: n.Node, LastTransitionTime: metav1.NewTime(a.now())}}
	} else {
		metadata["resourceVersion"] = n.Pod.ResourceVersion
		status["nominatedNodeName"] = nil
		status["conditions"] = []map[string]any{{"type": v1alpha1.PodNominated, "$patch": "delete"}}
	}
	patch, err := json.Marshal(map[string]any{"metadata": metadata, "status": status})
	if err != nil {
		return fmt.Errorf("writing the patch: %w", err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: n.Pod.Namespace, Name: n.Pod.Name}}
	return a.client.Status().Patch(ctx, pod, client.RawPatch(types.StrategicMergePatchType, patch))
}
