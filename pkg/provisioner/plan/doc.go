// Package plan decides: which claims to create for the demands of a View, which demands are held and why, and which nodes to
// retire.
//
// Every function here is a function of its View: no client, no clock (now is a field), no log, no metric, no goroutine,
// and no map order reaches the result. So a recorded View gives the same Decision again, byte for byte, and the same code
// answers the controller, `slipway explain` and `slipway simulate`.
//
// It translates Kubernetes' words (labels, taints, limits, DaemonSets) into the numbers of pkg/binpack and the answer back
// into claims and reasons. It may import Kubernetes API types, pkg/apis, pkg/cloud (the port), pkg/binpack,
// pkg/provisioner/demand and pkg/provisioner/topology, which deals pods to domains before they are packed.
package plan
