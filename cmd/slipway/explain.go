package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/explain"
	"github.com/slipway-sh/slipway/pkg/provisioner/record"
)

// explainFlags are the flags of `slipway explain`.
type explainFlags struct {
	kubeconfig string
	context    string
	namespace  string
	output     string
	view       string
}

// explanation is what `slipway explain` answers.
type explanation interface {
	WriteText(to io.Writer, now time.Time) error
}

func explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Say why a pod waits and what is on its way for it, or why a node is the one it is and what keeps it",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.register(cmd.PersistentFlags())
	pod := &cobra.Command{
		Use: "pod NAME", Short: "Why it waits, or what is on its way for it", Args: oneName,
		Example: "  slipway explain pod train-0 -n research\n  slipway explain pod train-0 -o json --view 2026-11-01T12-00-00Z.json.gz",
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, f.pod, args[0]) },
	}
	pod.Flags().StringVarP(&f.namespace, "namespace", "n", "", "namespace of the pod; empty: that of the kubeconfig's context")
	node := &cobra.Command{
		Use: "node NAME", Short: "Why it is the one it is, and what keeps it; NAME is that of the Node or of the NodeClaim", Args: oneName,
		Example: "  slipway explain node ip-10-0-12-34.ec2.internal\n  slipway explain node gpu-0123456789",
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, f.node, args[0]) },
	}
	cmd.AddCommand(pod, node)
	return cmd
}

// oneName wants one name, and says of what.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("there are %d names: want one, as in %s", len(args), cmd.UseLine())
	}
	return nil
}

func (f *explainFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; empty: $KUBECONFIG, then ~/.kube/config")
	flags.StringVar(&f.context, "context", "", "context of the kubeconfig; empty: its current one")
	flags.StringVarP(&f.output, "output", "o", "text", "text, json or yaml")
	flags.StringVar(&f.view, "view", "", "explain what a recorded View shows (slipway controller --record-views) instead of a cluster")
}

// run answers what is asked and prints it.
func (f *explainFlags) run(cmd *cobra.Command, ask func(context.Context, string) (explanation, time.Time, error), name string) error {
	if f.output != "text" && f.output != "json" && f.output != "yaml" {
		return fmt.Errorf("--output %q: use text, json or yaml", f.output)
	}
	answer, now, err := ask(cmd.Context(), name)
	if err != nil {
		return err
	}
	to := cmd.OutOrStdout()
	switch f.output {
	case "json":
		encoder := json.NewEncoder(to)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(answer)
	case "yaml":
		text, err := yaml.Marshal(answer)
		if err != nil {
			return fmt.Errorf("writing YAML: %w", err)
		}
		_, err = to.Write(text)
		return err
	default:
		return answer.WriteText(to, now)
	}
}

func (f *explainFlags) pod(ctx context.Context, name string) (explanation, time.Time, error) {
	if f.view != "" {
		v, now, err := f.recorded()
		if err != nil {
			return nil, now, err
		}
		namespace := f.namespace
		if namespace == "" {
			namespace = "default"
		}
		answer, err := v.Pod(namespace, name)
		return answer, now, err
	}
	c, namespace, err := f.cluster()
	if err != nil {
		return nil, time.Time{}, err
	}
	answer, err := c.Pod(ctx, namespace, name)
	if errors.Is(err, explain.ErrNotFound) && f.namespace == "" {
		err = fmt.Errorf("%w; name its namespace with -n", err)
	}
	return answer, time.Now(), err
}

func (f *explainFlags) node(ctx context.Context, name string) (explanation, time.Time, error) {
	if f.view != "" {
		v, now, err := f.recorded()
		if err != nil {
			return nil, now, err
		}
		answer, err := v.Node(name)
		return answer, now, err
	}
	c, _, err := f.cluster()
	if err != nil {
		return nil, time.Time{}, err
	}
	answer, err := c.Node(ctx, name)
	return answer, time.Now(), err
}

// recorded decides about a recorded View again.
func (f *explainFlags) recorded() (*explain.View, time.Time, error) {
	r, err := record.Read(f.view)
	if err != nil {
		return nil, time.Time{}, err
	}
	v, err := explain.OfView(r.View, r.Policy)
	return v, r.View.Now, err
}

// cluster finds the cluster and the namespace as kubectl does.
func (f *explainFlags) cluster() (explain.Cluster, string, error) {
	config, namespace, err := f.kubernetes()
	if err != nil {
		return explain.Cluster{}, "", err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return explain.Cluster{}, "", fmt.Errorf("registering kinds: %w", err)
	}
	reader, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return explain.Cluster{}, "", fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	return explain.Cluster{Reader: reader, Now: time.Now}, namespace, nil
}

// kubernetes answers where the cluster is, and the namespace that is meant.
func (f *explainFlags) kubernetes() (*rest.Config, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: f.context}
	overrides.Context.Namespace = f.namespace
	finding := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	config, err := finding.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("finding the cluster (set --kubeconfig or --context): %w", err)
	}
	namespace, _, err := finding.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig's namespace: %w", err)
	}
	config.UserAgent = "slipway-explain/" + version
	return config, namespace, nil
}
