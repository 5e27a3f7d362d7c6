package simulate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/carryover"
)

const stockout = v1alpha1.HeldStockout

// Skipped is an object that is known and not simulated.
type Skipped struct {
	Object string `json:"object"`
	Why    string `json:"why"`
}

// unscoped are the kinds without a namespace among those that a simulation looks at.
var unscoped = map[string]bool{"Node": true, "Namespace": true, "PersistentVolume": true, "StorageClass": true, "PriorityClass": true,
	"RuntimeClass": true, "CSINode": true, "CSIDriver": true, "VolumeAttachment": true, "Provisioner": true, "EC2NodeClass": true, "NodeClaim": true}

// reference names an object by what an owner reference has of it.
type reference struct{ group, kind, namespace, name string }

func referenceOf(m *Manifest) reference {
	gvk := m.Object.GetObjectKind().GroupVersionKind()
	return reference{gvk.Group, gvk.Kind, m.Object.GetNamespace(), m.Object.GetName()}
}

// objects fills the world with the manifests, and with what controllers and admission make of them.
func (g *gathering) objects(ctx context.Context) error {
	g.classes = &nodeClasses{classes: map[string]*v1alpha1.EC2NodeClass{}, live: g.Live != nil, assume: g.assume}
	given := map[reference]*Manifest{}
	var errs []error
	for i := range g.Manifests {
		m := &g.Manifests[i]
		if kind := m.Object.GetObjectKind().GroupVersionKind().Kind; m.Object.GetNamespace() == "" && !unscoped[kind] {
			m.Object.SetNamespace(metav1.NamespaceDefault)
		}
		if first, twice := given[referenceOf(m)]; twice {
			errs = append(errs, fmt.Errorf("%s: is the same object as %s", m.Where, first.Where))
			continue
		}
		given[referenceOf(m)] = m
	}
	represented := g.represented(given)
	admit := newAdmission(g.Manifests, g.Now, g.assume)
	if err := g.overlay(ctx, admit); err != nil {
		return err
	}
	for i := range g.Manifests {
		if m := &g.Manifests[i]; given[referenceOf(m)] == m {
			if err := g.object(m, given, represented, admit); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", m.Where, err))
			}
		}
	}
	g.namespaces()
	return errors.Join(append(errs, g.liveClasses(ctx))...)
}

// represented are the workloads some of whose pods are given, or whose owner is: a dump of a cluster holds a Deployment, its ReplicaSet
// and its pods.
func (g *gathering) represented(given map[reference]*Manifest) map[reference]bool {
	marked := map[reference]bool{}
	for i := range g.Manifests {
		_, isPod := g.Manifests[i].Object.(*corev1.Pod)
		for m, depth := &g.Manifests[i], 0; m != nil && depth < 8; depth++ {
			owner := metav1.GetControllerOfNoCopy(m.Object)
			if owner == nil {
				break
			}
			group, _, _ := strings.Cut(owner.APIVersion, "/")
			if owner.APIVersion == "v1" {
				group = ""
			}
			above := reference{group, owner.Kind, m.Object.GetNamespace(), owner.Name}
			if isPod {
				marked[above] = true
			} else if given[above] != nil {
				marked[referenceOf(m)] = true
			}
			m = given[above]
		}
	}
	return marked
}

// object puts one manifest into the world.
func (g *gathering) object(m *Manifest, given map[reference]*Manifest, represented map[reference]bool, admit *admission) error {
	if m.Object.GetName() == "" {
		return errors.New("metadata.name: required")
	}
	switch o := m.Object.(type) {
	case *corev1.Pod:
		return g.pod(o, admit)
	case *karpenterv1alpha5.Provisioner:
		if given[reference{v1alpha1.Group, "Provisioner", "", o.Name}] != nil {
			return fmt.Errorf("metadata.name: there is a Provisioner.%s of that name, too", v1alpha1.Group)
		}
		return g.carry(o)
	case *v1alpha1.Provisioner:
		return g.provisioner(o)
	case *v1alpha1.EC2NodeClass:
		g.classes.classes[o.Name] = o
		return nil
	case *appsv1.DaemonSet:
		return checkTemplate("spec.template", &o.Spec.Template, g.put(o))
	}
	w, is, err := workloadOf(m.Object)
	switch {
	case errors.Is(err, errOpaque):
		g.skipped = append(g.skipped, Skipped{name(w.kind, m.Object.GetNamespace(), m.Object.GetName()), strings.TrimPrefix(err.Error(), errOpaque.Error()+": ")})
		return nil
	case err != nil:
		return err
	case !is:
		return g.put(m.Object)
	}
	g.owner(m.Object)
	if represented[referenceOf(m)] {
		return nil // its pods, or its owner, are given
	}
	return g.workload(&w, admit)
}

// put adds an object as it is.
func (g *gathering) put(object client.Object) error {
	kind := object.GetObjectKind().GroupVersionKind().GroupKind()
	if !g.world.add(kind, object) {
		return fmt.Errorf("there is a %s %s already", kind.Kind, client.ObjectKeyFromObject(object))
	}
	return nil
}

