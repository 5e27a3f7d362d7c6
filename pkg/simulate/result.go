package simulate

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/record"
)

// ResultVersion is the version of Result's JSON and YAML. Fields may be added within a version; none changes its meaning.
const ResultVersion = "slipway.sh/simulation/v1"

// Result is what Slipway would do. Money is dollars per hour as decimal numbers in text, CPU milli-cores, memory MiB, GPUs whole.
type Result struct {
	Version string  `json:"version"`
	Region  string  `json:"region"`
	Summary Summary `json:"summary"`
	// Nodes are what would be bought: identical ones as one group, dearest first.
	Nodes []NodeGroup `json:"nodes"`
	// Existing are nodes, and claims on their way, that take some of the pods. By name.
	Existing []Existing `json:"existing,omitempty"`
	// Held are the pods that stay pending: those of a workload that are held for the same reason as one.
	Held []HeldPods `json:"held,omitempty"`
	// NotConsidered are pods that wait and are not Slipway's business.
	NotConsidered []NotConsidered `json:"notConsidered,omitempty"`
	// Skipped are objects that were given and are not simulated.
	Skipped []Skipped `json:"skipped,omitempty"`
	// Assumptions are what was assumed for want of a cluster or AWS.
	Assumptions []string `json:"assumptions,omitempty"`
	// Replay, of a recorded View, compares with the decision that was recorded.
	Replay *Replay `json:"replay,omitempty"`
}

// Summary is the Result in numbers.
type Summary struct {
	// CostPerHour of the nodes that would be bought.
	CostPerHour string `json:"costPerHour"`
	// ExpectedPerHour is the cost with what interruptions of spot machines cost, and with what is paid for while machines start and wait to
	// be found idle; empty if that is nothing.
	ExpectedPerHour string `json:"expectedPerHour,omitempty"`
	// LowerBoundPerHour: no plan that serves the same pods as well has a lower expected cost, whatever domains they go to. As well: none
	// at a lower preference about nodes, or from a Provisioner of a lower weight. Empty if nothing is proven.
	LowerBoundPerHour string `json:"lowerBoundPerHour,omitempty"`
	// GapPercent is by how much the expected cost is above the bound: the optimum lies between the two.
	GapPercent *float64 `json:"gapPercent,omitempty"`
	Nodes      int      `json:"nodes"`
	// GPUs of the nodes that would be bought, and how many of them pods use.
	GPUs     int64 `json:"gpus"`
	GPUsUsed int64 `json:"gpusUsed"`
	// Pods that wait for a GPU: those on nodes that would be bought, those that fit on what is there, and those that are held.
	Pods       int `json:"pods"`
	OnNewNodes int `json:"onNewNodes"`
	OnExisting int `json:"onExisting"`
	Held       int `json:"held"`
}

// NodeGroup is a number of identical nodes. Amounts are per node.
type NodeGroup struct {
	Copies       int    `json:"copies"`
	Provisioner  string `json:"provisioner"`
	InstanceType string `json:"instanceType"`
	Zone         string `json:"zone"`
	Market       string `json:"market"`
	PricePerHour string `json:"pricePerHour"` // of one
	CostPerHour  string `json:"costPerHour"`  // of all
	GPU          GPU    `json:"gpu"`
	// CPU and Memory show how full a node is.
	CPUMilli  Fill      `json:"cpuMilli"`
	MemoryMiB Fill      `json:"memoryMiB"`
	Pods      []Content `json:"pods"`
	// Alternatives is how many further types and zones the launch may fall back to.
	Alternatives int `json:"alternatives"`
	// Why this shape, in a sentence.
	Why string `json:"why,omitempty"`

	priceMicroUSD int64
}

// GPU is what a node has of GPUs.
type GPU struct {
	Name      string `json:"name,omitempty"` // EC2's: T4, A10G
	MemoryMiB int64  `json:"memoryMiB,omitempty"`
	Count     int64  `json:"count"`
	Used      int64  `json:"used"`
}

