package demand

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
)

// Group answers the demands of those of the pods that are Ours, as if there were nothing else in the cluster, sorted by Key.
func Group(pods []*corev1.Pod) []Demand {
	return NewNeighbourhood(Surroundings{Waiting: pods}).Demands()
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

// groups collects pods by what they ask for and who chooses them.
type groups struct {
	byContent map[string]*Demand // by encoding.demand
	byPrint   map[string]*Demand // by encoding.fingerprint, what is asked of neighbours and volumes, and who chooses: the short way to the same
	buffer    encoding
}

func newGroups() *groups {
	return &groups{byContent: map[string]*Demand{}, byPrint: map[string]*Demand{}}
}

func (g *groups) add(w *waitingPod, chosen *choice) {
	g.buffer = g.buffer[:0].number(int64(w.asks.id)).number(int64(w.held.id)).number(int64(chosen.id)).fingerprint(&w.pod.Spec)
	d, ok := g.byPrint[string(g.buffer)]
	if !ok {
		printed := string(g.buffer)
		d = g.of(w, chosen)
		g.byPrint[printed] = d
	}
	d.Pods = append(d.Pods, w.entry)
}

// of answers the demand that the pod belongs to, a new one if there is none.
func (g *groups) of(w *waitingPod, chosen *choice) *Demand {
	d := &Demand{
		Requests:    Requests(w.pod),
		Select:      SelectionOf(&w.pod.Spec),
		Priority:    schedulinghelper.PodPriority(w.pod),
		Neighbours:  w.asks.neighbours,
		Unsupported: join(unsupported(w.pod), join(w.asks.problems.String(), w.held.problems.String())),
	}
	d.Requests, d.Select.Also = d.Requests.Add(w.held.attached), w.held.also
	d.Neighbours.Chosen, d.Neighbours.Ports = chosen.chosen, hostPorts(&w.pod.Spec)
	d.Neighbours.share(w.held.shared)
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

func (g *groups) demands() []Demand {
	all := make([]Demand, 0, len(g.byContent))
	for _, d := range g.byContent {
		slices.SortFunc(d.Pods, comparePods)
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b Demand) int { return strings.Compare(a.Key, b.Key) })
	return all
}

func comparePods(a, b Pod) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}
