package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/cloud/aws"
)

// devicePlugins are parts of the names of images that make a kubelet show GPUs: NVIDIA's, also as its operator and EKS' add-ons run it, and AMD's.
var devicePlugins = []string{"k8s-device-plugin", "nvidia-device-plugin", "amdgpu-device-plugin"} // read only

// devicePlugin: without one no node ever shows a GPU, and each that is launched is given up after --ready-deadline.
func (s *survey) devicePlugin(ctx context.Context) {
	const check = "device plugin"
	var sets appsv1.DaemonSetList
	if err := s.Cluster.List(ctx, &sets); err != nil {
		s.kubernetes(check, err)
		return
	}
	for _, set := range sets.Items {
		for _, c := range slices.Concat(set.Spec.Template.Spec.InitContainers, set.Spec.Template.Spec.Containers) {
			if slices.ContainsFunc(devicePlugins, func(part string) bool { return strings.Contains(c.Image, part) }) {
				s.ok(check, "DaemonSet %s/%s runs %s", set.Namespace, set.Name, c.Image)
				return
			}
		}
	}
	if what := s.operator(ctx, sets.Items); what != "" {
		s.ok(check, "the GPU operator, %s, brings it with the first GPU node", what)
		return
	}
	if len(s.family) > 0 && !slices.ContainsFunc(families(s.family), func(f string) bool { return f != aws.FamilyBottlerocket }) {
		s.ok(check, "no DaemonSet runs one; the images, all Bottlerocket, have it inside")
		return
	}
	s.Report(Result{Check: check, Status: Fail, Message: "no DaemonSet runs a device plugin: nodes would never show their GPUs",
		Remedy: "helm install nvidia-device-plugin nvdp/nvidia-device-plugin -n kube-system (repository https://nvidia.github.io/k8s-device-plugin)"})
}

// operator finds NVIDIA's GPU operator, which makes the device plugin's DaemonSet only once a node has a GPU. Its Deployment may not be shown to
// these credentials; the DaemonSet of node feature discovery, which comes with it, has its release's name.
func (s *survey) operator(ctx context.Context, sets []appsv1.DaemonSet) string {
	var deployments appsv1.DeploymentList
	if err := s.Cluster.List(ctx, &deployments); err == nil {
		for _, d := range deployments.Items {
			for _, c := range d.Spec.Template.Spec.Containers {
				if strings.Contains(c.Image, operatorName) {
					return fmt.Sprintf("Deployment %s/%s", d.Namespace, d.Name)
				}
			}
		}
	}
	for _, set := range sets {
		if strings.Contains(set.Name, operatorName) || set.Labels["app.kubernetes.io/instance"] == operatorName {
			return fmt.Sprintf("DaemonSet %s/%s", set.Namespace, set.Name)
		}
	}
	return ""
}

const operatorName = "gpu-operator"

func families(byClass map[string]string) []string {
	var list []string
	for _, family := range byClass {
		list = append(list, family)
	}
	return list
}

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

// kubernetes reports an answer of the API server that is not the one that was asked for.
func (s *survey) kubernetes(check string, err error) {
	if apierrors.IsForbidden(err) {
		s.Report(Result{Check: check, Status: Skip, Message: "this user may not look: " + err.Error(), Remedy: "run it as somebody who may"})
		return
	}
	s.failed(check, fmt.Errorf("asking the Kubernetes API: %w", err))
}
