package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// maxUserDataBytes is EC2's limit, before base64.
const maxUserDataBytes = 16384

// userData answers what a machine is told when it boots, in the form of its image's family: how to reach the cluster,
// and the labels, taints and kubelet settings to register with. The user's own part is kept; where both say something
// about the same thing, ours stands, because the planner relied on it. A custom image gets the user's text verbatim.
func userData(c cluster, t cloud.Template, node cloud.NodeConfig) (string, error) {
	var text string
	var err error
	switch t.Family {
	case FamilyAL2023:
		text, err = nodeadmUserData(c, t.Spec, node)
	case FamilyBottlerocket:
		text, err = bottlerocketUserData(c, t.Spec, node)
	default:
		text = t.Spec.UserData
		if strings.TrimSpace(text) == "" {
			err = &cloud.MisconfiguredError{Field: fieldUserData, Message: "is empty, and the image is of no family that Slipway can bootstrap; write user data that joins the cluster, or select al2023 or bottlerocket by alias"}
		}
	}
	if err != nil {
		return "", err
	}
	if len(text) > maxUserDataBytes {
		return "", &cloud.MisconfiguredError{Field: fieldUserData, Message: fmt.Sprintf(
			"the whole user data has %d bytes with Slipway's part, EC2 takes %d; shorten it, or let it fetch a script", len(text), maxUserDataBytes)}
	}
	return text, nil
}

// nodeLabels answers the labels that a kubelet may set on its own node. It refuses to start with any other label of
// kubernetes.io or k8s.io; the controller puts those on the node itself.
func nodeLabels(labels map[string]string) map[string]string {
	allowed := maps.Clone(labels)
	maps.DeleteFunc(allowed, func(key, _ string) bool { return !kubeletMaySet(key) })
	return allowed
}

func kubeletMaySet(key string) bool {
	domain, _, hasDomain := strings.Cut(key, "/")
	within := func(parent string) bool { return domain == parent || strings.HasSuffix(domain, "."+parent) }
	switch {
	case !hasDomain || !within("kubernetes.io") && !within("k8s.io"):
		return true
	case within("kubelet.kubernetes.io"), within("node.kubernetes.io"):
		return true
	}
	return slices.Contains([]string{
		"kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch",
		"beta.kubernetes.io/os", "beta.kubernetes.io/arch", "beta.kubernetes.io/instance-type",
		"topology.kubernetes.io/zone", "topology.kubernetes.io/region",
		"failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
	}, key)
}

// sortedTaints answers the taints by key, effect, value: equal sets of taints make equal user data.
func sortedTaints(taints []cloud.Taint) []cloud.Taint {
	return slices.SortedFunc(slices.Values(taints), func(a, b cloud.Taint) int {
		return slices.Compare([]string{a.Key, a.Effect, a.Value}, []string{b.Key, b.Effect, b.Value})
	})
}
