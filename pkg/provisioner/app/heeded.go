package app

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-sh/slipway/pkg/provisioner/nominate"
)

// sayIfNotHeeded has the leader say once, when it begins, if the cluster is too old for nominations. That pods are bound elsewhere is noticed
// after a number of them only.
func (a *assembly) sayIfNotHeeded() error {
	if a.WithoutNominations {
		return nil
	}
	client, err := discovery.NewDiscoveryClientForConfig(a.Kubernetes)
	if err != nil {
		return fmt.Errorf("making a discovery client: %w", err)
	}
	return a.mgr.Add(manager.RunnableFunc(func(context.Context) error {
		a.heeded(client.ServerVersion)
		return nil
	}))
}

func (a *assembly) heeded(server func() (*version.Info, error)) {
	info, err := server()
	if err != nil {
		a.Log.Error(err, "Asking for the version of the API server: whether nominations are heeded shows when pods are bound")
		return
	}
	because, err := nominate.NotHeeded(info)
	if err != nil {
		a.Log.Error(err, "Whether nominations are heeded shows when pods are bound")
		return
	}
	a.metrics.NominationsHeeded(because == "")
	if because != "" {
		a.Log.Info("Nominations are not expected to be heeded", "because", because, "remedy", nominate.Remedy)
	}
}
