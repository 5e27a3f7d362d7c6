// Package e2e installs Slipway as a user would, with Helm and from its chart, and tells what users then live through.
//
//	E2E_CLUSTER=kind       a kind cluster (the default): the images of `make image` are loaded, fakeaws runs in the cluster as a Deployment
//	E2E_CLUSTER=embedded   the control plane of test/cluster, without Docker: the chart's pods run as processes of this machine
//
// The stories are the same, and so is what the chart makes: Deployment, ServiceAccount, roles, budget, leases. A driver (the interface
// Cluster) only says how a cluster comes about, where its AWS is, and how to kill a pod's process. KIND_NODE_IMAGE and KIND_CONFIG go to
// `kind create cluster`; E2E_KEEP=1 leaves the cluster. E2E_PREVIOUS names a directory of the release before, to upgrade from, with its bin
// filled as this one's (`git worktree add DIR TAG && make -C DIR build image`). When a story fails, what it did, logs, objects and Views are in
// test/e2e/out/STORY; what is known of a cluster that did not come about is in test/e2e/out/open.
//
// It is a module of its own since it links Helm. It needs bin/ as `make e2e` fills it.
package e2e
