package demand

import (
	"maps"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// Ceiling is more of anything than a machine has (35 million cores, 32 EiB). Larger amounts are cut to it, so that sums over
// hundreds of thousands of pods stay within an int64: a pod that asks for 9E of CPU asks for too much, not for 0.
const Ceiling = int64(1) << 45

// Rounding says which way an amount between two units goes.
type Rounding bool

// Requests are rounded up and capacity down, so that rounding never makes anything fit that does not.
const (
	RoundUp   Rounding = true
	RoundDown Rounding = false
)

// FromList answers the amounts of a list in Slipway's units. Amounts of 0 are left out.
func FromList(list corev1.ResourceList, rounding Rounding) Resources {
	r := make(Resources, len(list)+1)
	for name, q := range list {
		if n := amount(name, q, rounding); n != 0 {
			r[name] = n
		}
	}
	return r
}

// Requests answers what a pod that waits needs of a node: containers, init containers and sidecars, pod-level resources and overhead as
// Kubernetes' own helper adds them up, and one of "pods".
func Requests(pod *corev1.Pod) Resources {
	return requests(pod, resourcehelper.PodResourcesOptions{})
}

// RequestsOnNode answers what the scheduler counts for a pod that is on a node. While the pod is being resized in place, that is the most
// of what its spec asks for, what the kubelet has promised and what the containers have; of a resize that its node can never do, the spec
// does not count. The options are of the feature gates InPlacePodVerticalScaling (locked since Kubernetes 1.35) and
// InPlacePodLevelResourcesVerticalScaling (on since 1.36); where they are off, no kubelet writes the status that they read.
func RequestsOnNode(pod *corev1.Pod) Resources {
	return requests(pod, resourcehelper.PodResourcesOptions{UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true})
}

func requests(pod *corev1.Pod, options resourcehelper.PodResourcesOptions) Resources {
	r := FromList(resourcehelper.PodRequests(withDefaults(pod), options), RoundUp)
	r[corev1.ResourcePods] = 1
	return r
}

// Add answers the sum of both; neither is changed.
func (r Resources) Add(o Resources) Resources {
	sum := r.Clone()
	for name, n := range o {
		sum.set(name, sum[name]+n)
	}
	return sum
}

// Sub answers r minus o, which may be negative where a node holds more than it has; neither is changed.
func (r Resources) Sub(o Resources) Resources {
	rest := r.Clone()
	for name, n := range o {
		rest.set(name, rest[name]-n)
	}
	return rest
}

// Fits tells whether r can be taken from free. What r does not ask for may be overdrawn.
func (r Resources) Fits(free Resources) bool {
	for name, n := range r {
		if n > 0 && n > free[name] {
			return false
		}
	}
	return true
}

// Clone answers a copy; never nil.
func (r Resources) Clone() Resources {
	if r == nil {
		return Resources{}
	}
	return maps.Clone(r)
}

// Names answers the names of what is not 0, sorted.
func (r Resources) Names() []corev1.ResourceName {
	names := make([]corev1.ResourceName, 0, len(r))
	for name, n := range r {
		if n != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// set keeps equal amounts equal maps: 0 is absent.
func (r Resources) set(name corev1.ResourceName, n int64) {
	if n == 0 {
		delete(r, name)
		return
	}
	r[name] = n
}

func amount(name corev1.ResourceName, q resource.Quantity, rounding Rounding) int64 {
	switch name {
	case corev1.ResourceCPU, v1alpha1.ResourceGPU, v1alpha1.ResourceAMDGPU:
		return thousandths(q, rounding)
	case corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return mebibytes(q, rounding)
	}
	return whole(q, rounding)
}

func thousandths(q resource.Quantity, rounding Rounding) int64 {
	if q.CmpInt64(Ceiling/1000) >= 0 {
		return Ceiling
	}
	n := q.MilliValue() // rounded up
	if rounding == RoundDown && q.Cmp(*resource.NewMilliQuantity(n, resource.DecimalSI)) < 0 {
		n--
	}
	return n
}

func mebibytes(q resource.Quantity, rounding Rounding) int64 {
	if q.CmpInt64(math.MaxInt64-1<<20) >= 0 {
		return math.MaxInt64 >> 20
	}
	n := q.Value() // rounded up
	if rounding == RoundUp {
		return (n + 1<<20 - 1) >> 20
	}
	if q.CmpInt64(n) < 0 {
		n--
	}
	return n >> 20
}

func whole(q resource.Quantity, rounding Rounding) int64 {
	if q.CmpInt64(Ceiling) >= 0 {
		return Ceiling
	}
	n := q.Value() // rounded up
	if rounding == RoundDown && q.CmpInt64(n) < 0 {
		n--
	}
	return n
}

// withDefaults answers the pod with a request for each limit that has none. The API server does so to pods, but not to the pod
// templates of DaemonSets, and not to manifests that it has not seen. A pod that needs nothing is answered as it is.
func withDefaults(pod *corev1.Pod) *corev1.Pod {
	whole := pod.Spec.Resources != nil && len(pod.Spec.Resources.Limits) > 0
	if !whole && !lackRequests(pod.Spec.Containers) && !lackRequests(pod.Spec.InitContainers) {
		return pod
	}
	full := *pod
	full.Spec.Containers = defaulted(pod.Spec.Containers)
	full.Spec.InitContainers = defaulted(pod.Spec.InitContainers)
	if whole {
		full.Spec.Resources = defaultedWhole(&full)
	}
	return &full
}

// defaultedWhole answers the pod-level resources with a request for each limit of a resource that neither the pod nor a container requests.
func defaultedWhole(pod *corev1.Pod) *corev1.ResourceRequirements {
	full := *pod.Spec.Resources
	requests := corev1.ResourceList{}
	maps.Copy(requests, full.Requests)
	inside := resourcehelper.AggregateContainerRequests(pod, resourcehelper.PodResourcesOptions{})
	for name, limit := range full.Limits {
		_, asked := requests[name]
		_, askedInside := inside[name]
		if !asked && !askedInside && resourcehelper.IsSupportedPodLevelResource(name) {
			requests[name] = limit
		}
	}
	full.Requests = requests
	return &full
}

func lackRequests(containers []corev1.Container) bool {
	for i := range containers { // not by value: a container is large
		for name := range containers[i].Resources.Limits {
			if _, ok := containers[i].Resources.Requests[name]; !ok {
				return true
			}
		}
	}
	return false
}

func defaulted(containers []corev1.Container) []corev1.Container {
	full := slices.Clone(containers)
	for i := range full {
		requests := maps.Clone(full[i].Resources.Limits)
		if requests == nil {
			continue
		}
		maps.Copy(requests, full[i].Resources.Requests)
		full[i].Resources.Requests = requests
	}
	return full
}
