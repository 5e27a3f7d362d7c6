package carryover

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

const (
	// defaultClass is the EC2NodeClass of a Provisioner that names none.
	defaultClass = "default"
	// defaultIdle is idleAfter of a Provisioner without ttlSecondsAfterEmpty.
	defaultIdle = "60s"
	// maxSeconds is the longest duration, nearly 32 years, that a native Provisioner spells in seconds; longer is Never.
	maxSeconds = 999_999_999
	// maxRequirements is how many a native Provisioner takes.
	maxRequirements = 100
)

// NotCarried is a field of a v1alpha5 Provisioner that its native twin does not have.
type NotCarried struct {
	// Field is its path in the original: spec.provider, spec.requirements[2].
	Field string
	// Message says what that means and what to do, in one sentence.
	Message string
}

// Carry answers the native Provisioner that means what the v1alpha5 one means, and what of it could not be carried, in the order of
// the fields. It does not change in, and shares no memory with it. The native one has no owner yet.
func Carry(in *karpenterv1alpha5.Provisioner) (v1alpha1.Provisioner, []NotCarried) {
	in = in.DeepCopy()
	c := &carrying{in: in}
	c.out = v1alpha1.Provisioner{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Provisioner"},
		ObjectMeta: metav1.ObjectMeta{
			Name:        in.Name,
			Annotations: map[string]string{v1alpha1.AnnotationCarriedFrom: in.Name},
		},
	}
	c.template()
	c.requirements()
	c.kubelet()
	c.nodeClass()
	c.disruption()
	c.limits()
	if in.Spec.Weight != nil {
		c.out.Spec.Weight = *in.Spec.Weight
	}
	if c.closed {
		c.setLimit(v1alpha1.LimitNodes, resource.MustParse("0"))
	}
	return c.out, c.lost
}

// carrying is one Carry under way.
type carrying struct {
	in   *karpenterv1alpha5.Provisioner
	out  v1alpha1.Provisioner
	lost []NotCarried
	// closed says that nothing may be bought: something that narrows it was lost, or a Karpenter may still buy for it.
	closed bool
}

func (c *carrying) lose(field, format string, args ...any) {
	c.lost = append(c.lost, NotCarried{Field: field, Message: fmt.Sprintf(format, args...)})
}

// loseClosing loses what nothing may be bought without.
func (c *carrying) loseClosing(field, format string, args ...any) {
	c.closed = true
	c.lose(field, format+"; until then nothing is launched for this Provisioner", args...)
}

func (c *carrying) template() {
	c.out.Spec.Template = v1alpha1.NodeTemplate{
		Annotations:   c.in.Spec.Annotations,
		Taints:        c.in.Spec.Taints,
		StartupTaints: c.in.Spec.StartupTaints,
	}
	for key, value := range c.in.Spec.Labels {
		if !DescribesMachine(key) {
			if c.out.Spec.Template.Labels == nil {
				c.out.Spec.Template.Labels = map[string]string{}
			}
			c.out.Spec.Template.Labels[key] = value
		}
	}
}

func (c *carrying) kubelet() {
	in := c.in.Spec.KubeletConfiguration
	if in == nil {
		return
	}
	c.out.Spec.Template.Kubelet = &v1alpha1.Kubelet{
		ClusterDNS:                  in.ClusterDNS,
		MaxPods:                     in.MaxPods,
		PodsPerCore:                 in.PodsPerCore,
		SystemReserved:              quantities(in.SystemReserved),
		KubeReserved:                quantities(in.KubeReserved),
		EvictionHard:                in.EvictionHard,
		EvictionSoft:                in.EvictionSoft,
		EvictionSoftGracePeriod:     in.EvictionSoftGracePeriod,
		EvictionMaxPodGracePeriod:   in.EvictionMaxPodGracePeriod,
		ImageGCHighThresholdPercent: in.ImageGCHighThresholdPercent,
		ImageGCLowThresholdPercent:  in.ImageGCLowThresholdPercent,
		CPUCFSQuota:                 in.CPUCFSQuota,
	}
	if in.ContainerRuntime != nil && *in.ContainerRuntime != "containerd" {
		c.lose("spec.kubeletConfiguration.containerRuntime",
			"nodes run containerd, not %s: remove containerRuntime", *in.ContainerRuntime)
	}
}

