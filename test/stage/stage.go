// Package stage sets up what a user of Slipway has, on one machine and without Docker: a real control plane (test/cluster), an AWS that
// is played by cmd/fakeaws together with its machines, and the production binary `slipway controller` under its own service account
// and least RBAC. The only thing that differs from EKS is AWS_ENDPOINT_URL.
//
// It may be imported by the demo and by tests; never by the product.
package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-sh/slipway/pkg/apis/crds"
	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/cluster/program"
	"github.com/slipway-sh/slipway/test/process"
)

// Names of what every stage has.
const (
	ClusterName = "demo"
	QueueName   = "slipway-demo"
	Namespace   = "slipway"
	Region      = "us-east-1"
)

// Options says how a stage is set.
type Options struct {
	// Bin is the directory of the programs slipway and fakeaws; empty: bin in the module's root.
	Bin string
	// Logs is where the logs stay; empty: with the cluster, gone at the end.
	Logs string
	// FakeAWS and Controller are flags added to the programs' own.
	FakeAWS    []string
	Controller []string
	// WithoutController leaves it to the caller to start controllers.
	WithoutController bool
	Cluster           cluster.Options
	// Progress is told, in a few words, what is being started.
	Progress func(what string)
}

// Stage is a running cluster, AWS and controller.
type Stage struct {
	Cluster *cluster.Cluster
	// AWS is fakeaws' endpoint.
	AWS
	Logs string

	options    Options
	ctx        context.Context
	kubeconfig string // of the controller's service account
	aws        *RunningAWS

	mu          sync.Mutex
	controllers []*Controller // all that were ever started: each has a log of its own
}

// Controller is one process of `slipway controller`. A stage may have several, of which one leads.
type Controller struct {
	process *process.Process
	// MetricsURL is where it serves its metrics, as text.
	MetricsURL string
}

// Kill ends the controller as kill -9 does.
func (c *Controller) Kill() { c.process.Kill() }

// Set sets a stage. It runs until Strike, or until ctx ends. After an error nothing is left.
func Set(ctx context.Context, o Options) (_ *Stage, err error) {
	root, err := program.Root()
	if err != nil {
		return nil, err
	}
	if o.Bin == "" {
		o.Bin = filepath.Join(root, "bin")
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	for _, name := range []string{"slipway", "fakeaws"} {
		if _, err := os.Stat(filepath.Join(o.Bin, name)); err != nil {
			return nil, fmt.Errorf("finding %s (run `make build` first): %w", name, err)
		}
	}
	if o.Logs != "" {
		if err := os.MkdirAll(o.Logs, 0o755); err != nil {
			return nil, fmt.Errorf("making the directory for logs: %w", err)
		}
		o.Cluster.Logs = o.Logs
	}
	o.Progress("starting etcd, kube-apiserver, kube-scheduler and kube-controller-manager")
	s := &Stage{options: o, ctx: ctx}
	if s.Cluster, err = cluster.Start(ctx, o.Cluster); err != nil {
		return nil, err
	}
	s.Logs = s.Cluster.Logs
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Strike())
		}
	}()
	return s, s.furnish(root)
}

func (s *Stage) furnish(root string) error {
	s.options.Progress("installing the CRDs and the controller's service account")
	role, err := os.ReadFile(filepath.Join(root, "charts", "slipway", "files", "role.yaml"))
	if err != nil {
		return fmt.Errorf("reading the controller's role: %w", err)
	}
	manifests := append(crds.Native(), crds.Karpenter(), role, []byte(access))
	if err := cluster.ApplyManifests(s.ctx, s.Cluster.Config, manifests...); err != nil {
		return err
	}
	_, kubeconfig, err := s.Cluster.KubeconfigForServiceAccount(s.ctx, Namespace, "slipway")
	if err != nil {
		return err
	}
	s.kubeconfig = filepath.Join(s.Cluster.Dir, "slipway.kubeconfig")
	if err := os.WriteFile(s.kubeconfig, kubeconfig, 0o600); err != nil {
		return fmt.Errorf("writing the controller's kubeconfig: %w", err)
	}
	if err := s.startAWS(); err != nil {
		return err
	}
	if s.options.WithoutController {
		return nil
	}
	_, err = s.StartController()
	return err
}

// access binds the controller's role, and lets it hold its lease in its own namespace.
const access = `
apiVersion: v1
kind: Namespace
metadata: {name: slipway}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: slipway, namespace: slipway}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: slipway}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: slipway}
subjects: [{kind: ServiceAccount, name: slipway, namespace: slipway}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: slipway, namespace: slipway}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: slipway}
subjects: [{kind: ServiceAccount, name: slipway, namespace: slipway}]
`

func (s *Stage) startAWS() error {
	s.options.Progress("starting fakeaws")
	var err error
	s.aws, err = StartAWS(s.ctx, AWSOptions{Bin: s.options.Bin, Dir: s.Cluster.Dir, Logs: s.Logs, Kubeconfig: s.Cluster.Kubeconfig, Flags: s.options.FakeAWS})
	if err == nil {
		s.AWS = s.aws.AWS
	}
	return err
}

// StartController starts one more `slipway controller`, and waits until it is ready, which it may be without leading. Do not start two
// at the same time.
func (s *Stage) StartController() (*Controller, error) {
	s.options.Progress("starting slipway controller")
	probe, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	metrics, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	flags := append([]string{
		"controller", "--kubeconfig", s.kubeconfig, "--cluster-name", ClusterName, "--interruption-queue", QueueName,
		"--health-probe-bind-address", probe, "--metrics-bind-address", metrics, "--leader-election-namespace", Namespace,
	}, s.options.Controller...)
	log := filepath.Join(s.Logs, fmt.Sprintf("slipway-%d.log", len(s.Controllers())+1))
	p, err := process.Start(filepath.Join(s.options.Bin, "slipway"), flags, append(os.Environ(), s.Environment()...), log)
	if err != nil {
		return nil, err
	}
	c := &Controller{process: p, MetricsURL: "http://" + metrics + "/metrics"}
	s.mu.Lock()
	s.controllers = append(s.controllers, c)
	s.mu.Unlock()
	return c, p.Await(s.ctx, 60*time.Second, "slipway to be ready", func() bool {
		answer, err := http.Get("http://" + probe + "/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// Controllers answers every controller that was started, in that order, those that ended included.
func (s *Stage) Controllers() []*Controller {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.controllers)
}

// LastLines answers the end of every log of slipway and fakeaws, for whoever looks for the cause of a failure.
func (s *Stage) LastLines(count int) string {
	var text strings.Builder
	for _, c := range s.Controllers() {
		fmt.Fprintf(&text, "--- %s\n%s\n", filepath.Base(c.process.Log), c.process.LastLines(count))
	}
	if s.aws != nil {
		fmt.Fprintf(&text, "--- %s\n%s\n", filepath.Base(s.aws.process.Log), s.aws.process.LastLines(count))
	}
	return text.String()
}

// grace is how long a program may take to end once it was asked to.
const grace = 10 * time.Second

// Strike stops everything and removes what the stage wrote, but for Options.Logs.
func (s *Stage) Strike() error {
	for _, c := range s.Controllers() {
		c.process.Stop(grace)
	}
	if s.aws != nil {
		s.aws.Stop()
	}
	return s.Cluster.Stop()
}
