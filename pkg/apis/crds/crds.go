// Package crds holds the CustomResourceDefinitions that are generated from the API's Go types, so that the binary can install them and
// tests can check manifests against them.
//
// It decides nothing: the rules are markers on the types, and those of Kubernetes' own types are in crds/generate. It may import the
// standard library only.
package crds

import _ "embed"

//go:embed slipway.sh_ec2nodeclasses.yaml
var ec2NodeClasses []byte

//go:embed slipway.sh_nodeclaims.yaml
var nodeClaims []byte

//go:embed slipway.sh_provisioners.yaml
var provisioners []byte

//go:embed karpenter.sh_provisioners.yaml
var karpenterProvisioners []byte

// Native answers the CRDs of slipway.sh as YAML: EC2NodeClass, NodeClaim, Provisioner. The bytes must not be changed.
func Native() [][]byte {
	return [][]byte{ec2NodeClasses, nodeClaims, provisioners}
}

// Karpenter answers the optional CRD of karpenter.sh/v1alpha5 Provisioner as YAML. The bytes must not be changed.
func Karpenter() []byte {
	return karpenterProvisioners
}
