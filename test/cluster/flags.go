package cluster

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

const (
	loopback     = "127.0.0.1"
	issuer       = "https://kubernetes.default.svc.cluster.local"
	serviceRange = "10.96.0.0/16"
	open         = "/healthz,/livez,/readyz,/metrics" // what scheduler and controller manager show to anybody
)

// defaultSchedulerConfig is upstream's but for the longest time between two tries for a pod that did not fit: tests
// wait for the try after a node has joined, and ten seconds would be most of their time.
const defaultSchedulerConfig = `
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
podInitialBackoffSeconds: 1
podMaxBackoffSeconds: 2
`

// flags returns a component's command line. It is called with the lock held.
func (c *Cluster) flags(name Component) ([]string, error) {
	var flags []string
	var err error
	switch name {
	case Etcd:
		flags = c.etcdFlags()
	case APIServer:
		flags = append(c.apiServerFlags(), c.servingFlags(name)...)
	case Scheduler:
		flags = append(c.servingFlags(name), "--config="+c.file("scheduler.yaml"),
			"--authorization-always-allow-paths="+open)
		err = c.writeSchedulerConfig()
	case ControllerManager:
		flags = append(c.controllerManagerFlags(), c.servingFlags(name)...)
	}
	return append(flags, c.options.Flags[name]...), err
}

// etcdFlags has etcd answer before the disk does: only the machine's own crash could lose data, and a test does not
// outlive that. The peer's port is never used, so any will do.
func (c *Cluster) etcdFlags() []string {
	return []string{
		"--data-dir=" + filepath.Join(c.Dir, string(Etcd), "data"),
		"--listen-client-urls=" + endpoint(Etcd, c.ports[Etcd]),
		"--advertise-client-urls=" + endpoint(Etcd, c.ports[Etcd]),
		"--listen-peer-urls=http://" + loopback + ":0",
		"--unsafe-no-fsync",
	}
}

func (c *Cluster) apiServerFlags() []string {
	flags := []string{
		"--etcd-servers=" + endpoint(Etcd, c.ports[Etcd]),
		"--advertise-address=" + loopback,
		// A Service cannot have a loopback address behind it, which is the only one there is.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + serviceRange,
		"--client-ca-file=" + c.file(caFile),
		"--service-account-issuer=" + issuer,
		"--service-account-key-file=" + c.file(accountFile),
		"--service-account-signing-key-file=" + c.file(accountFile),
		// As kubeadm has it. A machine's own identity may then set only what a kubelet may.
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		// A test's burst of requests comes from one client; fair shares are not what it is about.
		"--max-requests-inflight=4000",
		"--max-mutating-requests-inflight=2000",
		"--profiling=false",
	}
	if !c.has(ControllerManager) {
		flags = append(flags, "--disable-admission-plugins=ServiceAccount")
	}
	if len(c.options.RuntimeConfig) > 0 {
		flags = append(flags, "--runtime-config="+pairs(c.options.RuntimeConfig))
	}
	return flags
}

func (c *Cluster) controllerManagerFlags() []string {
	return []string{
		"--kubeconfig=" + c.file(kubeconfigFile(ControllerManager)),
		"--leader-elect=false",
		"--use-service-account-credentials=true", // each controller with its own rights, as in production
		"--service-account-private-key-file=" + c.file(accountFile),
		"--root-ca-file=" + c.file(caFile),
		"--cluster-signing-cert-file=" + c.file(caFile),
		"--cluster-signing-key-file=" + c.file(caKeyFile),
		"--authorization-always-allow-paths=" + open,
		"--node-monitor-period=1s",
		"--kube-api-qps=2000",
		"--kube-api-burst=4000",
		// The default is a directory of the machine's, which it would create.
		"--flex-volume-plugin-dir=" + filepath.Join(c.Dir, string(ControllerManager), "volume-plugins"),
		"--profiling=false",
	}
}

// servingFlags is what the three Kubernetes components have in common.
func (c *Cluster) servingFlags(name Component) []string {
	flags := []string{
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(c.ports[name]),
		"--tls-cert-file=" + c.file(servingFile),
		"--tls-private-key-file=" + c.file(servingKeyFile),
	}
	if len(c.options.FeatureGates) > 0 {
		flags = append(flags, "--feature-gates="+pairs(c.options.FeatureGates))
	}
	return flags
}

// writeSchedulerConfig writes the given or the default configuration with the access that this cluster grants.
func (c *Cluster) writeSchedulerConfig() error {
	text := c.options.SchedulerConfig
	if len(text) == 0 {
		text = []byte(defaultSchedulerConfig)
	}
	config := map[string]any{}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("reading its configuration: %w", err)
	}
	config["leaderElection"] = map[string]any{"leaderElect": false}
	config["clientConnection"] = map[string]any{
		"kubeconfig": c.file(kubeconfigFile(Scheduler)), "qps": 2000, "burst": 4000,
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		return fmt.Errorf("writing its configuration: %w", err)
	}
	if err := os.WriteFile(c.file("scheduler.yaml"), text, 0o600); err != nil {
		return fmt.Errorf("writing its configuration: %w", err)
	}
	return nil
}

func (c *Cluster) has(name Component) bool { return !slices.Contains(c.options.Without, name) }

func (c *Cluster) file(name string) string { return filepath.Join(c.Dir, name) }

func endpoint(name Component, port int) string {
	scheme := "https"
	if name == Etcd {
		scheme = "http"
	}
	return fmt.Sprintf("%s://%s:%d", scheme, loopback, port)
}

// healthPath is where a component says that it can do its work; the controller manager only says that it is alive.
func healthPath(name Component) string {
	switch name {
	case Etcd:
		return "/health"
	case ControllerManager:
		return "/healthz"
	}
	return "/readyz"
}

func pairs(switches map[string]bool) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(switches)) {
		parts = append(parts, fmt.Sprintf("%s=%t", key, switches[key]))
	}
	return strings.Join(parts, ",")
}
