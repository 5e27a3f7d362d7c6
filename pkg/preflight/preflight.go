package preflight

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/aws"
)

// Status is how a check ended.
type Status string

// The ends of a check. Fail: Slipway cannot work like this. Warn: it works, and something will be missed or soon be short. Skip: it could not be
// looked at, and why.
const (
	OK   Status = "OK"
	Warn Status = "WARN"
	Fail Status = "FAIL"
	Skip Status = "SKIP"
)

// Result is one check.
type Result struct {
	Check   string `json:"check"` // credentials, queue, quota G and VT spot, ...
	Status  Status `json:"status"`
	Message string `json:"message"`          // what was found
	Remedy  string `json:"remedy,omitempty"` // what helps, where it is not OK and the message does not say
}

// Config is what is looked at.
type Config struct {
	AWS *aws.Survey
	// Queue is the name of the interruption queue; empty: none is configured.
	Queue string
	// Classes are looked at besides those of the cluster, of which they replace those of the same name.
	Classes []*v1alpha1.EC2NodeClass
	// Cluster reads the Kubernetes cluster; nil: it is left out.
	Cluster client.Reader
	// Version asks the cluster's API server for its version; required with Cluster.
	Version func() (*version.Info, error)
	// Report is told each result as soon as it is known.
	Report func(Result)
}

// Validate says what is missing.
func (c Config) Validate() error {
	if c.AWS == nil || c.Report == nil || c.Cluster != nil && c.Version == nil {
		return errors.New("preflight: AWS and Report are required, and with Cluster also Version")
	}
	return nil
}

// checkTimeout bounds one check: an endpoint that does not answer is a finding, not a reason to wait.
const checkTimeout = 45 * time.Second

// survey is one run.
type survey struct {
	Config
	authentic      bool // AWS knows the credentials
	queueRead      bool
	snapshot       cloud.Snapshot
	family         map[string]string        // of the images of each class that resolved
	provisioners   v1alpha1.ProvisionerList // of the cluster
	terminateTried bool
}

// Run makes every check in turn. The error is the context's.
func Run(ctx context.Context, config Config) error {
	if err := config.Validate(); err != nil {
		return err
	}
	s := &survey{Config: config, family: map[string]string{}}
	if s.authentic = s.credentials(ctx); s.authentic {
		for _, check := range []func(context.Context){s.cluster, s.catalogue, s.queue, s.rules, s.spotRole, s.quotas} {
			s.bounded(ctx, check)
		}
	}
	classes := s.classes(ctx)
	for _, class := range classes {
		s.bounded(ctx, func(ctx context.Context) { s.class(ctx, class) })
	}
	if s.Cluster != nil {
		for _, check := range []func(context.Context){s.devicePlugin, s.controller, s.nominations} {
			s.bounded(ctx, check)
		}
	}
	return ctx.Err()
}

func (s *survey) bounded(ctx context.Context, check func(context.Context)) {
	if ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	check(ctx)
}

func (s *survey) ok(check, format string, args ...any) {
	s.Report(Result{Check: check, Status: OK, Message: fmt.Sprintf(format, args...)})
}

// failed reports an error: its own words, and the remedy that its kind has.
func (s *survey) failed(check string, err error) {
	var denied *cloud.DeniedError
	var wrong *cloud.MisconfiguredError
	r := Result{Check: check, Status: Fail, Message: err.Error()}
	switch {
	case errors.Is(err, context.Canceled):
		return
	case errors.As(err, &denied):
		r.Message, r.Remedy = denied.Error(), "allow "+denied.Action+" to these credentials; deploy/cloudformation and deploy/terraform have the whole policy"
	case errors.As(err, &wrong):
		r.Message = wrong.Error() // it names its remedy
	case errors.Is(err, context.DeadlineExceeded):
		r.Remedy = "see that the endpoint can be reached from here"
	case errors.Is(err, cloud.ErrThrottled):
		r.Remedy = "try again; raise the account's API rate if this stays"
	}
	s.Report(r)
}

// unseen reports what these credentials may not look at, or AWS did not answer: nothing is known of it then.
func (s *survey) unseen(check string, err error) {
	var denied *cloud.DeniedError
	if errors.As(err, &denied) {
		s.Report(Result{Check: check, Status: Skip, Message: "these credentials may not look (" + denied.Action + ")", Remedy: "run it as somebody who may"})
		return
	}
	s.failed(check, err)
}

// Worst answers the status that counts most of several results: Fail, Warn, else OK. What was skipped counts for nothing.
func Worst(results []Result) Status {
	worst := OK
	for _, r := range results {
		if r.Status == Fail || r.Status == Warn && worst != Fail {
			worst = r.Status
		}
	}
	return worst
}
