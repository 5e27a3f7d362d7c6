package claim

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// taintUninitialized is on a node until its cloud controller has seen it; kube-scheduler puts nothing on it before.
const taintUninitialized = "node.cloudprovider.kubernetes.io/uninitialized"

// obstacle is what stands between a node and its pods.
type obstacle struct {
	reason  v1alpha1.Reason
	message string
}

// ready opens the node once it shows exactly the GPUs that its shape promises.
func (s *scope) ready(ctx context.Context) (bool, error) {
	node, err := s.findNode(ctx)
	if err != nil || node == nil {
		return false, err
	}
	if s.isTrue(v1alpha1.ConditionReady) && !isGated(node) {
		s.watchGPUs(node)
		return true, nil
	}
	// join has seen to it that this view of the node is not older than its gate. So a node that is neither gated nor cordoned was
	// opened by an earlier pass that did not get to say so.
	opened := !isGated(node) && !node.Spec.Unschedulable
	if o := s.obstacle(node); o != nil && !opened {
		return false, s.awaitReady(ctx, node, *o)
	}
	if isGated(node) {
		if waits, err := s.awaitDriver(ctx, node); waits || err != nil {
			return false, err
		}
		if err := s.openGate(ctx, node); err != nil {
			return false, err
		}
		if isGated(node) {
			return false, nil // something has come up
		}
	}
	message := fmt.Sprintf("node %s shows %s and is open", node.Name, s.shown(node))
	if node.Spec.Unschedulable {
		message = fmt.Sprintf("node %s shows %s; it was cordoned by somebody else, and stays so", node.Name, s.shown(node))
	}
	s.sayOf(node, corev1.EventTypeNormal, v1alpha1.ConditionReady, "%s", message)
	if s.reach(v1alpha1.ConditionReady, v1alpha1.ReasonOK, message) {
		s.r.cfg.Meter.ClaimReady(s.now.Sub(s.since(v1alpha1.ConditionJoined)))
	}
	return true, nil
}

// othersOpen is when to ask again for a node that has to wait for others to open.
const othersOpen = 250 * time.Millisecond

// openAttempts is how often a gate is tried to be opened in one pass.
const openAttempts = 3

// openGate opens the node, in a moment that suits the schedulers of its pods. It leaves the node closed if something has come up meanwhile:
// a later pass looks into it.
func (s *scope) openGate(ctx context.Context, node *corev1.Node) error {
	n := s.r.cfg.Nominator
	if n == nil {
		return s.openNow(ctx, node)
	}
	called, err := n.Opening(ctx, s.claim, node, func() error {
		fresh, err := s.findNode(ctx)
		if err != nil || fresh == nil || !s.mayOpen(fresh) {
			return err
		}
		*node = *fresh
		return s.openNow(ctx, node)
	})
	if !called {
		s.again(othersOpen)
	}
	return err
}

// openNow opens the node. The pods that have been nominated to it are tried by their scheduler at any moment, and in vain while the node is
// closed; so a node that somebody has changed meanwhile is read from the API server and opened at once.
func (s *scope) openNow(ctx context.Context, node *corev1.Node) error {
	err := s.patchNode(ctx, node, open)
	for range openAttempts - 1 {
		if !apierrors.IsConflict(err) {
			return err
		}
		fresh, readErr := s.liveNode(ctx)
		if readErr != nil || fresh == nil || !s.mayOpen(fresh) {
			return err
		}
		*node = *fresh
		err = s.patchNode(ctx, node, open)
	}
	return err
}

func (s *scope) mayOpen(node *corev1.Node) bool {
	return isGated(node) && s.obstacle(node) == nil && !hasTaint(node, v1alpha1.TaintRetiring)
}

// open takes the gate away, and with it the taint that Kubernetes has put on for it. The node lifecycle controller would take that off a
// moment later; every scheduling attempt in between would fail, and a failed attempt drops the pod's nomination.
func open(node *corev1.Node) {
	delete(node.Annotations, v1alpha1.AnnotationGated)
	node.Spec.Unschedulable = false
	removeTaint(node, corev1.TaintNodeUnschedulable)
}

// passingTaints are put on a new node by Kubernetes and its cloud controller, which take them off a moment after what they stand for has passed.
// Were the node opened before, schedulers would try its pods in vain.
var passingTaints = []string{taintUninitialized, corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeNetworkUnavailable}

