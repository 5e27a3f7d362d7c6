package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/test/process"
	"github.com/slipway-sh/slipway/test/stack"
)

// AWS is a running fakeaws: where AWS' own APIs are, and what only fakeaws has (/_fake/).
type AWS struct {
	// URL is the endpoint, without a slash at its end.
	URL string
	// Client reaches it; nil: http.DefaultClient.
	Client *http.Client
}

// Environment is what a client of AWS needs in order to speak to this one.
func (a AWS) Environment() []string {
	return []string{"AWS_ENDPOINT_URL=" + a.URL, "AWS_REGION=" + Region, "AWS_ACCESS_KEY_ID=demo", "AWS_SECRET_ACCESS_KEY=demo"}
}

// Journal answers what fakeaws was asked for, and the life of every machine.
func (a AWS) Journal() (wire.Journal, error) {
	var j wire.Journal
	answer, err := a.client().Get(a.URL + "/_fake/journal")
	if err != nil {
		return j, fmt.Errorf("asking fakeaws for its journal: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return j, fmt.Errorf("asking fakeaws for its journal: %s: %s", answer.Status, text)
	}
	if err := json.NewDecoder(answer.Body).Decode(&j); err != nil {
		return j, fmt.Errorf("reading fakeaws' journal: %w", err)
	}
	return j, nil
}

// Interrupt has spot take a machine: the notice goes to the queue now, the machine at the deadline.
func (a AWS) Interrupt(instanceID string) error {
	return a.post("/_fake/interrupt?instance="+url.QueryEscape(instanceID), "")
}

// Fault injects one line of the fake cloud's script.
func (a AWS) Fault(line string) error { return a.post("/_fake/fault", line) }

func (a AWS) client() *http.Client {
	if a.Client == nil {
		return http.DefaultClient
	}
	return a.Client
}

func (a AWS) post(path, body string) error {
	answer, err := a.client().Post(a.URL+path, "text/plain", strings.NewReader(body))
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

// AWSOptions says which fakeaws is started, and for whom.
type AWSOptions struct {
	// Bin is the directory of the program fakeaws, Dir one for what it writes, Logs one for its log.
	Bin, Dir, Logs string
	// Kubeconfig is the cluster that its machines join.
	Kubeconfig string
	// Flags are added to those that every stage has.
	Flags []string
}

// RunningAWS is a process of fakeaws.
type RunningAWS struct {
	AWS
	process *process.Process
}

// StartAWS starts fakeaws and waits until it listens. It refuses what the policies of deploy/cloudformation do not allow the controller, as
// AWS would: a story that needs more fails.
func StartAWS(ctx context.Context, o AWSOptions) (*RunningAWS, error) {
	policies, err := stack.ControllerPolicies(ClusterName, QueueName)
	if err != nil {
		return nil, err
	}
	policyFile := filepath.Join(o.Dir, "policies.json")
	if err := os.WriteFile(policyFile, policies, 0o644); err != nil {
		return nil, fmt.Errorf("writing the controller's policies: %w", err)
	}
	urlFile := filepath.Join(o.Dir, "fakeaws.url")
	flags := append([]string{
		"--listen", "127.0.0.1:0", "--url-file", urlFile, "--kubeconfig", o.Kubeconfig, "--region", Region,
		"--cluster-name", ClusterName, "--queue-name", QueueName, "--policy", policyFile,
	}, o.Flags...)
	p, err := process.Start(filepath.Join(o.Bin, "fakeaws"), flags, nil, filepath.Join(o.Logs, "fakeaws.log"))
	if err != nil {
		return nil, err
	}
	a := &RunningAWS{process: p}
	err = p.Await(ctx, 30*time.Second, "fakeaws to listen", func() bool {
		text, err := os.ReadFile(urlFile)
		a.URL = string(bytes.TrimSpace(text))
		return err == nil && a.URL != ""
	})
	if err != nil {
		p.Kill()
		return nil, err
	}
	return a, nil
}

// Stop ends it.
func (a *RunningAWS) Stop() { a.process.Stop(grace) }
