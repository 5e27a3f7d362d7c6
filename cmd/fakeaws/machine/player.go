package machine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// Config is whose machines are played, and where. Cloud, Client and Log are required.
type Config struct {
	Cloud  *sim.Cloud
	Client kubernetes.Interface
	Log    *slog.Logger
	// Tick is how often Run plays; default 100 ms.
	Tick time.Duration
	// PodStart is how long a pod takes from being bound to running: images are there already.
	PodStart time.Duration
	// PodStop is how long a pod takes to stop once it is told to, unless its annotation says otherwise.
	PodStop time.Duration
}

// Validate says what is missing.
func (c Config) Validate() error {
	if c.Cloud == nil || c.Client == nil || c.Log == nil {
		return errors.New("Cloud, Client and Log are required")
	}
	if c.Tick < 0 || c.PodStart < 0 || c.PodStop < 0 {
		return errors.New("Tick, PodStart and PodStop must not be negative")
	}
	return nil
}

// atOnce is how many machines are played at the same moment: each waits for the API server most of the time.
const atOnce = 16

// Player plays every machine of one cloud. Step must not run twice at the same time.
type Player struct {
	Config
	types    map[string]cloud.InstanceType
	factory  informers.SharedInformerFactory
	pods     corelisters.PodLister
	synced   cache.InformerSynced
	machines map[string]*played
	podIPs   atomic.Uint32
}

// New answers a player that plays nothing yet.
func New(config Config) (*Player, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("checking the machine player's configuration: %w", err)
	}
	if config.Tick == 0 {
		config.Tick = 100 * time.Millisecond
	}
	factory := informers.NewSharedInformerFactory(config.Client, 0)
	pods := factory.Core().V1().Pods()
	p := &Player{
		Config: config, types: map[string]cloud.InstanceType{}, factory: factory,
		pods: pods.Lister(), synced: pods.Informer().HasSynced, machines: map[string]*played{},
	}
	for _, t := range config.Cloud.Types() {
		p.types[t.Name] = t
	}
	return p, nil
}

// Start begins to watch pods and waits until those that exist are known.
func (p *Player) Start(ctx context.Context) error {
	p.factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), p.synced) {
		return fmt.Errorf("waiting for the pods: %w", ctx.Err())
	}
	return nil
}

// Run plays until ctx ends. What fails is logged and tried again at the next tick.
func (p *Player) Run(ctx context.Context) error {
	if err := p.Start(ctx); err != nil {
		return err
	}
	defer p.factory.Shutdown()
	ticker := time.NewTicker(p.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := p.Step(ctx); err != nil && ctx.Err() == nil {
				p.Log.Warn("playing machines", "error", err)
			}
		}
	}
}

// Step plays what is due by the cloud's clock, on every machine. It answers what failed; the next Step tries again.
func (p *Player) Step(ctx context.Context) error {
	pods, err := p.podsByNode()
	if err != nil {
		return err
	}
	machines := p.Cloud.Machines()
	now := p.Cloud.Now()
	errs := make([]error, len(machines))
	slots := make(chan struct{}, atOnce)
	var work sync.WaitGroup
	names := map[string]bool{} // of the nodes of machines that live: a name comes back with its address
	for _, m := range machines {
		names[m.PrivateDNS] = names[m.PrivateDNS] || m.Alive()
	}
	for i, m := range machines {
		state := p.machines[m.ID]
		if state == nil {
			state = &played{player: p, pods: map[string]*playedPod{}}
			p.machines[m.ID] = state
		}
		state.machine = m
		if !m.Alive() && names[m.PrivateDNS] {
			continue
		}
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			errs[i] = state.step(ctx, now, pods[m.PrivateDNS])
		})
	}
	work.Wait()
	p.forget(machines)
	return errors.Join(errs...)
}

// forget drops the machines that the cloud has forgotten.
func (p *Player) forget(machines []sim.Machine) {
	for id := range p.machines {
		if !slices.ContainsFunc(machines, func(m sim.Machine) bool { return m.ID == id }) {
			delete(p.machines, id)
		}
	}
}

func (p *Player) podsByNode() (map[string][]*corev1.Pod, error) {
	all, err := p.pods.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	byNode := map[string][]*corev1.Pod{}
	for _, pod := range all {
		if name := pod.Spec.NodeName; name != "" {
			byNode[name] = append(byNode[name], pod)
		}
	}
	return byNode, nil
}

// nextPodIP answers addresses of 100.64.0.0/10, the range that clusters use for pods where the VPC's own is short.
func (p *Player) nextPodIP() string {
	n := p.podIPs.Add(1)
	return fmt.Sprintf("100.%d.%d.%d", 64+n>>16&63, n>>8&255, n&255)
}
