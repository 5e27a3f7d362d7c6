package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/slipway-sh/slipway/test/cluster/program"
)

// Component is one of the control plane's programs.
type Component = program.Component

// The components.
const (
	Etcd              = program.Etcd
	APIServer         = program.APIServer
	Scheduler         = program.Scheduler
	ControllerManager = program.ControllerManager
)

// ErrStopped is what Kill and Restart return once the cluster has been stopped.
var ErrStopped = errors.New("the cluster has been stopped")

// Options says how a cluster differs from the usual. The zero value is a whole, quiet cluster.
type Options struct {
	// Dir is where the cluster makes its own directory; empty means the system's directory for temporary files.
	Dir string
	// Keep leaves that directory in place: certificates, etcd's data, logs.
	Keep bool
	// Logs is a directory for the components' logs, which stay there after Stop; empty means in the cluster's own.
	Logs string
	// Output is told, in a few lines, where the cluster is and if a component ends that nobody killed. It is not
	// written to after Stop.
	Output io.Writer
	// Timeout is how long starting may take altogether; 0 means two minutes, since test machines are slow and shared.
	Timeout time.Duration
	// Without leaves out the scheduler, the controller manager or both. Without the controller manager pods need no
	// ServiceAccount, since nobody would create the default one.
	Without []Component
	// FeatureGates are set on the three Kubernetes components alike.
	FeatureGates map[string]bool
	// RuntimeConfig switches API groups and versions, as in {"scheduling.k8s.io/v1beta1": true}.
	RuntimeConfig map[string]bool
	// SchedulerConfig is a KubeSchedulerConfiguration in YAML. Its client connection and leader election are
	// replaced; the rest is taken as it is. Empty means the default profile with short back-offs.
	SchedulerConfig []byte
	// Flags are added to a component's command line, after all others, so that they win.
	Flags map[Component][]string
}

// Validate returns an error unless the options are of one mind.
func (o Options) Validate() error {
	for _, c := range o.Without {
		if c != Scheduler && c != ControllerManager {
			return fmt.Errorf("a cluster cannot do without %q", c)
		}
	}
	if len(o.SchedulerConfig) > 0 && slices.Contains(o.Without, Scheduler) {
		return errors.New("there is a configuration for the scheduler, but no scheduler")
	}
	for c := range o.Flags {
		if !slices.Contains(program.Components(), c) {
			return fmt.Errorf("there are flags for %q, which is no component", c)
		}
	}
	if o.Timeout < 0 {
		return fmt.Errorf("the timeout is %s, want at least 0", o.Timeout)
	}
	return nil
}

func (o Options) components() []Component {
	return slices.DeleteFunc(program.Components(), func(c Component) bool { return slices.Contains(o.Without, c) })
}

// Cluster is a running control plane. Its methods may be called from several goroutines.
type Cluster struct {
	// Config is the administrator's access (group system:masters), not throttled. Copy it before changing it.
	Config *rest.Config
	// Kubeconfig is the path of a file with the same access.
	Kubeconfig string
	// Dir is the cluster's own directory.
	Dir string
	// Logs is the directory of the logs: etcd.log, kube-apiserver.log, ...
	Logs string
	// StartedIn is how long it took until the cluster was ready.
	StartedIn time.Duration

	options  Options
	programs program.Programs
	output   *output
	ca       *authority
	probe    *http.Client
	sweep    func() // removes Dir

	life    context.Context // ends when the cluster is to stop
	end     context.CancelFunc
	stopped sync.Once
	stopErr error

	mu      sync.Mutex
	ready   bool // Start has succeeded: ports are known to others and stay as they are
	ports   map[Component]int
	running map[Component]*process
}

// Start starts a control plane and returns once it can be worked with: every component reports itself healthy, and
// pods can be created in the default namespace. It runs until Stop, or until ctx ends.
//
// An error wraps program.ErrNotFound if there is nothing to run; if a component did not come up the error carries the
// last lines of its log. After an error nothing is left, unless Options.Keep.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	begin := time.Now()
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("starting a cluster: %w", err)
	}
	programs, err := program.Find(options.components()...)
	if err != nil {
		return nil, fmt.Errorf("starting a cluster: %w", err)
	}
	c := &Cluster{
		options: options, programs: programs, output: &output{to: options.Output},
		ports: map[Component]int{}, running: map[Component]*process{},
	}
	c.life, c.end = context.WithCancel(ctx)
	if err := c.start(); err != nil {
		if c.life.Err() != nil {
			err = context.Cause(c.life)
		}
		return nil, fmt.Errorf("starting a cluster: %w", errors.Join(err, c.Stop()))
	}
	c.StartedIn = time.Since(begin)
	c.output.printf("control plane from %s: ready in %s at %s\n  KUBECONFIG=%s\n  logs in %s\n", programs.Source,
		c.StartedIn.Round(10*time.Millisecond), c.Config.Host, c.Kubeconfig, c.Logs)
	context.AfterFunc(c.life, func() { _ = c.Stop() }) // who calls Stop as well gets the error
	return c, nil
}

