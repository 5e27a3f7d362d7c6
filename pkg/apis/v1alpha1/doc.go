// Package v1alpha1 is Slipway's API: Provisioner (what may be launched, for whom, how much), EC2NodeClass (what machines are made
// of) and NodeClaim (the durable promise of one node).
//
// It decides what is valid: by CEL rules and schema in the CRDs that are generated from it, never by a webhook. It also
// holds the label, taint, annotation and finalizer keys, the condition types and their typed reasons, since users see all of them.
// It may import Kubernetes API types and the standard library, and pkg/cloud for the market names.
//
// +kubebuilder:object:generate=true
// +groupName=slipway.sh
package v1alpha1
