// Package stage sets up what a user of Slipway has, on one machine and without Docker: a real control plane (test/cluster), an AWS that
// is played by cmd/fakeaws together with its machines, and the production binary `slipway controller` under its own service account
// and least RBAC. The only thing that differs from EKS is AWS_ENDPOINT_URL.
//
// It may be imported by the demo and by tests; never by the product.
package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/apis/crds"
	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/cluster/program"
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
	// URL is fakeaws' endpoint.
	URL  string
	Logs string

	options    Options
	ctx        context.Context
	kubeconfig string // of the controller's service account
	aws        *process

	mu          sync.Mutex
	controllers []*Controller // all that were ever started: each has a log of its own
}

// Controller is one process of `slipway controller`. A stage may have several, of which one leads.
type Controller struct {
	*process
	// MetricsURL is where it serves its metrics, as text.
	MetricsURL string
}

// Kill ends the controller as kill -9 does.
func (c *Controller) Kill() { c.kill() }

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
	urlFile := filepath.Join(s.Cluster.Dir, "fakeaws.url")
	flags := append([]string{
		"--listen", "127.0.0.1:0", "--url-file", urlFile, "--kubeconfig", s.Cluster.Kubeconfig, "--region", Region,
		"--cluster-name", ClusterName, "--queue-name", QueueName,
	}, s.options.FakeAWS...)
	var err error
	if s.aws, err = start(filepath.Join(s.options.Bin, "fakeaws"), flags, nil, filepath.Join(s.Logs, "fakeaws.log")); err != nil {
		return err
	}
	return s.poll(30*time.Second, "fakeaws to listen", s.aws, func() bool {
		text, err := os.ReadFile(urlFile)
		s.URL = string(bytes.TrimSpace(text))
		return err == nil && s.URL != ""
	})
}

// StartController starts one more `slipway controller`, and waits until it is ready, which it may be without leading. Do not start two
// at the same time.
func (s *Stage) StartController() (*Controller, error) {
	s.options.Progress("starting slipway controller")
	probe, err := freeAddress()
	if err != nil {
		return nil, err
	}
	metrics, err := freeAddress()
	if err != nil {
		return nil, err
	}
	flags := append([]string{
		"controller", "--kubeconfig", s.kubeconfig, "--cluster-name", ClusterName, "--interruption-queue", QueueName,
		"--health-probe-bind-address", probe, "--metrics-bind-address", metrics, "--leader-election-namespace", Namespace,
	}, s.options.Controller...)
	environment := []string{
		"AWS_ENDPOINT_URL=" + s.URL, "AWS_REGION=" + Region, "AWS_ACCESS_KEY_ID=demo", "AWS_SECRET_ACCESS_KEY=demo",
	}
	log := filepath.Join(s.Logs, fmt.Sprintf("slipway-%d.log", len(s.Controllers())+1))
	p, err := start(filepath.Join(s.options.Bin, "slipway"), flags, environment, log)
	if err != nil {
		return nil, err
	}
	c := &Controller{process: p, MetricsURL: "http://" + metrics + "/metrics"}
	s.mu.Lock()
	s.controllers = append(s.controllers, c)
	s.mu.Unlock()
	return c, s.poll(60*time.Second, "slipway to be ready", c.process, func() bool {
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
		fmt.Fprintf(&text, "--- %s\n%s\n", filepath.Base(c.log), c.lastLines(count))
	}
	fmt.Fprintf(&text, "--- %s\n%s\n", filepath.Base(s.aws.log), s.aws.lastLines(count))
	return text.String()
}

// Strike stops everything and removes what the stage wrote, but for Options.Logs.
func (s *Stage) Strike() error {
	for _, c := range s.Controllers() {
		c.stop()
	}
	if s.aws != nil {
		s.aws.stop()
	}
	return s.Cluster.Stop()
}

// Journal answers what fakeaws was asked for, and the life of every machine.
func (s *Stage) Journal() (wire.Journal, error) {
	var j wire.Journal
	answer, err := http.Get(s.URL + "/_fake/journal")
	if err != nil {
		return j, fmt.Errorf("asking fakeaws for its journal: %w", err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&j); err != nil {
		return j, fmt.Errorf("reading fakeaws' journal: %w", err)
	}
	return j, nil
}

// Interrupt has spot take a machine: the notice goes to the queue now, the machine at the deadline.
func (s *Stage) Interrupt(instanceID string) error {
	return s.post("/_fake/interrupt?instance="+url.QueryEscape(instanceID), "")
}

// Fault injects one line of the fake cloud's script.
func (s *Stage) Fault(line string) error { return s.post("/_fake/fault", line) }

func (s *Stage) post(path, body string) error {
	answer, err := http.Post(s.URL+path, "text/plain", bytes.NewBufferString(body))
	if err != nil {
		return fmt.Errorf("asking fakeaws for %s: %w", path, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("asking fakeaws for %s: %s: %s", path, answer.Status, text)
	}
	return nil
}

// poll waits until ok, at most for the given time and only while the process lives.
func (s *Stage) poll(most time.Duration, what string, p *process, ok func() bool) error {
	deadline := time.Now().Add(most)
	for !ok() {
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-p.ended:
			return fmt.Errorf("waiting for %s: it ended:\n%s", what, p.lastLines(15))
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for %s: not within %s:\n%s", what, most, p.lastLines(15))
		}
	}
	return nil
}
