package demand

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// fingerprint encodes, as it stands, every field of a pod's spec that Requests, SelectionOf, PodPriority, hostPorts and unsupported read. Pods of one
// template have equal fingerprints, and equal fingerprints mean equal demands: so what is costly is done once per template and
// not once per pod. Two fingerprints of one demand (amounts spelt differently, terms in another order) cost time only.
//
// Whoever reads another field of the spec there adds it here; TestFingerprintCoversWhatIsRead says so if it is forgotten.
func (e encoding) fingerprint(spec *corev1.PodSpec) encoding {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		e = e.number(int64(len(containers)))
		for i := range containers {
			e = e.container(&containers[i], spec.HostNetwork)
		}
	}
	if spec.Resources == nil {
		e = e.flag(false)
	} else {
		e = e.flag(true).amounts(spec.Resources.Requests).amounts(spec.Resources.Limits)
	}
	e = e.amounts(spec.Overhead).flag(spec.HostNetwork).flag(len(spec.ResourceClaims) > 0).flag(spec.Priority != nil)
	if spec.Priority != nil {
		e = e.number(int64(*spec.Priority))
	}
	e = e.flag(spec.OS != nil)
	if spec.OS != nil {
		e = e.text(string(spec.OS.Name))
	}
	return e.flag(spec.SchedulingGroup != nil).placement(spec)
}

func (e encoding) container(c *corev1.Container, hostNetwork bool) encoding {
	e = e.amounts(c.Resources.Requests).amounts(c.Resources.Limits).flag(sidecar(c))
	for i := range c.Ports {
		if p := &c.Ports[i]; p.HostPort != 0 || hostNetwork {
			e = e.flag(true).number(int64(p.HostPort)).number(int64(p.ContainerPort)).text(p.HostIP).text(string(p.Protocol))
		}
	}
	return e.flag(false)
}

func (e encoding) placement(spec *corev1.PodSpec) encoding {
	s := Selection{NodeSelector: spec.NodeSelector, Tolerations: spec.Tolerations}
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil {
		s.Required = a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		s.Preferred = a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	}
	return e.selection(&s)
}

// amounts is in the order of the names. Amounts that are no integer are written in thousandths or, if they are not of those either, as they
// are spelt canonically.
func (e encoding) amounts(list corev1.ResourceList) encoding {
	var few [8]corev1.ResourceName // on the stack
	names := few[:0]
	for name := range list {
		names = append(names, name)
	}
	slices.Sort(names)
	e = e.number(int64(len(names)))
	for _, name := range names {
		q := list[name]
		e = e.text(string(name))
		if n, whole := q.AsInt64(); whole {
			e = append(e, 1).number(n)
		} else if milli := q.MilliValue(); q.Cmp(*resource.NewMilliQuantity(milli, resource.DecimalSI)) == 0 {
			e = append(e, 2).number(milli)
		} else {
			e = append(e, 0).text(q.String())
		}
	}
	return e
}

func (e encoding) flag(b bool) encoding {
	if b {
		return append(e, 1)
	}
	return append(e, 0)
}
