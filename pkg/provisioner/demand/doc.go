// Package demand decides which pods are Slipway's business and what each of them asks of a node.
//
// A pod is ours if it is pending, unbound, was found unschedulable by its scheduler, and asks for a GPU. Identical pods
// are grouped into one Demand with a count. What a pod asks for and Slipway does not understand yet makes the Demand
// Unsupported: it is held with that reason, it never gets a wrong node.
//
// A Neighbourhood reads all pods with what is around them (nodes' pods, namespaces, volumes, DaemonSets) and says who chooses whom: no
// selector is evaluated after it. Node selection (selectors, affinity, tolerations) and the choice of volumes are read with the
// scheduler's own library, k8s.io/component-helpers.
// The package takes API objects and answers values: no client, no clock, no goroutine. It may import Kubernetes API types
// and helpers, and pkg/apis.
package demand
