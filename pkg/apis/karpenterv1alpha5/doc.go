// Package karpenterv1alpha5 is karpenter.sh/v1alpha5 Provisioner, the API that users of early Karpenter wrote their manifests in.
//
// It is served as an optional CRD, so that those manifests apply unchanged; package carryover keeps a native Provisioner equal to
// each of them. It decides what of it is valid, by schema and CEL. It is as strict as v1alpha5 was, and stricter where a native
// Provisioner is, so that whatever is accepted here can be carried. It is laxer in three places, on purpose:
// ttlSecondsAfterEmpty and consolidation.enabled may be set together; neither provider nor providerRef is needed, which means
// the EC2NodeClass called default; and limits.resources takes gpu, physical GPUs of any vendor, besides resource names.
//
// It may import Kubernetes API types only.
//
// +kubebuilder:object:generate=true
// +groupName=karpenter.sh
// +versionName=v1alpha5
package karpenterv1alpha5
