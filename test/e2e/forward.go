package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"

	"github.com/slipway-sh/slipway/test/stage"
)

// Laptop forwards a port of this machine to fakeaws, as kubectl port-forward does. The API server's proxy will not do: it takes the
// signatures away by which AWS' clients say which service they mean.
func (k *kind) Laptop(ctx context.Context) (stage.AWS, func(), error) {
	pods, err := k.client.CoreV1().Pods(fakeAWS).List(ctx, metav1.ListOptions{LabelSelector: "app=" + fakeAWS})
	if err != nil {
		return stage.AWS{}, nil, fmt.Errorf("finding fakeaws' pod: %w", err)
	}
	if len(pods.Items) == 0 {
		return stage.AWS{}, nil, errors.New("there is no pod of fakeaws")
	}
	transport, upgrader, err := spdy.RoundTripperFor(k.config)
	if err != nil {
		return stage.AWS{}, nil, fmt.Errorf("preparing to forward a port: %w", err)
	}
	url := k.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(fakeAWS).Name(pods.Items[0].Name).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	stop, ready, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	forward, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", fakeAWSPort)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return stage.AWS{}, nil, fmt.Errorf("preparing to forward a port: %w", err)
	}
	go func() { ended <- forward.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		return stage.AWS{}, nil, fmt.Errorf("forwarding a port: %w", errors.Join(err, errors.New("it ended at once")))
	}
	ports, err := forward.GetPorts()
	if err != nil {
		close(stop)
		return stage.AWS{}, nil, fmt.Errorf("forwarding a port: %w", err)
	}
	return stage.AWS{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[0].Local)}, func() { close(stop); <-ended }, nil
}
