package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// launchAttempts bounds how often a component is started anew because somebody else took its port between the moment
// it was seen to be free and the moment the component opened it.
const launchAttempts = 5

// launch starts a component and waits until it is healthy.
func (c *Cluster) launch(ctx context.Context, name Component) error {
	for attempt := 1; ; attempt++ {
		p, err := c.spawn(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		err = c.awaitHealthy(ctx, p)
		if err == nil {
			go c.watch(p)
			return nil
		}
		p.kill()
		<-p.ended
		if !p.portWasTaken() || attempt == launchAttempts {
			return fmt.Errorf("%s: %w\n%s", name, err, p.lastLines())
		}
	}
}

// launchTogether launches components that do not need each other.
func (c *Cluster) launchTogether(ctx context.Context, names []Component) error {
	failures := make([]error, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		wait.Go(func() { failures[i] = c.launch(ctx, name) })
	}
	wait.Wait()
	return errors.Join(failures...)
}

// spawn starts the process, on a new port as long as nobody knows the old one. It holds the lock so that Stop, which
// ends the cluster's life first, finds every process there is.
func (c *Cluster) spawn(name Component) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		return nil, ErrStopped
	}
	if !c.ready {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		c.ports[name] = port
	}
	flags, err := c.flags(name)
	if err != nil {
		return nil, err
	}
	path, arguments := c.programs.Command(name)
	p, err := startProcess(name, path, append(arguments, flags...), c.Dir, filepath.Join(c.Logs, string(name)+".log"))
	if err != nil {
		return nil, err
	}
	c.running[name] = p
	return p, nil
}

// awaitHealthy returns nil once the component says that it is healthy, or why it will not be.
func (c *Cluster) awaitHealthy(ctx context.Context, p *process) error {
	url := c.Endpoint(p.name) + healthPath(p.name)
	return poll(ctx, func() error {
		select {
		case <-p.ended:
			return final{fmt.Errorf("ended before it was healthy: %w", p.exit)}
		default:
		}
		return c.askHealth(ctx, url)
	})
}

func (c *Cluster) askHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return final{err}
	}
	response, err := c.probe.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<12))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s says %s: %s", url, response.Status, body)
	}
	return err
}

// awaitDefaults waits for what every test takes for granted: the default namespace and, from the controller manager,
// the ServiceAccount without which no pod can be created there.
func (c *Cluster) awaitDefaults(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return err
	}
	return poll(ctx, func() error {
		_, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
		if err == nil && c.has(ControllerManager) {
			_, err = client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		}
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsServiceUnavailable(err) {
			return final{err}
		}
		return err
	})
}

// watch reports the end of a process that nobody killed.
func (c *Cluster) watch(p *process) {
	<-p.ended
	if !p.killed.Load() {
		c.output.printf("control plane: %s ended by itself: %v\n%s\n", p.name, p.exit, p.lastLines())
	}
}

// final is an error that trying again cannot mend.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// poll tries until it succeeds, fails for good, or ctx ends; then the error says what went wrong last.
func poll(ctx context.Context, try func() error) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if f := (final{}); errors.As(err, &f) {
			return f.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
