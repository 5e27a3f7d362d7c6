package preflight

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/provisioner/nominate"
)

func (s *survey) controller(ctx context.Context) {
	const check = "controller"
	var found appsv1.DeploymentList
	if err := s.Cluster.List(ctx, &found, client.MatchingLabels{"app.kubernetes.io/name": "slipway"}); err != nil {
		s.kubernetes(check, err)
		return
	}
	if len(found.Items) == 0 {
		s.Report(Result{Check: check, Status: Warn, Message: "it is not installed yet: no Deployment has the label app.kubernetes.io/name=slipway",
			Remedy: "helm install slipway charts/slipway -n slipway-system --create-namespace --set clusterName=NAME"})
		return
	}
	for _, d := range found.Items {
		wanted := int32(1)
		if d.Spec.Replicas != nil {
			wanted = *d.Spec.Replicas
		}
		said := fmt.Sprintf("Deployment %s/%s has %d of %d replicas ready", d.Namespace, d.Name, d.Status.ReadyReplicas, wanted)
		switch ready := d.Status.ReadyReplicas; {
		case ready == 0:
			s.Report(Result{Check: check, Status: Fail, Message: said, Remedy: fmt.Sprintf("kubectl -n %s logs deployment/%s", d.Namespace, d.Name)})
		case ready < wanted:
			s.Report(Result{Check: check, Status: Warn, Message: said, Remedy: fmt.Sprintf("kubectl -n %s describe pods", d.Namespace)})
		default:
			s.ok(check, "%s", said)
		}
	}
}

// nominations looks whether the cluster's scheduler is of a version that binds pods where Slipway has planned them.
func (s *survey) nominations(context.Context) {
	const check = "nominations"
	info, err := s.Version()
	if err != nil {
		s.kubernetes(check, err)
		return
	}
	switch because, err := nominate.NotHeeded(info); {
	case err != nil:
		s.failed(check, err)
	case because != "":
		s.Report(Result{Check: check, Status: Warn, Message: because + ": pods may be spread over more nodes than planned", Remedy: nominate.Remedy})
	default:
		s.ok(check, "the API server is %s, whose scheduler heeds them", info.GitVersion)
	}
}

// kubernetes reports an answer of the API server that is not the one that was asked for.
func (s *survey) kubernetes(check string, err error) {
	if apierrors.IsForbidden(err) {
		s.Report(Result{Check: check, Status: Skip, Message: "this user may not look: " + err.Error(), Remedy: "run it as somebody who may"})
		return
	}
	s.failed(check, fmt.Errorf("asking the Kubernetes API: %w", err))
}