func quantities(list corev1.ResourceList) map[string]string {
	if list == nil {
		return nil
	}
	out := make(map[string]string, len(list))
	for name, quantity := range list {
		out[string(name)] = quantity.String()
	}
	return out
}

// nodeClass carries which EC2NodeClass machines are made from. What says so in Karpenter's words, of which every Provisioner of a Karpenter
// that runs has some, closes the Provisioner: both would buy for the same pods, until somebody says that it is Slipway's now.
func (c *carrying) nodeClass() {
	c.out.Spec.NodeClassRef.Name = defaultClass
	switch ref := c.in.Spec.ProviderRef; {
	case ref != nil && ref.Kind == "EC2NodeClass":
		c.out.Spec.NodeClassRef.Name = ref.Name
	case ref != nil:
		c.out.Spec.NodeClassRef.Name = ref.Name
		c.loseClosing("spec.providerRef", "%s %s is Karpenter's and not read: stop Karpenter, create an EC2NodeClass called %[2]s, "+
			"then say kind: EC2NodeClass here", cmp.Or(ref.Kind, "AWSNodeTemplate"), ref.Name)
	case c.in.Spec.Provider != nil:
		c.loseClosing("spec.provider", "inline settings are Karpenter's and not read: stop Karpenter, write them into an EC2NodeClass, "+
			"name it in spec.providerRef with kind: EC2NodeClass and remove spec.provider")
	}
}

func (c *carrying) disruption() {
	c.out.Spec.Disruption = v1alpha1.Disruption{IdleAfter: defaultIdle, ExpireAfter: v1alpha1.Never}
	if ttl := c.in.Spec.TTLSecondsAfterEmpty; ttl != nil {
		c.out.Spec.Disruption.IdleAfter = seconds(*ttl)
	}
	if ttl := c.in.Spec.TTLSecondsUntilExpired; ttl != nil {
		c.out.Spec.Disruption.ExpireAfter = seconds(*ttl)
	}
	if on := c.in.Spec.Consolidation; on != nil && on.Enabled != nil && *on.Enabled {
		c.lose("spec.consolidation", "idle nodes are removed after %s, but replacing nodes by cheaper ones is not carried in this version: "+
			"set ttlSecondsAfterEmpty instead and remove consolidation", c.out.Spec.Disruption.IdleAfter)
	}
}

func seconds(n int64) string {
	if n > maxSeconds {
		return v1alpha1.Never
	}
	return strconv.FormatInt(n, 10) + "s"
}

func (c *carrying) limits() {
	if c.in.Spec.Limits == nil {
		return
	}
	for _, name := range sortedNames(c.in.Spec.Limits.Resources) {
		quantity := c.in.Spec.Limits.Resources[name]
		switch {
		case name == v1alpha1.LimitGPU || name == v1alpha1.ResourceGPU:
			c.setLimit(v1alpha1.LimitGPU, quantity)
		case isLimit(name):
			c.setLimit(name, quantity)
		default:
			c.loseClosing("spec.limits.resources["+string(name)+"]",
				"%s is no resource that Slipway counts: use gpu, nodes, cpu, memory or an extended resource, or remove it", name)
		}
	}
}

// setLimit sets a limit, or lowers it: both hold where two names mean the same.
func (c *carrying) setLimit(name corev1.ResourceName, quantity resource.Quantity) {
	if c.out.Spec.Limits == nil {
		c.out.Spec.Limits = v1alpha1.Limits{}
	}
	if have, ok := c.out.Spec.Limits[name]; ok && have.Cmp(quantity) <= 0 {
		return
	}
	c.out.Spec.Limits[name] = quantity
}

func isLimit(name corev1.ResourceName) bool {
	switch name {
	case v1alpha1.LimitNodes, v1alpha1.LimitCostPerHour, corev1.ResourceCPU, corev1.ResourceMemory:
		return true
	}
	return strings.Contains(string(name), "/")
}
