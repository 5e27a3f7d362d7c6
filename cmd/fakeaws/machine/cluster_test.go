package machine_test

import (
	"log/slog"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/slipway-sh/slipway/cmd/fakeaws/machine"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/cluster/program"
)

// TestRealControlPlane lets the real scheduler and the real controllers live with the played machines: a Job of two GPU
// pods runs to its end on them, and a node goes when its machine does.
func TestRealControlPlane(t *testing.T) {
	if _, err := program.Find(program.Components()...); err != nil {
		t.Skipf("there is no control plane to test with: %v", err)
	}
	c, err := cluster.Start(t.Context(), cluster.Options{Output: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	region := played(t, client)
	result, err := region.CreateFleet(sim.FleetRequest{Count: 2, Choices: []sim.FleetChoice{{DiskGiB: 100,
		Key: cloud.OfferingKey{InstanceType: "g4dn.xlarge", Zone: "us-east-1a", Market: cloud.Spot}}},
		Node: cloud.NodeConfig{Labels: map[string]string{"slipway.sh/provisioner": "gpu"}, Taints: []cloud.Taint{{Key: "gpu", Effect: "NoSchedule"}}}})
	if err != nil || len(result.Machines) != 2 {
		t.Fatalf("launching: %+v, %v", result, err)
	}
	if _, err := client.BatchV1().Jobs("default").Create(t.Context(), sleepers(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	inTime(t, "the Job's end", func() bool {
		job, err := client.BatchV1().Jobs("default").Get(t.Context(), "train", metav1.GetOptions{})
		return err == nil && job.Status.Succeeded == 2
	})
	for _, m := range result.Machines {
		if _, _, err := region.TerminateMachine(m.ID); err != nil {
			t.Fatal(err)
		}
		inTime(t, "the node's end", func() bool {
			_, err := client.CoreV1().Nodes().Get(t.Context(), m.PrivateDNS, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	}
}

// played answers a region whose machines are played until the test ends.
func played(t *testing.T, client kubernetes.Interface) *sim.Cloud {
	t.Helper()
	facts := catalogue.Embedded()
	region, err := sim.New(sim.Config{Now: time.Now, ClusterName: "demo", Types: facts.Types, Offerings: facts.Offerings("us-east-1"),
		Boot: sim.Delay{Base: 200 * time.Millisecond}, GPU: sim.Delay{Base: 300 * time.Millisecond}, ShutDown: sim.Delay{Base: 100 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	player, err := machine.New(machine.Config{Cloud: region, Client: client, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- player.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil { // the test's context has ended by now
			t.Error(err)
		}
	})
	return region
}

// sleepers is a Job of two pods with a GPU each, for two machines of one GPU.
func sleepers() *batchv1.Job {
	one := corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "train", Namespace: "default"},
		Spec: batchv1.JobSpec{Parallelism: ptr.To(int32(2)), Completions: ptr.To(int32(2)), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Tolerations:   []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}},
			NodeSelector:  map[string]string{"slipway.sh/provisioner": "gpu", corev1.LabelTopologyZone: "us-east-1a"},
			Containers: []corev1.Container{{Name: "main", Image: "train", Command: []string{"sleep", "1"},
				Resources: corev1.ResourceRequirements{Limits: one, Requests: one}}},
		}}},
	}
}

// inTime polls what real processes do in their own time.
func inTime(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come to pass in a minute", what)
		}
		<-time.After(50 * time.Millisecond)
	}
}
