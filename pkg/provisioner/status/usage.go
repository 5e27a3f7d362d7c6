package status

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// usage is what all claims of a Provisioner take together.
type usage struct {
	resources corev1.ResourceList // without nodes and cost, which have fields of their own
	nodes     int32
	microUSD  int64
	markets   map[cloud.Market]int
	blocked   int             // nodes that are to go and are kept by a PodDisruptionBudget
	gpus      int64           // physical ones, used or not
	onNodes   map[string]bool // names of the nodes
}

func usageOf(claims []v1alpha1.NodeClaim, provisioner string) usage {
	u := usage{markets: map[cloud.Market]int{}, onNodes: map[string]bool{}}
	for i := range claims {
		c := &claims[i]
		if c.Spec.Provisioner != provisioner {
			continue
		}
		u.nodes++
		u.microUSD += costMicroUSD(c)
		u.markets[cloud.Market(c.Spec.Market)]++
		u.gpus += int64(c.Spec.GPUs)
		if drained := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionDrained); drained != nil && drained.Reason == string(v1alpha1.ReasonBlocked) {
			u.blocked++
		}
		if c.Status.NodeName != "" {
			u.onNodes[c.Status.NodeName] = true
		}
		u.add(c.DebitOf())
	}
	return u
}

func (u *usage) add(debit corev1.ResourceList) {
	for name, q := range debit {
		if name == v1alpha1.LimitNodes || name == v1alpha1.LimitCostPerHour {
			continue
		}
		if u.resources == nil {
			u.resources = corev1.ResourceList{}
		}
		sum := u.resources[name]
		sum.Add(q)
		u.resources[name] = sum
	}
}

// costMicroUSD is what a claim costs per hour as the limit counts it, else at its machine's price, else at its dearest choice.
func costMicroUSD(c *v1alpha1.NodeClaim) int64 {
	if q, known := c.DebitOf()[v1alpha1.LimitCostPerHour]; known {
		return q.ScaledValue(resource.Micro)
	}
	if micro, err := cloud.ParseDollars(c.Status.PricePerHour); err == nil {
		return micro
	}
	var most int64
	for _, choice := range c.Spec.Choices {
		if micro, err := cloud.ParseDollars(choice.PricePerHour); err == nil {
			most = max(most, micro)
		}
	}
	return most
}

// gpusAsked is how many GPUs the pods on these nodes ask for that have not ended.
func gpusAsked(pods []corev1.Pod, nodes map[string]bool) int64 {
	var asked int64
	for i := range pods {
		p := &pods[i]
		if !nodes[p.Spec.NodeName] || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		requests := resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{})
		for _, name := range []corev1.ResourceName{v1alpha1.ResourceGPU, v1alpha1.ResourceAMDGPU} {
			q := requests[name]
			asked += q.Value()
		}
	}
	return asked
}

// gpuLimit is the limit of GPUs under either of its names, the lower if both are set; nil: there is none.
func gpuLimit(limits v1alpha1.Limits) *int64 {
	var lowest *int64
	for _, name := range []corev1.ResourceName{v1alpha1.LimitGPU, v1alpha1.ResourceGPU, v1alpha1.ResourceAMDGPU} {
		if q, set := limits[name]; set && (lowest == nil || q.Value() < *lowest) {
			lowest = new(q.Value())
		}
	}
	return lowest
}
