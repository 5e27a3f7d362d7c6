// Package examples_test runs what examples/ holds beside Slipway's own objects: the second scheduler, with the unchanged kube-scheduler of
// the release that the tests use, its own configuration and no more rights than its ServiceAccount has.
//
// It needs bin/controlplane: make controlplane.
package examples_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/cluster/program"
)

// packing is the scheduler's name: of its objects in kube-system, and bin-packing that of its profile.
const (
	packing = "bin-packing-scheduler"
	profile = "bin-packing"
	gpu     = corev1.ResourceName("nvidia.com/gpu")
)

// world is a control plane and the examples.
type world struct {
	*cluster.Cluster
	kubernetes.Interface
	manifest []byte
}

// TestBinPackingScheduler: the manifest is accepted to the last field, its scheduler runs under its own rights, and it binds pods tightly,
// where the cluster's default scheduler spreads the same pods.
func TestBinPackingScheduler(t *testing.T) {
	c, err := cluster.Start(context.WithoutCancel(t.Context()), cluster.Options{Output: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	w := world{Cluster: c, Interface: kubernetes.NewForConfigOrDie(c.Config)}
	if w.manifest, err = os.ReadFile(filepath.Join(root, "examples", "bin-packing-scheduler", "scheduler.yaml")); err != nil {
		t.Fatal(err)
	}
	w.strict(t)
	w.apply(t)
	log := w.run(t)
	w.nodes(t, 4, 8)
	t.Run("one after another onto one node", w.together)
	t.Run("where the least is left", w.tightest)
	t.Run("a cluster's default spreads", w.spreads)
	if text, err := os.ReadFile(log); err != nil || !bytes.Contains(text, []byte("acquired lease")) || bytes.Contains(text, []byte("forbidden")) || bytes.Contains(text, []byte("cannot ")) {
		t.Errorf("the scheduler did not lead, or was refused something (%v):\n%s", err, text)
	}
}

// strict: what is not a field of an object is refused, so that what is accepted has none.
func (w *world) strict(t *testing.T) {
	t.Helper()
	wrong := bytes.Replace(w.manifest, []byte("priorityClassName:"), []byte("priorityClass:"), 1)
	if err := cluster.ApplyManifests(t.Context(), w.Config, wrong); err == nil || !strings.Contains(err.Error(), "priorityClass") {
		t.Errorf("a manifest with a field that does not exist: %v", err)
	}
}

// apply installs the example. Its pods are made, if nobody runs them: no quota, priority or security setting keeps them away.
func (w *world) apply(t *testing.T) {
	t.Helper()
	if err := cluster.ApplyManifests(t.Context(), w.Config, w.manifest); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, 30*time.Second, "the Deployment's pods to be made", func() error {
		d, err := w.AppsV1().Deployments(metav1.NamespaceSystem).Get(t.Context(), packing, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.Replicas != *d.Spec.Replicas {
			return fmt.Errorf("%d of %d are: %+v", d.Status.Replicas, *d.Spec.Replicas, d.Status.Conditions)
		}
		return nil
	})
	// Not to be bound here: this cluster's nodes run nothing.
	if err := w.AppsV1().Deployments(metav1.NamespaceSystem).Delete(t.Context(), packing, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// run starts kube-scheduler as the Deployment's container does, but for the access, which in a pod is mounted, and the port; it answers where
// its log is.
func (w *world) run(t *testing.T) string {
	t.Helper()
	_, kubeconfig, err := w.KubeconfigForServiceAccount(t.Context(), metav1.NamespaceSystem, packing)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	access := filepath.Join(dir, "kubeconfig")
	write(t, access, kubeconfig)
	config := filepath.Join(dir, "scheduler.yaml")
	write(t, config, w.config(t, access))
	programs, err := program.Find(cluster.Scheduler)
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	path, args := programs.Command(cluster.Scheduler)
	log, err := os.Create(filepath.Join(dir, "scheduler.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, "--config="+config, "--authentication-kubeconfig="+access, "--authorization-kubeconfig="+access,
		"--bind-address=127.0.0.1", "--secure-port="+port)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // without which it would end by itself, soon after the API server, when it cannot renew its lease
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		if entries, err := os.ReadDir(cmd.Dir); err != nil || len(entries) > 0 {
			t.Errorf("it wrote %v where its container may not (%v)", entries, err)
		}
		if text, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("log of the scheduler:\n%s", text)
		}
	})
	w.healthy(t, "https://127.0.0.1:"+port, w.probes(t))
	return log.Name()
}

// config answers the ConfigMap's file with access to this cluster.
func (w *world) config(t *testing.T, kubeconfig string) []byte {
	t.Helper()
	held, err := w.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(t.Context(), packing, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(held.Data["scheduler.yaml"]), &config); err != nil {
		t.Fatal(err)
	}
	config["clientConnection"] = map[string]any{"kubeconfig": kubeconfig}
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// probes answers the paths that the Deployment's probes ask, without credentials.
func (w *world) probes(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, document := range bytes.Split(w.manifest, []byte("\n---\n")) {
		var d appsv1.Deployment
		if err := yaml.Unmarshal(document, &d); err != nil {
			t.Fatal(err)
		}
		if d.Kind == "Deployment" {
			c := d.Spec.Template.Spec.Containers[0]
			paths = append(paths, c.LivenessProbe.HTTPGet.Path, c.ReadinessProbe.HTTPGet.Path)
		}
	}
	if len(paths) != 2 {
		t.Fatalf("probes %v", paths)
	}
	return paths
}

func (w *world) healthy(t *testing.T, url string, paths []string) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // its certificate is its own
	defer client.CloseIdleConnections()
	for _, path := range paths {
		w.eventually(t, 60*time.Second, path, func() error {
			answer, err := client.Get(url + path)
			if err != nil {
				return err
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				return fmt.Errorf("it says %s", answer.Status)
			}
			return nil
		})
	}
}

// nodes creates nodes with GPUs that are ready, as far as their objects tell.
func (w *world) nodes(t *testing.T, count int, gpus int64) {
	t.Helper()
	for i := range count {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i), Labels: map[string]string{corev1.LabelHostname: fmt.Sprintf("node-%d", i),
			corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", i%2)}}}
		made, err := w.CoreV1().Nodes().Create(t.Context(), n, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		made.Status.Capacity = corev1.ResourceList{gpu: *resource.NewQuantity(gpus, resource.DecimalSI), corev1.ResourceCPU: resource.MustParse("96"),
			corev1.ResourceMemory: resource.MustParse("384Gi"), corev1.ResourcePods: resource.MustParse("110")}
		made.Status.Allocatable = made.Status.Capacity
		made.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now()}}
		if err := patchStatus(t, w, made); err != nil {
			t.Fatal(err)
		}
	}
}

// patchStatus writes a node's status whatever the node lifecycle controller has written meanwhile.
func patchStatus(t *testing.T, w *world, n *corev1.Node) error {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": n.Name}, "status": n.Status})
	if err != nil {
		return err
	}
	text, err = yaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	_, err = w.CoreV1().Nodes().PatchStatus(t.Context(), n.Name, text)
	return err
}

// bind creates pods of a scheduler, each asking for so many GPUs, and answers how many of those GPUs each node got.
func (w *world) bind(t *testing.T, scheduler string, gpus ...int64) map[string]int64 {
	t.Helper()
	names := map[string]int64{}
	for _, n := range gpus {
		amount := corev1.ResourceList{gpu: *resource.NewQuantity(n, resource.DecimalSI), corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("8Gi")}
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "work-", Namespace: metav1.NamespaceDefault, Labels: map[string]string{"app": "work"}},
			Spec: corev1.PodSpec{SchedulerName: scheduler, Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
				Containers: []corev1.Container{{Name: "c", Image: "example.com/work:1", Resources: corev1.ResourceRequirements{Limits: amount}}}}}
		made, err := w.CoreV1().Pods(p.Namespace).Create(t.Context(), p, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		names[made.Name] = n
	}
	on := map[string]int64{}
	w.eventually(t, 60*time.Second, "every pod to be bound", func() error {
		clear(on)
		for name, n := range names {
			p, err := w.CoreV1().Pods(metav1.NamespaceDefault).Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if p.Spec.NodeName == "" {
				return fmt.Errorf("%s is not: %+v", name, p.Status.Conditions)
			}
			on[p.Spec.NodeName] += n
		}
		return nil
	})
	return on
}

