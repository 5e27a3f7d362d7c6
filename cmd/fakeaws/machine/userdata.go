package machine

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Boot is what a machine's user data asks of its kubelet.
type Boot struct {
	Cluster string
	cloud.NodeConfig
	// InstanceStore: the NVMe disks take the kubelet's files.
	InstanceStore bool
}

// ParseUserData reads MIME multipart with NodeConfigs of nodeadm, a bare NodeConfig, or Bottlerocket's TOML. An error is
// what keeps the machine from joining.
func ParseUserData(text string) (Boot, error) {
	trimmed := strings.TrimSpace(text)
	var boot Boot
	var err error
	switch {
	case trimmed == "":
		return Boot{}, errors.New("there is no user data: nothing tells the machine which cluster to join")
	case strings.HasPrefix(trimmed, "MIME-Version:"), strings.HasPrefix(trimmed, "Content-Type: multipart/"):
		err = boot.readMIME(trimmed)
	case strings.HasPrefix(trimmed, "apiVersion:"), strings.HasPrefix(trimmed, "---"):
		err = boot.readNodeConfig(trimmed)
	default:
		err = boot.readTOML(trimmed)
	}
	if err == nil {
		err = boot.check()
	}
	return boot, err
}

// check refuses what a kubelet refuses to start with.
func (b Boot) check() error {
	if b.Cluster == "" {
		return errors.New("the user data names no cluster")
	}
	for key := range b.Labels {
		if !maySetLabel(key) {
			return fmt.Errorf("the kubelet does not start: unknown kubernetes.io or k8s.io label %q specified with --node-labels", key)
		}
	}
	for _, t := range b.Taints {
		if t.Effect != "NoSchedule" && t.Effect != "NoExecute" && t.Effect != "PreferNoSchedule" {
			return fmt.Errorf("the kubelet does not start: taint %s has the effect %q", t.Key, t.Effect)
		}
	}
	return nil
}

// maySetLabel says whether a kubelet may set a label on its own node.
func maySetLabel(key string) bool {
	prefix, _, found := strings.Cut(key, "/")
	if !found || !isUnder(prefix, "kubernetes.io") && !isUnder(prefix, "k8s.io") {
		return true
	}
	if isUnder(prefix, "kubelet.kubernetes.io") || isUnder(prefix, "node.kubernetes.io") {
		return true
	}
	switch key {
	case "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
		"beta.kubernetes.io/os", "beta.kubernetes.io/arch", "beta.kubernetes.io/instance-type",
		"failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region":
		return true
	}
	return false
}

func isUnder(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

// readMIME reads each part that is a NodeConfig; the later one wins, as in nodeadm. Scripts are not played.
func (b *Boot) readMIME(text string) error {
	message, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		return fmt.Errorf("reading the user data's header: %w", err)
	}
	kind, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return fmt.Errorf("the user data is of type %q; want multipart", kind)
	}
	configs := 0
	for parts := multipart.NewReader(message.Body, params["boundary"]); ; {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the user data's parts: %w", err)
		}
		if kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind != "application/node.eks.aws" {
			continue
		}
		body, err := io.ReadAll(part)
		if err != nil {
			return fmt.Errorf("reading a NodeConfig: %w", err)
		}
		if err := b.readNodeConfig(string(body)); err != nil {
			return err
		}
		configs++
	}
	if configs == 0 {
		return errors.New("the user data has no part of type application/node.eks.aws")
	}
	return nil
}

// nodeConfig is the part of nodeadm's NodeConfig that decides how a node registers.
type nodeConfig struct {
	Kind string `json:"kind"`
	Spec struct {
		Cluster struct {
			Name                 string `json:"name"`
			APIServerEndpoint    string `json:"apiServerEndpoint"`
			CertificateAuthority string `json:"certificateAuthority"`
			CIDR                 string `json:"cidr"`
		} `json:"cluster"`
		Kubelet struct {
			Config kubeletConfig `json:"config"`
			Flags  []string      `json:"flags"`
		} `json:"kubelet"`
		Instance struct {
			LocalStorage struct {
				Strategy string `json:"strategy"`
			} `json:"localStorage"`
		} `json:"instance"`
	} `json:"spec"`
}

type kubeletConfig struct {
	MaxPods            *int32            `json:"maxPods"`
	PodsPerCore        *int32            `json:"podsPerCore"`
	KubeReserved       map[string]string `json:"kubeReserved"`
	SystemReserved     map[string]string `json:"systemReserved"`
	EvictionHard       map[string]string `json:"evictionHard"`
	RegisterWithTaints []cloud.Taint     `json:"registerWithTaints"`
}

