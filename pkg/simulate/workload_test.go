package simulate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// one is a pod template with a GPU.
const one = "{spec: {containers: [{name: c, resources: {limits: {nvidia.com/gpu: 1}}}]}}"

// customSpecs are the other projects' kinds with a spec that makes pods.
var customSpecs = map[string]string{
	"kubeflow.org/v1 PyTorchJob":                  "{pytorchReplicaSpecs: {Master: {template: T}, Worker: {replicas: 4, template: T}}}",
	"kubeflow.org/v1 TFJob":                       "{tfReplicaSpecs: {PS: {replicas: 2, template: T}, Worker: {replicas: 3, template: T}}}",
	"kubeflow.org/v2beta1 MPIJob":                 "{slotsPerWorker: 8, mpiReplicaSpecs: {Launcher: {template: T}, Worker: {replicas: 2, template: T}}}",
	"kubeflow.org/v1 Notebook":                    "{template: T}",
	"jobset.x-k8s.io/v1alpha2 JobSet":             "{replicatedJobs: [{name: w, replicas: 2, template: {spec: {parallelism: 3, completions: 2, template: T}}}]}",
	"leaderworkerset.x-k8s.io/v1 LeaderWorkerSet": "{replicas: 2, leaderWorkerTemplate: {size: 4, workerTemplate: T}}",
	"ray.io/v1 RayCluster":                        "{headGroupSpec: {template: T}, workerGroupSpecs: [{groupName: g, minReplicas: 2, numOfHosts: 2, template: T}]}",
	"ray.io/v1 RayJob":                            "{rayClusterSpec: {headGroupSpec: {template: T}}}",
	"batch.volcano.sh/v1alpha1 Job":               "{tasks: [{replicas: 2, name: a, template: T}, {template: T}]}",
	"argoproj.io/v1alpha1 Rollout":                "{replicas: 3, template: T}",
	"serving.kserve.io/v1beta1 InferenceService":  "{predictor: {minReplicas: 2, containers: [{name: c, resources: {limits: {nvidia.com/gpu: 1}}}]}}",
}

// TestWorkloads: how many pods an object stands for, and what they are called.
func TestWorkloads(t *testing.T) {
	native := map[string]string{
		"v1 ReplicationController": "{replicas: 2, template: T}",
		"apps/v1 Deployment":       "{replicas: 3, template: T}",
		"apps/v1 ReplicaSet":       "{template: T}",
		"apps/v1 StatefulSet":      "{replicas: 2, ordinals: {start: 5}, template: T}",
		"batch/v1 Job":             "{parallelism: 4, completions: 3, completionMode: Indexed, template: T}",
		"batch/v1 CronJob":         "{schedule: '@daily', jobTemplate: {spec: {parallelism: 2, template: T}}}",
	}
	want := map[string]string{
		"kubeflow.org/v1 PyTorchJob":                  "x-master-0 x-worker-0 x-worker-1 x-worker-2 x-worker-3",
		"kubeflow.org/v1 TFJob":                       "x-ps-0 x-ps-1 x-worker-0 x-worker-1 x-worker-2",
		"kubeflow.org/v2beta1 MPIJob":                 "x-launcher-0 x-worker-0 x-worker-1",
		"kubeflow.org/v1 Notebook":                    "x-0",
		"jobset.x-k8s.io/v1alpha2 JobSet":             "x-w-0-0 x-w-0-1 x-w-1-0 x-w-1-1",
		"leaderworkerset.x-k8s.io/v1 LeaderWorkerSet": "x-leader-0 x-leader-1 x-worker-0 x-worker-1 x-worker-2 x-worker-3 x-worker-4 x-worker-5",
		"ray.io/v1 RayCluster":                        "x-g-0 x-g-1 x-g-2 x-g-3 x-head-0",
		"ray.io/v1 RayJob":                            "x-head-0",
		"batch.volcano.sh/v1alpha1 Job":               "x-a-0 x-a-1 x-task1-0",
		"argoproj.io/v1alpha1 Rollout":                "x-0 x-1 x-2",
		"serving.kserve.io/v1beta1 InferenceService":  "x-predictor-0 x-predictor-1",
		"v1 ReplicationController":                    "x-0 x-1",
		"apps/v1 Deployment":                          "x-0 x-1 x-2",
		"apps/v1 ReplicaSet":                          "x-0",
		"apps/v1 StatefulSet":                         "x-5 x-6",
		"batch/v1 Job":                                "x-0 x-1 x-2",
		"batch/v1 CronJob":                            "x-0 x-1",
	}
	for kind, spec := range customSpecs {
		native[kind] = spec
	}
	for kind, spec := range native {
		t.Run(kind, func(t *testing.T) {
			s := gather(t, Config{Manifests: read(t, anyGPU, custom1(kind, strings.ReplaceAll(spec, "T}", one+"}")))})
			var names []string
			for _, d := range s.View.Demands {
				for _, p := range d.Pods {
					names = append(names, p.Name)
					if owner := s.owners[p.UID]; !strings.HasSuffix(kind, strings.TrimSuffix(owner, "/x")) {
						t.Errorf("pod %s is of %s", p.Name, owner)
					}
				}
			}
			if got := strings.Join(names, " "); got != want[kind] {
				t.Errorf("got %s\nwant %s", got, want[kind])
			}
		})
	}
	if len(want) != len(native) {
		t.Errorf("%d kinds, %d expectations", len(native), len(want))
	}
}

