package claim

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// launchRequest is the same as long as the claim's EC2NodeClass resolves to the same, so that a repeated launch is recognised. An error
// means that it cannot be made yet.
func (s *scope) launchRequest() (cloud.LaunchRequest, error) {
	spec := &s.claim.Spec
	template, err := s.r.cfg.Templates.Template(spec.NodeClassRef.Name)
	if err != nil {
		return cloud.LaunchRequest{}, fmt.Errorf("EC2NodeClass %s: %w", spec.NodeClassRef.Name, err)
	}
	req := cloud.LaunchRequest{
		Token: string(s.claim.UID), Claim: s.claim.Name, Provisioner: spec.Provisioner, Market: cloud.Market(spec.Market),
		Template: template,
		Node:     cloud.NodeConfig{Labels: s.kubeletLabels(), Taints: s.kubeletTaints(), Kubelet: kubelet(spec.Kubelet)},
	}
	for _, c := range spec.Choices {
		if t, known := s.r.cfg.Catalog.Type(c.InstanceType); known {
			req.Choices = append(req.Choices, cloud.Choice{InstanceType: c.InstanceType, Architecture: t.Architecture, Zone: c.Zone})
		}
	}
	if len(req.Choices) == 0 {
		return cloud.LaunchRequest{}, errors.New("no instance type of the claim is known to the catalog")
	}
	return req, nil
}

// kubeletLabels are what the kubelet registers with. It refuses labels of Kubernetes' own domains, and the type is not known yet:
// join puts on the rest.
func (s *scope) kubeletLabels() map[string]string {
	labels := map[string]string{
		v1alpha1.LabelCapacityType:     s.claim.Spec.Market,
		v1alpha1.KarpenterCapacityType: s.claim.Spec.Market,
	}
	maps.Copy(labels, s.claim.Spec.Labels)
	maps.Copy(labels, plan.OwnerLabels(s.claim.Spec.Provisioner, s.claim.Spec.NodeClassRef.Name))
	maps.DeleteFunc(labels, func(key, _ string) bool {
		domain, _, _ := strings.Cut(key, "/")
		return key == v1alpha1.LabelClaim || inDomain(domain, "kubernetes.io") || inDomain(domain, "k8s.io")
	})
	return labels
}

func inDomain(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

func (s *scope) kubeletTaints() []cloud.Taint {
	taints := []cloud.Taint{{Key: v1alpha1.TaintUnregistered, Effect: string(corev1.TaintEffectNoExecute)}}
	for _, list := range [][]corev1.Taint{s.claim.Spec.Taints, s.claim.Spec.StartupTaints} {
		for _, t := range list {
			taints = append(taints, cloud.Taint{Key: t.Key, Value: t.Value, Effect: string(t.Effect)})
		}
	}
	return taints
}

func kubelet(k *v1alpha1.Kubelet) cloud.Kubelet {
	if k == nil {
		return cloud.Kubelet{}
	}
	c := cloud.Kubelet{
		MaxPods: k.MaxPods, PodsPerCore: k.PodsPerCore, ClusterDNS: k.ClusterDNS, SystemReserved: k.SystemReserved,
		KubeReserved: k.KubeReserved, EvictionHard: k.EvictionHard, EvictionSoft: k.EvictionSoft,
		EvictionMaxPodGracePeriod: k.EvictionMaxPodGracePeriod, ImageGCHighThresholdPercent: k.ImageGCHighThresholdPercent,
		ImageGCLowThresholdPercent: k.ImageGCLowThresholdPercent, CPUCFSQuota: k.CPUCFSQuota,
	}
	if k.EvictionSoftGracePeriod != nil {
		c.EvictionSoftGracePeriod = map[string]string{}
		for signal, d := range k.EvictionSoftGracePeriod {
			c.EvictionSoftGracePeriod[signal] = d.Duration.String()
		}
	}
	return c
}

// price answers an offering's price per hour, in dollars and in micro-dollars: the one that the claim was planned with, which its debit
// covers; the catalog's where the claim does not name the offering.
func (s *scope) price(key cloud.OfferingKey) (string, int64) {
	for _, c := range s.claim.Spec.Choices {
		if c.InstanceType == key.InstanceType && c.Zone == key.Zone {
			if micro, err := cloud.ParseDollars(c.PricePerHour); err == nil {
				return c.PricePerHour, micro
			}
		}
	}
	if o, known := s.r.cfg.Catalog.Offering(key); known {
		return cloud.FormatDollars(o.PriceMicroUSDPerHour), o.PriceMicroUSDPerHour
	}
	return "", 0
}

// usage is what a machine takes of the limits, and never more than the claim's debit: a limit that was kept when the claim was made
// stays kept. What cannot be told counts as the debit says.
func (s *scope) usage(instanceType string, priceMicroUSDPerHour int64) corev1.ResourceList {
	t, known := s.r.cfg.Catalog.Type(instanceType)
	if !known {
		return s.claim.Spec.Debit.DeepCopy()
	}
	usage := plan.Usage(t, priceMicroUSDPerHour)
	if priceMicroUSDPerHour <= 0 {
		delete(usage, v1alpha1.LimitCostPerHour)
	}
	for name, most := range s.claim.Spec.Debit {
		if have, told := usage[name]; !told || have.Cmp(most) > 0 {
			usage[name] = most
		}
	}
	maps.DeleteFunc(usage, func(name corev1.ResourceName, _ resource.Quantity) bool {
		_, debited := s.claim.Spec.Debit[name]
		return !debited && len(s.claim.Spec.Debit) > 0
	})
	return usage
}