// clear deletes every pod, at once: there is no kubelet that would end them.
func (w *world) clear(t *testing.T) {
	t.Helper()
	now := int64(0)
	err := w.CoreV1().Pods(metav1.NamespaceDefault).DeleteCollection(context.WithoutCancel(t.Context()), metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) together(t *testing.T) {
	t.Cleanup(func() { w.clear(t) })
	if on := w.bind(t, profile, slices.Repeat([]int64{1}, 16)...); len(on) != 2 {
		t.Errorf("16 pods of one GPU, two nodes' worth, are on %v", on)
	}
}

// tightest: a pod takes the node that it fills, while others have more room.
func (w *world) tightest(t *testing.T) {
	t.Cleanup(func() { w.clear(t) })
	w.bind(t, profile, 6, 2) // fill a node
	four := only(t, w.bind(t, profile, 4))
	if got := only(t, w.bind(t, profile, 4)); got != four {
		t.Errorf("a second pod of 4 GPUs is on %s, want %s, which it fills", got, four)
	}
	other := only(t, w.bind(t, profile, 6))
	if got := only(t, w.bind(t, profile, 2)); got != other {
		t.Errorf("a pod of 2 GPUs is on %s, want %s, where 2 are left", got, other)
	}
}

// spreads shows that the test can tell: what packs is the profile, not these nodes.
func (w *world) spreads(t *testing.T) {
	t.Cleanup(func() { w.clear(t) })
	if on := w.bind(t, corev1.DefaultSchedulerName, slices.Repeat([]int64{1}, 16)...); len(on) < 3 {
		t.Errorf("the default scheduler put 16 pods of one GPU on %v", on)
	}
}

func only(t *testing.T, on map[string]int64) string {
	t.Helper()
	if len(on) != 1 {
		t.Fatalf("one pod is on %v", on)
	}
	return slices.Collect(maps.Keys(on))[0]
}

func (w *world) eventually(t *testing.T, within time.Duration, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		<-tick.C
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
