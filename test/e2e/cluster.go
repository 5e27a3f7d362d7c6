package e2e

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/slipway-sh/slipway/test/stage"
)

// Cluster is a Kubernetes cluster that a user could have, with an AWS account beside it that is fakeaws.
type Cluster interface {
	// Config is an administrator's access, and Kubeconfig a file with the same.
	Config() *rest.Config
	Kubeconfig() string
	// AWS is fakeaws as tests reach it.
	AWS() stage.AWS
	// Endpoint is fakeaws' URL as pods of the cluster reach it.
	Endpoint() string
	// Image is what the chart's image.repository and image.tag must be.
	Image() (repository, tag string)
	// Previous is the same for the release before, if Options name it.
	Previous() (repository, tag string)
	// Kill ends the processes of pods, all at the same moment, as kill -9 does.
	Kill(ctx context.Context, pods ...*corev1.Pod) error
	// Scrape answers what a pod's container serves at a port and path.
	Scrape(ctx context.Context, pod *corev1.Pod, port int32, path string) ([]byte, error)
	// Exec answers what a command in a pod's container prints, as kubectl exec does, also where it fails; errors.ErrUnsupported: there is nothing to
	// run it in.
	Exec(ctx context.Context, pod *corev1.Pod, command ...string) ([]byte, error)
	// Log answers what a pod's container has said since it was last started.
	Log(ctx context.Context, pod *corev1.Pod) ([]byte, error)
	// Gather copies what helps to find a failure's cause into a directory: logs, Views.
	Gather(ctx context.Context, directory string) error
	// Close leaves nothing of the cluster behind.
	Close() error
}

// Options is what every driver is told.
type Options struct {
	// Root is the main module's directory; its bin has the programs and the images.
	Root string
	// Previous is such a directory of the release before, with its bin; empty: there is none.
	Previous string
	// Out is where failures leave what is known of them.
	Out string
	// FakeAWS are flags of fakeaws.
	FakeAWS []string
	// Keep leaves the cluster running, or its files in place, at the end.
	Keep bool
	// Say is told what goes on.
	Say func(format string, args ...any)
}

// Open starts a cluster of a kind: kind or embedded.
func Open(ctx context.Context, kind string, o Options) (Cluster, error) {
	switch kind {
	case "", "kind":
		return openKind(ctx, o)
	case "embedded":
		return openEmbedded(ctx, o)
	}
	return nil, fmt.Errorf("E2E_CLUSTER is %q; want kind or embedded", kind)
}