// owner adds what kube-scheduler reads to know which pods belong together. A ReplicaSet stands for its Deployment.
func (g *gathering) owner(object client.Object) {
	switch o := object.(type) {
	case *corev1.ReplicationController, *appsv1.ReplicaSet, *appsv1.StatefulSet:
		g.world.add(object.GetObjectKind().GroupVersionKind().GroupKind(), object)
	case *appsv1.Deployment:
		set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, UID: uid("ReplicaSet", o.Namespace, o.Name)},
			Spec: appsv1.ReplicaSetSpec{Selector: o.Spec.Selector}}
		set.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
		g.world.add(set.GroupVersionKind().GroupKind(), set)
	}
}

// pod adds a pod as an API server would have it.
func (g *gathering) pod(pod *corev1.Pod, admit *admission) error {
	if err := checkPod(pod); err != nil {
		return err
	}
	admit.admit(pod)
	if _, known := g.owners[pod.UID]; !known {
		g.owners[pod.UID] = ownerOf(pod)
	}
	pod.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	return g.put(pod)
}

// workload adds the pods of a workload, and the volumes that it claims for each.
func (g *gathering) workload(w *workload, admit *admission) error {
	shown := name(w.kind, w.object.GetNamespace(), w.object.GetName())
	if w.note != "" {
		g.assume("%s: %s", shown, w.note)
	}
	for i := range w.groups {
		if err := checkTemplate("its pod template", &w.groups[i].template, nil); err != nil {
			return err
		}
	}
	pods, err := w.pods()
	if err != nil {
		return err
	}
	pods = g.lacking(shown, pods)
	total := len(g.world.kinds[schema.GroupKind{Kind: "Pod"}])
	if total+len(pods) > maxPods {
		return fmt.Errorf("with it there are %d pods; a simulation takes %d", total+len(pods), maxPods)
	}
	for _, pod := range pods {
		pod.UID = uid(w.kind, pod.Namespace, pod.Name)
		g.owners[pod.UID] = shown
		if err := errors.Join(g.claimVolumes(w, pod), g.pod(pod, admit)); err != nil {
			return err
		}
	}
	return nil
}

// claimVolumes does what the StatefulSet controller does: a claim for each pod and template.
func (g *gathering) claimVolumes(w *workload, pod *corev1.Pod) error {
	if len(w.volumes) == 0 {
		return nil
	}
	volumes := append([]corev1.Volume(nil), pod.Spec.Volumes...)
	for _, template := range w.volumes {
		claim := template.DeepCopy()
		claim.Namespace, claim.Name = pod.Namespace, template.Name+"-"+pod.Name
		claim.UID = uid("PersistentVolumeClaim", claim.Namespace, claim.Name)
		claim.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"))
		g.world.add(claim.GroupVersionKind().GroupKind(), claim) // one that is given stays
		volumes = append(volumes, corev1.Volume{Name: template.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name}}})
	}
	pod.Spec.Volumes = volumes
	return nil
}

func checkTemplate(field string, t *corev1.PodTemplateSpec, err error) error {
	if wrong := checkPod(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod"}, Spec: t.Spec}); wrong != nil {
		return fmt.Errorf("%s: %w", field, wrong)
	}
	return err
}

// carry adds what a karpenter.sh/v1alpha5 Provisioner means.
func (g *gathering) carry(old *karpenterv1alpha5.Provisioner) error {
	native, lost := carryover.Carry(old)
	for _, l := range lost {
		g.assume("Provisioner %s (karpenter.sh/v1alpha5) is carried over without %s: %s", old.Name, l.Field, l.Message)
	}
	return g.provisioner(&native)
}

// namespaces adds those that objects are in and nobody gave, with the label that every namespace has.
func (g *gathering) namespaces() {
	if g.Live != nil {
		return
	}
	names := map[string]bool{metav1.NamespaceDefault: true}
	for _, objects := range g.world.kinds {
		for key := range objects {
			names[key.Namespace] = true
		}
	}
	delete(names, "")
	for space := range names {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: space, UID: uid("Namespace", "", space),
			Labels: map[string]string{corev1.LabelMetadataName: space}}}
		object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
		g.world.add(object.GroupVersionKind().GroupKind(), object)
	}
}

// liveClasses reads the EC2NodeClasses of a live cluster, and carries its old Provisioners over where nobody has yet.
func (g *gathering) liveClasses(ctx context.Context) error {
	if g.Live == nil {
		return nil
	}
	var classes v1alpha1.EC2NodeClassList
	var native v1alpha1.ProvisionerList
	var old karpenterv1alpha5.ProvisionerList
	for _, list := range []client.ObjectList{&classes, &native, &old} {
		if err := g.world.List(ctx, list); err != nil {
			return err
		}
	}
	for i := range classes.Items {
		if c := &classes.Items[i]; g.classes.classes[c.Name] == nil {
			g.classes.classes[c.Name] = c
		}
	}
	there := map[string]bool{}
	for i := range native.Items {
		there[native.Items[i].Name] = true
	}
	for i := range old.Items {
		if !there[old.Items[i].Name] {
			if err := g.carry(&old.Items[i]); err != nil {
				return fmt.Errorf("carrying over Provisioner %s: %w", old.Items[i].Name, err)
			}
		}
	}
	return nil
}