func (b *Boot) readNodeConfig(text string) error {
	var config nodeConfig
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return fmt.Errorf("reading a NodeConfig: %w", err)
	}
	if config.Kind != "NodeConfig" {
		return fmt.Errorf("nodeadm does not start: the kind is %q; want NodeConfig", config.Kind)
	}
	if c := config.Spec.Cluster; c.Name != "" {
		if c.APIServerEndpoint == "" || c.CertificateAuthority == "" || c.CIDR == "" {
			return errors.New("nodeadm does not start: apiServerEndpoint, certificateAuthority and cidr are all needed in the NodeConfig's cluster")
		}
		b.Cluster = c.Name
	}
	switch strategy := config.Spec.Instance.LocalStorage.Strategy; strategy {
	case "": // says nothing, as Mount does about these files
	case "RAID0", "RAID10":
		b.InstanceStore = true
	case "Mount":
		b.InstanceStore = false
	default:
		return fmt.Errorf("nodeadm does not start: localStorage has the strategy %q; want RAID0, RAID10 or Mount", strategy)
	}
	b.overlay(config.Spec.Kubelet.Config)
	for _, flag := range config.Spec.Kubelet.Flags {
		name, value, _ := strings.Cut(flag, "=")
		if name != "--node-labels" {
			continue
		}
		if err := b.readLabels(value); err != nil {
			return err
		}
	}
	return nil
}

func (b *Boot) overlay(c kubeletConfig) {
	k := &b.Kubelet
	if c.MaxPods != nil {
		k.MaxPods = c.MaxPods
	}
	if c.PodsPerCore != nil {
		k.PodsPerCore = c.PodsPerCore
	}
	k.KubeReserved = merged(k.KubeReserved, c.KubeReserved)
	k.SystemReserved = merged(k.SystemReserved, c.SystemReserved)
	k.EvictionHard = merged(k.EvictionHard, c.EvictionHard)
	if c.RegisterWithTaints != nil {
		b.Taints = c.RegisterWithTaints
	}
}

func merged(a, b map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}

func (b *Boot) readLabels(list string) error {
	labels := map[string]string{}
	for _, pair := range strings.Split(list, ",") {
		if pair == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return fmt.Errorf("the kubelet does not start: --node-labels has %q; want key=value", pair)
		}
		labels[key] = value
	}
	b.Labels = merged(b.Labels, labels)
	return nil
}

// bottlerocket is the part of Bottlerocket's settings that decides how a node registers.
type bottlerocket struct {
	Settings struct {
		Kubernetes struct {
			ClusterName        string              `toml:"cluster-name"`
			APIServer          string              `toml:"api-server"`
			ClusterCertificate string              `toml:"cluster-certificate"`
			NodeLabels         map[string]string   `toml:"node-labels"`
			NodeTaints         map[string][]string `toml:"node-taints"`
			MaxPods            *int32              `toml:"max-pods"`
			KubeReserved       map[string]string   `toml:"kube-reserved"`
			SystemReserved     map[string]string   `toml:"system-reserved"`
			EvictionHard       map[string]string   `toml:"eviction-hard"`
		} `toml:"kubernetes"`
		BootstrapCommands map[string]struct {
			Commands [][]string `toml:"commands"`
		} `toml:"bootstrap-commands"`
	} `toml:"settings"`
}

func (b *Boot) readTOML(text string) error {
	var all bottlerocket
	if err := toml.Unmarshal([]byte(text), &all); err != nil {
		return fmt.Errorf("reading the user data as Bottlerocket's settings: %w", err)
	}
	k := all.Settings.Kubernetes
	if k.APIServer == "" || k.ClusterCertificate == "" {
		return errors.New("bottlerocket does not start: settings.kubernetes needs api-server and cluster-certificate")
	}
	b.Cluster, b.Labels = k.ClusterName, k.NodeLabels
	for _, bootstrap := range all.Settings.BootstrapCommands {
		for _, command := range bootstrap.Commands {
			bind := len(command) > 2 && command[1] == "ephemeral-storage" && command[2] == "bind"
			b.InstanceStore = b.InstanceStore || bind && slices.Contains(command, "/var/lib/kubelet")
		}
	}
	b.Kubelet = cloud.Kubelet{MaxPods: k.MaxPods, KubeReserved: k.KubeReserved, SystemReserved: k.SystemReserved, EvictionHard: k.EvictionHard}
	for key, values := range k.NodeTaints {
		for _, text := range values {
			value, effect, found := strings.Cut(text, ":")
			if !found {
				return fmt.Errorf("bottlerocket does not start: taint %s is %q; want value:effect", key, text)
			}
			b.Taints = append(b.Taints, cloud.Taint{Key: key, Value: value, Effect: effect})
		}
	}
	return nil
}
