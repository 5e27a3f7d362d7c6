package v1alpha1

//go:generate go tool controller-gen object paths=.
//go:generate go tool controller-gen crd paths=. output:crd:dir=../crds
//go:generate go run ../crds/generate ../crds/slipway.sh_ec2nodeclasses.yaml ../crds/slipway.sh_nodeclaims.yaml ../crds/slipway.sh_provisioners.yaml
