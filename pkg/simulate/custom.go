package simulate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
)

// errOpaque: the pods that an object stands for do not follow from its manifest. It is skipped, not refused.
var errOpaque = errors.New("skipped")

func opaque(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errOpaque, fmt.Sprintf(format, args...))
}

// customKinds are the kinds of other projects whose manifests hold pod templates.
var customKinds = map[schema.GroupKind]func(w *workload, spec content) error{
	{Group: "kubeflow.org", Kind: "PyTorchJob"}:                   replicaSpecs("pytorchReplicaSpecs"),
	{Group: "kubeflow.org", Kind: "TFJob"}:                        replicaSpecs("tfReplicaSpecs"),
	{Group: "kubeflow.org", Kind: "MPIJob"}:                       replicaSpecs("mpiReplicaSpecs"),
	{Group: "kubeflow.org", Kind: "XGBoostJob"}:                   replicaSpecs("xgbReplicaSpecs"),
	{Group: "kubeflow.org", Kind: "PaddleJob"}:                    replicaSpecs("paddleReplicaSpecs"),
	{Group: "kubeflow.org", Kind: "JAXJob"}:                       replicaSpecs("jaxReplicaSpecs"),
	{Group: "kubeflow.org", Kind: "Notebook"}:                     notebook,
	{Group: "jobset.x-k8s.io", Kind: "JobSet"}:                    jobSet,
	{Group: "leaderworkerset.x-k8s.io", Kind: "LeaderWorkerSet"}:  leaderWorkerSet,
	{Group: "ray.io", Kind: "RayCluster"}:                         rayCluster,
	{Group: "ray.io", Kind: "RayJob"}:                             rayWithin("rayClusterSpec"),
	{Group: "ray.io", Kind: "RayService"}:                         rayWithin("rayClusterConfig"),
	{Group: "batch.volcano.sh", Kind: "Job"}:                      volcanoJob,
	{Group: "argoproj.io", Kind: "Rollout"}:                       rollout,
	{Group: "serving.kserve.io", Kind: "InferenceService"}:        inferenceService,
	{Group: "trainer.kubeflow.org", Kind: "TrainJob"}:             elsewhere("the pod template is in its training runtime"),
	{Group: "workload.codeflare.dev", Kind: "AppWrapper"}:         elsewhere("give the wrapped objects themselves"),
	{Group: "serving.knative.dev", Kind: "Service"}:               elsewhere("how many pods it has follows from its traffic; give a Deployment"),
	{Group: "karpenter.sh", Kind: "NodePool"}:                     elsewhere("only karpenter.sh/v1alpha5 Provisioners are carried over; write a Provisioner of slipway.sh"),
	{Group: "karpenter.k8s.aws", Kind: "EC2NodeClass"}:            elsewhere("write an EC2NodeClass of slipway.sh"),
	{Group: "karpenter.k8s.aws", Kind: "AWSNodeTemplate"}:         elsewhere("write an EC2NodeClass of slipway.sh"),
	{Group: "leaderworkerset.x-k8s.io", Kind: "DisaggregatedSet"}: elsewhere("give its LeaderWorkerSets"),
	{Group: "serving.kserve.io", Kind: "ServingRuntime"}:          elsewhere("it makes no pods of its own"),
	{Group: "serving.kserve.io", Kind: "ClusterServingRuntime"}:   elsewhere("it makes no pods of its own"),
}

// custom reads a kind of another project. One that is not known is no workload, unless it looks like one.
func custom(w workload, u *unstructured.Unstructured) (workload, bool, error) {
	gvk := u.GroupVersionKind()
	expand, known := customKinds[gvk.GroupKind()]
	spec, _, _ := unstructured.NestedMap(u.Object, "spec")
	if !known {
		if asksForGPUs(u.Object) {
			return w, true, opaque("it is not known which pods %s %s makes; give its pods, or a Deployment or Job like them", gvk.GroupVersion(), gvk.Kind)
		}
		return w, false, nil
	}
	return w, true, expand(&w, content{spec, "spec"})
}

// asksForGPUs tells whether any key in the object is a GPU resource.
func asksForGPUs(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			if strings.HasPrefix(key, "nvidia.com/") || strings.HasPrefix(key, "amd.com/gpu") || asksForGPUs(below) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, asksForGPUs)
	}
	return false
}

func elsewhere(where string) func(*workload, content) error {
	return func(*workload, content) error { return opaque("%s", where) }
}

// content is a part of an object that is read by hand, and its path.
type content struct {
	value map[string]any
	path  string
}

// at answers the part below a key, empty if there is none.
func (c content) at(key string) (content, error) {
	value, ok := c.value[key]
	below := content{map[string]any{}, c.path + "." + key}
	if !ok || value == nil {
		return below, nil
	}
	if below.value, ok = value.(map[string]any); !ok {
		return below, fmt.Errorf("%s: want an object, not %T", below.path, value)
	}
	return below, nil
}

// list answers the parts below a key.
func (c content) list(key string) ([]content, error) {
	value, ok := c.value[key]
	if !ok || value == nil {
		return nil, nil
	}
	items, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%s.%s: want a list, not %T", c.path, key, value)
	}
	var all []content
	for i, item := range items {
		path := fmt.Sprintf("%s.%s[%d]", c.path, key, i)
		object, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: want an object, not %T", path, item)
		}
		all = append(all, content{object, path})
	}
	return all, nil
}

