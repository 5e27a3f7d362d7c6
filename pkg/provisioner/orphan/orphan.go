package orphan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Defaults that a zero field of Config stands for.
const (
	DefaultEvery = 30 * time.Second
	DefaultGrace = time.Minute
)

// Fleet is what a sweep asks of the cloud; cloud.Fleet satisfies it.
type Fleet interface {
	Terminate(ctx context.Context, instanceID string) error
	Instance(ctx context.Context, instanceID string) (cloud.Instance, error)
	Instances(ctx context.Context) ([]cloud.Instance, error)
}

// Events is where users learn what happened; the recorder of a manager (GetEventRecorder) is one.
type Events interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

// Meter is told of machines that were terminated. telemetry.Metrics is one.
type Meter interface{ OrphanTerminated() }

// Config is what a Loop needs. Zero Every and Grace mean the defaults; everything else but Log is required.
type Config struct {
	Client client.Client // reads Nodes through the manager's cache; writes
	Live   client.Reader // reads claims and pods from the API server
	Fleet  Fleet
	Events Events
	Meter  Meter
	Log    logr.Logger
	// Every is the time between two sweeps.
	Every time.Duration
	// Grace is the age below which a machine is not ended and not missed: it may not be visible yet.
	Grace time.Duration
	Now   func() time.Time
}

// Validate answers everything that is missing.
func (c Config) Validate() error {
	var errs []error
	for _, field := range []struct {
		name    string
		missing bool
	}{
		{"Client", c.Client == nil}, {"Live", c.Live == nil}, {"Fleet", c.Fleet == nil}, {"Events", c.Events == nil},
		{"Meter", c.Meter == nil}, {"Now", c.Now == nil},
	} {
		if field.missing {
			errs = append(errs, fmt.Errorf("%s is required", field.name))
		}
	}
	if c.Every < 0 || c.Grace < 0 {
		errs = append(errs, errors.New("Every and Grace must not be negative"))
	}
	return errors.Join(errs...)
}

// Loop sweeps now and then. It is a manager.Runnable of the leader. Its methods may be called from many goroutines.
type Loop struct {
	cfg    Config
	looked chan struct{}

	mu      sync.Mutex
	orphans []cloud.Instance
	once    sync.Once
}

// New answers a Loop, or what is wrong with the Config.
func New(cfg Config) (*Loop, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the orphan sweep: %w", err)
	}
	cfg.Every = cmp.Or(cfg.Every, DefaultEvery)
	cfg.Grace = cmp.Or(cfg.Grace, DefaultGrace)
	return &Loop{cfg: cfg, looked: make(chan struct{})}, nil
}

// NeedLeaderElection says that only the leader sweeps.
func (*Loop) NeedLeaderElection() bool { return true }

// Orphans answers the machines of ours without a claim that the latest sweep has seen, by ID, those that are ending included.
func (l *Loop) Orphans() []cloud.Instance {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.orphans)
}

// Looked is closed once the first sweep knows the orphans; a ledger before that may miss machines of a former life.
func (l *Loop) Looked() <-chan struct{} { return l.looked }

// Start sweeps until ctx ends: at once, so that limits count what is there, and then every Config.Every. What a sweep could not do
// the next one does. Growing waits for the first look, so that one is tried again sooner.
func (l *Loop) Start(ctx context.Context) error {
	for {
		if err := l.Sweep(ctx); err != nil && ctx.Err() == nil {
			l.cfg.Log.Error(err, "Sweeping for orphans")
		}
		timer := time.NewTimer(l.pause())
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// firstRetry is the time between two sweeps until one has looked.
const firstRetry = 2 * time.Second

func (l *Loop) pause() time.Duration {
	select {
	case <-l.looked:
		return l.cfg.Every
	default:
		return min(firstRetry, l.cfg.Every)
	}
}

// sweep is one comparison of machines and claims.
type sweep struct {
	*Loop
	now       time.Time
	instances []cloud.Instance
	claims    []v1alpha1.NodeClaim
	nodes     []corev1.Node
	orphans   []cloud.Instance
}

// Sweep compares once, and acts. The error joins what could not be done; the rest was done.
func (l *Loop) Sweep(ctx context.Context) error {
	s := &sweep{Loop: l, now: l.cfg.Now()}
	if err := s.read(ctx); err != nil {
		return err
	}
	s.find()
	l.mu.Lock()
	l.orphans = s.orphans
	l.mu.Unlock()
	l.once.Do(func() { close(l.looked) })

	var errs []error
	for _, i := range s.orphans {
		if s.now.Sub(i.LaunchedAt) >= l.cfg.Grace && i.State != cloud.InstanceShuttingDown {
			errs = append(errs, s.end(ctx, i))
		}
	}
	errs = append(errs, s.retireGone(ctx), s.removeNodes(ctx))
	return errors.Join(errs...)
}

// read reads machines before claims: see the package's comment.
func (s *sweep) read(ctx context.Context) error {
	instances, err := s.cfg.Fleet.Instances(ctx)
	if err != nil {
		return fmt.Errorf("listing machines: %w", err)
	}
	var claims v1alpha1.NodeClaimList
	if err := s.cfg.Live.List(ctx, &claims); err != nil {
		return fmt.Errorf("listing claims: %w", err)
	}
	var nodes corev1.NodeList
	if err := s.cfg.Client.List(ctx, &nodes, client.HasLabels{v1alpha1.LabelProvisioner}); err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	s.instances, s.claims, s.nodes = instances, claims.Items, nodes.Items
	return nil
}

func (s *sweep) find() {
	claims := map[string]*v1alpha1.NodeClaim{}
	for i := range s.claims {
		claims[string(s.claims[i].UID)] = &s.claims[i]
	}
	for _, i := range s.instances {
		if i.Token == "" || i.State == cloud.InstanceTerminated {
			continue
		}
		claim := claims[i.Token]
		if claim == nil || claim.Status.InstanceID != "" && claim.Status.InstanceID != i.ID {
			s.orphans = append(s.orphans, i)
		}
	}
}
