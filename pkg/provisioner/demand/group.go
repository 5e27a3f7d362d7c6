package demand

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
)

// Group answers the demands of those of the pods that are Ours, sorted by Key. The order of pods makes no difference. O(pods).
func Group(pods []*corev1.Pod) []Demand {
	g := newGroups()
	for _, pod := range pods {
		if Classify(pod) == Ours {
			g.add(pod, waiting(pod))
		}
	}
	return g.demands()
}

// OfMoving answers the demands of the successors that pods on nodes that the cloud will take are going to have: pods that ask for a GPU,
// have a controller that makes another one, and have not ended. What is bound to where is not looked at, so the successors have
// the Key of an equal pod that waits. Their Since is zero. A pod that is terminating has a successor already, or gets none.
func OfMoving(pods []*corev1.Pod) []Demand {
	g := newGroups()
	for _, pod := range pods {
		if lasting(pod) == Ours && metav1.GetControllerOfNoCopy(pod) != nil {
			g.add(pod, Pod{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Moving: true})
		}
	}
	return g.demands()
}

// Merge answers the demands of all lists as one, sorted by Key; demands of the same Key become one. The lists are not changed.
func Merge(lists ...[]Demand) []Demand {
	byKey := map[string]*Demand{}
	for _, list := range lists {
		for _, d := range list {
			if known, ok := byKey[d.Key]; ok {
				known.Pods = append(known.Pods, d.Pods...)
				continue
			}
			d.Pods = slices.Clone(d.Pods)
			byKey[d.Key] = &d
		}
	}
	return sorted(byKey)
}

func waiting(pod *corev1.Pod) Pod {
	p := Pod{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Since: pod.CreationTimestamp.UTC(), Nominated: Expected(pod)}
	if c := scheduled(pod); c != nil {
		p.Scheduler = c.Message
		if !c.LastTransitionTime.IsZero() {
			p.Since = c.LastTransitionTime.UTC()
		}
	}
	return p
}

// groups collects pods by what they ask for.
type groups struct {
	byContent map[string]*Demand // by encoding.demand
	byPrint   map[string]*Demand // by encoding.fingerprint: the short way to the same
	buffer    encoding
}

func newGroups() *groups {
	return &groups{byContent: map[string]*Demand{}, byPrint: map[string]*Demand{}}
}

func (g *groups) add(pod *corev1.Pod, entry Pod) {
	g.buffer = g.buffer[:0].fingerprint(&pod.Spec)
	d, ok := g.byPrint[string(g.buffer)]
	if !ok {
		printed := string(g.buffer)
		d = g.of(pod)
		g.byPrint[printed] = d
	}
	d.Pods = append(d.Pods, entry)
}

// of answers the demand that the pod belongs to, a new one if there is none.
func (g *groups) of(pod *corev1.Pod) *Demand {
	d := &Demand{
		Requests:    Requests(pod),
		Select:      SelectionOf(&pod.Spec),
		Priority:    schedulinghelper.PodPriority(pod),
		Unsupported: unsupported(pod),
	}
	g.buffer = g.buffer[:0].demand(d)
	if known, ok := g.byContent[string(g.buffer)]; ok {
		return known
	}
	d.Key = g.buffer.key()
	// What is not valid about the selection follows from the selection, which is in the key already.
	d.Unsupported = join(d.Unsupported, invalid(&d.Select))
	g.byContent[string(g.buffer)] = d
	return d
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ". " + b
}

func (g *groups) demands() []Demand { return sorted(g.byContent) }

func sorted(by map[string]*Demand) []Demand {
	all := make([]Demand, 0, len(by))
	for _, d := range by {
		slices.SortFunc(d.Pods, comparePods)
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b Demand) int { return strings.Compare(a.Key, b.Key) })
	return all
}

func comparePods(a, b Pod) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}