func (c content) count(key string, otherwise int64) (int64, error) {
	switch n := c.value[key].(type) {
	case nil:
		return otherwise, nil
	case int64:
		return n, nil
	case float64:
		if n == float64(int64(n)) {
			return int64(n), nil
		}
	}
	return 0, fmt.Errorf("%s.%s: want a whole number, not %v", c.path, key, c.value[key])
}

func (c content) text(key string) string {
	s, _ := c.value[key].(string)
	return s
}

// template reads the pod template below a key, strictly.
func (c content) template(key string) (corev1.PodTemplateSpec, error) {
	var t corev1.PodTemplateSpec
	if _, ok := c.value[key].(map[string]any); !ok {
		return t, fmt.Errorf("%s.%s: a pod template is required", c.path, key)
	}
	return t, c.decode(key, &t)
}

// decode reads what is below a key into a type of Kubernetes, strictly.
func (c content) decode(key string, into any) error {
	text, err := json.Marshal(c.value[key])
	if err != nil {
		return fmt.Errorf("%s.%s: %w", c.path, key, err)
	}
	strict, err := kjson.UnmarshalStrict(text, into)
	if err = errors.Join(append(strict, err)...); err != nil {
		return fmt.Errorf("%s.%s: %w", c.path, key, err)
	}
	return nil
}

// replicaSpecs are those of Kubeflow's training operator: role to replicas and template.
func replicaSpecs(field string) func(*workload, content) error {
	return func(w *workload, spec content) error {
		roles, err := spec.at(field)
		if err != nil {
			return err
		}
		if len(roles.value) == 0 {
			return fmt.Errorf("%s: at least one replica type is required", roles.path)
		}
		for _, role := range slices.Sorted(maps.Keys(roles.value)) {
			one, err := roles.at(role)
			if err != nil {
				return err
			}
			if err := w.group(one, strings.ToLower(role), "replicas", "template", map[string]string{
				"training.kubeflow.org/job-name": w.object.GetName(), "training.kubeflow.org/replica-type": strings.ToLower(role)}); err != nil {
				return err
			}
		}
		return nil
	}
}

// group adds the pods of the template that is below one key, as many as stands below another.
func (w *workload) group(c content, role, count, template string, labels map[string]string) error {
	n, err := c.count(count, 1)
	if err != nil {
		return err
	}
	t, err := c.template(template)
	if err != nil {
		return err
	}
	w.groups = append(w.groups, replicas{role: role, count: n, template: labelled(t, labels)})
	return nil
}

func notebook(w *workload, spec content) error {
	return w.group(spec, "", "", "template", map[string]string{"notebook-name": w.object.GetName()})
}

func rollout(w *workload, spec content) error {
	if _, there := spec.value["workloadRef"]; there {
		return opaque("its template is in the object of spec.workloadRef; give that one")
	}
	return w.group(spec, "", "replicas", "template", nil)
}

func volcanoJob(w *workload, spec content) error {
	tasks, err := spec.list("tasks")
	if err != nil {
		return err
	}
	for i, task := range tasks {
		role := task.text("name")
		if role == "" {
			role = fmt.Sprintf("task%d", i)
		}
		if err := w.group(task, role, "replicas", "template", map[string]string{"volcano.sh/job-name": w.object.GetName(), "volcano.sh/task-spec": role}); err != nil {
			return err
		}
	}
	return nil
}

// jobSet is replicas x parallelism pods of each replicated Job.
func jobSet(w *workload, spec content) error {
	jobs, err := spec.list("replicatedJobs")
	if err != nil {
		return err
	}
	for _, each := range jobs {
		role := each.text("name")
		n, err := each.count("replicas", 1)
		if err != nil {
			return err
		}
		var template batchv1.JobTemplateSpec
		if err := each.decode("template", &template); err != nil {
			return err
		}
		if n < 0 || n > maxPods {
			return fmt.Errorf("%s.replicas: want 0 to %d, not %d", each.path, maxPods, n)
		}
		for i := range n {
			name := fmt.Sprintf("%s-%d", role, i)
			group := job(&template.Spec, w.object.GetName()+"-"+name, name)
			group.template = labelled(group.template, map[string]string{"jobset.sigs.k8s.io/jobset-name": w.object.GetName(),
				"jobset.sigs.k8s.io/replicatedjob-name": role, "jobset.sigs.k8s.io/job-index": fmt.Sprint(i)})
			w.groups = append(w.groups, group)
			if len(w.groups) > maxPods {
				return fmt.Errorf("%s: more than %d Jobs", each.path, maxPods)
			}
		}
	}
	return nil
}

// leaderWorkerSet is, for each replica, a leader and size-1 workers. The leader is like a worker if it has no template.
func leaderWorkerSet(w *workload, spec content) error {
	n, err := spec.count("replicas", 1)
	if err != nil {
		return err
	}
	within, err := spec.at("leaderWorkerTemplate")
	if err != nil {
		return err
	}
	size, err := within.count("size", 1)
	if err != nil {
		return err
	}
	if n < 0 || size < 1 || n > maxPods || size > maxPods {
		return fmt.Errorf("%s: %d replicas of size %d", within.path, n, size)
	}
	worker, err := within.template("workerTemplate")
	if err != nil {
		return err
	}
	leader := worker
	if _, has := within.value["leaderTemplate"]; has {
		if leader, err = within.template("leaderTemplate"); err != nil {
			return err
		}
	}
	name := map[string]string{"leaderworkerset.sigs.k8s.io/name": w.object.GetName()}
	w.groups = []replicas{{role: "leader", count: n, template: labelled(leader, name)}}
	if size > 1 {
		w.groups = append(w.groups, replicas{role: "worker", count: n * (size - 1), template: labelled(worker, name)})
	}
	return nil
}