// start brings the components up in the order in which they need each other.
func (c *Cluster) start() error {
	timeout := c.options.Timeout
	if timeout == 0 {
		timeout = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(c.life, timeout, fmt.Errorf("not ready after %s", timeout))
	defer cancel()
	if err := c.prepare(); err != nil {
		return err
	}
	for _, name := range []Component{Etcd, APIServer} {
		if err := c.launch(ctx, name); err != nil {
			return err
		}
	}
	if err := c.writeAccess(); err != nil {
		return err
	}
	if err := c.launchTogether(ctx, c.options.components()[2:]); err != nil {
		return err
	}
	if err := c.awaitDefaults(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = true
	return nil
}

// prepare makes the directories, what removes them, and the certificates.
func (c *Cluster) prepare() (err error) {
	if c.Dir, err = os.MkdirTemp(c.options.Dir, "slipway-cluster-"); err != nil {
		return fmt.Errorf("making its directory: %w", err)
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil { // the components work elsewhere
		return fmt.Errorf("making its directory: %w", err)
	}
	if !c.options.Keep {
		if c.sweep, err = sweepAtExit(c.Dir); err != nil {
			return err
		}
	}
	c.Logs = c.options.Logs
	if c.Logs == "" {
		c.Logs = filepath.Join(c.Dir, "logs")
	}
	if err := os.MkdirAll(c.Logs, 0o755); err != nil {
		return fmt.Errorf("making the logs' directory: %w", err)
	}
	if c.ca, err = newAuthority(); err != nil {
		return err
	}
	if err := c.ca.writeFiles(c.Dir); err != nil {
		return err
	}
	c.probe = c.ca.httpClient()
	return nil
}

// Stop kills every component and removes the cluster's directory, unless Options.Keep. It may be called again.
func (c *Cluster) Stop() error {
	c.end()
	c.stopped.Do(func() {
		c.mu.Lock()
		processes := slices.Collect(maps.Values(c.running))
		c.mu.Unlock()
		for _, p := range processes {
			p.kill()
		}
		for _, p := range processes {
			<-p.ended
		}
		c.output.close()
		if c.probe != nil {
			c.probe.CloseIdleConnections()
		}
		if c.Dir != "" && !c.options.Keep {
			c.stopErr = os.RemoveAll(c.Dir)
		}
		if c.sweep != nil {
			c.sweep()
		}
	})
	return c.stopErr
}

// Kill ends a component as a crash would: at once, without a word. It returns when the process is gone; it is no error
// if there was none.
func (c *Cluster) Kill(name Component) error {
	c.mu.Lock()
	p := c.running[name]
	c.mu.Unlock()
	if c.life.Err() != nil {
		return ErrStopped
	}
	if p != nil {
		p.kill()
		<-p.ended
	}
	return nil
}

// Restart kills a component if it runs, starts it on the same port and with the same data, and returns when it is
// healthy. Clients of the API server see their connections break and can carry on.
func (c *Cluster) Restart(ctx context.Context, name Component) error {
	if !slices.Contains(c.options.components(), name) {
		return fmt.Errorf("restarting %s: it is not part of this cluster", name)
	}
	if err := c.Kill(name); err != nil {
		return fmt.Errorf("restarting %s: %w", name, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.life, func() { cancel(ErrStopped) })()
	if err := c.launch(ctx, name); err != nil {
		return fmt.Errorf("restarting %w", err)
	}
	return nil
}

// Endpoint returns the URL at which a component serves its health and metrics (over TLS, but for etcd; /metrics of
// the scheduler and the controller manager asks for no credentials).
func (c *Cluster) Endpoint(name Component) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return endpoint(name, c.ports[name])
}
