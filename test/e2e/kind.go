package e2e

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/stack"
	"github.com/slipway-sh/slipway/test/stage"
)

const (
	fakeAWSPort = 6443 // which the chart's NetworkPolicy lets the controller reach, as it lets it reach AWS
	kindWaits   = 5 * time.Minute
)

//go:embed manifests/fakeaws.yaml
var fakeAWSManifest string

// kind is a cluster of `kind create cluster`, with fakeaws as a Deployment in it.
type kind struct {
	name, directory  string
	ours, previous   string // references of images
	config           *rest.Config
	client           kubernetes.Interface
	aws              stage.AWS
	say              func(format string, args ...any)
	keep, hasCluster bool
}

func openKind(ctx context.Context, o Options) (_ Cluster, err error) {
	k := &kind{name: fmt.Sprintf("slipway-e2e-%d", os.Getpid()), say: o.Say, keep: o.Keep}
	images := filepath.Join(o.Root, "bin", "image")
	archives := []string{filepath.Join(images, "slipway.tar"), filepath.Join(images, "fakeaws.tar")}
	if k.ours, err = reference(images, "slipway"); err != nil {
		return nil, err
	}
	theirs, err := reference(images, "fakeaws")
	if err != nil {
		return nil, err
	}
	if o.Previous != "" {
		before := filepath.Join(o.Previous, "bin", "image")
		archives = append(archives, filepath.Join(before, "slipway.tar"))
		if k.previous, err = reference(before, "slipway"); err != nil {
			return nil, err
		}
	}
	if k.directory, err = os.MkdirTemp("", k.name+"-"); err != nil {
		return nil, fmt.Errorf("making a directory for the kubeconfig: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.failed(ctx, filepath.Join(o.Out, "open")), k.Close())
		}
	}()
	if err := k.create(ctx); err != nil {
		return nil, err
	}
	for _, archive := range archives {
		if err := k.run(ctx, "kind", "load", "image-archive", archive, "--name", k.name); err != nil {
			return nil, err
		}
	}
	return k, k.install(ctx, theirs, o.FakeAWS)
}

