package aws

import (
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// nodeConfig is nodeadm's NodeConfig, the part that Slipway writes.
type nodeConfig struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Spec       nodeConfigSpec `json:"spec"`
}

type nodeConfigSpec struct {
	Cluster  nodeConfigCluster   `json:"cluster"`
	Kubelet  nodeConfigKubelet   `json:"kubelet"`
	Instance *nodeConfigInstance `json:"instance,omitempty"`
}

// nodeConfigInstance has nodeadm make one RAID 0 of all NVMe disks and put the kubelet's, containerd's and the pods' files on it. A machine
// without such disks boots as if nothing was said.
type nodeConfigInstance struct {
	LocalStorage struct {
		Strategy string `json:"strategy"`
	} `json:"localStorage"`
}

type nodeConfigCluster struct {
	Name                 string `json:"name"`
	APIServerEndpoint    string `json:"apiServerEndpoint"`
	CertificateAuthority string `json:"certificateAuthority"`
	CIDR                 string `json:"cidr"`
}

type nodeConfigKubelet struct {
	Config kubeletConfig `json:"config"`
	Flags  []string      `json:"flags,omitempty"`
}

// kubeletConfig is the KubeletConfiguration, the fields that a Provisioner may set.
type kubeletConfig struct {
	MaxPods                     *int32            `json:"maxPods,omitempty"`
	PodsPerCore                 *int32            `json:"podsPerCore,omitempty"`
	ClusterDNS                  []string          `json:"clusterDNS,omitempty"`
	SystemReserved              map[string]string `json:"systemReserved,omitempty"`
	KubeReserved                map[string]string `json:"kubeReserved,omitempty"`
	EvictionHard                map[string]string `json:"evictionHard,omitempty"`
	EvictionSoft                map[string]string `json:"evictionSoft,omitempty"`
	EvictionSoftGracePeriod     map[string]string `json:"evictionSoftGracePeriod,omitempty"`
	EvictionMaxPodGracePeriod   *int32            `json:"evictionMaxPodGracePeriod,omitempty"`
	ImageGCHighThresholdPercent *int32            `json:"imageGCHighThresholdPercent,omitempty"`
	ImageGCLowThresholdPercent  *int32            `json:"imageGCLowThresholdPercent,omitempty"`
	CPUCFSQuota                 *bool             `json:"cpuCFSQuota,omitempty"`
	RegisterWithTaints          []kubeletTaint    `json:"registerWithTaints,omitempty"`
}

type kubeletTaint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

const (
	nodeConfigMediaType  = "application/node.eks.aws"
	nodeConfigAPIVersion = "node.eks.aws/v1alpha1"
)

// nodeadmUserData answers a MIME multipart document: the user's parts, then Slipway's NodeConfig. nodeadm merges
// NodeConfigs in the order of the document; the later one wins.
func nodeadmUserData(c cluster, spec cloud.TemplateSpec, node cloud.NodeConfig) (string, error) {
	parts, err := userParts(spec.UserData)
	if err != nil {
		return "", &cloud.MisconfiguredError{Field: fieldUserData, Message: err.Error()}
	}
	config := newNodeConfig(c, node)
	if spec.InstanceStore {
		config.Spec.Instance = &nodeConfigInstance{}
		config.Spec.Instance.LocalStorage.Strategy = "RAID0"
	}
	ours, err := yaml.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("writing the NodeConfig: %w", err)
	}
	return writeParts(append(parts, part{nodeConfigMediaType, string(ours)})), nil
}

func newNodeConfig(c cluster, node cloud.NodeConfig) nodeConfig {
	k := node.Kubelet
	config := kubeletConfig{
		MaxPods: k.MaxPods, PodsPerCore: k.PodsPerCore, ClusterDNS: k.ClusterDNS,
		SystemReserved: k.SystemReserved, KubeReserved: k.KubeReserved,
		EvictionHard: k.EvictionHard, EvictionSoft: k.EvictionSoft, EvictionSoftGracePeriod: k.EvictionSoftGracePeriod,
		EvictionMaxPodGracePeriod:   k.EvictionMaxPodGracePeriod,
		ImageGCHighThresholdPercent: k.ImageGCHighThresholdPercent, ImageGCLowThresholdPercent: k.ImageGCLowThresholdPercent,
		CPUCFSQuota: k.CPUCFSQuota,
	}
	for _, t := range sortedTaints(node.Taints) {
		config.RegisterWithTaints = append(config.RegisterWithTaints, kubeletTaint(t))
	}
	var flags []string
	if labels := nodeLabels(node.Labels); len(labels) > 0 {
		pairs := make([]string, 0, len(labels))
		for _, key := range slices.Sorted(maps.Keys(labels)) {
			pairs = append(pairs, key+"="+labels[key])
		}
		flags = []string{"--node-labels=" + strings.Join(pairs, ",")}
	}
	return nodeConfig{
		APIVersion: nodeConfigAPIVersion, Kind: "NodeConfig",
		Spec: nodeConfigSpec{
			Cluster: nodeConfigCluster{Name: c.Name, APIServerEndpoint: c.Endpoint, CertificateAuthority: c.CA, CIDR: c.ServiceCIDR},
			Kubelet: nodeConfigKubelet{Config: config, Flags: flags},
		},
	}
}

