package cluster_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"

	"github.com/slipway-sh/slipway/test/cluster"
)

const gpu = corev1.ResourceName("nvidia.com/gpu")

// TestCluster asks of one cluster, since starting one takes seconds, everything that does not end it.
func TestCluster(t *testing.T) {
	c := start(t, cluster.Options{})
	client := clientFor(t, c)
	t.Run("it is the release that was asked for", func(t *testing.T) { checkVersion(t, client) })
	t.Run("scheduler and controllers work", func(t *testing.T) { checkWork(t, client) })
	t.Run("a component that was killed can come back", func(t *testing.T) { checkRestart(t, c, client) })
	t.Run("nothing is lost with etcd and the API server", func(t *testing.T) { checkData(t, c, client) })
	t.Run("a ServiceAccount has its own rights only", func(t *testing.T) { checkServiceAccount(t, c, client) })
	t.Run("a user has its groups' rights only", func(t *testing.T) { checkUser(t, c, client) })
	t.Run("the scheduler's metrics are open", func(t *testing.T) { checkMetrics(t, c) })
}

func checkVersion(t *testing.T, client kubernetes.Interface) {
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(version.GitVersion, "v1.") || strings.HasPrefix(version.GitVersion, "v0.0.0") {
		t.Errorf("the API server says it is %q", version.GitVersion)
	}
}

// checkWork is the package's point: the real controller manager makes a Job's pod, and the real scheduler binds it to
// a node once there is one with GPUs.
func checkWork(t *testing.T, client kubernetes.Interface) {
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "train", Namespace: "default"},
		Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: gpuPod("2")}},
	}
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	if _, err := client.BatchV1().Jobs("default").Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var pod corev1.Pod
	eventually(t, "the Job's pod is seen not to fit", func() (bool, string) {
		pods, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=train"})
		if err != nil || len(pods.Items) != 1 {
			return false, fmt.Sprint(pods, err)
		}
		pod = pods.Items[0]
		return unschedulable(pod), fmt.Sprint(pod.Status)
	})
	createNode(t, client, "gpu-node", "4")
	expectBound(t, client, pod.Name, "gpu-node")
}

func checkRestart(t *testing.T, c *cluster.Cluster, client kubernetes.Interface) {
	if err := c.Kill(cluster.Scheduler); err != nil {
		t.Fatal(err)
	}
	if left := processesOf(t, c, string(cluster.Scheduler)); len(left) > 0 {
		t.Fatalf("a killed scheduler still runs: %v", left)
	}
	if err := c.Kill(cluster.Scheduler); err != nil {
		t.Errorf("killing what is dead: %v", err)
	}
	pod := namedPod("waiting", gpuPod("1"))
	if _, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(t.Context(), cluster.Scheduler); err != nil {
		t.Fatal(err)
	}
	expectBound(t, client, "waiting", "gpu-node")
}

func checkData(t *testing.T, c *cluster.Cluster, client kubernetes.Interface) {
	for _, name := range []cluster.Component{cluster.Etcd, cluster.APIServer} {
		if err := c.Restart(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the node is still there", func() (bool, string) {
			_, err := client.CoreV1().Nodes().Get(t.Context(), "gpu-node", metav1.GetOptions{})
			return err == nil, fmt.Sprint(err)
		})
	}
}

