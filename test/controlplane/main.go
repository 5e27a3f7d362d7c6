// Command controlplane is a whole Kubernetes control plane in one program: etcd, kube-apiserver, kube-scheduler and
// kube-controller-manager, each the unchanged upstream command of the release that go.mod names.
//
//	controlplane etcd --data-dir=...
//	controlplane kube-apiserver --etcd-servers=...
//	controlplane kube-scheduler --kubeconfig=...
//	controlplane kube-controller-manager --kubeconfig=...
//	controlplane version
//
// Slipway's promises are about what the real scheduler and the real controllers do with the nodes it launches, so its
// tests run against the real ones. No place that a test machine can reach without a container registry serves all four
// as binaries (envtest's assets have no scheduler), but the Go module proxy serves their source; hence this module. It
// is nested, so that nothing of k8s.io/kubernetes enters the module that Slipway is built from.
//
// The four share one program because most of each is the same code, which is then linked and stored once. They never
// share a process: every call runs one of them and leaves the other three asleep.
// Called by another name (a symlink named kube-scheduler, say) the program is that component, so that a directory of
// four symlinks serves as envtest's KUBEBUILDER_ASSETS.
//
// Package github.com/slipway-sh/slipway/test/cluster starts and stops it, and that package's command build compiles it
// (make controlplane).
package main

import (
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // CronJob time zones, as upstream's own mains do: a bare machine has no zone files.

	"github.com/spf13/cobra"
	etcdversion "go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client-go's metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // the build info metric
	"k8s.io/component-base/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// inputs is a digest of this module's sources, set by the linker. The command that builds the program reads it back to
// see whether the program is up to date.
var inputs = "unknown"

const usage = `usage: controlplane etcd|kube-apiserver|kube-scheduler|kube-controller-manager [flags]
       controlplane version`

func main() {
	args := os.Args
	if run := component(filepath.Base(args[0])); run != nil {
		os.Exit(run(args[1:]))
	}
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	run := component(args[1])
	if run == nil {
		fmt.Fprintf(os.Stderr, "controlplane: no component is named %q\n%s\n", args[1], usage)
		os.Exit(2)
	}
	os.Exit(run(args[2:]))
}

// component returns what runs the named component with its flags and returns its exit code; nil if there is none.
// It builds no command before it is asked to: building registers flags, and the four define the same ones.
func component(name string) func(flags []string) int {
	switch name {
	case "etcd":
		return runEtcd
	case "kube-apiserver":
		return func(flags []string) int { return runKube(apiserver.NewAPIServerCommand(), flags) }
	case "kube-scheduler":
		return func(flags []string) int { return runKube(scheduler.NewSchedulerCommand(), flags) }
	case "kube-controller-manager":
		return func(flags []string) int { return runKube(controllermanager.NewControllerManagerCommand(), flags) }
	case "version":
		return printVersions
	}
	return nil
}

// runEtcd hands over to etcd's own main, which exits the process itself when it fails or is told to stop.
func runEtcd(flags []string) int {
	etcdmain.Main(append([]string{"etcd"}, flags...))
	return 0
}

func runKube(command *cobra.Command, flags []string) int {
	command.SetArgs(flags)
	return cli.Run(command)
}

func printVersions([]string) int {
	fmt.Printf("kubernetes %s\netcd v%s\ninputs %s\n", version.Get().GitVersion, etcdversion.Version, inputs)
	return 0
}
