package aws

import (
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Tag keys on what Slipway makes. IAM policies refer to them: to change one is to break a user's permissions.
const (
	// TagName is what the EC2 console shows.
	TagName = "Name"
	// TagClusterPrefix and the cluster's name are a key with the value "owned".
	TagClusterPrefix = "kubernetes.io/cluster/"
	// TagEKSCluster holds the cluster's name, as EKS itself tags.
	TagEKSCluster = "eks:eks-cluster-name"
	// TagProvisioner, TagClaim, TagClaimUID and TagNodeClass hold the names (and UID) of what a machine was launched for.
	TagProvisioner = "slipway.sh/provisioner"
	TagClaim       = "slipway.sh/claim"
	TagClaimUID    = "slipway.sh/claim-uid"
	TagNodeClass   = "slipway.sh/nodeclass"
	// TagRegion is on instance profiles: IAM is the same in all regions, where clusters may have the same name.
	TagRegion = "topology.kubernetes.io/region"
)

const tagOwned = "owned"

func clusterTag(cluster string) string { return TagClusterPrefix + cluster }

// ec2Tags lists tags sorted by key, so that equal tags make equal requests.
func ec2Tags(tags map[string]string) []ec2types.Tag {
	list := make([]ec2types.Tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, ec2types.Tag{Key: awssdk.String(key), Value: awssdk.String(tags[key])})
	}
	return list
}

func tagMap(tags []ec2types.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[awssdk.ToString(t.Key)] = awssdk.ToString(t.Value)
	}
	return m
}
