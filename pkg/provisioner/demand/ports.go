package demand

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// anyAddress is what a port without an address binds to.
const anyAddress = "0.0.0.0"

// hostPorts answers the ports of the host that a pod takes while it runs: those of its containers and sidecars, sorted, nil if none. The API
// server fills in hostPort for pods on the host's network, but not in a manifest that it has not seen.
func hostPorts(spec *corev1.PodSpec) []HostPort {
	var ports []HostPort
	add := func(c *corev1.Container) {
		for i := range c.Ports {
			p := &c.Ports[i]
			number := p.HostPort
			if number == 0 && spec.HostNetwork {
				number = p.ContainerPort
			}
			if number > 0 {
				ports = append(ports, HostPort{
					Protocol: cmp.Or(string(p.Protocol), string(corev1.ProtocolTCP)), Address: cmp.Or(p.HostIP, anyAddress), Port: number,
				})
			}
		}
	}
	for i := range spec.InitContainers {
		if c := &spec.InitContainers[i]; sidecar(c) {
			add(c)
		}
	}
	for i := range spec.Containers {
		add(&spec.Containers[i])
	}
	return sortedPorts(ports)
}

func sortedPorts(ports []HostPort) []HostPort {
	slices.SortFunc(ports, func(a, b HostPort) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), strings.Compare(a.Protocol, b.Protocol), strings.Compare(a.Address, b.Address))
	})
	return slices.Compact(ports)
}

// sidecar tells whether an init container runs as long as the pod.
func sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}
