package wire

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// Config is what the services are to say of things that are not the simulated cloud's.
type Config struct {
	Cloud *sim.Cloud
	Log   *slog.Logger
	// Account is the account's 12 digits; default 123456789012.
	Account string
	// QueueName is the only queue there is.
	QueueName string
	// QueuePolicy is what the queue's attribute Policy says, JSON; default: EventBridge may send. It is enforced on who calls
	// SQS, beside Policy; what the cloud itself puts into the queue comes from EventBridge and is not asked.
	QueuePolicy string
	// WithoutRule plays an EventBridge that lacks one of the rules that fill the queue, by its logical name in deploy/cloudformation.
	WithoutRule string
	// WithoutSpotRole plays an account that has never bought a spot machine: EC2's own role for them is missing.
	WithoutSpotRole bool
	// Pricing false plays an endpoint that does not offer the Pricing API.
	Pricing bool
	// Cluster is what EKS says of the cluster.
	Cluster Cluster
	// Policy is what callers other than the Administrator may do; nil: everything.
	Policy *policy.Set
	// FleetTime answers how long the next CreateFleet takes: half of it passes before the machines are bought, half until the caller
	// learns of them. It is called from many goroutines; nil: no time.
	FleetTime func() time.Duration
}

// Cluster is a cluster as EKS describes it.
type Cluster struct {
	Endpoint    string // https URL
	CA          []byte // PEM
	Version     string // 1.37; default sim.KubernetesVersion
	ServiceCIDR string // default 10.100.0.0/16
}

// Validate says what is missing.
func (c Config) Validate() error {
	var errs []error
	if c.Cloud == nil || c.Log == nil {
		errs = append(errs, errors.New("Cloud and Log are required"))
	}
	if c.QueueName == "" {
		errs = append(errs, errors.New("QueueName is required"))
	}
	if c.Account != "" && len(c.Account) != 12 {
		errs = append(errs, fmt.Errorf("account %q: want 12 digits", c.Account))
	}
	return errors.Join(errs...)
}

// Server is the handler of all services. It is safe for concurrent use.
type Server struct {
	Config
	mux *http.ServeMux

	queue *policy.Resource // QueuePolicy

	mu        sync.Mutex
	requests  int
	templates templates
	profiles  map[string]*profile
}

// New answers a handler on a simulated cloud.
func New(config Config) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("checking the wire's configuration: %w", err)
	}
	config.Account = cmp.Or(config.Account, "123456789012")
	config.QueuePolicy = cmp.Or(config.QueuePolicy,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}`)
	if config.FleetTime == nil {
		config.FleetTime = func() time.Duration { return 0 }
	}
	config.Cluster.Version = cmp.Or(config.Cluster.Version, sim.KubernetesVersion)
	config.Cluster.ServiceCIDR = cmp.Or(config.Cluster.ServiceCIDR, "10.100.0.0/16")
	queue, err := policy.ParseResource([]byte(config.QueuePolicy))
	if err != nil {
		return nil, fmt.Errorf("checking the queue's policy: %w", err)
	}
	s := &Server{Config: config, queue: queue, mux: http.NewServeMux(), templates: newTemplates(), profiles: map[string]*profile{}}
	for name, role := range config.Cloud.Network().Profiles {
		s.profiles[name] = &profile{name: name, role: role}
	}
	s.control()
	s.mux.HandleFunc("GET /clusters/{name}", s.describeCluster)
	s.mux.HandleFunc("POST /{$}", s.dispatch)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.Log.Warn("nothing is played here", "method", r.Method, "path", r.URL.Path)
		writeJSONError(w, apiError{http.StatusNotFound, "UnknownOperationException", "fakeaws plays nothing at " + r.Method + " " + r.URL.Path})
	})
	return s, nil
}

// ServeHTTP is http.Handler's.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	id := fmt.Sprintf("00000000-0000-4000-9000-%012x", s.requests)
	s.mu.Unlock()
	w.Header().Set("X-Amzn-Requestid", id)
	s.mux.ServeHTTP(w, r)
}

// maxBody is more than any request that is played here needs.
const maxBody = 4 << 20

func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeJSONError(w, apiError{http.StatusBadRequest, "RequestEntityTooLarge", err.Error()})
		return
	}
	if service, action, found := strings.Cut(r.Header.Get("X-Amz-Target"), "."); found {
		s.serveJSON(w, r, jsonService(service), action, body)
		return
	}
	s.serveQuery(w, r, body)
}

// credential answers the signature's KEY/20260801/us-east-1/ec2/aws4_request; empty: there is none.
func credential(r *http.Request) string {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	credential, _, _ = strings.Cut(credential, ",")
	return credential
}

// scope answers the service name of the signature.
func scope(r *http.Request) string {
	if parts := strings.Split(credential(r), "/"); len(parts) >= 5 {
		return parts[len(parts)-2]
	}
	return ""
}

// arn names a resource of the account.
func (s *Server) arn(service, region, resource string) string {
	return strings.Join([]string{"arn:aws", service, region, s.Account, resource}, ":")
}
