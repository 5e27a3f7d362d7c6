package judge

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/daemon"
	daemonutil "k8s.io/kubernetes/pkg/controller/daemon/util"

	fakemachine "github.com/slipway-sh/slipway/cmd/fakeaws/machine"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// offered is what a node of a type offers, its own pods included, as the machine itself works it out, which knows nothing of the planner.
func offered(kind cloud.InstanceType, k *v1alpha1.Kubelet) corev1.ResourceList {
	var kubelet cloud.Kubelet
	if k != nil {
		kubelet.MaxPods = k.MaxPods // no other setting is drawn
	}
	_, list, err := fakemachine.Resources(kind, kubelet, rootGiB<<30)
	if err != nil {
		panic(fmt.Sprintf("a %s has no kubelet: %v", kind.Name, err))
	}
	list[fakemachine.GPUResource(kind.GPU)] = *resource.NewQuantity(int64(kind.GPU.Count), resource.DecimalSI)
	if kind.EFAInterfaces > 0 {
		list[v1alpha1.ResourceEFA] = *resource.NewQuantity(int64(kind.EFAInterfaces), resource.DecimalSI)
	}
	return list
}

// nodeOf is the node of a claim whose machine is one of the choices, when it has joined and is open: claim.nodeLabels says which labels it
// gets, and the kubelet adds its name.
func (w *world) nodeOf(spec *v1alpha1.NodeClaimSpec, choice v1alpha1.InstanceChoice, name string) (*corev1.Node, *storagev1.CSINode) {
	kind := w.kind(choice.InstanceType)
	own := map[string]string{}
	for key, value := range plan.OwnerLabels(spec.Provisioner, spec.NodeClassRef.Name) {
		own[key] = value
	}
	for key, value := range spec.Labels {
		own[key] = value
	}
	key := cloud.OfferingKey{InstanceType: choice.InstanceType, Zone: choice.Zone, Market: cloud.Market(spec.Market)}
	n := newNode(kind, key, own, offered(kind, spec.Kubelet))
	n.Name, n.Labels[corev1.LabelHostname], n.Spec.Taints = name, name, spec.Taints
	return n, driverOn(name, attachable(kind))
}

// attachable is how many volumes of EBS' driver the planner expects a node of a type to take; below 0: it expects nothing.
func attachable(kind cloud.InstanceType) int64 {
	if n, told := plan.Allocatable(kind, nil, plan.Disk{RootVolumeGiB: rootGiB})[corev1.ResourceName(corev1.ResourceAttachableVolumesPrefix+"csi-"+driverEBS)]; told {
		return n
	}
	return -1
}

// driverOn is what the kubelet says of EBS' driver on a node: how many volumes it can attach, and by which label it knows places.
func driverOn(node string, volumes int64) *storagev1.CSINode {
	c := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node}}
	d := storagev1.CSINodeDriver{Name: driverEBS, NodeID: node, TopologyKeys: []string{corev1.LabelTopologyZone}}
	if volumes >= 0 {
		d.Allocatable = &storagev1.VolumeNodeResources{Count: new(int32(volumes))}
	}
	c.Spec.Drivers = []storagev1.CSINodeDriver{d}
	return c
}

// daemonPods are those that the DaemonSet controller puts onto a node.
func daemonPods(w *world, n *corev1.Node) []*corev1.Pod {
	var pods []*corev1.Pod
	each(w, func(ds *appsv1.DaemonSet) {
		if should, _ := daemon.NodeShouldRunDaemonPod(klog.Background(), n, ds); !should {
			return
		}
		template := daemonutil.CreatePodTemplate(ds.Spec.Template, nil, "")
		p := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
		yes := true
		p.Name, p.Namespace = fmt.Sprintf("%s-%s", ds.Name, n.Name), ds.Namespace
		p.UID = types.UID("uid-" + p.Name)
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: ds.Name, UID: ds.UID, Controller: &yes}}
		p.Spec.NodeName, p.Status.Phase = n.Name, corev1.PodRunning
		defaultRequests(p)
		pods = append(pods, p)
	})
	return pods
}

// defaultRequests does what the API server does to pods: a limit without a request is the request.
func defaultRequests(p *corev1.Pod) {
	for i := range p.Spec.Containers {
		r := &p.Spec.Containers[i].Resources
		for name, q := range r.Limits {
			if _, there := r.Requests[name]; !there {
				if r.Requests == nil {
					r.Requests = corev1.ResourceList{}
				}
				r.Requests[name] = q
			}
		}
	}
}