func checkServiceAccount(t *testing.T, c *cluster.Cluster, client kubernetes.Interface) {
	err := cluster.ApplyManifests(t.Context(), c.Config, []byte(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: shop}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`))
	if err != nil {
		t.Fatal(err)
	}
	config, kubeconfig, err := c.KubeconfigForServiceAccount(t.Context(), "shop", "reader")
	if err != nil {
		t.Fatal(err)
	}
	fromFile, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil || fromFile.BearerToken != config.BearerToken || fromFile.Host != config.Host {
		t.Errorf("the kubeconfig differs from the configuration: %v", err)
	}
	reader := kubernetes.NewForConfigOrDie(config)
	eventually(t, "it may get a node", func() (bool, string) { // RBAC learns of a binding a moment later
		_, err := reader.CoreV1().Nodes().Get(t.Context(), "gpu-node", metav1.GetOptions{})
		return err == nil, fmt.Sprint(err)
	})
	if err := reader.CoreV1().Nodes().Delete(t.Context(), "gpu-node", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("deleting a node gave %v, want that it is forbidden", err)
	}
	if _, _, err := c.KubeconfigForServiceAccount(t.Context(), "shop", "nobody"); !apierrors.IsNotFound(err) {
		t.Errorf("a ServiceAccount that is not there gave %v", err)
	}
	if _, err := client.CoreV1().Nodes().Get(t.Context(), "gpu-node", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// checkUser has a machine's own identity, whose rights come from its group and end at its own node.
func checkUser(t *testing.T, c *cluster.Cluster, client kubernetes.Interface) {
	createNode(t, client, "other-node", "1")
	config, _, err := c.ConfigFor("system:node:gpu-node", "system:nodes")
	if err != nil {
		t.Fatal(err)
	}
	kubelet := kubernetes.NewForConfigOrDie(config)
	patch := func(node, label string) error {
		text := fmt.Appendf(nil, `{"metadata":{"labels":{%q:"x"}}}`, label)
		_, err := kubelet.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, text, metav1.PatchOptions{})
		return err
	}
	if err := patch("gpu-node", "example.com/own"); err != nil {
		t.Errorf("labelling its own node: %v", err)
	}
	if err := patch("gpu-node", "node-restriction.kubernetes.io/own"); !apierrors.IsForbidden(err) {
		t.Errorf("a restricted label gave %v, want that it is forbidden", err)
	}
	if err := patch("other-node", "example.com/own"); !apierrors.IsForbidden(err) {
		t.Errorf("labelling another's node gave %v, want that it is forbidden", err)
	}
}

func checkMetrics(t *testing.T, c *cluster.Cluster) {
	// Whoever scrapes a real scheduler does not check its certificate either: by default it is self-signed.
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer insecure.CloseIdleConnections()
	response, err := insecure.Get(c.Endpoint(cluster.Scheduler) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(text), "scheduler_schedule_attempts_total") {
		t.Errorf("%s, %v, %d bytes without the scheduler's counters", response.Status, err, len(text))
	}
}

// start starts a cluster that ends with the test. A machine without a control plane fails the test, in words that say
// what to do.
func start(t *testing.T, options cluster.Options) *cluster.Cluster {
	t.Helper()
	options.Output = t.Output()
	c, err := cluster.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func clientFor(t *testing.T, c *cluster.Cluster) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func gpuPod(gpus string) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{
		Name: "main", Image: "example.com/none",
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{gpu: resource.MustParse(gpus)}},
	}}}
}

func namedPod(name string, spec corev1.PodSpec) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
}

// createNode writes a node as it looks once its kubelet has joined and its device plugin has registered. Like a kubelet
// it tries again if the node lifecycle controller, which taints new nodes, was quicker.
func createNode(t *testing.T, client kubernetes.Interface, name, gpus string) {
	t.Helper()
	ctx, nodes := t.Context(), client.CoreV1().Nodes()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := nodes.Create(ctx, node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		node, err := nodes.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		node.Status.Capacity = corev1.ResourceList{
			gpu: resource.MustParse(gpus), corev1.ResourcePods: resource.MustParse("110"),
			corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("32Gi"),
		}
		node.Status.Allocatable = node.Status.Capacity
		node.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(),
		}}
		_, err = nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func unschedulable(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable
	})
}

func expectBound(t *testing.T, client kubernetes.Interface, pod, node string) {
	t.Helper()
	eventually(t, "the scheduler binds "+pod+" to "+node, func() (bool, string) {
		got, err := client.CoreV1().Pods("default").Get(t.Context(), pod, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		return got.Spec.NodeName == node, fmt.Sprint(got.Status)
	})
}

// eventually asks every 50 ms until something holds, for at most 30 s.
func eventually(t *testing.T, what string, holds func() (ok bool, seen string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, seen := holds()
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("it never came about that %s; last seen: %s", what, seen)
		case <-ticker.C:
		}
	}
}
