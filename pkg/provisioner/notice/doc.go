// Package notice listens to what the cloud says it will do to machines, and gets their pods warned and replaced in time.
//
// A notice is a deadline. For a machine that the cloud takes, in this order, because each step matters more than the next:
//
//	offering counts as interrupted ─► node fenced ─► claim: status.retire with the deadline ─► claim deleted
//	─► grow loop woken, so that the replacement is launched now ─► events on node, claim and GPU pods ─► notice done
//
// The claim's reconciler drains by the deadline. A notice is acknowledged only after all of this: a failure in the middle brings it again, and
// every step is harmless when repeated; so are duplicates and notices out of order (of two deadlines, the earlier wins).
//
// It refuses to act on a mere rebalance recommendation (an event and a metric), and on anything that it cannot read: that is
// counted, logged once and acknowledged, as it would come back for ever.
//
// It may import pkg/apis, pkg/cloud, pkg/provisioner/{demand,telemetry} and controller-runtime.
package notice
