// Package inventory gathers: it mirrors the cluster and the cloud and answers one consistent plan.View of both.
//
// It reads the controller's caches, the catalogue of what can be bought, and what offerings have done lately. It remembers what no
// object tells: since when a node has been idle or unchanged, which claims were created a moment ago and are not in the cache
// yet (so that nothing is planned, or counted against a limit, twice), and which pods their scheduler refused to bind to the node
// that was bought for them.
//
// It decides nothing and writes nothing. It may import pkg/provisioner/{plan,demand}, pkg/cloud, pkg/apis and controller-runtime's
// client.
package inventory
