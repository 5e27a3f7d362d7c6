package inventory

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// lessonLasts is how long it is remembered what a node left to pods after the last node of its shape is gone: long enough that a pod
// that turned out not to fit does not get the same node again, short enough that a change of settings gets its chance.
const lessonLasts = time.Hour

// shape is what nodes have in common that offer the same.
type shape struct{ provisioner, instanceType string }

// lesson is what a shape was seen to leave to pods, and when.
type lesson struct {
	free demand.Resources
	at   time.Time
}

// learn notes what an open node leaves to pods after those that come with it: of DaemonSets, also such as were not predicted, and static
// ones. Of several nodes of a shape the least of each counts.
func learn(lessons map[shape]demand.Resources, c *plan.Claim, node *corev1.Node, pods []*corev1.Pod) {
	free := demand.FromList(node.Status.Allocatable, demand.RoundDown)
	for _, pod := range pods {
		if comesWithNode(pod) {
			free = free.Sub(demand.RequestsOnNode(pod))
		}
	}
	key := shape{c.Object.Spec.Provisioner, c.Object.Status.InstanceType}
	if before, known := lessons[key]; known {
		for name, n := range before {
			free[name] = min(free[name], n)
		}
	}
	lessons[key] = free
}

// comesWithNode tells whether the pod is there because the node is.
func comesWithNode(pod *corev1.Pod) bool {
	v := demand.Classify(pod)
	return v == demand.DaemonOwned || v == demand.Static
}

// keepLessons replaces what is remembered of shapes that are there, and forgets others after some time.
func (m *Mirror) keepLessons(lessons map[shape]demand.Resources, now time.Time) {
	for key, free := range lessons {
		m.lessons[key] = lesson{free, now}
	}
	maps.DeleteFunc(m.lessons, func(_ shape, l lesson) bool { return now.Sub(l.at) > lessonLasts })
}

func (m *Mirror) learned() []plan.Learned {
	list := make([]plan.Learned, 0, len(m.lessons))
	for key, l := range m.lessons {
		list = append(list, plan.Learned{Provisioner: key.provisioner, InstanceType: key.instanceType, Free: l.free})
	}
	slices.SortFunc(list, func(a, b plan.Learned) int {
		return cmp.Or(strings.Compare(a.Provisioner, b.Provisioner), strings.Compare(a.InstanceType, b.InstanceType))
	})
	return list
}
