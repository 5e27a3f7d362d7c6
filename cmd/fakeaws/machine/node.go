package machine

import (
	"maps"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/ptr"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

const (
	// taintUninitialized keeps pods off a node until the cloud controller manager has seen it.
	taintUninitialized = "node.cloudprovider.kubernetes.io/uninitialized"
	labelZoneID        = "topology.k8s.aws/zone-id"
	kubeletVersion     = "v1.37.2-eks-0a1b2c3"
	leaseNamespace     = corev1.NamespaceNodeLease
	leaseSeconds       = 40
)

// register answers the Node that a kubelet creates: not ready, and unknown to the cloud controller manager.
func register(m sim.Machine, t cloud.InstanceType, boot Boot, now time.Time) (*corev1.Node, error) {
	disk := m.Choice.DiskGiB << 30
	if boot.InstanceStore && t.LocalNVMeGB > 0 {
		disk = t.LocalNVMeGB * 1e9
	}
	capacity, allocatable, err := Resources(t, boot.Kubelet, disk)
	if err != nil {
		return nil, err
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: m.PrivateDNS, Labels: map[string]string{
			corev1.LabelHostname: m.PrivateDNS, corev1.LabelArchStable: t.Architecture, corev1.LabelOSStable: "linux",
			"beta.kubernetes.io/arch": t.Architecture, "beta.kubernetes.io/os": "linux",
		}},
		Spec: corev1.NodeSpec{
			ProviderID: m.ProviderID(),
			Taints:     []corev1.Taint{{Key: taintUninitialized, Value: "true", Effect: corev1.TaintEffectNoSchedule}},
		},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: allocatable,
			Conditions: conditions(now, corev1.ConditionFalse, "KubeletNotReady", "container runtime network not ready: cni plugin not initialized"),
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: m.PrivateIP},
				{Type: corev1.NodeInternalDNS, Address: m.PrivateDNS}, {Type: corev1.NodeHostName, Address: m.PrivateDNS}},
			NodeInfo: corev1.NodeSystemInfo{
				Architecture: t.Architecture, OperatingSystem: "linux", OSImage: "fakeaws", KernelVersion: "6.12.0",
				KubeletVersion: kubeletVersion, ContainerRuntimeVersion: "containerd://2.1.0", MachineID: m.ID, SystemUUID: m.ID,
				BootID: string(uuid.NewUUID()),
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
		},
	}
	maps.Copy(node.Labels, boot.Labels)
	for _, taint := range boot.Taints {
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: taint.Key, Value: taint.Value, Effect: corev1.TaintEffect(taint.Effect)})
	}
	return node, nil
}

func conditions(now time.Time, ready corev1.ConditionStatus, reason, message string) []corev1.NodeCondition {
	at := metav1.NewTime(now)
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: at, LastTransitionTime: at}
	}
	return []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		condition(corev1.NodeReady, ready, reason, message),
	}
}

// initialize is what the cloud controller manager does to a node that it sees for the first time.
func initialize(node *corev1.Node, m sim.Machine, region string) {
	maps.Copy(node.Labels, map[string]string{
		corev1.LabelInstanceTypeStable: m.Key.InstanceType, corev1.LabelInstanceType: m.Key.InstanceType,
		corev1.LabelTopologyZone: m.Key.Zone, corev1.LabelTopologyRegion: region, labelZoneID: m.ZoneID,
		corev1.LabelFailureDomainBetaZone: m.Key.Zone, corev1.LabelFailureDomainBetaRegion: region,
	})
	kept := node.Spec.Taints[:0]
	for _, taint := range node.Spec.Taints {
		if taint.Key != taintUninitialized {
			kept = append(kept, taint)
		}
	}
	node.Spec.Taints = kept
}

func newLease(node *corev1.Node, now time.Time) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: node.Name, Namespace: leaseNamespace, OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}}},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr.To(node.Name), LeaseDurationSeconds: ptr.To(int32(leaseSeconds)),
			RenewTime: &metav1.MicroTime{Time: now}},
	}
}
