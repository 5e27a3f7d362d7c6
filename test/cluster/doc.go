// Package cluster starts a real Kubernetes control plane for a test, and leaves nothing of it behind.
//
//	c, err := cluster.Start(ctx, cluster.Options{})
//	defer c.Stop()
//	client := kubernetes.NewForConfigOrDie(c.Config)
//
// etcd, kube-apiserver, kube-scheduler and kube-controller-manager run as processes of their own, on free ports of the
// loopback interface, with their own certificates, in a directory of their own; any number of clusters run side by
// side. There is no kubelet: a test writes Node objects itself, or lets cmd/fakeaws play the machines. Everything else
// is what users run: RBAC and the node authorizer decide, the scheduler binds, the controllers create and delete.
//
// The settings differ from upstream's defaults where a default would only make tests slow or shy: etcd does not wait
// for the disk, nobody elects a leader, clients are not throttled, nodes are looked at every second, and a pod that did
// not fit is tried again after at most two seconds rather than ten (see flags.go).
//
// What ends a cluster: Stop, the end of the context given to Start, or the end of this process, whatever ended it.
// Where the programs come from is package program's business; `make controlplane` builds them.
//
// The package may be imported by tests and by commands that only developers run; never by the product.
package cluster
