// Package carryover keeps a native Provisioner equal to each karpenter.sh/v1alpha5 Provisioner, so that manifests of early
// Karpenter work unchanged.
//
// Carry decides what the native one says; it is pure. Whatever it cannot carry it names, with a remedy, and the Reconciler writes it
// into the CarriedOver condition of the original. Where leaving something out would let more be bought than the user allowed, the
// native Provisioner buys less, or nothing, until the user has decided: never a wrong node. It buys nothing either while the original names
// its machines in Karpenter's words (AWSNodeTemplate, inline settings): the Karpenter that serves it may still run, and each pod would be
// bought for twice.
//
// What v1alpha5 meant by silence is spelled out: linux, amd64, on-demand. Two of its silences are not kept. Its default of the
// instance categories c, m and r would never yield a GPU. And a Provisioner without ttlSecondsAfterEmpty kept empty nodes for ever;
// a GPU that nobody uses is what Slipway is there to avoid, so it goes after 60 seconds, as with a native Provisioner.
//
// The Reconciler refuses to touch a native Provisioner that it did not make. It copes with a CRD that is not installed:
// Served tells, and the caller decides. A webhook that a former Karpenter left behind keeps it from writing the original's status, and people
// from changing its spec: the original's event says how to be rid of it.
//
// It may import the APIs and controller-runtime; nothing of the planner or the cloud.
package carryover
