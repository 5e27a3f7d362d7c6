package simulate

import (
	"fmt"
	"hash/fnv"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxPods bounds what all manifests together may expand to: a typing error in replicas must not eat the machine.
const maxPods = 200_000

// replicas are pods of one template.
type replicas struct {
	role     string // part of the pods' names where a workload has several; else empty
	count    int64
	template corev1.PodTemplateSpec
	// each, if not nil, is told the number and the pod to set what differs from pod to pod.
	each func(i int, pod *corev1.Pod)
}

// workload is an object that a controller makes pods of.
type workload struct {
	kind   string
	object client.Object
	groups []replicas
	// volumes are what a StatefulSet claims for each pod.
	volumes []corev1.PersistentVolumeClaim
	note    string // what was assumed, for people
}

// workloadOf answers what pods an object stands for. ok is false if it stands for none: it is no workload. The error names the field.
func workloadOf(object client.Object) (w workload, ok bool, err error) {
	w = workload{kind: object.GetObjectKind().GroupVersionKind().Kind, object: object}
	switch o := object.(type) {
	case *appsv1.Deployment:
		w.groups = []replicas{{count: orOne(o.Spec.Replicas), template: hashed(o.Spec.Template)}}
	case *appsv1.ReplicaSet:
		w.groups = []replicas{{count: orOne(o.Spec.Replicas), template: o.Spec.Template}}
	case *corev1.ReplicationController:
		if o.Spec.Template == nil {
			return w, true, fmt.Errorf("spec.template: required")
		}
		w.groups = []replicas{{count: orOne(o.Spec.Replicas), template: *o.Spec.Template}}
	case *appsv1.StatefulSet:
		w.groups, w.volumes = []replicas{statefulSet(o)}, o.Spec.VolumeClaimTemplates
	case *batchv1.Job:
		w.groups = []replicas{job(&o.Spec, o.Name, "")}
		if o.Spec.Suspend != nil && *o.Spec.Suspend {
			w.note = "it is suspended; simulated as if it were resumed"
		}
	case *batchv1.CronJob:
		w.groups, w.note = []replicas{job(&o.Spec.JobTemplate.Spec, o.Name, "")}, "one run of it"
	case *unstructured.Unstructured:
		return custom(w, o)
	default:
		return w, false, nil
	}
	return w, true, nil
}

func orOne(n *int32) int64 {
	if n == nil {
		return 1
	}
	return int64(*n)
}

// hashed gives the template the label that a Deployment's pods have, which matchLabelKeys refers to.
func hashed(t corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	h := fnv.New32a()
	fmt.Fprint(h, t.Spec.String())
	return labelled(t, map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: strconv.FormatUint(uint64(h.Sum32()), 16)})
}

func labelled(t corev1.PodTemplateSpec, labels map[string]string) corev1.PodTemplateSpec {
	all := maps.Clone(t.Labels)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, labels)
	t.Labels = all
	return t
}

func statefulSet(o *appsv1.StatefulSet) replicas {
	first := 0
	if o.Spec.Ordinals != nil {
		first = int(o.Spec.Ordinals.Start)
	}
	return replicas{count: orOne(o.Spec.Replicas), template: o.Spec.Template, each: func(i int, pod *corev1.Pod) {
		pod.Name = fmt.Sprintf("%s-%d", o.Name, first+i)
		pod.Labels = labelled(o.Spec.Template, map[string]string{
			appsv1.StatefulSetPodNameLabel: pod.Name, appsv1.PodIndexLabel: strconv.Itoa(first + i)}).Labels
	}}
}

// job is as many pods as run at the same time: parallelism, but never more than are to complete.
func job(spec *batchv1.JobSpec, name, role string) replicas {
	count := orOne(spec.Parallelism)
	if spec.Completions != nil {
		count = min(count, int64(*spec.Completions))
	}
	template := labelled(spec.Template, map[string]string{batchv1.JobNameLabel: name, "job-name": name})
	r := replicas{role: role, count: count, template: template}
	if spec.CompletionMode != nil && *spec.CompletionMode == batchv1.IndexedCompletion {
		r.each = func(i int, pod *corev1.Pod) {
			pod.Labels = labelled(template, map[string]string{batchv1.JobCompletionIndexAnnotation: strconv.Itoa(i)}).Labels
		}
	}
	return r
}

// pods makes a workload's pods, named by their number.
func (w *workload) pods() ([]*corev1.Pod, error) {
	owner := metav1.OwnerReference{APIVersion: w.object.GetObjectKind().GroupVersionKind().GroupVersion().String(), Kind: w.kind,
		Name: w.object.GetName(), UID: w.object.GetUID(), Controller: new(true)}
	if w.kind == "Deployment" {
		owner.Kind = "ReplicaSet" // see gathering.owner
	}
	var all []*corev1.Pod
	for _, g := range w.groups {
		if g.count < 0 {
			return nil, fmt.Errorf("it asks for %d pods", g.count)
		}
		if g.count+int64(len(all)) > maxPods {
			return nil, fmt.Errorf("it asks for %d pods; a simulation takes %d", g.count, maxPods)
		}
		for i := range int(g.count) {
			name := w.object.GetName()
			if g.role != "" {
				name += "-" + g.role
			}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
				Namespace: w.object.GetNamespace(), Name: fmt.Sprintf("%s-%d", name, i), Labels: g.template.Labels,
				Annotations: g.template.Annotations, OwnerReferences: []metav1.OwnerReference{owner}}, Spec: g.template.Spec}
			if g.each != nil {
				g.each(i, pod)
			}
			all = append(all, pod)
		}
	}
	return all, nil
}

// uid is the same for the same object in every simulation.
func uid(kind, namespace, name string) types.UID {
	h := fnv.New128a()
	for _, part := range []string{"slipway-simulate", kind, namespace, name} {
		h.Write([]byte(part)) // a hash never answers an error
		h.Write([]byte{0})
	}
	sum := h.Sum(nil)
	return types.UID(fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:]))
}
