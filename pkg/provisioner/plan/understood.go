package plan

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// notUnderstood answers what a demand asks for that it cannot be given a place with, each as "field: what; remedy"; empty: nothing.
// What the pods prefer of their neighbours only orders nodes that all would do.
func notUnderstood(d *demand.Demand) string {
	var all []string
	if len(d.Neighbours.Near) > 0 {
		all = append(all, "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution: "+
			"not supported yet; make it preferred, or name the zone with nodeSelector "+corev1.LabelTopologyZone)
	}
	if len(d.Neighbours.Apart) > 0 {
		all = append(all, "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution: "+
			"not supported yet; make it preferred, or ask for all GPUs of an instance type so that a pod has its node for itself")
	}
	if len(d.Neighbours.Ports) > 0 {
		all = append(all, "spec.containers[].ports[].hostPort: ports of the host are not supported yet; remove hostPort and use a Service, "+
			"or with hostNetwork leave the ports out")
	}
	for _, s := range d.Neighbours.Spread {
		if !s.Soft {
			all = append(all, "spec.topologySpreadConstraints[].whenUnsatisfiable: DoNotSchedule is not supported yet; use ScheduleAnyway")
			break
		}
	}
	if d.Unsupported != "" {
		all = append(all, d.Unsupported)
	}
	return strings.Join(all, ". ")
}
