package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// What the suite's releases are called, and where they are.
const (
	Release     = "slipway"
	ReleaseCRDs = "slipway-crds"
	Namespace   = "slipway-system"
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
	return h.install(ctx, Release, chart, values, func(i *action.Install) { i.WaitStrategy = strategy(wait) })
}

// UpgradeCRDs is helm upgrade --install --take-ownership --wait of the chart of the CRDs: the first time it takes those that the other chart brought.
func (h Helm) UpgradeCRDs(ctx context.Context, chart string) error {
	c, err := h.configuration()
	if err != nil {
		return err
	}
	if _, err := c.Releases.Last(ReleaseCRDs); errors.Is(err, driver.ErrReleaseNotFound) {
		return h.install(ctx, ReleaseCRDs, chart, nil, func(i *action.Install) { i.TakeOwnership = true })
	}
	return h.upgrade(ctx, ReleaseCRDs, chart, nil, func(u *action.Upgrade) { u.TakeOwnership = true })
}

func (h Helm) install(ctx context.Context, release, chart string, values map[string]any, flags func(*action.Install)) error {
	c, err := h.configuration()
	if err != nil {
		return err
	}
	loaded, err := loader.LoadDir(chart)
	if err != nil {
		return fmt.Errorf("loading the chart %s: %w", chart, err)
	}
	install := action.NewInstall(c)
	install.ReleaseName, install.Namespace, install.CreateNamespace = release, Namespace, true
	install.Timeout, install.WaitStrategy = helmWaits, strategy(true)
	flags(install)
	if _, err := install.RunWithContext(ctx, loaded, values); err != nil {
		return fmt.Errorf("installing %s: %w", filepath.Base(chart), err)
	}
	return nil
}

// Upgrade is helm upgrade --wait --reset-then-reuse-values.
func (h Helm) Upgrade(ctx context.Context, chart string, values map[string]any) error {
	return h.upgrade(ctx, Release, chart, values, func(u *action.Upgrade) { u.ResetThenReuseValues = true })
}

func (h Helm) upgrade(ctx context.Context, release, chart string, values map[string]any, flags func(*action.Upgrade)) error {
	c, err := h.configuration()
	if err != nil {
		return err
	}
	loaded, err := loader.LoadDir(chart)
	if err != nil {
		return fmt.Errorf("loading the chart %s: %w", chart, err)
	}
	upgrade := action.NewUpgrade(c)
	upgrade.Namespace, upgrade.Timeout, upgrade.WaitStrategy = Namespace, helmWaits, strategy(true)
	flags(upgrade)
	if _, err := upgrade.RunWithContext(ctx, release, loaded, values); err != nil {
		return fmt.Errorf("upgrading to %s: %w", filepath.Base(chart), err)
	}
	return nil
}

// Rollback is helm rollback --wait: to the release before.
func (h Helm) Rollback() error {
	c, err := h.configuration()
	if err != nil {
		return err
	}
	rollback := action.NewRollback(c)
	rollback.Timeout, rollback.WaitStrategy, rollback.ServerSideApply = helmWaits, strategy(true), "auto"
	if err := rollback.Run(Release); err != nil {
		return fmt.Errorf("rolling back: %w", err)
	}
	return nil
}

// Uninstall is helm uninstall --wait --ignore-not-found.
func (h Helm) Uninstall(release string) error {
	c, err := h.configuration()
	if err != nil {
		return err
	}
	uninstall := action.NewUninstall(c)
	uninstall.Timeout, uninstall.WaitStrategy, uninstall.IgnoreNotFound = helmWaits, strategy(true), true
	if _, err := uninstall.Run(release); err != nil {
		return fmt.Errorf("uninstalling %s: %w", release, err)
	}
	return nil
}

func strategy(wait bool) kube.WaitStrategy {
	if wait {
		return kube.StatusWatcherStrategy
	}
	return kube.HookOnlyStrategy
}
