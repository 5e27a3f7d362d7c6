package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/kube"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// What the suite's release is called, and where it is.
const (
	Release   = "slipway"
	Namespace = "slipway-system"
)

// helmWaits is how long Helm waits for what it made to be ready.
const helmWaits = 3 * time.Minute

// Helm is the helm command, for one cluster and the suite's namespace.
type Helm struct {
	// Kubeconfig is the cluster.
	Kubeconfig string
}

func (h Helm) configuration() (*action.Configuration, error) {
	flags := genericclioptions.NewConfigFlags(true)
	namespace := Namespace
	flags.KubeConfig, flags.Namespace = &h.Kubeconfig, &namespace
	c := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	if err := c.Init(flags, Namespace, "secret"); err != nil {
		return nil, fmt.Errorf("preparing Helm: %w", err)
	}
	return c, nil
}

// Install is helm install --create-namespace, with --wait if wait.
func (h Helm) Install(ctx context.Context, chart string, values map[string]any, wait bool) error {
	c, err := h.configuration()
	if err != nil {
		return err
	}
	loaded, err := loader.LoadDir(chart)
	if err != nil {
		return fmt.Errorf("loading the chart %s: %w", chart, err)
	}
	install := action.NewInstall(c)
	install.ReleaseName, install.Namespace, install.CreateNamespace = Release, Namespace, true
	install.Timeout, install.WaitStrategy = helmWaits, strategy(wait)
	if _, err := install.RunWithContext(ctx, loaded, values); err != nil {
		return fmt.Errorf("installing %s: %w", filepath.Base(chart), err)
	}
	return nil
}

// Upgrade is helm upgrade --wait --reset-values.
func (h Helm) Upgrade(ctx context.Context, chart string, values map[string]any) error {
	c, err := h.configuration()
	if err != nil {
		return err
	}
	loaded, err := loader.LoadDir(chart)
	if err != nil {
		return fmt.Errorf("loading the chart %s: %w", chart, err)
	}
	upgrade := action.NewUpgrade(c)
	upgrade.Namespace, upgrade.Timeout, upgrade.WaitStrategy, upgrade.ResetValues = Namespace, helmWaits, strategy(true), true
	upgrade.ServerSideApply = "auto"
	if _, err := upgrade.RunWithContext(ctx, Release, loaded, values); err != nil {
		return fmt.Errorf("upgrading to %s: %w", filepath.Base(chart), err)
	}
	return nil
}

// Uninstall is helm uninstall --wait.
func (h Helm) Uninstall() error {
	c, err := h.configuration()
	if err != nil {
		return err
	}
	uninstall := action.NewUninstall(c)
	uninstall.Timeout, uninstall.WaitStrategy = helmWaits, strategy(true)
	if _, err := uninstall.Run(Release); err != nil {
		return fmt.Errorf("uninstalling: %w", err)
	}
	return nil
}

func strategy(wait bool) kube.WaitStrategy {
	if wait {
		return kube.StatusWatcherStrategy
	}
	return kube.HookOnlyStrategy
}
