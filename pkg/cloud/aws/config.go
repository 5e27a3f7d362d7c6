package aws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/middleware"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Config is what the adapter must be told. Only ClusterName is required.
type Config struct {
	// ClusterName is the EKS cluster's name, 1 to 100 characters. It is part of tags and names: never change it.
	ClusterName string
	// ClusterEndpoint (https URL), ClusterCA (base64 of PEM), ServiceCIDR and KubernetesVersion (1.37) go into the user
	// data and image paths of nodes. Each that is empty is taken from EKS DescribeCluster.
	ClusterEndpoint   string
	ClusterCA         string
	ServiceCIDR       string
	KubernetesVersion string
	// Region overrides AWS_REGION and the shared config.
	Region string
	// InterruptionQueue is the name of the SQS queue with EventBridge events; empty: there are no notices.
	InterruptionQueue string
	// IsolatedVPC says that the endpoints of Pricing and IAM cannot be reached: prices are the embedded ones, and node
	// classes must name an instance profile.
	IsolatedVPC bool
	// OnCall, if set, is told of every attempt on the wire, retries included. It is called from many goroutines.
	OnCall func(service, operation string, seconds float64, err error)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Validate says what is wrong with the configuration, all of it at once.
func (c Config) Validate() error {
	var errs []error
	if len(c.ClusterName) < 1 || len(c.ClusterName) > 100 {
		errs = append(errs, errors.New("cluster name: must have 1 to 100 characters; say which EKS cluster (--cluster-name)"))
	}
	if c.ServiceCIDR != "" {
		if _, _, err := net.ParseCIDR(c.ServiceCIDR); err != nil {
			errs = append(errs, fmt.Errorf("service CIDR: %w; leave it empty to ask EKS", err))
		}
	}
	if v := c.KubernetesVersion; v != "" && !minorVersion.MatchString(v) {
		errs = append(errs, fmt.Errorf("kubernetes version: %q is not of the form 1.37; leave it empty to ask EKS", v))
	}
	return errors.Join(errs...)
}

// Cloud holds the adapter's four parts. They share clients, but no state that a caller could see.
type Cloud struct {
	Catalog   *Catalog
	Templates *Templates
	Fleet     *Fleet
	// Notices is nil where no interruption queue is configured.
	Notices cloud.NoticeSource
	// Region is where all of it is.
	Region string
}

const (
	// attemptTimeout bounds one HTTP exchange; it must exceed SQS's long poll.
	attemptTimeout = 30 * time.Second
	maxAttempts    = 3
	// maxBackoff is short: the callers' own loops back off for longer, and tell the user meanwhile.
	maxBackoff = 3 * time.Second
)

// New loads credentials and region the SDK's usual way and asks EKS for the facts of the cluster that the Config
// leaves out. Every call that the clients retry is idempotent, by a token or by nature.
func New(ctx context.Context, cfg Config) (*Cloud, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking the AWS configuration: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	sdk, err := loadSDK(ctx, cfg)
	if err != nil {
		return nil, err
	}
	facts := &clusterFacts{api: eks.NewFromConfig(sdk), cfg: cfg}
	if _, err := facts.get(ctx); err != nil {
		return nil, fmt.Errorf("looking up cluster %s: %w", cfg.ClusterName, err)
	}
	ec2Client := ec2.NewFromConfig(sdk)
	catalog := &Catalog{region: sdk.Region, isolated: cfg.IsolatedVPC, now: cfg.Now, ec2: ec2Client, pricing: pricingClient(sdk)}
	profiles := &profiles{api: iam.NewFromConfig(sdk), cluster: cfg.ClusterName, region: sdk.Region, isolated: cfg.IsolatedVPC}
	fleet := newFleet(ec2Client, facts, cfg)
	c := &Cloud{
		Catalog: catalog,
		Templates: &Templates{
			network: ec2Client, images: ec2Client, parameters: ssm.NewFromConfig(sdk), profiles: profiles, cluster: facts, made: fleet.templates,
		},
		Fleet:  fleet,
		Region: sdk.Region,
	}
	if cfg.InterruptionQueue != "" {
		c.Notices = &Notices{api: sqs.NewFromConfig(sdk), queue: cfg.InterruptionQueue, now: cfg.Now}
	}
	return c, nil
}

func loadSDK(ctx context.Context, cfg Config) (awssdk.Config, error) {
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRetryer(func() awssdk.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = maxAttempts
				o.MaxBackoff = maxBackoff
			})
		}),
		// The SDK's own buildable client: with AWS_CA_BUNDLE set, the SDK refuses a plain http.Client.
		awsconfig.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attemptTimeout)),
		awsconfig.WithAppID("slipway"),
		awsconfig.WithEC2IMDSRegion(), // the last resort; most clusters let no pod ask, and IRSA and Pod Identity set AWS_REGION
	}
	if cfg.Region != "" {
		options = append(options, awsconfig.WithRegion(cfg.Region))
	}
	if cfg.OnCall != nil {
		options = append(options, awsconfig.WithAPIOptions([]func(*middleware.Stack) error{observe(cfg.OnCall, cfg.Now)}))
	}
	sdk, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return awssdk.Config{}, fmt.Errorf("loading the AWS configuration (set AWS_REGION or the region option if the machine does not tell its region): %w", err)
	}
	if sdk.Region == "" {
		return awssdk.Config{}, errors.New("no AWS region: set AWS_REGION or the region option")
	}
	return sdk, nil
}

// pricingClient points at one of the few regions that serve the price list; each of them knows the prices of all.
func pricingClient(sdk awssdk.Config) *pricing.Client {
	return pricing.NewFromConfig(sdk, func(o *pricing.Options) { o.Region = pricingRegion(sdk.Region) })
}
