package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/stage"
)

// embedded is a control plane of this machine's processes, with one node that runs pods as processes.
type embedded struct {
	cluster *cluster.Cluster
	aws     *stage.RunningAWS
	host    *host
	say     func(format string, args ...any)
}

func openEmbedded(ctx context.Context, o Options) (_ Cluster, err error) {
	bin := filepath.Join(o.Root, "bin")
	for _, name := range []string{"slipway", "fakeaws"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return nil, fmt.Errorf("finding %s (run `make build` first): %w", name, err)
		}
	}
	e := &embedded{say: o.Say}
	if e.cluster, err = cluster.Start(ctx, cluster.Options{Keep: o.Keep}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	e.aws, err = stage.StartAWS(ctx, stage.AWSOptions{
		Bin: bin, Dir: e.cluster.Dir, Logs: e.cluster.Logs, Kubeconfig: e.cluster.Kubeconfig, Flags: o.FakeAWS,
	})
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(e.cluster.Config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	e.host, err = startHost(ctx, hostOptions{
		client: client, cluster: e.cluster, programs: map[string]string{"slipway": filepath.Join(bin, "slipway")}, say: o.Say,
	})
	return e, err
}

func (e *embedded) Config() *rest.Config { return e.cluster.Config }
func (e *embedded) Kubeconfig() string   { return e.cluster.Kubeconfig }
func (e *embedded) AWS() stage.AWS       { return e.aws.AWS }
func (e *embedded) Endpoint() string     { return e.aws.URL }

// Laptop: everything is on this machine.
func (e *embedded) Laptop(context.Context) (stage.AWS, func(), error) {
	return e.aws.AWS, func() {}, nil
}

// Image is named as the published one is; the host runs the program of that name.
func (e *embedded) Image() (repository, tag string) { return "ghcr.io/slipway-sh/slipway", "e2e" }

func (e *embedded) Kill(_ context.Context, pods ...*corev1.Pod) error {
	var errs []error
	for _, p := range pods {
		errs = append(errs, e.host.kill(p))
	}
	return errors.Join(errs...)
}

func (e *embedded) Scrape(ctx context.Context, pod *corev1.Pod, port int32, path string) ([]byte, error) {
	address, err := e.host.address(pod, port)
	if err != nil {
		return nil, err
	}
	return get(ctx, "http://"+address+path)
}

func (e *embedded) Log(_ context.Context, pod *corev1.Pod) ([]byte, error) {
	p, err := e.host.hosted(pod)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(p.log())
}

// Gather copies the logs of everything, which has run as one cluster's processes, and the Views.
func (e *embedded) Gather(_ context.Context, directory string) error {
	if err := replaceCopy(filepath.Join(directory, "logs"), e.cluster.Logs); err != nil {
		return err
	}
	return e.host.gather(filepath.Join(directory, "views"))
}

func (e *embedded) Close() error {
	if e.host != nil {
		e.host.stop()
	}
	if e.aws != nil {
		e.aws.Stop()
	}
	return e.cluster.Stop()
}

// replaceCopy copies a directory over what was there.
func replaceCopy(to, from string) error {
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("removing what an earlier run left: %w", err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return fmt.Errorf("keeping %s: %w", filepath.Base(from), err)
	}
	return nil
}
