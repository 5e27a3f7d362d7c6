package machine_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	"github.com/slipway-sh/slipway/cmd/fakeaws/machine"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// stage is a player on a fake API server and a hand-moved clock.
type stage struct {
	t      *testing.T
	now    time.Time
	cloud  *sim.Cloud
	client *fake.Clientset
	player *machine.Player
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, now: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC), client: fake.NewClientset()}
	facts := catalogue.Embedded()
	var err error
	s.cloud, err = sim.New(sim.Config{
		Now: func() time.Time { return s.now }, ClusterName: "demo", Types: facts.Types, Offerings: facts.Offerings("us-east-1"),
		Boot: sim.Delay{Base: 10 * time.Second}, Join: sim.Delay{Base: 10 * time.Second}, GPU: sim.Delay{Base: 10 * time.Second},
		ShutDown: sim.Delay{Base: 10 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.player, err = machine.New(machine.Config{Cloud: s.cloud, Client: s.client, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		PodStart: time.Second, PodStop: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.player.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// launch answers a machine with the user data.
func (s *stage) launch(instanceType, userData string) sim.Machine {
	s.t.Helper()
	result, err := s.cloud.CreateFleet(sim.FleetRequest{Count: 1, Choices: []sim.FleetChoice{{UserData: userData, DiskGiB: 100,
		Key: cloud.OfferingKey{InstanceType: instanceType, Zone: "us-east-1a", Market: cloud.Spot}}}})
	if err != nil || len(result.Machines) != 1 {
		s.t.Fatalf("launching: %+v, %v", result, err)
	}
	return result.Machines[0]
}

// pass moves the clock and plays.
func (s *stage) pass(d time.Duration) {
	s.t.Helper()
	s.now = s.now.Add(d)
	s.step()
}

func (s *stage) step() {
	s.t.Helper()
	if err := s.player.Step(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// until plays at the same moment until ok: the informer is a goroutine and may lag.
func (s *stage) until(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s did not come to pass", what)
		}
		s.step()
		<-time.After(2 * time.Millisecond)
	}
}

func (s *stage) node(m sim.Machine) *corev1.Node {
	s.t.Helper()
	node, err := s.client.CoreV1().Nodes().Get(s.t.Context(), m.PrivateDNS, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return node
}

func (s *stage) pod(name string) *corev1.Pod {
	s.t.Helper()
	pod, err := s.client.CoreV1().Pods("default").Get(s.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return pod
}

// bind makes a pod that the scheduler has put onto a machine.
func (s *stage) bind(name string, m sim.Machine, gpus int, change func(*corev1.Pod)) {
	s.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(name), Annotations: map[string]string{}},
		Spec: corev1.PodSpec{NodeName: m.PrivateDNS, RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "main", Image: "train",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"nvidia.com/gpu": *resource.NewQuantity(int64(gpus), resource.DecimalSI)}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	if change != nil {
		change(pod)
	}
	if _, err := s.client.CoreV1().Pods("default").Create(s.t.Context(), pod, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// ready launches a machine and waits until its GPUs show.
func (s *stage) ready(instanceType string) sim.Machine {
	s.t.Helper()
	m := s.launch(instanceType, nodeConfigText)
	for range 4 {
		s.pass(10 * time.Second)
	}
	if node := s.node(m); node == nil || node.Status.Allocatable.Name("nvidia.com/gpu", resource.DecimalSI).IsZero() {
		s.t.Fatalf("the node is not ready: %+v", node)
	}
	return m
}

func (s *stage) phase(name string, phase corev1.PodPhase) {
	s.t.Helper()
	s.until(fmt.Sprintf("pod %s's being %s", name, phase), func() bool { return s.pod(name).Status.Phase == phase })
}

func isReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func TestNodeJoinsAsItsUserDataSays(t *testing.T) {
	s := newStage(t)
	m := s.launch("g4dn.12xlarge", nodeConfigText)
	s.pass(19 * time.Second)
	if node := s.node(m); node != nil {
		t.Fatalf("a node joined early: %v", node.Name)
	}
	s.pass(time.Second)
	node := s.node(m)
	if node == nil || isReady(node) || node.Spec.ProviderID != m.ProviderID() || len(node.Spec.Taints) != 3 || node.Labels["team"] != "ml" ||
		node.Labels[corev1.LabelHostname] != m.PrivateDNS || node.Status.Allocatable.Pods().Value() != 58 {
		t.Fatalf("the kubelet registered %+v", node)
	}
	s.step()
	node = s.node(m)
	if !isReady(node) || len(node.Spec.Taints) != 2 || node.Labels[corev1.LabelInstanceTypeStable] != "g4dn.12xlarge" ||
		node.Labels[corev1.LabelTopologyZone] != "us-east-1a" || node.Labels["topology.k8s.aws/zone-id"] != "use1-az1" {
		t.Errorf("the cloud controller manager left %+v", node)
	}
	if _, shown := node.Status.Allocatable["nvidia.com/gpu"]; shown {
		t.Error("GPUs show before the device plugin is there")
	}
	s.pass(10 * time.Second)
	if gpus := s.node(m).Status.Allocatable["nvidia.com/gpu"]; gpus.Value() != 4 {
		t.Errorf("%s GPUs show, want 4", gpus.String())
	}
	lease, err := s.client.CoordinationV1().Leases("kube-node-lease").Get(t.Context(), m.PrivateDNS, metav1.GetOptions{})
	if err != nil || !lease.Spec.RenewTime.Time.Equal(s.now) {
		t.Errorf("the lease: %+v, %v; want it renewed at %s", lease, err, s.now)
	}
}

func TestMachineThatCannotJoin(t *testing.T) {
	s := newStage(t)
	machines := []sim.Machine{s.launch("g4dn.xlarge", "#!/bin/sh\n"), s.launch("g4dn.xlarge", tomlText)}
	s.pass(time.Minute)
	if s.node(machines[0]) != nil || s.node(machines[1]) == nil {
		t.Error("want the machine with Bottlerocket's settings to join, and the one with a script not to")
	}
}

func TestPodRunsAndEnds(t *testing.T) {
	s := newStage(t)
	m := s.ready("g4dn.xlarge")
	s.bind("worker", m, 1, func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"sh", "-c", "echo go; sleep 20"} })
	s.bind("failing", m, 0, func(p *corev1.Pod) {
		p.Annotations[machine.RunSecondsAnnotation], p.Annotations[machine.ExitCodeAnnotation] = "0.5", "3"
	})
	s.bind("server", m, 0, nil)
	s.until("admission", func() bool {
		s.now = s.now.Add(100 * time.Millisecond)
		return s.pod("worker").Status.Phase == corev1.PodRunning
	})
	pod := s.pod("worker")
	if pod.Status.PodIP == "" || pod.Status.HostIP != m.PrivateIP || !pod.Status.ContainerStatuses[0].Ready || pod.Status.ContainerStatuses[0].State.Running == nil {
		t.Errorf("the pod runs as %+v", pod.Status)
	}
	s.phase("server", corev1.PodRunning)
	s.phase("failing", corev1.PodRunning)
	s.pass(time.Second)
	s.phase("failing", corev1.PodFailed)
	if code := s.pod("failing").Status.ContainerStatuses[0].State.Terminated.ExitCode; code != 3 {
		t.Errorf("it exited with %d, want 3", code)
	}
	s.pass(20 * time.Second)
	s.phase("worker", corev1.PodSucceeded)
	s.pass(time.Hour)
	if phase := s.pod("server").Status.Phase; phase != corev1.PodRunning {
		t.Errorf("the server is %s, want it to run for ever", phase)
	}
}

func TestKubeletRejectsWhatDoesNotFit(t *testing.T) {
	s := newStage(t)
	m := s.ready("g4dn.xlarge")
	s.bind("first", m, 1, nil)
	s.until("admission", func() bool {
		s.now = s.now.Add(100 * time.Millisecond)
		return s.pod("first").Status.Phase == corev1.PodRunning
	})
	s.bind("second", m, 1, nil)
	s.phase("second", corev1.PodFailed)
	if reason := s.pod("second").Status.Reason; reason != "OutOfnvidia.com/gpu" {
		t.Errorf("it is rejected for %q, want OutOfnvidia.com/gpu", reason)
	}
	if phase := s.pod("first").Status.Phase; phase != corev1.PodRunning {
		t.Errorf("the first pod is %s", phase)
	}
}

func TestDeletedPodStopsAfterItsTime(t *testing.T) {
	s := newStage(t)
	m := s.ready("g4dn.xlarge")
	s.bind("worker", m, 1, func(p *corev1.Pod) { p.Annotations[machine.StopSecondsAnnotation] = "15" })
	s.until("its running", func() bool {
		s.now = s.now.Add(100 * time.Millisecond)
		return s.pod("worker").Status.Phase == corev1.PodRunning
	})
	pod := s.pod("worker")
	at := metav1.NewTime(s.now)
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds, pod.Finalizers = &at, ptr.To(int64(30)), []string{"test/kept"}
	if _, err := s.client.CoreV1().Pods("default").Update(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 50 { // let the informer see it
		s.step()
		<-time.After(2 * time.Millisecond)
	}
	s.pass(14 * time.Second)
	if pod := s.pod("worker"); pod == nil || pod.Status.Phase != corev1.PodRunning {
		t.Error("the pod stopped early")
	}
	s.pass(2 * time.Second)
	s.until("its end", func() bool { return s.pod("worker") == nil })
}

func TestMachineEnds(t *testing.T) {
	s := newStage(t)
	m := s.ready("g4dn.xlarge")
	s.bind("worker", m, 1, nil)
	s.until("its running", func() bool {
		s.now = s.now.Add(100 * time.Millisecond)
		return s.pod("worker").Status.Phase == corev1.PodRunning
	})
	if _, _, err := s.cloud.TerminateMachine(m.ID); err != nil {
		t.Fatal(err)
	}
	s.pass(9 * time.Second)
	if s.node(m) == nil {
		t.Error("the node went before its machine")
	}
	s.pass(time.Second)
	if s.node(m) != nil {
		t.Error("the node outlived its machine")
	}
	s.until("the pod's end", func() bool { return s.pod("worker") == nil })
}

func TestDeletedNodeStaysAway(t *testing.T) {
	s := newStage(t)
	m := s.ready("g4dn.xlarge")
	if err := s.client.CoreV1().Nodes().Delete(t.Context(), m.PrivateDNS, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		s.pass(10 * time.Second)
	}
	if s.node(m) != nil {
		t.Error("a deleted Node came back while its kubelet ran")
	}
}

func TestMissingGPUs(t *testing.T) {
	s := newStage(t)
	fault, err := sim.ParseLine("gpu missing 1 of g4dn.12xlarge")
	if err != nil {
		t.Fatal(err)
	}
	s.cloud.Inject(fault)
	m := s.ready("g4dn.12xlarge")
	if gpus := s.node(m).Status.Allocatable["nvidia.com/gpu"]; gpus.Value() != 3 {
		t.Errorf("%s GPUs show, want 3 of 4", gpus.String())
	}
}
