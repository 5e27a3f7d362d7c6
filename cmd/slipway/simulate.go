package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/record"
	"github.com/slipway-sh/slipway/pkg/simulate"
)

// simulateFlags are the flags of `slipway simulate`.
type simulateFlags struct {
	files      []string
	cluster    bool
	kubeconfig string
	view       string
	region     string
	catalogue  string
	prices     string
	stockouts  []string
	spread     string
	steps      int
	output     string
	html       string
	embedded   bool
}

const simulateHelp = `Say which nodes Slipway would launch for manifests, a live cluster or a recorded View, and launch nothing.

Manifests are Provisioners (also of karpenter.sh/v1alpha5), EC2NodeClasses, and what makes pods: Pods, Jobs, CronJobs, Deployments, ReplicaSets,
StatefulSets, DaemonSets (as overhead), Kubeflow's training jobs, JobSets, LeaderWorkerSets, RayClusters, KServe's InferenceServices and more.
Nodes, Namespaces, volumes, priority and runtime classes are heeded where they are given. Nothing is asked of AWS: what is assumed is listed.

Exit code: 0 every pod has a place, 2 some are held, 1 an error, or a recorded View gave another decision.`

const simulateExamples = `  slipway simulate -f examples/workloads
  kubectl get pods,nodes -A -o json | slipway simulate -f - -f provisioner.yaml
  slipway simulate --cluster -f new-training-job.yaml --stockout 'p4d.24xlarge/*/spot'
  slipway simulate -f manifests --html plan.html
  slipway simulate --view views/view-20260823T120000.000000000Z-000.json.gz`

func simulateCommand() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use: "simulate", Short: "Say which nodes would be launched, and launch nothing", Long: simulateHelp, Example: simulateExamples,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.files, "filename", "f", nil, "manifest, directory of manifests at any depth, or - for stdin; repeatable")
	flags.BoolVar(&f.cluster, "cluster", false, "read a live cluster; manifests are laid over it; nothing is written")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file of the live cluster; empty: $KUBECONFIG, then ~/.kube/config")
	flags.StringVar(&f.view, "view", "", "replay a View that slipway controller --record-views wrote, and compare")
	flags.StringVar(&f.region, "region", "", "AWS region; empty: that of the nodes, else "+simulate.DefaultRegion)
	flags.StringVar(&f.catalogue, "catalogue", "", "file of instance types and prices in place of the embedded ones; see --print-catalogue")
	flags.StringVar(&f.prices, "prices", "", `file of dollars per hour by type/zone/market, such as g4dn.xlarge/*/spot: "0.157"`)
	flags.StringArrayVar(&f.stockouts, "stockout", nil, "type/zone/market that EC2 has no capacity of, * for any; repeatable")
	registerDefaultSpread(flags, &f.spread)
	flags.IntVar(&f.steps, "steps", 0, "effort of the solver; 0: as the controller, 1: the first answer")
	flags.StringVarP(&f.output, "output", "o", "text", "text, json or yaml")
	flags.StringVar(&f.html, "html", "", "also write a page to look at, in one file without anything from elsewhere")
	flags.BoolVar(&f.embedded, "print-catalogue", false, "print the embedded catalogue of the region, to be changed and given to --catalogue")
	return cmd
}

// errHeld ends the program with code 2: the simulation went well, and some pods are held.
var errHeld = errors.New("some pods are held")

func (f *simulateFlags) run(ctx context.Context, stdin io.Reader, out io.Writer) error {
	if f.output != "text" && f.output != "json" && f.output != "yaml" {
		return fmt.Errorf("--output %q: use text, json or yaml", f.output)
	}
	if f.embedded {
		return f.printCatalogue(out)
	}
	result, err := f.simulate(ctx, stdin)
	if err != nil {
		return err
	}
	if err := f.write(&result, out); err != nil {
		return err
	}
	if p := result.Replay; p != nil && !p.Same && !p.Changed && !p.Foreign {
		return errors.New("the recorded View gave another decision: see Differences")
	}
	if result.Summary.Held > 0 {
		return errHeld
	}
	return nil
}

func (f *simulateFlags) simulate(ctx context.Context, stdin io.Reader) (simulate.Result, error) {
	changes := simulate.Changes{Steps: f.steps}
	var err error
	if f.prices != "" {
		if changes.Prices, err = simulate.ReadPrices(f.prices); err != nil {
			return simulate.Result{}, err
		}
	}
	for _, text := range f.stockouts {
		pattern, err := simulate.ParsePattern(text)
		if err != nil {
			return simulate.Result{}, fmt.Errorf("--stockout %w", err)
		}
		changes.Stockouts = append(changes.Stockouts, pattern)
	}
	if f.view != "" {
		if len(f.files) > 0 || f.cluster || f.catalogue != "" || f.region != "" || f.spread != "" {
			return simulate.Result{}, errors.New("--view is a whole cluster: it does not go with --filename, --cluster, --catalogue, --region or " +
				"--default-spread-constraints")
		}
		r, err := record.Read(f.view)
		if err != nil {
			return simulate.Result{}, err
		}
		return simulate.Replayed(r, changes)
	}
	return f.gather(ctx, stdin, changes)
}

func (f *simulateFlags) gather(ctx context.Context, stdin io.Reader, changes simulate.Changes) (simulate.Result, error) {
	if len(f.files) == 0 && !f.cluster {
		return simulate.Result{}, errors.New("nothing to simulate: use --filename, --cluster or --view")
	}
	c := simulate.Config{Region: f.region, Prices: changes.Prices, Stockouts: changes.Stockouts, Now: time.Now()}
	var err error
	if c.DefaultSpread, err = demand.ReadDefaultSpread(f.spread); err != nil {
		return simulate.Result{}, fmt.Errorf("--default-spread-constraints: %w", err)
	}
	if c.Manifests, err = simulate.ReadManifests(f.files, stdin); err != nil {
		return simulate.Result{}, err
	}
	if f.cluster {
		if c.Live, err = f.client(); err != nil {
			return simulate.Result{}, err
		}
	}
	if f.catalogue != "" {
		file, err := simulate.ReadCatalogue(f.catalogue)
		if err != nil {
			return simulate.Result{}, err
		}
		c.Catalogue = &file
	}
	scenario, err := simulate.Gather(ctx, c)
	if err != nil {
		return simulate.Result{}, err
	}
	return simulate.Run(scenario, plan.Policy{Steps: f.steps})
}

// client reads the live cluster, and is not asked to do anything else.
func (f *simulateFlags) client() (client.Reader, error) {
	config, err := (&controllerFlags{kubeconfig: f.kubeconfig}).kubernetes()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, karpenterv1alpha5.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	return c, nil
}

func (f *simulateFlags) write(result *simulate.Result, out io.Writer) error {
	if f.html != "" {
		if err := writeFile(f.html, result.WritePage); err != nil {
			return fmt.Errorf("writing --html: %w", err)
		}
	}
	switch f.output {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(result); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	case "yaml":
		text, err := yaml.Marshal(result)
		if err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
		if _, err := out.Write(text); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	default:
		if err := result.WriteText(out); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	}
	return nil
}

func (f *simulateFlags) printCatalogue(out io.Writer) error {
	region := f.region
	if region == "" {
		region = simulate.DefaultRegion
	}
	file, err := simulate.EmbeddedCatalogue(region)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(file)
}

// writeFile writes a file anew.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
