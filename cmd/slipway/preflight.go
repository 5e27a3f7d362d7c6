package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud/aws"
	"github.com/slipway-sh/slipway/pkg/preflight"
	"github.com/slipway-sh/slipway/pkg/simulate"
)

// preflightFlags are the flags of `slipway preflight`.
type preflightFlags struct {
	aws           aws.Config
	files         []string
	kubeconfig    string
	context       string
	withoutKube   bool
	output        string
	reported      []preflight.Result
	kubernetesErr error
}

const preflightHelp = `Look whether Slipway can do its work in this account and cluster, and change nothing. Each check is one line: OK, WARN, FAIL or SKIP, what
was found, and what helps.

It looks with the credentials that it is run with. Those of the controller are tried inside its pod, where the controller's own flags hold
unless they are given:

  kubectl -n slipway-system exec deploy/slipway -- /slipway preflight

What would change something is a dry run of EC2. SKIP is what these credentials may not look at, or what there is nothing yet to try on.

Exit code: 0 nothing fails, 1 something does, or preflight could not run.`

func preflightCommand() *cobra.Command {
	var f preflightFlags
	cmd := &cobra.Command{
		Use: "preflight", Short: "Look whether Slipway can do its work in this account and cluster, and say what helps", Long: preflightHelp,
		Example: `  slipway preflight --cluster-name my-cluster --interruption-queue slipway-my-cluster
  slipway preflight --cluster-name my-cluster -f examples/ec2nodeclass.yaml --without-cluster -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := adopt(cmd.Flags(), controllerArguments("/proc/1/cmdline")); err != nil {
				return err
			}
			return f.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	registerAWS(flags, &f.aws)
	flags.StringArrayVarP(&f.files, "filename", "f", nil, "manifests with EC2NodeClasses to look at besides those of the cluster: a file, a directory, or - for stdin; repeatable")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; empty: the pod's service account, $KUBECONFIG, then ~/.kube/config")
	flags.StringVar(&f.context, "context", "", "context of the kubeconfig; empty: its current one")
	flags.BoolVar(&f.withoutKube, "without-cluster", false, "look at AWS only")
	flags.StringVarP(&f.output, "output", "o", "text", "text, a line as soon as it is known, or json, all at the end")
	return cmd
}

// controllerArguments answers the arguments of the controller in whose container this runs, whose first process it is. Elsewhere there are none.
func controllerArguments(cmdline string) []string {
	text, err := os.ReadFile(cmdline)
	if err != nil {
		return nil
	}
	args := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	if len(args) < 2 || filepath.Base(args[0]) != "slipway" || args[1] != "controller" {
		return nil
	}
	return args[2:]
}

// adopt sets the flags that were not given to what the controller was given.
func adopt(flags *pflag.FlagSet, args []string) error {
	var c controllerFlags
	theirs := pflag.NewFlagSet("controller", pflag.ContinueOnError)
	c.register(theirs)
	if err := theirs.Parse(args); err != nil {
		return fmt.Errorf("reading the controller's arguments: %w", err)
	}
	var errs []error
	theirs.Visit(func(their *pflag.Flag) {
		if ours := flags.Lookup(their.Name); ours != nil && !ours.Changed {
			errs = append(errs, flags.Set(their.Name, their.Value.String()))
		}
	})
	return errors.Join(errs...)
}

func (f *preflightFlags) run(ctx context.Context, stdin io.Reader, out io.Writer) error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("--output %q: use text or json", f.output)
	}
	config, err := f.config(ctx, stdin)
	if err != nil {
		return err
	}
	config.Report = func(r preflight.Result) {
		f.reported = append(f.reported, r)
		if f.output == "text" {
			_, err = fmt.Fprintln(out, line(r))
		}
	}
	if f.kubernetesErr != nil {
		config.Report(preflight.Result{Check: "Kubernetes", Status: preflight.Fail, Message: f.kubernetesErr.Error(), Remedy: "or look at AWS only with --without-cluster"})
	}
	if err := errors.Join(preflight.Run(ctx, config), err); err != nil {
		return err
	}
	return f.end(out)
}

// line is a check in one line: FAIL  queue: there is no ...; remedy: ...
func line(r preflight.Result) string {
	text := fmt.Sprintf("%-4s  %s: %s", r.Status, r.Check, r.Message)
	if r.Remedy != "" {
		text += "; remedy: " + r.Remedy
	}
	return text
}

func (f *preflightFlags) end(out io.Writer) error {
	if f.output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(map[string]any{"status": preflight.Worst(f.reported), "checks": f.reported}); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	}
	failed := 0
	for _, r := range f.reported {
		if r.Status == preflight.Fail {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks fail", failed, len(f.reported))
	}
	return nil
}

// config gathers what is looked at. A cluster that cannot be found is a finding: AWS is looked at all the same.
func (f *preflightFlags) config(ctx context.Context, stdin io.Reader) (preflight.Config, error) {
	config := preflight.Config{Queue: f.aws.InterruptionQueue}
	var err error
	if config.AWS, err = aws.NewSurvey(ctx, f.aws); err != nil {
		return config, err
	}
	manifests, err := simulate.ReadManifests(f.files, stdin)
	if err != nil {
		return config, err
	}
	for _, m := range manifests {
		if class, isClass := m.Object.(*v1alpha1.EC2NodeClass); isClass {
			config.Classes = append(config.Classes, class)
		}
	}
	if len(f.files) > 0 && len(config.Classes) == 0 {
		return config, errors.New("--filename: there is no EC2NodeClass of slipway.sh/v1alpha1 in it")
	}
	if f.withoutKube {
		return config, nil
	}
	config.Cluster, config.Version, f.kubernetesErr = f.cluster()
	return config, nil
}

// cluster answers what asks the cluster, or nothing and why.
func (f *preflightFlags) cluster() (client.Reader, func() (*apiversion.Info, error), error) {
	flags := &explainFlags{kubeconfig: f.kubeconfig, context: f.context}
	cluster, _, err1 := flags.cluster()
	rest, _, err2 := flags.kubernetes()
	if err := cmp.Or(err1, err2); err != nil {
		return nil, nil, err
	}
	asking, err := discovery.NewDiscoveryClientForConfig(rest)
	if err != nil {
		return nil, nil, fmt.Errorf("making a discovery client: %w", err)
	}
	return cluster.Reader, asking.ServerVersion, nil
}