// obstacle answers what is waited for next; nil: nothing.
func (s *scope) obstacle(node *corev1.Node) *obstacle {
	if c := nodeCondition(node, corev1.NodeReady); c.Status != corev1.ConditionTrue {
		return &obstacle{v1alpha1.ReasonNodeNotReady, fmt.Sprintf("node %s is not Ready: %s", node.Name, c.Message)}
	}
	for _, taint := range node.Spec.Taints {
		startup := slices.ContainsFunc(s.claim.Spec.StartupTaints, func(t corev1.Taint) bool { return sameTaint(t, taint) })
		if startup || slices.Contains(passingTaints, taint.Key) {
			return &obstacle{v1alpha1.ReasonWaitingForTaint, fmt.Sprintf("taint %s:%s is still on node %s", taint.Key, taint.Effect, node.Name)}
		}
	}
	if s.gpusOn(node) != int64(s.claim.Spec.GPUs) {
		return &obstacle{v1alpha1.ReasonWaitingForGPUs, fmt.Sprintf("node %s shows %s", node.Name, s.shown(node))}
	}
	return nil
}

// driverPatience is how long from the moment that its kubelet is ready a node stays closed for a CSI driver. Drivers take seconds. One that
// does not come keeps the pods with its volumes off, but no others; nor does it end the node.
const driverPatience = 2 * time.Minute

// driverLook is the time between two looks for it: CSINodes are not watched for claims.
const driverLook = time.Second

// awaitDriver tells whether the node waits for a CSI driver without which the scheduler would refuse a pod that it was bought for: an open
// node that has no room for such a pod would have another one bought.
func (s *scope) awaitDriver(ctx context.Context, node *corev1.Node) (bool, error) {
	if s.r.cfg.Volumes == nil || s.now.Sub(nodeCondition(node, corev1.NodeReady).LastTransitionTime.Time) > driverPatience {
		return false, nil
	}
	driver, err := s.r.cfg.Volumes.MissingDriver(ctx, node.Name, s.claim.Spec.Pods)
	if err != nil || driver == "" {
		return false, err
	}
	s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonWaitingForDriver,
		fmt.Sprintf("node %s does not run CSI driver %s yet, which the volume of a pod needs", node.Name, driver))
	s.again(driverLook)
	return true, nil
}

// gpuResource is the resource under which the claim's GPUs appear.
func (s *scope) gpuResource() corev1.ResourceName {
	if t, known := s.r.cfg.Catalog.Type(s.claim.Status.InstanceType); known {
		if name := plan.GPUResource(t); name != "" {
			return name
		}
	}
	return v1alpha1.ResourceGPU
}

func (s *scope) gpusOn(node *corev1.Node) int64 {
	q := node.Status.Allocatable[s.gpuResource()]
	return q.Value()
}

func (s *scope) shown(node *corev1.Node) string {
	return fmt.Sprintf("%d of %d %s", s.gpusOn(node), s.claim.Spec.GPUs, s.gpuResource())
}

// gpuPatience is how long a device plugin may take before what keeps it is looked for and said: images are pulled, drivers load.
const gpuPatience = 2 * time.Minute

// awaitReady waits for the obstacle to go, until the deadline.
func (s *scope) awaitReady(ctx context.Context, node *corev1.Node, o obstacle) error {
	// The clock starts when the node joined, and anew when it was deleted and registered again.
	start := s.now
	if c := s.condition(v1alpha1.ConditionReady); c != nil && c.Status == metav1.ConditionFalse {
		start = c.LastTransitionTime.Time
	}
	left := start.Add(s.r.cfg.Deadlines.Ready).Sub(s.now)
	message := o.message
	if o.reason == v1alpha1.ReasonWaitingForGPUs && (left <= 0 || s.now.Sub(start) >= gpuPatience) {
		cause, err := s.diagnoseGPUs(ctx, node)
		if err != nil {
			return err
		}
		message += "; " + cause
	}
	if left > 0 {
		s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, o.reason, message)
		s.again(min(left, lookInterval))
		return nil
	}
	message = fmt.Sprintf("not ready within %s: %s", s.r.cfg.Deadlines.Ready, message)
	s.set(v1alpha1.ConditionReady, metav1.ConditionFalse, o.reason, message)
	s.r.cfg.Meter.ClaimNeverReady(o.reason)
	s.retire(v1alpha1.RetireNeverReady, message)
	return nil
}

// watchGPUs says when a ready node loses GPUs, and when it has them again. It does not end the node: pods may be at work on the others.
func (s *scope) watchGPUs(node *corev1.Node) {
	missing := s.gpusOn(node) < int64(s.claim.Spec.GPUs)
	said := s.condition(v1alpha1.ConditionReady).Reason == string(v1alpha1.ReasonGPUsMissing)
	switch {
	case missing:
		message := fmt.Sprintf("node %s was ready and now shows %s", node.Name, s.shown(node))
		if !said || s.condition(v1alpha1.ConditionReady).Message != message {
			s.say(corev1.EventTypeWarning, string(v1alpha1.ReasonGPUsMissing), "%s", message)
		}
		s.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonGPUsMissing, message)
	case said:
		s.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonOK, fmt.Sprintf("node %s shows %s again", node.Name, s.shown(node)))
	}
}
