package demand

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
)

// Group answers the demands of those of the pods that are Ours, as if there were nothing else in the cluster, sorted by Key.
func Group(pods []*corev1.Pod) []Demand {
	return NewNeighbourhood(Surroundings{Waiting: pods}).Demands()
}

// entry is the pod as a part of its demand.
func (w *waitingPod) entry() Pod {
	pod := w.pod
	if w.moving {
		return Pod{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Moving: true}
	}
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
	byContent map[string]*group // by encoding.demand
	byPrint   map[string]*group // by encoding.fingerprint, what is asked of neighbours and volumes, and who chooses: the short way to the same
	buffer    encoding
}

// group is a demand on its way.
type group struct {
	demand *Demand
	pods   []*waitingPod
}

func newGroups() *groups {
	return &groups{byContent: map[string]*group{}, byPrint: map[string]*group{}}
}

func (g *groups) add(w *waitingPod, chosen *choice) {
	g.buffer = g.buffer[:0].number(int64(w.asks.id)).number(int64(w.held.id)).number(int64(chosen.id)).fingerprint(&w.pod.Spec)
	of, ok := g.byPrint[string(g.buffer)]
	if !ok {
		printed := string(g.buffer)
		of = g.of(w, chosen)
		g.byPrint[printed] = of
	}
	of.pods = append(of.pods, w)
}

// of answers the group that the pod belongs to, a new one if there is none.
func (g *groups) of(w *waitingPod, chosen *choice) *group {
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
	known := &group{demand: d}
	g.byContent[string(g.buffer)] = known
	return known
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ". " + b
}

func (g *groups) demands() []Demand {
	all := make([]Demand, 0, len(g.byContent))
	for _, of := range g.byContent {
		slices.SortFunc(of.pods, func(a, b *waitingPod) int { return comparePods(a.pod, b.pod) })
		of.demand.Pods = make([]Pod, len(of.pods))
		for i, w := range of.pods {
			of.demand.Pods[i] = w.entry()
		}
		all = append(all, *of.demand)
	}
	slices.SortFunc(all, func(a, b Demand) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// comparePods looks no further than it has to: it is called some 15 times for each pod.
func comparePods(a, b *corev1.Pod) int {
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return strings.Compare(string(a.UID), string(b.UID))
}
