// Package explain answers why a pod waits, what is on its way for it, why a node is the one it is, and what keeps it.
//
// It puts together what the controller has written where users can read it (the pod's condition, NodeClaims, Provisioners) or, with a
// recorded View, what package plan decides about it again. It decides nothing: reasons, counts and misses are those of plan, in plan's
// words, so that an event, a condition and an answer here say the same. An answer is a typed value with stable field names for -o json
// and -o yaml; WriteText draws it for people.
//
// The controller asks it for the sentence about each pod of a decision (Outcomes). Reading a cluster needs no more than a user's own right to
// get the objects asked for; what is forbidden is named in the answer, and the rest of it stands.
//
// It may import pkg/apis, pkg/provisioner/{demand,plan}, and controller-runtime's client to read.
package explain
