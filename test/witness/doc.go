// Package witness is what tests that tell stories about a cluster have in common: who waits for what, and who remembers everything that
// was seen. A World is a cluster with its AWS, and a record of every version of its pods, nodes, claims, Provisioners and events, since what
// must never happen may have happened in between. A Story is one test on a World that it may share with others: it has a Provisioner, a label
// and a taint of its own, and waits, with deadlines, for the state of the world.
//
// Always checks, at the end, what must hold whatever happened: the numbers are those of docs/design.md section 4.
//
// It knows neither how the cluster came about nor how Slipway runs in it: test/integration and test/e2e do. It may be imported by tests only.
package witness
