package demand

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// Defaults are the topology spread constraints that the cluster's scheduler gives to pods without any (PodTopologySpreadArgs of its
// profile, with defaultingType List), and the objects that say which pods belong together. The constraints that a scheduler has by itself
// (defaultingType System) do not belong here: they are ScheduleAnyway with wide skews, and so refuse no placement.
type Defaults struct {
	Constraints  []corev1.TopologySpreadConstraint
	Services     []*corev1.Service
	Controllers  []*corev1.ReplicationController
	ReplicaSets  []*appsv1.ReplicaSet
	StatefulSets []*appsv1.StatefulSet
}

// ReadDefaultSpread reads Defaults.Constraints from YAML or JSON as kube-scheduler does: without label selectors, which follow from what a
// pod belongs to.
func ReadDefaultSpread(text string) ([]corev1.TopologySpreadConstraint, error) {
	var list []corev1.TopologySpreadConstraint
	if err := yaml.UnmarshalStrict([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("reading the list of constraints: %w", err)
	}
	for i, s := range list {
		if s.MaxSkew < 1 || s.TopologyKey == "" || s.LabelSelector != nil ||
			s.WhenUnsatisfiable != corev1.DoNotSchedule && s.WhenUnsatisfiable != corev1.ScheduleAnyway {
			return nil, fmt.Errorf("constraint %d needs maxSkew of 1 or more, topologyKey, and whenUnsatisfiable DoNotSchedule or ScheduleAnyway, "+
				"and can have no labelSelector", i+1)
		}
	}
	return list, nil
}

// belonging answers which pods belong together.
type belonging struct {
	constraints []corev1.TopologySpreadConstraint
	services    map[string][]*corev1.Service // by namespace; those that select
	owners      map[owner]labels.Selector    // of those that kube-scheduler looks at
	known       map[string]labels.Selector
	buffer      encoding
}

type owner struct{ version, kind, namespace, name string }

func newBelonging(d Defaults) *belonging {
	b := &belonging{
		constraints: d.Constraints, services: map[string][]*corev1.Service{}, owners: map[owner]labels.Selector{}, known: map[string]labels.Selector{},
	}
	for _, s := range d.Services {
		if s.Spec.Selector != nil {
			b.services[s.Namespace] = append(b.services[s.Namespace], s)
		}
	}
	for _, c := range d.Controllers {
		b.owners[owner{"v1", "ReplicationController", c.Namespace, c.Name}] = labels.SelectorFromSet(c.Spec.Selector)
	}
	add := func(kind string, o *metav1.ObjectMeta, s *metav1.LabelSelector) {
		if compiled, err := metav1.LabelSelectorAsSelector(s); err == nil {
			b.owners[owner{appsv1.SchemeGroupVersion.String(), kind, o.Namespace, o.Name}] = compiled
		}
	}
	for _, s := range d.ReplicaSets {
		add("ReplicaSet", &s.ObjectMeta, s.Spec.Selector)
	}
	for _, s := range d.StatefulSets {
		add("StatefulSet", &s.ObjectMeta, s.Spec.Selector)
	}
	return b
}

// of answers whom the default constraints spread a pod among: whom its Services and its controller select. Nil: they are not for this pod,
// because it has constraints of its own or belongs to nothing.
func (b *belonging) of(pod *corev1.Pod) labels.Selector {
	if len(b.constraints) == 0 || len(pod.Spec.TopologySpreadConstraints) > 0 {
		return nil
	}
	var by owner
	if c := metav1.GetControllerOfNoCopy(pod); c != nil {
		by = owner{c.APIVersion, c.Kind, pod.Namespace, c.Name}
	}
	b.buffer = b.buffer[:0].text(by.version).text(by.kind).text(by.name).text(pod.Namespace).labels(pod.Labels)
	if known, ok := b.known[string(b.buffer)]; ok {
		return known
	}
	together := labels.NewSelector()
	for _, s := range b.services[pod.Namespace] {
		if selector := labels.SelectorFromSet(s.Spec.Selector); selector.Matches(labels.Set(pod.Labels)) {
			together = joined(together, selector)
		}
	}
	if selector, known := b.owners[by]; known {
		together = joined(together, selector)
	}
	if together.Empty() {
		together = nil
	}
	b.known[string(b.buffer)] = together
	return together
}

func joined(a, b labels.Selector) labels.Selector {
	requirements, selectable := b.Requirements()
	if !selectable {
		return a
	}
	return a.Add(slices.Clone(requirements)...)
}