// part is one document of user data with its media type.
type part struct{ mediaType, body string }

// userParts reads what the user wrote: MIME multipart, a NodeConfig, a script or cloud-init's YAML.
func userParts(user string) ([]part, error) {
	trimmed := strings.TrimSpace(user)
	switch {
	case trimmed == "":
		return nil, nil
	case strings.HasPrefix(trimmed, "MIME-Version:"), strings.HasPrefix(trimmed, "Content-Type: multipart/"):
		return readParts(trimmed)
	case strings.HasPrefix(trimmed, "#!"):
		return []part{{`text/x-shellscript; charset="us-ascii"`, user}}, nil
	case strings.HasPrefix(trimmed, "#cloud-config"):
		return []part{{"text/cloud-config", user}}, nil
	}
	if err := checkNodeConfig(trimmed); err != nil {
		return nil, fmt.Errorf("is neither MIME multipart, nor a script (#!), nor #cloud-config, nor a NodeConfig: %w; begin it as one of these", err)
	}
	return []part{{nodeConfigMediaType, user}}, nil
}

func checkNodeConfig(text string) error {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		return err
	}
	if head.Kind != "NodeConfig" || !strings.HasPrefix(head.APIVersion, "node.eks.aws/") {
		return fmt.Errorf("its apiVersion is %q and its kind %q, not %s and NodeConfig", head.APIVersion, head.Kind, nodeConfigAPIVersion)
	}
	return nil
}

func readParts(text string) ([]part, error) {
	message, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("has a broken MIME header: %w", err)
	}
	mediaType, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(mediaType, "multipart/") || params["boundary"] == "" {
		return nil, fmt.Errorf("says MIME-Version, but its Content-Type %q is not multipart with a boundary", message.Header.Get("Content-Type"))
	}
	var parts []part
	reader := multipart.NewReader(message.Body, params["boundary"])
	for {
		p, err := reader.NextRawPart()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("breaks off in MIME part %d: %w", len(parts)+1, err)
		}
		if encoding := p.Header.Get("Content-Transfer-Encoding"); encoding != "" && !slices.Contains([]string{"7bit", "8bit", "binary"}, strings.ToLower(encoding)) {
			return nil, fmt.Errorf("has MIME part %d in transfer encoding %q; write it as plain text", len(parts)+1, encoding)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			return nil, fmt.Errorf("breaks off in MIME part %d: %w", len(parts)+1, err)
		}
		contentType := p.Header.Get("Content-Type")
		if strings.HasPrefix(contentType, nodeConfigMediaType) {
			if err := checkNodeConfig(string(body)); err != nil {
				return nil, fmt.Errorf("has a MIME part %d that is no NodeConfig: %w", len(parts)+1, err)
			}
		}
		parts = append(parts, part{contentType, string(body)})
	}
}

// writeParts uses a boundary that no part contains; the same parts always get the same one.
func writeParts(parts []part) string {
	boundary := "SLIPWAY"
	for slices.ContainsFunc(parts, func(p part) bool { return strings.Contains(p.body, "--"+boundary) }) {
		boundary += "X"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=%q\n", boundary)
	for _, p := range parts {
		fmt.Fprintf(&b, "\n--%s\n", boundary)
		if p.mediaType != "" {
			fmt.Fprintf(&b, "Content-Type: %s\n", p.mediaType)
		}
		fmt.Fprintf(&b, "\n%s", p.body)
		if !strings.HasSuffix(p.body, "\n") {
			b.WriteString("\n")
		}
	}
	fmt.Fprintf(&b, "\n--%s--\n", boundary)
	return b.String()
}
