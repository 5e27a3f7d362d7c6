package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-sh/slipway/cmd/fakeaws/machine"
	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// graceful is how long open requests may take once the end was asked for.
const graceful = 3 * time.Second

// run serves until ctx ends.
func run(ctx context.Context, o options, output io.Writer) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	log := slog.New(slog.NewTextHandler(output, &slog.HandlerOptions{Level: level}))
	region, err := newCloud(o)
	if err != nil {
		return err
	}
	cluster := wire.Cluster{Endpoint: "https://" + o.cluster + ".invalid", CA: []byte("no cluster was given"), Version: o.kubernetes, ServiceCIDR: o.serviceCIDR}
	var player *machine.Player
	if o.kubeconfig != "" || o.inCluster {
		if player, err = newPlayer(o, region, log, &cluster); err != nil {
			return err
		}
	}
	allowed, err := readPolicy(o.policy)
	if err != nil {
		return err
	}
	handler, err := wire.New(wire.Config{Cloud: region, Log: log, Account: o.account, QueueName: o.queue, Pricing: o.pricing,
		Cluster: cluster, Policy: allowed, FleetTime: drawn(o.fleet, o.seed)})
	if err != nil {
		return err
	}
	return serve(ctx, o, handler, player, log)
}

// drawn answers times that are drawn evenly from a delay's range.
func drawn(d delayFlag, seed uint64) func() time.Duration {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 0))
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return d.Base + time.Duration(random.Int64N(int64(d.Jitter)+1))
	}
}

// newCloud makes the region of the embedded facts, as far as the flags want it.
func newCloud(o options) (*sim.Cloud, error) {
	facts := catalogue.Embedded()
	offerings, err := offered(facts.Offerings(o.region), o)
	if err != nil {
		return nil, err
	}
	types := slices.DeleteFunc(facts.Types, func(t cloud.InstanceType) bool {
		return !slices.ContainsFunc(offerings, func(offering cloud.Offering) bool { return offering.InstanceType == t.Name })
	})
	script, err := readScript(o.script)
	if err != nil {
		return nil, err
	}
	return sim.New(sim.Config{
		Seed: o.seed, Now: time.Now, Wait: wait, Region: o.region, ClusterName: o.cluster, Types: types, Offerings: offerings,
		DefaultStock: o.stock, Boot: sim.Delay(o.boot), Visible: sim.Delay(o.visible), Join: sim.Delay(o.join), GPU: sim.Delay(o.gpu),
		ShutDown: sim.Delay(o.shutDown), NoticeLead: o.noticeLead, QuietStates: o.quietStates, IgnoreTokens: o.ignoreTokens, Script: script,
	})
}

func offered(all []cloud.Offering, o options) ([]cloud.Offering, error) {
	zones, patterns := list(o.zones), list(o.types)
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("--types: %q: %w", pattern, err)
		}
	}
	kept := slices.DeleteFunc(all, func(offering cloud.Offering) bool {
		wanted := len(patterns) == 0 || slices.ContainsFunc(patterns, func(pattern string) bool {
			matched, _ := path.Match(pattern, offering.InstanceType)
			return matched
		})
		return !wanted || len(zones) > 0 && !slices.Contains(zones, offering.Zone)
	})
	if len(kept) == 0 {
		return nil, fmt.Errorf("nothing is offered in region %s, zones %q, types %q: the embedded facts know no such machine", o.region, o.zones, o.types)
	}
	return kept, nil
}

func list(text string) []string {
	return slices.DeleteFunc(strings.Split(text, ","), func(s string) bool { return s == "" })
}

func readScript(name string) ([]sim.Fault, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the script: %w", err)
	}
	defer file.Close()
	faults, err := sim.Parse(file)
	if err != nil {
		return nil, fmt.Errorf("reading the script %s: %w", name, err)
	}
	return faults, nil
}

// readPolicy answers nil, which allows everything, where there is no file.
func readPolicy(name string) (*policy.Set, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	set, err := policy.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the policy %s: %w", name, err)
	}
	return set, nil
}

func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-timer.C:
	}
	return nil
}

// access answers how to reach the cluster that machines join.
func access(o options) (*rest.Config, error) {
	if o.inCluster {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("reaching the cluster that this pod is in: %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return config, nil
}

// newPlayer answers a player on the cluster that the flags name, and tells EKS's side how machines reach that.
func newPlayer(o options, region *sim.Cloud, log *slog.Logger, cluster *wire.Cluster) (*machine.Player, error) {
	config, err := access(o)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 1000, 2000 // one client stands for hundreds of kubelets
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, fmt.Errorf("reading the kubeconfig's certificates: %w", err)
	}
	cluster.Endpoint = config.Host
	if len(config.CAData) > 0 {
		cluster.CA = config.CAData
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a Kubernetes client: %w", err)
	}
	return machine.New(machine.Config{Cloud: region, Client: client, Log: log, Tick: o.tick, PodStart: o.podStart, PodStop: o.podStop})
}

// serve answers requests and plays machines until ctx ends or one of the two fails.
func serve(ctx context.Context, o options, handler http.Handler, player *machine.Player, log *slog.Logger) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return ctx }} // long polls end with us
	served, played := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	go func() {
		if player != nil {
			played <- player.Run(ctx)
			return
		}
		<-ctx.Done()
		played <- nil
	}()
	url := "http://" + listener.Addr().String()
	log.Info("serving", "url", url, "cluster", o.cluster, "queue", o.queue, "region", o.region)
	if err := writeURL(o.urlFile, url); err != nil {
		cancel(err)
	}
	var failure error
	select {
	case <-ctx.Done():
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			failure = cause
		}
	case failure = <-served:
		served <- http.ErrServerClosed
	case failure = <-played:
		played <- nil
	}
	cancel(nil)
	return errors.Join(failure, end(ctx, server, served), <-played)
}

// end lets open requests finish and answers what kept the server from ending well.
func end(ctx context.Context, server *http.Server, served <-chan error) error {
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), graceful)
	defer stop()
	err := server.Shutdown(last)
	if late := <-served; !errors.Is(late, http.ErrServerClosed) {
		err = errors.Join(err, late)
	}
	return err
}

// writeURL writes the whole file at once, so that whoever waits for it never reads half of it.
func writeURL(name, url string) error {
	if name == "" {
		return nil
	}
	half := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".part")
	if err := os.WriteFile(half, []byte(url+"\n"), 0o644); err != nil {
		return fmt.Errorf("writing the URL: %w", err)
	}
	if err := os.Rename(half, name); err != nil {
		return fmt.Errorf("writing the URL: %w", err)
	}
	return nil
}
