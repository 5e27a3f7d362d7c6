package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

var minorVersion = regexp.MustCompile(`^1\.[0-9]{1,3}$`)

// cluster is what a node must know to join.
type cluster struct {
	Name              string
	Endpoint          string
	CA                string // base64 of PEM
	ServiceCIDR       string
	KubernetesVersion string // 1.37
}

type clusterAPI interface {
	DescribeCluster(context.Context, *eks.DescribeClusterInput, ...func(*eks.Options)) (*eks.DescribeClusterOutput, error)
}

const (
	clusterTimeout = 10 * time.Second
	// clusterFreshFor bounds how long an upgrade of the control plane goes unnoticed: images follow its version.
	clusterFreshFor = 5 * time.Minute
)

// clusterFacts answers the facts of the cluster: those configured, and for the rest what EKS said last.
type clusterFacts struct {
	api clusterAPI
	cfg Config

	mu    sync.Mutex
	last  cluster
	known bool
	at    time.Time
}

// get answers the facts. Once they were had, an EKS that fails or is slow does not fail or hold up anybody else: the
// last answer stands.
func (c *clusterFacts) get(ctx context.Context) (cluster, error) {
	configured := cluster{
		Name: c.cfg.ClusterName, Endpoint: c.cfg.ClusterEndpoint, CA: c.cfg.ClusterCA,
		ServiceCIDR: c.cfg.ServiceCIDR, KubernetesVersion: c.cfg.KubernetesVersion,
	}
	if configured.complete() {
		return configured, nil
	}
	last, known, fresh := c.remembered()
	if fresh {
		return last, nil
	}
	described, err := c.describe(ctx)
	if err != nil {
		if known {
			return last, nil
		}
		return cluster{}, err
	}
	merged := configured.or(described)
	if !merged.complete() {
		return cluster{}, fmt.Errorf("EKS does not answer endpoint, certificate, service CIDR and version of cluster %s (is it still being created?); set them as options", merged.Name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.known, c.at = merged, true, c.cfg.Now()
	return merged, nil
}

// remembered answers what is known. It counts a stale answer as fresh from now on, so that only one caller asks anew.
func (c *clusterFacts) remembered() (last cluster, known, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Now()
	fresh = c.known && now.Sub(c.at) < clusterFreshFor
	if c.known && !fresh {
		c.at = now
	}
	return c.last, c.known, fresh
}

func (c *clusterFacts) describe(ctx context.Context) (cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	out, err := c.api.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: awssdk.String(c.cfg.ClusterName)})
	if err != nil {
		if notFound := (*ekstypes.ResourceNotFoundException)(nil); errors.As(err, &notFound) {
			return cluster{}, &cloud.MisconfiguredError{Field: "cluster name", Message: fmt.Sprintf(
				"EKS knows no cluster %q in this region; correct the name or the region", c.cfg.ClusterName)}
		}
		return cluster{}, callError("eks:DescribeCluster", err)
	}
	d := out.Cluster
	if d == nil {
		return cluster{}, errors.New("EKS answered without a cluster")
	}
	facts := cluster{Name: c.cfg.ClusterName, Endpoint: awssdk.ToString(d.Endpoint), KubernetesVersion: awssdk.ToString(d.Version)}
	if d.CertificateAuthority != nil {
		facts.CA = awssdk.ToString(d.CertificateAuthority.Data)
	}
	if n := d.KubernetesNetworkConfig; n != nil {
		facts.ServiceCIDR = awssdk.ToString(n.ServiceIpv4Cidr)
		if facts.ServiceCIDR == "" {
			facts.ServiceCIDR = awssdk.ToString(n.ServiceIpv6Cidr)
		}
	}
	return facts, nil
}

func (c cluster) complete() bool {
	return c.Endpoint != "" && c.CA != "" && c.ServiceCIDR != "" && c.KubernetesVersion != ""
}

// or fills what is empty from other.
func (c cluster) or(other cluster) cluster {
	return cluster{
		Name:              c.Name,
		Endpoint:          cmp.Or(c.Endpoint, other.Endpoint),
		CA:                cmp.Or(c.CA, other.CA),
		ServiceCIDR:       cmp.Or(c.ServiceCIDR, other.ServiceCIDR),
		KubernetesVersion: cmp.Or(c.KubernetesVersion, other.KubernetesVersion),
	}
}
