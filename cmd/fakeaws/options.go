package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// options are the flags.
type options struct {
	listen, urlFile, kubeconfig         string
	region, zones, types                string
	cluster, queue, account, kubernetes string
	serviceCIDR, script, logLevel       string
	policy                              string
	seed                                uint64
	stock                               int
	boot, visible, join, gpu, shutDown  delayFlag
	fleet                               delayFlag
	noticeLead, podStart, podStop, tick time.Duration
	pricing, ignoreTokens, quietStates  bool
	inCluster                           bool
}

// delayFlag reads a delay: 30s, or 20s-40s for one drawn evenly in between.
type delayFlag sim.Delay

func (d *delayFlag) String() string {
	if d.Jitter == 0 {
		return d.Base.String()
	}
	return d.Base.String() + "-" + (d.Base + d.Jitter).String()
}

func (d *delayFlag) Set(text string) error {
	low, high, isRange := strings.Cut(text, "-")
	base, err := time.ParseDuration(low)
	if err != nil {
		return fmt.Errorf("want a duration such as 30s, or a range such as 20s-40s: %w", err)
	}
	most := base
	if isRange {
		if most, err = time.ParseDuration(high); err != nil {
			return fmt.Errorf("want a range such as 20s-40s: %w", err)
		}
	}
	if base < 0 || most < base {
		return fmt.Errorf("the range %s must go up from zero or more", text)
	}
	*d = delayFlag{Base: base, Jitter: most - base}
	return nil
}

// parseOptions answers flag.ErrHelp after it printed the help that was asked for.
func parseOptions(args []string, output io.Writer) (options, error) {
	o := options{
		boot: delayFlag{Base: 20 * time.Second, Jitter: 15 * time.Second}, visible: delayFlag{Base: time.Second, Jitter: time.Second},
		join: delayFlag{Base: 10 * time.Second, Jitter: 10 * time.Second}, gpu: delayFlag{Base: 15 * time.Second, Jitter: 15 * time.Second},
		shutDown: delayFlag{Base: 20 * time.Second, Jitter: 20 * time.Second},
	}
	f := flag.NewFlagSet("fakeaws", flag.ContinueOnError)
	f.SetOutput(output)
	o.bindAccount(f)
	o.bindMachines(f)
	if err := f.Parse(args); err != nil {
		return options{}, err
	}
	if f.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected arguments %q: everything is a flag; see --help", f.Args())
	}
	o.queue = cmp.Or(o.queue, o.cluster)
	return o, o.validate()
}

func (o *options) bindAccount(f *flag.FlagSet) {
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "address to serve at; port 0 is any free one")
	f.StringVar(&o.urlFile, "url-file", "", "file to write the URL into once it is served")
	f.StringVar(&o.region, "region", "us-east-1", "the region that is played")
	f.StringVar(&o.zones, "zones", "", "comma-separated zones to offer machines in; empty: all of the region")
	f.StringVar(&o.types, "types", "", "comma-separated globs of instance types to offer, such as g4dn.*,p3.*; empty: all")
	f.StringVar(&o.account, "account", "123456789012", "the account's number")
	f.StringVar(&o.cluster, "cluster-name", "demo", "the EKS cluster's name")
	f.StringVar(&o.kubernetes, "kubernetes-version", sim.KubernetesVersion, "the version that EKS says the cluster has")
	f.StringVar(&o.serviceCIDR, "service-cidr", "10.100.0.0/16", "the service network that EKS says the cluster has")
	f.StringVar(&o.queue, "queue-name", "", "the SQS queue's name; empty: the cluster's")
	f.BoolVar(&o.pricing, "pricing", true, "offer the Pricing API")
	f.IntVar(&o.stock, "stock", sim.Unlimited, "machines of each offering that can run at once; -1: no limit")
	f.StringVar(&o.script, "script", "", "file of faults: see the documentation of sim.Parse")
	f.StringVar(&o.policy, "policy", "", "file with the IAM policy of whoever calls, or a JSON list of policies, of all but the access key administrator; empty: everything is allowed")
	f.Uint64Var(&o.seed, "seed", 1, "seed of everything that is left to chance")
	f.BoolVar(&o.ignoreTokens, "ignore-tokens", false, "treat every launch as a new one, whatever its client token")
	f.Var(&o.fleet, "fleet-time", "time that a CreateFleet takes; half of it passes before machines are bought; 1s, or 1s-2s for a time in between")
	f.BoolVar(&o.quietStates, "quiet-states", false, "send no notices of state changes")
	f.DurationVar(&o.noticeLead, "notice-lead", sim.DefaultNoticeLead, "time between a spot warning and the machine's end")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
}

func (o *options) bindMachines(f *flag.FlagSet) {
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "cluster that the machines join; empty, and not --in-cluster: machines are not played")
	f.BoolVar(&o.inCluster, "in-cluster", false, "the machines join the cluster in which fakeaws runs as a pod")
	f.Var(&o.boot, "boot", "time from launch to running; 30s, or 20s-40s for a time in between, as for the next four")
	f.Var(&o.visible, "visible", "time from launch until EC2 describes a machine")
	f.Var(&o.join, "join", "time from running to joining the cluster")
	f.Var(&o.gpu, "gpu-delay", "time from joining to showing the GPUs")
	f.Var(&o.shutDown, "shutdown", "time from shutting-down to terminated")
	f.DurationVar(&o.podStart, "pod-start", time.Second, "time from a pod's being bound to its running")
	f.DurationVar(&o.podStop, "pod-stop", time.Second, "time that a pod takes to stop, where its annotation says nothing")
	f.DurationVar(&o.tick, "tick", 100*time.Millisecond, "how often the machines are played")
}

func (o options) validate() error {
	var errs []error
	if o.cluster == "" {
		errs = append(errs, errors.New("--cluster-name must not be empty"))
	}
	if o.inCluster && o.kubeconfig != "" {
		errs = append(errs, errors.New("--kubeconfig and --in-cluster name two clusters; machines join one"))
	}
	if o.stock < sim.Unlimited || o.stock == 0 {
		errs = append(errs, fmt.Errorf("--stock is %d; want 1 or more, or -1 for no limit", o.stock))
	}
	for name, d := range map[string]time.Duration{"notice-lead": o.noticeLead, "pod-start": o.podStart, "pod-stop": o.podStop} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("--%s must not be negative", name))
		}
	}
	if o.tick <= 0 {
		errs = append(errs, errors.New("--tick must be above zero"))
	}
	return errors.Join(errs...)
}
