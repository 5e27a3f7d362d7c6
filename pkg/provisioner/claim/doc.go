// Package claim takes a NodeClaim through its life: it buys the machine, lets its node in, opens it once its GPUs are there,
// and on the way back fences it, empties it, ends the machine and lets the claim go.
//
//	         launch ──► join ──► ready        status.retire set: fence
//	           │          │        │          claim deleted:     fence ──► drain ──► release ──► (claim gone)
//	status.retire = LaunchFailed │ NeverJoined │ NeverReady │ Gone │ Deleted, then the claim deletes itself
//
// It decides how far a claim has come and what its next step is, never whether a node is wanted: that is plan's. There is one file
// per phase; each phase is a method of scope that reads the world, acts, and notes the outcome in the claim's status, which is
// written in one patch at the end. Every effect can be repeated: a launch carries the claim's UID as its token, patches of nodes
// carry the resourceVersion that they were computed from, evictions carry the pod's UID. So a crash between any two lines is
// followed by the same step again. The one thing that is written before an effect is the intent to launch (Launched=Unknown):
// whoever finds it knows that a machine may exist, also if no reply ever arrived.
//
// It refuses to end a machine that has a GPU pod bound to it, unless the cloud takes the machine anyway. It may import plan for
// labels and usage, and lower floors; the adapters behind its interfaces are handed in.
package claim
