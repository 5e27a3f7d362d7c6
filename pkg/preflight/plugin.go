package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud/aws"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

const checkPlugin = "device plugin"

// devicePlugins are parts of the names of images that make a kubelet show GPUs: NVIDIA's, also as its operator and EKS' add-ons run it, and AMD's.
var devicePlugins = []string{"k8s-device-plugin", "nvidia-device-plugin", "amdgpu-device-plugin"} // read only

// discoveries are parts of the names of images that label nodes with what they find there, by which device plugins may choose them.
var discoveries = []string{"node-feature-discovery", "gpu-feature-discovery", operatorName} // read only

const operatorName = "gpu-operator"

// devicePlugin: without one no node ever shows a GPU, and each that is launched is given up after --ready-deadline.
func (s *survey) devicePlugin(ctx context.Context) {
	var sets appsv1.DaemonSetList
	if err := s.Cluster.List(ctx, &sets); err != nil {
		s.kubernetes(checkPlugin, err)
		return
	}
	plugins := slices.DeleteFunc(slices.Clone(sets.Items), func(set appsv1.DaemonSet) bool { return image(set.Spec.Template.Spec, devicePlugins) == "" })
	bottlerocket := len(s.family) > 0 && !slices.ContainsFunc(slices.Collect(maps.Values(s.family)), func(f string) bool { return f != aws.FamilyBottlerocket })
	operator := s.operator(ctx, sets.Items)
	switch {
	case len(plugins) > 0:
		found := operator != "" || slices.ContainsFunc(sets.Items, func(set appsv1.DaemonSet) bool { return image(set.Spec.Template.Spec, discoveries) != "" })
		s.reach(plugins, found)
	case operator != "":
		s.ok(checkPlugin, "the GPU operator, %s, brings it with the first GPU node", operator)
	case bottlerocket:
		s.ok(checkPlugin, "no DaemonSet runs one; the images, all Bottlerocket, have it inside")
	default:
		s.Report(Result{Check: checkPlugin, Status: Fail, Message: "no DaemonSet runs a device plugin: nodes would never show their GPUs",
			Remedy: "helm install nvidia-device-plugin nvdp/nvidia-device-plugin -n kube-system (repository https://nvidia.github.io/k8s-device-plugin)"})
	}
}

// image answers the first image of a pod that has one of the parts in its name.
func image(pod corev1.PodSpec, parts []string) string {
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		if slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(c.Image, part) }) {
			return c.Image
		}
	}
	return ""
}

// reach looks whether some plugin's pods come onto the nodes of each Provisioner. What discovery will find on a node is not known, so with it only
// taints are looked at.
func (s *survey) reach(plugins []appsv1.DaemonSet, discovery bool) {
	reached := true
	for _, p := range s.provisioners.Items {
		var tolerated bool
		var missed string
		comes := slices.ContainsFunc(plugins, func(set appsv1.DaemonSet) bool {
			missed = set.Namespace + "/" + set.Name
			m := demand.SelectionOf(&set.Spec.Template.Spec).Matcher()
			tolerated = m.Tolerates(p.Spec.Template.Taints)
			return tolerated && (discovery || slices.ContainsFunc(nodes(p), func(labels map[string]string) bool { return m.Selects("", labels) }))
		})
		if comes {
			continue
		}
		reached = false
		r := Result{Check: checkPlugin, Status: Fail, Message: fmt.Sprintf("DaemonSet %s would not come onto nodes of Provisioner %s: ", missed, p.Name)}
		if tolerated {
			r.Message += "its node selector or affinity asks for labels that they do not have"
			r.Remedy = "change what it selects, or put the labels into spec.template.labels of the Provisioner"
		} else {
			r.Message += "it does not tolerate every taint of spec.template.taints"
			r.Remedy = "give it tolerations for them"
		}
		s.Report(r)
	}
	if reached {
		set := plugins[0]
		s.ok(checkPlugin, "DaemonSet %s/%s runs %s", set.Namespace, set.Name, image(set.Spec.Template.Spec, devicePlugins))
	}
}

// nodes answers the labels that nodes of a Provisioner may have, by any type with GPUs, as far as they are known before a launch.
func nodes(p v1alpha1.Provisioner) []map[string]string {
	own := plan.OwnerLabels(p.Name, p.Spec.NodeClassRef.Name)
	for _, r := range p.Spec.Requirements {
		if r.Operator == corev1.NodeSelectorOpIn && len(r.Values) > 0 {
			own[r.Key] = r.Values[0]
		}
	}
	maps.Copy(own, p.Spec.Template.Labels)
	var all []map[string]string
	for _, t := range catalogue.Embedded().Types {
		labels := maps.Clone(own)
		maps.Copy(labels, plan.TypeLabels(t))
		all = append(all, labels)
	}
	return all
}

// operator finds NVIDIA's GPU operator, which makes the device plugin's DaemonSet only once a node has a GPU. Its Deployment may not be shown to
// these credentials; the DaemonSet of node feature discovery, which comes with it, has its release's name.
func (s *survey) operator(ctx context.Context, sets []appsv1.DaemonSet) string {
	var deployments appsv1.DeploymentList
	if err := s.Cluster.List(ctx, &deployments); err == nil {
		for _, d := range deployments.Items {
			if image(d.Spec.Template.Spec, []string{operatorName}) != "" {
				return fmt.Sprintf("Deployment %s/%s", d.Namespace, d.Name)
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
