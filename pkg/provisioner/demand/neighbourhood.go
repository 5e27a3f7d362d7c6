package demand

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Surroundings are the objects that decide what pods ask for. Nothing of it is changed.
type Surroundings struct {
	// Waiting are pods without a node; those that are Ours become demands.
	Waiting []*corev1.Pod
	// Moving are pods on nodes that the cloud will take. The successors of those that ask for a GPU, have a controller that makes another
	// one, and have not ended become demands, with the Key of an equal pod that waits. A pod that is terminating has a successor
	// already, or gets none.
	Moving []*corev1.Pod
	// Placed are the pods that are bound or nominated to a node and have not ended, Moving included.
	Placed []*corev1.Pod
	// Namespaces are the labels of each.
	Namespaces map[string]map[string]string
	Storage    Storage
	DaemonSets []*appsv1.DaemonSet
	Defaults   Defaults
}

// Neighbourhood is what pods are to each other: who chooses whom. Selectors are evaluated here and nowhere else.
type Neighbourhood struct {
	reader  *reader
	chooser *chooser
	demands []Demand
	counted map[SelectorKey]bool // selectors of demands
	met     map[SelectorKey]bool // selectors that choose a demand
	moving  map[types.UID]bool   // whose successor is a demand
	storage *storage
	daemons []*corev1.Pod   // of DaemonSets on new nodes
	drivers map[string]bool // that attach volumes of demands
}

// Company is what the pods on a node are to others: see plan.Node for the fields.
type Company struct {
	Chosen, Lasting map[SelectorKey]int
	Apart           []Term
	Ports           []HostPort
	// Attachable is how many more volumes the node can attach, of the drivers that demands ask for: to be added to plan.Node.Free.
	Attachable Resources
	// Missing is what would come to that if the drivers ran on the node that it misses.
	Missing Resources
}

// waitingPod is a pod that becomes part of a demand.
type waitingPod struct {
	pod    *corev1.Pod
	moving bool // its successor, that is
	asks   *asks
	held   *held
}

// NewNeighbourhood reads all pods. The order of pods makes no difference. O(pods x labels that selectors ask for), and pods that neither
// ask for neighbours nor are asked for cost no more than without it.
func NewNeighbourhood(s Surroundings) *Neighbourhood {
	n := &Neighbourhood{
		reader: newReader(s), daemons: templates(s.DaemonSets),
		storage: newStorage(s.Storage),
		counted: map[SelectorKey]bool{}, met: map[SelectorKey]bool{}, moving: map[types.UID]bool{}, drivers: map[string]bool{},
	}
	pods := n.ours(s)
	selectors := map[SelectorKey]*selector{}
	for i := range pods {
		for _, s := range pods[i].asks.selectors {
			selectors[s.key], n.counted[s.key] = s, true
		}
	}
	if len(pods) > 0 {
		n.addTheirs(selectors, s.Placed)
		n.addTheirs(selectors, n.daemons)
	}
	n.chooser = newChooser(selectors)
	g := newGroups()
	for i := range pods {
		g.add(&pods[i], n.chooser.of(pods[i].pod.Namespace, pods[i].pod.Labels))
	}
	n.demands = g.demands()
	for i := range n.demands {
		for name := range n.demands[i].Requests {
			if driver, volumes := strings.CutPrefix(string(name), string(AttachableVolumes(""))); volumes {
				n.drivers[driver] = true
			}
		}
		for _, key := range n.demands[i].Neighbours.Chosen {
			n.met[key] = true
		}
	}
	return n
}

// ours are the pods that become demands.
func (n *Neighbourhood) ours(s Surroundings) []waitingPod {
	first := make([]*corev1.Pod, 0, len(s.Waiting))
	var moving, staying []*corev1.Pod
	for _, pod := range s.Waiting {
		if Classify(pod) == Ours {
			first = append(first, pod)
		}
	}
	for _, pod := range s.Moving {
		if lasting(pod) == Ours && metav1.GetControllerOfNoCopy(pod) != nil {
			moving = append(moving, pod)
			n.moving[pod.UID] = true
		}
	}
	for _, pod := range s.Placed {
		if !n.moving[pod.UID] {
			staying = append(staying, pod)
		}
	}
	if tied := slices.DeleteFunc(slices.Concat(first, moving), func(p *corev1.Pod) bool { return !UsesVolumes(p) }); len(tied) > 0 {
		n.storage.use(staying)
		n.storage.use(tied)
		n.storage.contend(tied)
	}
	pods := make([]waitingPod, 0, len(first)+len(moving))
	for _, pod := range first {
		pods = append(pods, waitingPod{pod, false, n.reader.of(pod), n.storage.of(pod, false)})
	}
	for _, pod := range moving {
		pods = append(pods, waitingPod{pod, true, n.reader.of(pod), n.storage.of(pod, true)})
	}
	return pods
}

// addTheirs adds the selectors by which pods that are placed keep others away.
func (n *Neighbourhood) addTheirs(selectors map[SelectorKey]*selector, placed []*corev1.Pod) {
	for _, pod := range placed {
		if len(apartTerms(pod)) == 0 || n.moving[pod.UID] {
			continue
		}
		asks := n.reader.of(pod)
		for _, s := range asks.selectors {
			if slices.ContainsFunc(asks.neighbours.Apart, func(t Term) bool { return t.Selector == s.key }) {
				selectors[s.key] = s
			}
		}
	}
}

func apartTerms(pod *corev1.Pod) []corev1.PodAffinityTerm {
	if a := pod.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		return a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	return nil
}

// Demands answers the demands, sorted by Key. Callers must not change what they hold.
func (n *Neighbourhood) Demands() []Demand { return n.demands }

// Company answers what the pods on the node of this name mean to the demands. Pods whose successor is a demand itself are left out: their
// node goes.
func (n *Neighbourhood) Company(node string, pods []*corev1.Pod) Company {
	var c Company
	if len(n.demands) == 0 {
		return c
	}
	for _, pod := range pods {
		if n.moving[pod.UID] {
			continue
		}
		n.count(&c, pod)
		c.Ports = append(c.Ports, hostPorts(&pod.Spec)...)
		if len(apartTerms(pod)) == 0 {
			continue
		}
		for _, term := range n.reader.of(pod).neighbours.Apart {
			if n.met[term.Selector] {
				c.Apart = append(c.Apart, term)
			}
		}
	}
	if len(n.drivers) > 0 {
		c.Attachable, c.Missing = n.storage.left(node, pods, n.drivers)
	}
	slices.SortFunc(c.Apart, compareTerms)
	c.Apart, c.Ports = slices.Compact(c.Apart), sortedPorts(c.Ports)
	return c
}

func (n *Neighbourhood) count(c *Company, pod *corev1.Pod) {
	if len(n.counted) == 0 {
		return
	}
	for _, key := range n.chooser.of(pod.Namespace, pod.Labels).chosen {
		if !n.counted[key] {
			continue
		}
		if c.Chosen == nil {
			c.Chosen, c.Lasting = map[SelectorKey]int{}, map[SelectorKey]int{}
		}
		c.Chosen[key]++
		if pod.DeletionTimestamp == nil {
			c.Lasting[key]++
		}
	}
}
