package simulate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// admission does to a manifest's pods what an API server and the scheduler's first look do to those of a cluster: priority and runtime
// classes are resolved, and a pod without a node has been found unschedulable.
type admission struct {
	now        time.Time
	priorities map[string]*schedulingv1.PriorityClass
	runtimes   map[string]*nodev1.RuntimeClass
	fallback   *schedulingv1.PriorityClass // globalDefault
	assume     func(format string, args ...any)
}

// systemPriorities are the classes that every cluster has.
var systemPriorities = map[string]int32{"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}

func newAdmission(manifests []Manifest, now time.Time, assume func(string, ...any)) *admission {
	a := &admission{now: now, assume: assume, priorities: map[string]*schedulingv1.PriorityClass{}, runtimes: map[string]*nodev1.RuntimeClass{}}
	for _, m := range manifests {
		switch o := m.Object.(type) {
		case *schedulingv1.PriorityClass:
			a.priorities[o.Name] = o
			if o.GlobalDefault {
				a.fallback = o
			}
		case *nodev1.RuntimeClass:
			a.runtimes[o.Name] = o
		}
	}
	return a
}

// live adds the classes of a live cluster, but for those that a manifest replaces.
func (a *admission) live(ctx context.Context, cluster client.Reader) error {
	var priorities schedulingv1.PriorityClassList
	var runtimes nodev1.RuntimeClassList
	if err := cluster.List(ctx, &priorities); err != nil {
		return reading("PriorityClass.scheduling.k8s.io", err)
	}
	if err := cluster.List(ctx, &runtimes); err != nil {
		return reading("RuntimeClass.node.k8s.io", err)
	}
	for i := range priorities.Items {
		class := &priorities.Items[i]
		if a.priorities[class.Name] == nil {
			a.priorities[class.Name] = class
			if class.GlobalDefault && a.fallback == nil {
				a.fallback = class
			}
		}
	}
	for i := range runtimes.Items {
		if class := &runtimes.Items[i]; a.runtimes[class.Name] == nil {
			a.runtimes[class.Name] = class
		}
	}
	return nil
}

// admit fills in what the pod lacks. What the pod shares with others is not changed.
func (a *admission) admit(pod *corev1.Pod) {
	if pod.UID == "" {
		pod.UID = uid("Pod", pod.Namespace, pod.Name)
	}
	if pod.CreationTimestamp.IsZero() {
		pod.CreationTimestamp = metav1.NewTime(a.now)
	}
	if pod.Spec.Priority == nil {
		a.prioritise(pod)
	}
	if pod.Spec.RuntimeClassName != nil && pod.Spec.Overhead == nil {
		a.runtime(pod, *pod.Spec.RuntimeClassName)
	}
	judged := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodScheduled })
	if pod.Spec.NodeName == "" && len(pod.Spec.SchedulingGates) == 0 && pod.Status.Phase == "" && !judged {
		pod.Status.Phase = corev1.PodPending
		pod.Status.Conditions = append(slices.Clone(pod.Status.Conditions), corev1.PodCondition{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, LastTransitionTime: metav1.NewTime(a.now)})
	}
}

func (a *admission) prioritise(pod *corev1.Pod) {
	name := pod.Spec.PriorityClassName
	class := a.priorities[name]
	if name == "" {
		class = a.fallback
	}
	value, known := systemPriorities[name]
	switch {
	case class != nil:
		value = class.Value
		if pod.Spec.PreemptionPolicy == nil {
			pod.Spec.PreemptionPolicy = class.PreemptionPolicy
		}
	case name != "" && !known:
		a.assume("PriorityClass %s is not given: its pods have priority 0", name)
	}
	pod.Spec.Priority = &value
}

func (a *admission) runtime(pod *corev1.Pod, name string) {
	class := a.runtimes[name]
	if class == nil {
		a.assume("RuntimeClass %s is not given: no overhead, no node selector", name)
		return
	}
	if class.Overhead != nil {
		pod.Spec.Overhead = class.Overhead.PodFixed
	}
	if class.Scheduling == nil {
		return
	}
	if len(class.Scheduling.NodeSelector) > 0 {
		selector := maps.Clone(class.Scheduling.NodeSelector)
		maps.Copy(selector, pod.Spec.NodeSelector)
		pod.Spec.NodeSelector = selector
	}
	pod.Spec.Tolerations = slices.Concat(pod.Spec.Tolerations, class.Scheduling.Tolerations)
}

// checkPod finds what an API server would refuse and a plan would misread: negative amounts and requests above limits.
func checkPod(pod *corev1.Pod) error {
	if pod.Name == "" && pod.GenerateName == "" {
		return fmt.Errorf("metadata.name: required")
	}
	if len(pod.Spec.Containers) == 0 {
		return fmt.Errorf("spec.containers: at least one is required")
	}
	check := func(field string, list []corev1.Container) error {
		for i := range list {
			if err := checkResources(fmt.Sprintf("spec.%s[%d].resources", field, i), &list[i].Resources); err != nil {
				return err
			}
		}
		return nil
	}
	return cmp.Or(check("initContainers", pod.Spec.InitContainers), check("containers", pod.Spec.Containers))
}

func checkResources(field string, r *corev1.ResourceRequirements) error {
	check := func(which string, list corev1.ResourceList) error {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			if q := list[name]; q.Sign() < 0 || q.CmpInt64(math.MaxInt64) > 0 {
				return fmt.Errorf("%s.%s[%s]: %s is no amount", field, which, name, q.String())
			}
		}
		return nil
	}
	if err := cmp.Or(check("limits", r.Limits), check("requests", r.Requests)); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		request := r.Requests[name]
		if limit, limited := r.Limits[name]; limited && request.Cmp(limit) > 0 {
			return fmt.Errorf("%s.requests[%s]: %s is above the limit of %s", field, name, request.String(), limit.String())
		}
	}
	return nil
}
