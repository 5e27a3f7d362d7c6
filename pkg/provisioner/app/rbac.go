package app

// What the controller may do in the cluster. It is least: the demo and every integration test run under it. It reads no Secret and no
// ConfigMap, and has no webhook.
//
// Watched, to plan with:
// +kubebuilder:rbac:groups="",resources=pods;nodes;namespaces,verbs=list;watch
// +kubebuilder:rbac:groups=apps,resources=daemonsets,verbs=list;watch
//
// Watched from the first GPU pod on that has a volume, for where the volume is:
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims;persistentvolumes,verbs=list;watch
// +kubebuilder:rbac:groups=storage.k8s.io,resources=storageclasses;csinodes;csidrivers,verbs=list;watch
//
// Watched with --default-spread-constraints only, for which pods belong together; the chart gives them only then:
// +kubebuilder:rbac:groups="",resources=services;replicationcontrollers,verbs=list;watch
// +kubebuilder:rbac:groups=apps,resources=replicasets;statefulsets,verbs=list;watch
//
// Nodes get their labels, taints and gate, and are deleted with their machine, after a look past the cache:
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;patch;delete
//
// Pods are asked to leave through the Eviction API, and deleted only before the deadline of a notice:
// +kubebuilder:rbac:groups="",resources=pods/eviction,verbs=create
// +kubebuilder:rbac:groups="",resources=pods,verbs=delete
//
// Pods are told what is decided about them, in a condition of their status, and those that wait where they are expected, so that their
// scheduler tries that node first (status.nominatedNodeName):
// +kubebuilder:rbac:groups="",resources=pods/status,verbs=patch
//
// Our own objects. Provisioners are written for those that are carried over from karpenter.sh/v1alpha5 (create, update: with the chart's
// karpenterCompat only, as what follows of karpenter.sh), node classes for their finalizer:
// +kubebuilder:rbac:groups=slipway.sh,resources=nodeclaims,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=slipway.sh,resources=provisioners,verbs=list;watch;create;update
// +kubebuilder:rbac:groups=slipway.sh,resources=ec2nodeclasses,verbs=list;watch;patch
// +kubebuilder:rbac:groups=slipway.sh,resources=nodeclaims/status;provisioners/status;ec2nodeclasses/status,verbs=patch
//
// The old Provisioners own those that are carried over, and block their own deletion until those are gone (finalizers):
// +kubebuilder:rbac:groups=karpenter.sh,resources=provisioners,verbs=list;watch
// +kubebuilder:rbac:groups=karpenter.sh,resources=provisioners/status,verbs=patch
// +kubebuilder:rbac:groups=karpenter.sh,resources=provisioners/finalizers,verbs=update
//
// Events tell users what happened; the lease says who leads. RBAC cannot bound what is made by its name:
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=create,namespace=slipway
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,resourceNames=slipway,verbs=get;update,namespace=slipway
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch,namespace=slipway

//go:generate go tool controller-gen rbac:roleName=slipway paths=. output:rbac:dir=../../../charts/slipway/files
