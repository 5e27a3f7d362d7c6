// Package simulate answers what Slipway would do with manifests, a live cluster or a recorded View, without doing it.
//
// Manifests are read strictly and become the objects that a cluster would have: a Deployment's pods, a PyTorchJob's workers, a
// karpenter.sh/v1alpha5 Provisioner's native twin. From there on nothing is special: inventory.Mirror reads these objects through a
// client.Reader and plan.Grow decides, as in the controller. What a cluster or AWS would have told and manifests do not, is assumed,
// and every assumption is listed in the Result: a simulation that hides its guesses is worse than none.
//
// It decides nothing itself and changes nothing anywhere. Same input, same Result. It refuses what it cannot read, by file, document
// and field; what it can read but not expand into pods it names as skipped. It does not run the CEL rules of the CRDs: the API server
// does (kubectl apply --dry-run=server), and linking its code would more than double the program.
//
// It may import everything below pkg/provisioner/app.
package simulate
