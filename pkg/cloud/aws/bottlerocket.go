package aws

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/pelletier/go-toml/v2"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// bottlerocketUserData answers Bottlerocket's settings as TOML: the user's, with Slipway's on top.
func bottlerocketUserData(c cluster, spec cloud.TemplateSpec, node cloud.NodeConfig) (string, error) {
	settings := map[string]any{}
	if err := toml.Unmarshal([]byte(spec.UserData), &settings); err != nil {
		return "", &cloud.MisconfiguredError{Field: fieldUserData, Message: fmt.Sprintf("is not TOML: %v; Bottlerocket takes its settings as TOML", err)}
	}
	kubernetes, err := bottlerocketKubernetes(c, node)
	if err != nil {
		return "", err
	}
	ours := map[string]any{"kubernetes": kubernetes}
	if spec.InstanceStore {
		ours["bootstrap-commands"] = map[string]any{"000-slipway-instance-store": instanceStore()}
	}
	if err := overlay(settings, map[string]any{"settings": ours}, ""); err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(settings); err != nil {
		return "", fmt.Errorf("writing the Bottlerocket settings: %w", err)
	}
	return b.String(), nil
}

// instanceStore has Bottlerocket (1.22 and later) make one RAID 0 of all NVMe disks and put containerd's, the kubelet's and the pods' files on it,
// at each boot.
func instanceStore() map[string]any {
	return map[string]any{
		"commands": [][]string{
			{"apiclient", "ephemeral-storage", "init"},
			{"apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods"},
		},
		"mode": "always", "essential": true,
	}
}

// bottlerocketKubernetes answers the table settings.kubernetes.
func bottlerocketKubernetes(c cluster, node cloud.NodeConfig) (map[string]any, error) {
	k := node.Kubelet
	if k.PodsPerCore != nil {
		return nil, &cloud.MisconfiguredError{Field: "spec.template.kubelet.podsPerCore", Message: "Bottlerocket has no such setting; use maxPods"}
	}
	table := map[string]any{
		"api-server": c.Endpoint, "cluster-certificate": c.CA, "cluster-name": c.Name,
	}
	if len(k.ClusterDNS) > 0 {
		table["cluster-dns-ip"] = k.ClusterDNS
	}
	for name, value := range map[string]*int32{"max-pods": k.MaxPods, "eviction-max-pod-grace-period": k.EvictionMaxPodGracePeriod} {
		if value != nil {
			table[name] = int64(*value)
		}
	}
	for name, value := range map[string]*int32{
		"image-gc-high-threshold-percent": k.ImageGCHighThresholdPercent, "image-gc-low-threshold-percent": k.ImageGCLowThresholdPercent,
	} {
		if value != nil {
			table[name] = strconv.Itoa(int(*value)) // Bottlerocket wants these as text
		}
	}
	if k.CPUCFSQuota != nil {
		table["cpu-cfs-quota-enforced"] = *k.CPUCFSQuota
	}
	for name, values := range map[string]map[string]string{
		"system-reserved": k.SystemReserved, "kube-reserved": k.KubeReserved, "eviction-hard": k.EvictionHard,
		"eviction-soft": k.EvictionSoft, "eviction-soft-grace-period": k.EvictionSoftGracePeriod,
		"node-labels": nodeLabels(node.Labels),
	} {
		if len(values) > 0 {
			table[name] = anyMap(values)
		}
	}
	if taints := bottlerocketTaints(node.Taints); len(taints) > 0 {
		table["node-taints"] = taints
	}
	return table, nil
}

// bottlerocketTaints answers key -> ["value:Effect", ...].
func bottlerocketTaints(taints []cloud.Taint) map[string]any {
	byKey := map[string][]string{}
	for _, t := range sortedTaints(taints) {
		byKey[t.Key] = append(byKey[t.Key], t.Value+":"+t.Effect)
	}
	table := map[string]any{}
	for key, values := range byKey {
		table[key] = values
	}
	return table
}

func anyMap(m map[string]string) map[string]any {
	table := make(map[string]any, len(m))
	for key, value := range m {
		table[key] = value
	}
	return table
}

// overlay writes ours over user's, table by table. A user's value where a table belongs is an error with its path.
func overlay(user, ours map[string]any, path string) error {
	for _, key := range slices.Sorted(maps.Keys(ours)) {
		value := ours[key]
		table, isTable := value.(map[string]any)
		if !isTable {
			user[key] = value
			continue
		}
		theirs, isTheirs := user[key].(map[string]any)
		if _, set := user[key]; set && !isTheirs {
			return &cloud.MisconfiguredError{Field: fieldUserData, Message: fmt.Sprintf("%s%s must be a table", path, key)}
		}
		if theirs == nil {
			theirs = map[string]any{}
			user[key] = theirs
		}
		if err := overlay(theirs, table, path+key+"."); err != nil {
			return err
		}
	}
	return nil
}
