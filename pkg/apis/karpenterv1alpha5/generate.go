package karpenterv1alpha5

//go:generate go tool controller-gen object paths=.
//go:generate go tool controller-gen crd paths=. output:crd:dir=../crds
//go:generate go run ../crds/generate ../crds/karpenter.sh_provisioners.yaml
