package binpack

// Plan answers a Problem. Every pod of every demand that waits is in exactly one of Fills, Nodes and Held.
type Plan struct {
	Fills []Fill // by Bin
	Nodes []Node
	Held  []Held // by Demand
	// CostMicroUSDPerHour is the sum over Nodes of Copies x price of the first choice.
	CostMicroUSDPerHour int64
	// LowerBoundMicroUSDPerHour: no plan costs less that serves as many pods of each demand as this one, on bins or new nodes, and puts no
	// demand onto a new node of a later level, or of a later tier of the same level, than this one does. It is proven, however few Steps there
	// were; cost / bound is the certificate. The bound heeds what fits where, MaxPerNode and bins; limits, stock (beyond the first node), gangs
	// and whatever Apart forbids may be left out, so where they bind it may be low. 0: nothing is proven. Expected demands take no part.
	LowerBoundMicroUSDPerHour int64
	// WorthMicroUSDPerHour is what the room that Nodes leave to expected arrivals is worth (Demand.WorthMilli). It is no part of the cost.
	WorthMicroUSDPerHour int64
}

// Fill is what goes onto an existing bin.
type Fill struct {
	Bin      int
	Contents []Content // by Demand
}

// Node is Copies identical nodes to buy.
type Node struct {
	Copies int
	// Offerings are the acceptable choices, best first; all are of one Group, hold Contents, and charge each limit within what remains.
	// A limit is debited with the largest charge among them. All are of the first one's tier; after it they are sorted by price, then name.
	Offerings []int
	Contents  []Content // by Demand, per copy
	// Expected is the room that is left on purpose to demands that are only expected (Demand.WorthMilli), by Demand, per copy. Every choice
	// has it. Nobody is promised it.
	Expected []Content
}

// Content is a number of pods of one demand.
type Content struct {
	Demand int
	Count  int
}

// Reason is why something cannot be used. The zero value means that nothing is wrong.
type Reason uint8

// The reasons, from the most to the least specific to the cluster's state; their order decides nothing.
const (
	Open             Reason = iota
	ReasonConstraint        // no offering is allowed for the demand at all
	ReasonNoShape           // allowed offerings exist, none is large enough
	ReasonLimit             // a large enough offering exists, a limit is in the way
	ReasonStockout          // the cloud has no capacity
	ReasonQuota             // the account's quota is used up
	ReasonOutage            // the cloud does not answer
	ReasonGang              // placeable on its own, but not the whole gang
	NumReasons              // how many there are
)

// Held is a number of pods of a demand that stay pending, with the one primary reason.
type Held struct {
	Demand int
	Count  int
	Reason Reason
	// Limit is the index of the limit in the way (ReasonLimit), else -1.
	Limit int
	// Failed counts, for each Reason, the offerings whose first obstacle it was, in the order Constraint, NoShape, closed or sold out
	// (Stockout), Limit; what remains is Open. Limits and stock are those left by the first choices of the plan.
	Failed [NumReasons]int
	// Nearest is the offering that came closest among those that failed on Reason (ReasonGang: on nothing): after the fewest obstacles,
	// then the smallest shortfall, the cheapest; -1 if there is none.
	Nearest int
	// Resource is the dimension in which Nearest falls short the most, relatively (ReasonNoShape), else -1.
	Resource int
}

// String answers the word that events, conditions and metrics use. Open, the absence of a reason, is "Open".
func (r Reason) String() string {
	words := [NumReasons]string{"Open", "Constraint", "NoShape", "Limit", "Stockout", "Quota", "Outage", "Gang"}
	if r >= NumReasons {
		return "Unknown"
	}
	return words[r]
}