// TestSkipped: what is known and cannot be expanded is named with its reason, and what is no workload is left alone.
func TestSkipped(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"a model without resources": {custom1("serving.kserve.io/v1beta1 InferenceService", "{predictor: {model: {modelFormat: {name: onnx}}}}"), "InferenceService/x: its container comes from a ServingRuntime; set spec.predictor.model.resources"},
		"a Rollout by reference":    {custom1("argoproj.io/v1alpha1 Rollout", "{workloadRef: {kind: Deployment, name: d}}"), "Rollout/x: its template is in the object of spec.workloadRef"},
		"a NodePool":                {custom1("karpenter.sh/v1 NodePool", "{}"), "NodePool/x: only karpenter.sh/v1alpha5 Provisioners"},
		"a stranger with GPUs":      {custom1("example.com/v1 Swarm", "{bees: [{resources: {limits: {nvidia.com/gpu: 1}}}]}"), "Swarm/x: it is not known which pods example.com/v1 Swarm makes"},
		"a stranger without":        {custom1("example.com/v1 Swarm", "{bees: 4}"), ""},
		"a Service":                 {"apiVersion: v1\nkind: Service\nmetadata: {name: s}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := gather(t, Config{Manifests: read(t, anyGPU, tc.text)})
			got := ""
			for _, skipped := range s.Skipped {
				got += skipped.Object + ": " + skipped.Why
			}
			if !strings.HasPrefix(got, tc.want) || got != "" && tc.want == "" {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestDump: a Deployment, its ReplicaSet and its pods together are the pods.
func TestDump(t *testing.T) {
	owned := func(kind, name string) string {
		return "{apiVersion: apps/v1, kind: " + kind + ", name: " + name + ", uid: u, controller: true}"
	}
	deployment := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: 2, template: " + one + "}\n"
	set := "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: d-5d8f, ownerReferences: [" + owned("Deployment", "d") + "]}\nspec: {replicas: 2, template: " + one + "}\n"
	first := strings.Replace(pod("d-5d8f-x2x2x", "1", ""), "{name: d-5d8f-x2x2x}", "{name: d-5d8f-x2x2x, labels: {pod-template-hash: 5d8f}, ownerReferences: ["+owned("ReplicaSet", "d-5d8f")+"]}", 1)
	second := strings.ReplaceAll(first, "x2x2x", "z4z4z")
	for name, tc := range map[string]struct {
		texts []string
		want  int
	}{
		"all three":             {[]string{deployment, set, first, second}, 2},
		"the two above":         {[]string{set, deployment}, 2},
		"the ReplicaSet, a pod": {[]string{set, first}, 1},
		"only the Deployment":   {[]string{deployment}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := gather(t, Config{Manifests: read(t, append(tc.texts, anyGPU)...)})
			n := 0
			for _, d := range s.View.Demands {
				n += len(d.Pods)
				for _, p := range d.Pods {
					if name != "the two above" && name != "the ReplicaSet, a pod" && s.owners[p.UID] != "Deployment/d" {
						t.Errorf("pod %s is of %s", p.Name, s.owners[p.UID])
					}
				}
			}
			if n != tc.want {
				t.Errorf("%d pods, want %d", n, tc.want)
			}
		})
	}
}

// TestAdmission: priority and runtime classes, and the scheduler's first look.
func TestAdmission(t *testing.T) {
	classes := `apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 7
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: usual}
value: 3
globalDefault: true
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: kata}
handler: kata
overhead: {podFixed: {memory: 160Mi}}
scheduling: {nodeSelector: {runtime: kata}, tolerations: [{key: kata, operator: Exists}]}
`
	for name, tc := range map[string]struct {
		more     string
		priority int32
		memory   int64
		assumed  string
	}{
		"nothing":         {"", 3, 0, ""},
		"a class":         {"  priorityClassName: high\n", 7, 0, ""},
		"of the system":   {"  priorityClassName: system-node-critical\n", 2_000_001_000, 0, ""},
		"one not given":   {"  priorityClassName: gone\n", 0, 0, "PriorityClass gone is not given"},
		"a number":        {"  priority: 9\n  priorityClassName: high\n", 9, 0, ""},
		"a runtime class": {"  runtimeClassName: kata\n", 3, 160, ""},
		"none such":       {"  runtimeClassName: gone\n", 3, 0, "RuntimeClass gone is not given"},
	} {
		t.Run(name, func(t *testing.T) {
			s := gather(t, Config{Manifests: read(t, anyGPU, classes, pod("a", "1", tc.more))})
			d := s.View.Demands[0]
			if d.Priority != tc.priority || d.Requests[corev1.ResourceMemory] != tc.memory {
				t.Errorf("priority %d, memory %d; want %d, %d", d.Priority, d.Requests[corev1.ResourceMemory], tc.priority, tc.memory)
			}
			if selected := d.Select.NodeSelector["runtime"] == "kata"; selected != (tc.memory > 0) {
				t.Errorf("node selector %v", d.Select.NodeSelector)
			}
			if all := strings.Join(s.Assumptions, "\n"); !strings.Contains(all, tc.assumed) || tc.assumed == "" && strings.Contains(all, "is not given: ") && strings.Contains(all, "Class gone") {
				t.Errorf("assumed:\n%s", all)
			}
		})
	}
}

// TestNotOurs: pods that wait and get nothing are named with the reason.
func TestNotOurs(t *testing.T) {
	gated := pod("gated", "1", "  schedulingGates: [{name: g}]\n")
	cpu := strings.Replace(pod("cpu", "1", ""), "nvidia.com/gpu", "cpu", 1)
	bound := pod("bound", "1", "  nodeName: n1\n")
	s := gather(t, Config{Manifests: read(t, anyGPU, gated, cpu, bound)})
	want := []NotConsidered{{"Pod/cpu", 1, "NoGPU"}, {"Pod/gated", 1, "Gated"}}
	if diff := cmp.Diff(want, s.NotOurs); diff != "" {
		t.Error(diff)
	}
	if len(s.View.Demands) != 0 {
		t.Errorf("%d demands", len(s.View.Demands))
	}
}

// TestKarpenter: an old Provisioner is carried over, and what is lost is told.
func TestKarpenter(t *testing.T) {
	old := "apiVersion: karpenter.sh/v1alpha5\nkind: Provisioner\nmetadata: {name: old}\nspec: {consolidation: {enabled: true}, requirements: [{key: karpenter.k8s.aws/instance-family, operator: In, values: [g4dn]}]}\n"
	r := run(t, Config{Manifests: read(t, old, pod("a", "1", ""))})
	if len(r.Nodes) != 1 || r.Nodes[0].InstanceType != "g4dn.xlarge" || r.Nodes[0].Market != "on-demand" {
		t.Errorf("nodes: %+v", r.Nodes)
	}
	if all := strings.Join(r.Assumptions, "\n"); !strings.Contains(all, "Provisioner old (karpenter.sh/v1alpha5) is carried over without spec.consolidation") {
		t.Errorf("assumed:\n%s", all)
	}
}

// TestGuessed: what a View's pods belong to, by their names.
func TestGuessed(t *testing.T) {
	for pod, want := range map[string]string{
		"web-5d8f7c9b6d-x2x2x": "Pods/web-*", "train-worker-3": "Pods/train-worker-*", "job-bcdfg": "Pods/job-*", "single": "Pod/single",
		"llama-70b": "Pod/llama-70b", "-1": "Pod/-1",
	} {
		if got := guessed("default", pod); got != want {
			t.Errorf("%s: %s, want %s", pod, got, want)
		}
	}
	if got := guessed("ml", "a-0"); got != "Pods/ml/a-*" {
		t.Error(got)
	}
}

// TestExistingNodes: a node that is there is filled first, and the Result shows whose GPUs are whose.
// TestDefaultSpread: what a controller spreads by its scheduler's defaults, a simulation does, too, whatever pods belong together by.
func TestDefaultSpread(t *testing.T) {
	spread, err := demand.ReadDefaultSpread("[{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}]")
	if err != nil {
		t.Fatal(err)
	}
	labelled := strings.Replace(one, "{spec:", "{metadata: {labels: {app: a}}, spec:", 1)
	controller := func(kind string) string {
		return fmt.Sprintf("apiVersion: apps/v1\nkind: %s\nmetadata: {name: a}\nspec: {replicas: 6, selector: {matchLabels: {app: a}}, template: %s}\n", kind, labelled)
	}
	for name, manifests := range map[string]string{
		"Deployment": controller("Deployment"), "ReplicaSet": controller("ReplicaSet"), "StatefulSet": controller("StatefulSet"),
		"Service": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {parallelism: 6, completions: 6, template: " + labelled + "}\n---\n" +
			"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}}\n",
	} {
		for _, given := range []bool{false, true} {
			c := Config{Manifests: read(t, anyGPU, manifests)}
			if given {
				c.DefaultSpread = spread
			}
			zones := map[string]int{}
			for _, n := range run(t, c).Nodes {
				for _, p := range n.Pods {
					zones[n.Zone] += p.Pods * n.Copies
				}
			}
			if spreads := len(zones) > 1; spreads != given {
				t.Errorf("%s, with default constraints %v: pods by zone %v", name, given, zones)
			}
		}
	}
}

func TestExistingNodes(t *testing.T) {
	node := `apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/region: us-west-2, topology.kubernetes.io/zone: us-west-2a, node.kubernetes.io/instance-type: g5.12xlarge}}
status:
  allocatable: {cpu: "40", memory: 160Gi, pods: "100", nvidia.com/gpu: "4"}
  conditions: [{type: Ready, status: "True"}]
`
	r := run(t, Config{Manifests: read(t, anyGPU, node, pod("there", "1", "  nodeName: n1\n"), pod("a", "2", ""), pod("b", "4", ""))})
	if r.Region != "us-west-2" || r.Summary.OnExisting != 1 || r.Summary.OnNewNodes != 1 || r.Summary.Held != 0 {
		t.Errorf("region %s, summary %+v", r.Region, r.Summary)
	}
	if len(r.Existing) != 1 || r.Existing[0].GPU.Used != 3 || r.Existing[0].GPU.Count != 4 || fmt.Sprint(r.Existing[0].Pods) != "[{Pod/a 1 2}]" {
		t.Errorf("existing: %+v", r.Existing)
	}
}

// TestCheckPod: of several things that are wrong the same is told each time.
func TestCheckPod(t *testing.T) {
	wrong := corev1.ResourceRequirements{Limits: corev1.ResourceList{}, Requests: corev1.ResourceList{}}
	for _, name := range []corev1.ResourceName{"cpu", "ephemeral-storage", "memory", "nvidia.com/gpu"} {
		wrong.Limits[name], wrong.Requests[name] = resource.MustParse("-1"), resource.MustParse("-2")
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	pod.Spec.Containers = []corev1.Container{{Resources: wrong}}
	pod.Spec.InitContainers = pod.Spec.Containers
	for range 64 {
		if err, want := checkPod(pod), "spec.initContainers[0].resources.limits[cpu]: -1 is no amount"; err == nil || err.Error() != want {
			t.Fatalf("got %v, want %s", err, want)
		}
	}
}
