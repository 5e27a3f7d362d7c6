package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/slipway-sh/slipway/test/cluster"
)

const (
	hostName = "host"
	// renewEvery is how often the node's lease is renewed, as kubelets do.
	renewEvery = 10 * time.Second
)

// hostOptions says whose node it is and what its pods' images are.
type hostOptions struct {
	client  kubernetes.Interface
	cluster *cluster.Cluster
	// programs are the files that stand for images, by the last word of their repository.
	programs map[string]string
	say      func(format string, args ...any)
}

// host is the one node of an embedded cluster that is no machine of EC2. It does what a kubelet does for the pods that kube-scheduler
// binds to it, with processes for containers: arguments and environment are those of the pod, access is a token of its ServiceAccount,
// probes decide whether it is ready, and whoever ends is started again.
type host struct {
	hostOptions
	ctx    context.Context
	end    context.CancelFunc
	stopAt informers.SharedInformerFactory

	mu   sync.Mutex
	pods map[types.UID]*hosted
	work sync.WaitGroup
}

// startHost registers the node and runs what is bound to it until stop.
func startHost(ctx context.Context, o hostOptions) (*host, error) {
	h := &host{hostOptions: o, pods: map[types.UID]*hosted{}}
	h.ctx, h.end = context.WithCancel(ctx)
	if err := h.register(); err != nil {
		h.end()
		return nil, err
	}
	h.stopAt = informers.NewSharedInformerFactoryWithOptions(o.client, 0, informers.WithTweakListOptions(func(l *metav1.ListOptions) {
		l.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", hostName).String()
	}))
	informer := h.stopAt.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { h.see(o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { h.see(o.(*corev1.Pod)) },
		DeleteFunc: func(o any) {
			if late, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = late.Obj
			}
			h.gone(o.(*corev1.Pod).UID)
		},
	})
	if err != nil {
		h.end()
		return nil, fmt.Errorf("watching the pods of %s: %w", hostName, err)
	}
	h.stopAt.Start(h.ctx.Done())
	h.work.Go(h.renew)
	return h, nil
}

// stop ends every pod's process, and the node's part in the cluster.
func (h *host) stop() {
	h.end()
	h.stopAt.Shutdown()
	h.work.Wait()
}

// register makes the node, ready from the start, and its lease.
func (h *host) register() error {
	capacity := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("32Gi"),
		corev1.ResourcePods: resource.MustParse("110"), corev1.ResourceEphemeralStorage: resource.MustParse("100Gi")}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: hostName, Labels: map[string]string{
		corev1.LabelHostname: hostName, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64", corev1.LabelTopologyZone: "us-east-1a"}}}
	if _, err := h.client.CoreV1().Nodes().Create(h.ctx, node, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("registering the node: %w", err)
	}
	now := metav1.Now()
	status := corev1.NodeStatus{Capacity: capacity, Allocatable: capacity, Conditions: []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: now, LastTransitionTime: now}},
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: hostName}, {Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}}
	text, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return fmt.Errorf("writing the node's status: %w", err)
	}
	_, err = h.client.CoreV1().Nodes().Patch(h.ctx, hostName, types.StrategicMergePatchType, text, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("posting that the node is ready: %w", err)
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: hostName}, Spec: coordinationv1.LeaseSpec{
		HolderIdentity: ptr.To(hostName), LeaseDurationSeconds: ptr.To(int32(40)), RenewTime: &metav1.MicroTime{Time: now.Time}}}
	_, err = h.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Create(h.ctx, lease, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating the node's lease: %w", err)
	}
	return nil
}

func (h *host) renew() {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		}
		patch := fmt.Sprintf(`{"spec":{"renewTime":%q}}`, time.Now().UTC().Format(metav1.RFC3339Micro))
		_, err := h.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Patch(h.ctx, hostName, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		if err != nil && h.ctx.Err() == nil {
			h.say("renewing the lease of node %s: %v", hostName, err)
		}
	}
}

// see starts a pod that is new, and asks one that is being deleted to stop.
func (h *host) see(pod *corev1.Pod) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pods[pod.UID]
	if p == nil && pod.DeletionTimestamp == nil && h.ctx.Err() == nil {
		p = newHosted(h, pod)
		h.pods[pod.UID] = p
		h.work.Go(p.run)
	}
	if p == nil && pod.DeletionTimestamp != nil {
		h.work.Go(func() { h.remove(pod) })
	}
	if p != nil && pod.DeletionTimestamp != nil {
		p.askToStop(time.Duration(ptr.Deref(pod.DeletionGracePeriodSeconds, 30)) * time.Second)
	}
}

// gone ends a pod whose object was removed by force. A kubelet gives it a moment too.
func (h *host) gone(uid types.UID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.pods[uid]; p != nil {
		p.askToStop(2 * time.Second)
		delete(h.pods, uid)
	}
}

// remove takes a pod that has ended out of the API.
func (h *host) remove(pod *corev1.Pod) {
	err := h.client.CoreV1().Pods(pod.Namespace).Delete(h.ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && h.ctx.Err() == nil {
		h.say("removing pod %s: %v", pod.Name, err)
	}
}

func (h *host) hosted(pod *corev1.Pod) (*hosted, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pods[pod.UID]
	if p == nil {
		return nil, fmt.Errorf("pod %s does not run here", pod.Name)
	}
	return p, nil
}

func (h *host) kill(pod *corev1.Pod) error {
	p, err := h.hosted(pod)
	if err != nil {
		return err
	}
	return p.kill()
}

func (h *host) address(pod *corev1.Pod, port int32) (string, error) {
	p, err := h.hosted(pod)
	if err != nil {
		return "", err
	}
	address := p.addresses[port]
	if address == "" {
		return "", fmt.Errorf("pod %s has no port %d", pod.Name, port)
	}
	return address, nil
}

// volumes is where the directories of all pods' volumes are, also of those that have ended.
func (h *host) volumes() string { return filepath.Join(h.cluster.Dir, "volumes") }

// gather copies them: the Views.
func (h *host) gather(directory string) error {
	if _, err := os.Stat(h.volumes()); errors.Is(err, fs.ErrNotExist) {
		return nil // no pod had one
	}
	return replaceCopy(directory, h.volumes())
}