// reference is what an image that `make image` has left in a directory is called.
func reference(directory, name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(directory, name+".ref"))
	if err != nil {
		return "", fmt.Errorf("finding the images (run `make image` first): %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// failed keeps what is known of a cluster that did not come about, as far as there is one.
func (k *kind) failed(ctx context.Context, directory string) error {
	if k.client == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return errors.Join(k.Gather(ctx, directory), keepObjects(ctx, k.client, filepath.Join(directory, "objects")))
}

// create makes the cluster, as KIND_NODE_IMAGE and KIND_CONFIG want it where they are set.
func (k *kind) create(ctx context.Context) error {
	arguments := []string{"create", "cluster", "--name", k.name, "--kubeconfig", k.Kubeconfig(), "--wait", kindWaits.String()}
	if image := os.Getenv("KIND_NODE_IMAGE"); image != "" {
		arguments = append(arguments, "--image", image)
	}
	if file := os.Getenv("KIND_CONFIG"); file != "" {
		arguments = append(arguments, "--config", file)
	}
	k.hasCluster = true
	if err := k.run(ctx, "kind", arguments...); err != nil {
		return err
	}
	var err error
	if k.config, err = clientcmd.BuildConfigFromFlags("", k.Kubeconfig()); err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	k.config.QPS = -1 // a story's burst of requests comes from one client
	if k.client, err = kubernetes.NewForConfig(k.config); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	transport, err := rest.HTTPClientFor(k.config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	k.aws = stage.AWS{Client: transport, URL: fmt.Sprintf("%s/api/v1/namespaces/%s/services/http:%s:http/proxy", strings.TrimSuffix(k.config.Host, "/"), fakeAWS, fakeAWS)}
	return nil
}

// install puts fakeaws into the cluster and waits until it answers.
func (k *kind) install(ctx context.Context, image string, flags []string) error {
	flags = append([]string{"--in-cluster", fmt.Sprintf("--listen=:%d", fakeAWSPort), "--region", stage.Region, "--cluster-name", stage.ClusterName,
		"--queue-name", stage.QueueName, "--policy=/policies/policies.json"}, flags...)
	arguments, err := json.Marshal(flags)
	if err != nil {
		return fmt.Errorf("writing fakeaws' arguments: %w", err)
	}
	policies, err := stack.ControllerPolicies(stage.ClusterName, stage.QueueName)
	if err != nil {
		return err
	}
	quoted, err := json.Marshal(string(policies))
	if err != nil {
		return fmt.Errorf("writing the controller's policies: %w", err)
	}
	manifest, err := template.New("fakeaws").Parse(fakeAWSManifest)
	if err != nil {
		return fmt.Errorf("reading fakeaws' manifest: %w", err)
	}
	var text bytes.Buffer
	if err := manifest.Execute(&text, map[string]string{"Image": image, "Arguments": string(arguments), "Policies": string(quoted)}); err != nil {
		return fmt.Errorf("filling in fakeaws' manifest: %w", err)
	}
	if err := cluster.ApplyManifests(ctx, k.config, text.Bytes()); err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, kindWaits, true, func(context.Context) (bool, error) {
		_, last = k.aws.Journal()
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for fakeaws: %w: %w", err, last)
	}
	return nil
}

// run runs a command; what it printed is part of its error.
func (k *kind) run(ctx context.Context, name string, arguments ...string) error {
	text, err := exec.CommandContext(ctx, name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %s %s: %w\n%s", name, strings.Join(arguments, " "), err, text)
	}
	return nil
}

func (k *kind) Config() *rest.Config               { return k.config }
func (k *kind) Kubeconfig() string                 { return filepath.Join(k.directory, "kubeconfig") }
func (k *kind) AWS() stage.AWS                     { return k.aws }
func (k *kind) Endpoint() string                   { return fmt.Sprintf("http://%s.%s.svc", fakeAWS, fakeAWS) }
func (k *kind) Image() (repository, tag string)    { return split(k.ours) }
func (k *kind) Previous() (repository, tag string) { return split(k.previous) }

// split parts a reference at its tag.
func split(reference string) (repository, tag string) {
	colon := strings.LastIndexByte(reference, ':')
	return reference[:max(colon, 0)], reference[colon+1:]
}

// killScript ends every process called slipway in the cgroups of the pods whose UIDs are its arguments. Systemd writes UIDs with underscores.
const killScript = `pids=
for uid in "$@"; do
  under=$(echo "$uid" | tr - _)
  for p in /proc/[0-9]*; do
    if grep -qE "$uid|$under" "$p/cgroup" 2>/dev/null && [ "$(cat "$p/comm")" = slipway ]; then pids="$pids ${p#/proc/}"; fi
  done
done
[ -n "$pids" ] || { echo "no process of $*"; exit 1; }
kill -9 $pids`

// Kill works on the node, which is a container of that name: the pods' image has no shell.
func (k *kind) Kill(ctx context.Context, pods ...*corev1.Pod) error {
	byNode := map[string][]string{}
	for _, p := range pods {
		byNode[p.Spec.NodeName] = append(byNode[p.Spec.NodeName], string(p.UID))
	}
	for node, uids := range byNode {
		if err := k.run(ctx, runtime(), append([]string{"exec", node, "sh", "-c", killScript, "sh"}, uids...)...); err != nil {
			return err
		}
	}
	return nil
}

// runtime is the program that runs kind's nodes.
func runtime() string {
	if name := os.Getenv("KIND_EXPERIMENTAL_PROVIDER"); name != "" {
		return name
	}
	return "docker"
}

func (k *kind) Scrape(ctx context.Context, pod *corev1.Pod, port int32, path string) ([]byte, error) {
	text, err := k.client.CoreV1().Pods(pod.Namespace).ProxyGet("http", pod.Name, fmt.Sprint(port), path, nil).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking pod %s for %s: %w", pod.Name, path, err)
	}
	return text, nil
}

func (k *kind) Exec(ctx context.Context, pod *corev1.Pod, command ...string) ([]byte, error) {
	options := &corev1.PodExecOptions{Container: pod.Spec.Containers[0].Name, Command: command, Stdout: true, Stderr: true}
	url := k.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(options, scheme.ParameterCodec).URL()
	executor, err := remotecommand.NewSPDYExecutor(k.config, http.MethodPost, url)
	if err != nil {
		return nil, fmt.Errorf("preparing to run %q in pod %s: %w", command, pod.Name, err)
	}
	var printed, complained bytes.Buffer
	if err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &printed, Stderr: &complained}); err != nil {
		return printed.Bytes(), fmt.Errorf("running %q in pod %s: %w: %s", command, pod.Name, err, complained.Bytes())
	}
	return printed.Bytes(), nil
}

func (k *kind) Log(ctx context.Context, pod *corev1.Pod) ([]byte, error) {
	text, err := k.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the log of pod %s: %w", pod.Name, err)
	}
	return text, nil
}

// Gather keeps the logs of Slipway and fakeaws, also those of containers that ended, and the Views.
func (k *kind) Gather(ctx context.Context, directory string) error {
	logs, views := filepath.Join(directory, "logs"), filepath.Join(directory, "views")
	if err := errors.Join(os.MkdirAll(logs, 0o755), os.MkdirAll(views, 0o755)); err != nil {
		return fmt.Errorf("making directories: %w", err)
	}
	var errs []error
	for _, namespace := range []string{Namespace, fakeAWS} {
		pods, err := k.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("listing the pods of %s: %w", namespace, err)
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			for suffix, previous := range map[string]bool{".log": false, "-previous.log": true} {
				text, err := k.client.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Previous: previous}).DoRaw(ctx)
				if err == nil { // most have not ended before
					errs = append(errs, os.WriteFile(filepath.Join(logs, pod.Name+suffix), text, 0o644))
				}
			}
			recorded := slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "views" }) // recordViews is on
			if namespace == Namespace && pod.Spec.NodeName != "" && recorded {
				from := fmt.Sprintf("%s:/var/lib/kubelet/pods/%s/volumes/kubernetes.io~empty-dir/views", pod.Spec.NodeName, pod.UID)
				errs = append(errs, k.run(ctx, runtime(), "cp", from, filepath.Join(views, pod.Name)))
			}
		}
	}
	return errors.Join(errs...)
}

func (k *kind) Close() error {
	if k.keep {
		k.say("cluster %s is left: KUBECONFIG=%s; kind delete cluster --name %s", k.name, k.Kubeconfig(), k.name)
		return nil
	}
	var err error
	if k.hasCluster {
		err = k.run(context.Background(), "kind", "delete", "cluster", "--name", k.name, "--kubeconfig", k.Kubeconfig())
	}
	return errors.Join(err, os.RemoveAll(k.directory))
}