// Fill is how much of a resource is taken. 0 <= Daemons + Pods <= Capacity, unless a node holds more than it has.
type Fill struct {
	Capacity int64 `json:"capacity"` // what the kubelet leaves to pods
	Daemons  int64 `json:"daemons"`  // DaemonSets, and on existing nodes whatever runs there
	Pods     int64 `json:"pods"`
}

// Content is a number of pods of one workload on a node.
type Content struct {
	Workload string `json:"workload"`
	Pods     int    `json:"pods"`
	GPUs     int64  `json:"gpus"` // of each pod
}

// Existing is a node, or a claim whose node is on its way, with the pods that would come onto it.
type Existing struct {
	Name         string    `json:"name"`
	OnItsWay     bool      `json:"onItsWay,omitempty"`
	InstanceType string    `json:"instanceType,omitempty"`
	Zone         string    `json:"zone,omitempty"`
	GPU          GPU       `json:"gpu"`
	Pods         []Content `json:"pods"`
}

// HeldPods are pods of one workload that stay pending.
type HeldPods struct {
	Workload    string          `json:"workload"`
	Pods        int             `json:"pods"`
	GPUs        int64           `json:"gpus"` // of each pod
	Reason      v1alpha1.Reason `json:"reason"`
	Message     string          `json:"message"` // what is in the way, and the remedy
	Provisioner string          `json:"provisioner,omitempty"`
	// Obstacles counts what the Provisioners may buy by what kept it off.
	Obstacles map[v1alpha1.Reason]int `json:"obstacles,omitempty"`
	// Misses are what would have served a pod if something were otherwise, the nearest first.
	Misses []Miss `json:"misses,omitempty"`
}

// Miss is an offering that would serve a held pod if every one of Changes were made.
type Miss struct {
	Provisioner  string   `json:"provisioner"`
	InstanceType string   `json:"instanceType"`
	Zone         string   `json:"zone"`
	Market       string   `json:"market"`
	PricePerHour string   `json:"pricePerHour"`
	Changes      []string `json:"changes"`
}

// Replay says whether a recorded View gives the decision that was recorded.
type Replay struct {
	// Program is the version of Slipway that recorded, Foreign if its Views were others than this program's.
	Program string `json:"program"`
	Foreign bool   `json:"foreign,omitempty"`
	Same    bool   `json:"same"`
	// Changed: flags changed the View, so the decision is not compared.
	Changed     bool                `json:"changed,omitempty"`
	Differences []record.Difference `json:"differences,omitempty"`
	// More is how many differences there are beyond those listed.
	More int `json:"more,omitempty"`
}

// Run decides about a Scenario. The error is an internal fault of the solver.
func Run(s Scenario, policy plan.Policy) (Result, error) {
	d, err := plan.Grow(s.View, policy)
	if err != nil {
		return Result{}, err
	}
	return Describe(s, d), nil
}

// Changes are what flags change in a recorded View.
type Changes struct {
	Prices    []Price
	Stockouts []Pattern
	Steps     int // 0: as recorded
}

// Replayed decides again about a recorded View, with what the flags change in it, and compares if they change nothing.
func Replayed(r record.Record, c Changes) (Result, error) {
	s := Scenario{View: r.View, owners: map[types.UID]string{}}
	s.Assumptions = []string{"View of " + r.View.Now.UTC().Format("2006-01-02 15:04:05 MST") + ", recorded by slipway " + r.Program}
	policy := r.Policy
	changed := c.Steps != 0 || len(c.Prices)+len(c.Stockouts) > 0
	if changed {
		if err := s.change(c.Prices, c.Stockouts); err != nil {
			return Result{}, err
		}
		if c.Steps != 0 {
			policy.Steps = c.Steps
		}
		result, err := Run(s, policy)
		result.Replay = &Replay{Program: r.Program, Foreign: r.Foreign(), Changed: true}
		return result, err
	}
	today, err := r.Replay()
	if err != nil {
		return Result{}, err
	}
	result := Describe(s, today.Decision)
	result.Replay = &Replay{Program: r.Program, Foreign: r.Foreign(), Same: today.Same(), Differences: today.Differences, More: today.More}
	return result, nil
}
