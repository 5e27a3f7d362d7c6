package demand

// SelectorKey is a pod selector in canonical text: which namespaces, which labels. Selectors that choose the same have the same key,
// however they were written. A plan never evaluates one: it is told which demands each chooses (Demand.Chosen) and how many
// of the pods that run (plan.Node.Chosen).
type SelectorKey string

// Neighbours is what a demand's pods ask of the pods around them.
type Neighbours struct {
	// Chosen are the selectors that choose these pods, of those that any waiting pod or a running pod's anti-affinity uses. Sorted.
	Chosen []SelectorKey `json:",omitempty"`
	// Spread are the topology spread constraints, those of the cluster's default included where the pod has none. In the pod's order.
	Spread []Spread `json:",omitempty"`
	// Near are required pod affinity terms: each domain must hold a pod that Selector chooses. A pod that its own terms all choose
	// may be the first of its kind anywhere, as kube-scheduler allows.
	Near []Term `json:",omitempty"`
	// Apart are required pod anti-affinity terms: the domain must hold no pod that Selector chooses.
	Apart []Term `json:",omitempty"`
	// Preferred are preferred terms, heaviest first: above 0 affinity, below 0 anti-affinity.
	Preferred []Preference `json:",omitempty"`
	// Ports are those of the host that each pod takes. Sorted.
	Ports []HostPort `json:",omitempty"`
}

// Term is a set of pods and the node label whose values are the domains in which they count.
type Term struct {
	TopologyKey string
	Selector    SelectorKey
}

// Preference is a Term with a weight of -100 to 100, never 0.
type Preference struct {
	Term
	Weight int32
}

// Spread is a topology spread constraint.
type Spread struct {
	Term
	MaxSkew    int32 // >= 1
	MinDomains int32 // 0: not given, which counts as 1
	// Soft: whenUnsatisfiable is ScheduleAnyway.
	Soft bool `json:",omitempty"`
	// AnyNode: nodeAffinityPolicy is Ignore, so nodes that the pod does not select count as domains too.
	AnyNode bool `json:",omitempty"`
	// HonorTaints: nodeTaintsPolicy is Honor, so nodes whose taints the pod does not tolerate do not count.
	HonorTaints bool `json:",omitempty"`
}

// HostPort is a port of the node. Two conflict if protocol and port are equal and the addresses are, or one is 0.0.0.0.
type HostPort struct {
	Protocol string // TCP, UDP or SCTP
	Address  string // 0.0.0.0 if not given
	Port     int32
}
