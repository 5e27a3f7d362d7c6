// Package orphan finds machines without a claim and claims without a machine, and ends both.
//
// An orphan is a machine with a launch token to which no NodeClaim's UID is equal, or whose claim has another machine: what is left
// when a launch's reply was lost and the cloud ignored the token, or when a person took a finalizer off. It counts against limits
// until it is gone (Orphans). A machine without a token was not launched by Slipway and is left alone. A claim whose machine is gone
// (terminated by hand, taken by the cloud) is retired with the reason Gone.
//
// The order of the reads makes the sweep safe: machines first, claims afterwards and from the API server. A claim is older than its
// machine, so a machine that was seen and whose claim is not there has none. A young machine is spared all the same; a
// node is fenced first and looked at in the next sweep, and left until no GPU pod is bound to it.
//
// It decides nothing about wanted nodes, and launches nothing. It may import pkg/apis, the cloud port and demand.
package orphan
