package plan

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// Policy is how Grow decides. The zero value means the defaults.
type Policy struct {
	// ToleranceMilli: types that are up to so many thousandths dearer may stand in for the cheapest of a claim. Default 100.
	ToleranceMilli int
	// MaxChoices of a claim, at most 60 (EC2 takes no more in one request). Default 20.
	MaxChoices int
	// Steps of the solver; 0: the solver's default.
	Steps int
	// Foresight is how View.Arrivals are counted on.
	Foresight Foresight `json:",omitzero"`
}

// Decision is what Grow answers. Every pod of the View's demands is in exactly one of Create (as a pod of a claim), Placed and Held.
type Decision struct {
	// Create are the claims to create, named; their order is the order in which to create them.
	Create []v1alpha1.NodeClaim
	// Placed are pods that have a place already: on a node, or on one that is on its way.
	Placed []Placed
	Held   []Held
	// CostMicroUSDPerHour of the claims in Create, at the price of their first choice.
	CostMicroUSDPerHour int64
	// ExpectedMicroUSDPerHour is the same with each price raised by what the offering's interruptions cost, and the node's start and idle
	// tail: what is kept low.
	ExpectedMicroUSDPerHour int64
	// LowerBoundMicroUSDPerHour: no decision that serves as many pods of each demand, at the same preferences, has an expected cost below
	// it (binpack.Plan says under which conditions), into whatever domains it deals pods. 0: nothing is proven.
	LowerBoundMicroUSDPerHour int64
}

// Placed says where a pod is expected to go.
type Placed struct {
	Pod types.UID
	// Claim or Node: exactly one is set; Claim for a node that is not open yet.
	Claim string
	Node  string
}

// Held is pods of one demand that stay pending, with the one reason.
type Held struct {
	Demand string // its Key
	Pods   []demand.Pod
	Reason v1alpha1.Reason
	// Message is for people: what is in the way, the nearest miss, and the remedy.
	Message string
	// Provisioner whose limit is in the way, or that came nearest; empty if none did.
	Provisioner string
	// Offers is how many things the Provisioners can buy: instance type, zone, market and labels. Obstacles counts, for each reason, those
	// that failed on it first, and sums up to Offers.
	Offers    int                     `json:",omitempty"`
	Obstacles map[v1alpha1.Reason]int `json:",omitempty"`
	// Misses are what would have served a pod of the demand if something were otherwise, the nearest first; at most 3. Each is true on its
	// own: once its changes are made, another decision about one such pod buys a node of it or of something that is cheaper.
	Misses []Miss `json:",omitempty"`
}
