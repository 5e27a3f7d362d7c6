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
	logs    string
	keep    bool
	say     func(format string, args ...any)
}

func openEmbedded(ctx context.Context, o Options) (_ Cluster, err error) {
	bin := filepath.Join(o.Root, "bin")
	for _, name := range []string{"slipway", "fakeaws"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return nil, fmt.Errorf("finding %s (run `make build` first): %w", name, err)
		}
	}
	e := &embedded{say: o.Say, keep: o.Keep}
	logs, err := os.MkdirTemp("", "slipway-e2e-logs-") // stay if the cluster does not come about
	if err != nil {
		return nil, fmt.Errorf("making the directory for logs: %w", err)
	}
	e.logs = logs
	defer func() {
		if err != nil {
			err = errors.Join(err, replaceCopy(filepath.Join(o.Out, "open", "logs"), logs), e.Close())
		}
	}()
	if e.cluster, err = cluster.Start(ctx, cluster.Options{Keep: o.Keep, Logs: logs}); err != nil {
		return nil, err
	}
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
	programs := map[string]string{"slipway": filepath.Join(bin, "slipway")}
	if o.Previous != "" {
		programs["slipway-previous"] = filepath.Join(o.Previous, "bin", "slipway")
	}
	e.host, err = startHost(ctx, hostOptions{client: client, cluster: e.cluster, programs: programs, say: o.Say})
	return e, err
}

func (e *embedded) Config() *rest.Config { return e.cluster.Config }
func (e *embedded) Kubeconfig() string   { return e.cluster.Kubeconfig }
func (e *embedded) AWS() stage.AWS       { return e.aws.AWS }
func (e *embedded) Endpoint() string     { return e.aws.URL }

// Exec: a process has no inside, such as a /proc of its own.
func (e *embedded) Exec(context.Context, *corev1.Pod, ...string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Image is named as the published one is; the host runs the program of that name.
func (e *embedded) Image() (repository, tag string) { return "ghcr.io/slipway-sh/slipway", "e2e" }

func (e *embedded) Previous() (repository, tag string) {
	return "ghcr.io/slipway-sh/slipway-previous", "e2e"
}

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
	var err error
	if e.cluster != nil {
		err = e.cluster.Stop()
	}
	if !e.keep {
		err = errors.Join(err, os.RemoveAll(e.logs))
	}
	return err
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
