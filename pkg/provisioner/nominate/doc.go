// Package nominate has kube-scheduler bind pods where the plan wants them, and tells when it does not.
//
// A tight plan is worth nothing if the scheduler then spreads the pods: by default it prefers the node with the most left. It tries
// status.nominatedNodeName first, though, and holds that place against pods of the same or a lower priority. KEP-5278 makes that a use of
// the field that others than preemption may rely on, by default from 1.35 on. So the pods of a node are nominated
//
//   - just before its gate opens, which waits for a moment in which the scheduler does not try them: scheduling is a race from then on, and
//     whoever has no nomination takes the emptiest node;
//   - whenever a decision places a pod on an open node, new there or not yet bound: a scheduler drops a nomination when an attempt fails,
//     for example on a node that it has not seen open yet.
//
// It decides which nominations to write and to take back: those of a decision, so never more than fits, and only to nodes that are open
// or about to be. It refuses to overwrite what it has not seen, and to write to a pod that is not Slipway's. A nomination holds no place in
// Slipway's books: the pod is a demand until it is bound, so whatever becomes of the nomination, the pod is neither lost nor bought for
// twice. It counts the pods that are bound as planned and elsewhere, and stops for a scheduler that ignores nominations.
//
// It may import plan, demand, act and lower floors; the claim reconciler and the grow loop reach it through interfaces of their own.
package nominate
