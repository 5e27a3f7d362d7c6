package main

import (
	"context"
	"fmt"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/zapr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-sh/slipway/pkg/cloud/aws"
	"github.com/slipway-sh/slipway/pkg/provisioner/app"
	"github.com/slipway-sh/slipway/pkg/provisioner/grow"
	"github.com/slipway-sh/slipway/pkg/provisioner/record"
)

// controllerFlags are the flags of `slipway controller`.
type controllerFlags struct {
	kubeconfig string
	logLevel   string
	logFormat  string
	foresight  bool
	nominate   bool
	karpenter  bool
	aws        aws.Config
	app        app.Config
}

func (f *controllerFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; empty: the pod's service account, then $KUBECONFIG, then ~/.kube/config")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", "json", "json or console")

	registerAWS(flags, &f.aws)

	registerDefaultSpread(flags, &f.app.DefaultSpread)

	limits := record.DefaultLimits()
	flags.StringVar(&f.app.RecordViews, "record-views", "", "directory that keeps what decisions are made from, for slipway simulate --view; empty: none is kept")
	flags.IntVar(&f.app.RecordLimits.Files, "record-views-files", limits.Files, "how many files that directory holds at most; the oldest goes first")
	flags.Int64Var(&f.app.RecordLimits.Bytes, "record-views-bytes", limits.Bytes, "how many bytes that directory holds at most")

	flags.StringVar(&f.app.MetricsAddress, "metrics-bind-address", ":8080", "address of /metrics; 0 switches it off")
	flags.StringVar(&f.app.ProbeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 switches it off")
	flags.BoolVar(&f.app.LeaderElection, "leader-elect", true, "let one of several replicas lead")
	flags.StringVar(&f.app.LeaderElectionNamespace, "leader-election-namespace", "slipway", "namespace of the lease")

	windows := grow.DefaultWindows()
	flags.DurationVar(&f.app.Windows.Idle, "batch-idle", windows.Idle, "decide once no pod has arrived for so long")
	flags.DurationVar(&f.app.Windows.Most, "batch-max", windows.Most, "decide at the latest so long after the first arrival")
	flags.DurationVar(&f.app.Windows.Tick, "tick", windows.Tick, "look again at least so often")
	flags.BoolVar(&f.foresight, "foresight", true, "leave room on new nodes to pods that are expected, from what came lately, when few wait")
	flags.DurationVar(&f.app.Deadlines.Launch, "launch-deadline", 5*time.Minute, "how long EC2 may take to sell a machine")
	flags.DurationVar(&f.app.Deadlines.Join, "join-deadline", 15*time.Minute, "how long a machine may take to join as a node")
	flags.DurationVar(&f.app.Deadlines.Ready, "ready-deadline", 15*time.Minute, "how long a node may take to show all its GPUs")
	flags.DurationVar(&f.app.NoticeMargin, "notice-margin", 30*time.Second, "how long before EC2 takes a node its last pod has been asked to stop")
	flags.BoolVar(&f.nominate, "nominate", true, "name the planned node in status.nominatedNodeName of pods, so that kube-scheduler tries it first")
	flags.BoolVar(&f.karpenter, "karpenter-compat", true, "carry over Provisioners of karpenter.sh/v1alpha5 where the cluster serves them")
	flags.DurationVar(&f.app.FenceSettle, "fence-settle", 5*time.Second, "how long an idle node is fenced before it is looked at for the last time")
}

// registerDefaultSpread has the flag that says what the cluster's scheduler is configured with.
func registerDefaultSpread(flags *pflag.FlagSet, to *string) {
	flags.StringVar(to, "default-spread-constraints", "",
		"defaultConstraints of the scheduler's PodTopologySpreadArgs with defaultingType List, as YAML or JSON; empty: it has none")
}

// registerAWS has the flags that say where in AWS the cluster is.
func registerAWS(flags *pflag.FlagSet, config *aws.Config) {
	flags.StringVar(&config.ClusterName, "cluster-name", "", "name of the EKS cluster (required)")
	flags.StringVar(&config.ClusterEndpoint, "cluster-endpoint", "", "URL of the Kubernetes API for nodes; empty: asked of EKS")
	flags.StringVar(&config.ClusterCA, "cluster-ca", "", "certificate authority of the Kubernetes API, base64 of PEM; empty: asked of EKS")
	flags.StringVar(&config.ServiceCIDR, "service-cidr", "", "range of service addresses; empty: asked of EKS")
	flags.StringVar(&config.Region, "region", "", "AWS region; empty: AWS_REGION or the shared configuration")
	flags.StringVar(&config.InterruptionQueue, "interruption-queue", "", "SQS queue with EventBridge's events of EC2; empty: nodes go without warning")
	flags.BoolVar(&config.IsolatedVPC, "isolated-vpc", false, "the endpoints of Pricing and IAM cannot be reached")
}

func controllerCommand() *cobra.Command {
	var f controllerFlags
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Run the controller",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context()) },
	}
	f.register(cmd.Flags())
	return cmd
}

func (f *controllerFlags) run(ctx context.Context) error {
	log, err := f.logger()
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // stderr cannot be synced on every system
	f.app.Program = version
	f.app.Log = zapr.NewLogger(log)
	ctrl.SetLogger(f.app.Log)
	klog.SetLogger(f.app.Log)
	if f.app.Kubernetes, err = f.kubernetes(); err != nil {
		return err
	}
	f.app.Foresight.Off = !f.foresight
	f.app.WithoutNominations = !f.nominate
	f.app.WithoutKarpenter = !f.karpenter
	// Nine tenths of the container's limit, so that the Go runtime collects harder before there is no memory left; GOMEMLIMIT goes first.
	if _, err := memlimit.Set(); err != nil {
		f.app.Log.V(1).Info("No memory limit is known", "reason", err.Error())
	}
	f.app.Log.Info("Starting the controller", "version", version, "cluster", f.aws.ClusterName)
	a, err := app.OnAWS(ctx, f.app, f.aws)
	if ctx.Err() != nil {
		return nil // told to end while it waited for AWS
	}
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

func (f *controllerFlags) logger() (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(f.logLevel)
	if err != nil {
		return nil, fmt.Errorf("--log-level %q: use debug, info, warn or error", f.logLevel)
	}
	config := zap.NewProductionConfig()
	switch f.logFormat {
	case "json":
	case "console":
		config = zap.NewDevelopmentConfig()
	default:
		return nil, fmt.Errorf("--log-format %q: use json or console", f.logFormat)
	}
	config.Level = zap.NewAtomicLevelAt(level)
	config.Sampling = nil
	config.DisableStacktrace = true
	config.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	return config.Build()
}

func (f *controllerFlags) kubernetes() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the Kubernetes API (set --kubeconfig, or run in a pod): %w", err)
	}
	config.UserAgent = "slipway/" + version
	// The API server's priority and fairness is the better judge of how much is too much.
	config.QPS, config.Burst = -1, 0
	return config, nil
}
