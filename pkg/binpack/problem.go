package binpack

import (
	"iter"
	"math/bits"
)

// Vector is a quantity for each resource of the Problem, in the order of Problem.Resources. All are >= 0.
type Vector []int64

// Problem is everything a packing depends on.
type Problem struct {
	// Resources names the dimensions of every Vector, for messages only.
	Resources []string
	// GPU is the index of the scarce resource in Resources: stranded amounts of it break ties. -1: none.
	GPU       int
	Shapes    []Shape
	Offerings []Offering
	Bins      []Bin
	Demands   []Demand
	Limits    []Limit
}

// Shape is the capacity of a node of one instance type of one pool, after the overhead of kubelet and DaemonSets.
type Shape struct {
	Name     string
	Capacity Vector
}

// Offering is a shape that can be bought at a price in one place.
type Offering struct {
	Name                 string // unique; the last tie-break
	Shape                int    // index in Problem.Shapes
	PriceMicroUSDPerHour int64  // 0..MaxPriceMicroUSDPerHour; expected price, so health may have raised it
	// Tier orders offerings before price: demands use a lower tier as long as it can serve them.
	Tier int
	// Group bounds what one node's choices may mix: only offerings of the same Group may stand in for each other.
	Group int
	// Stock is how many nodes can be bought as first choice; negative: unknown, unbounded.
	Stock int
	// Shares are the other offerings that are sold out of the same stock. They have the same Stock, and name this one too.
	Shares []int
	// Closed, if not Open, says why the offering cannot be bought now (ReasonStockout, ReasonQuota, ReasonOutage, ...).
	Closed Reason
	// Charges are what one node costs against Limits. Sorted by Limit, at most one per limit.
	Charges []Charge
}

// Limit is a hard ceiling: the sum of the charges of the bought nodes must not exceed Remaining.
type Limit struct {
	Name      string // for messages: provisioner gpu: limits.gpu
	Remaining int64  // may be negative when usage is above the limit already: then nothing more fits
}

// Charge is an amount that one node takes of a limit.
type Charge struct {
	Limit  int // index in Problem.Limits
	Amount int64
}

// Bin is a node that exists or is on its way, with what is free on it. Using it costs nothing.
type Bin struct {
	Name string // unique; the last tie-break
	Free Vector
}

// Demand is a number of identical pods that wait for a place.
type Demand struct {
	Name  string // unique; the last tie-break
	Count int    // >= 1
	Size  Vector
	// MaxPerNode bounds how many of them share a node; 0: no bound. On a bin it counts the pods of this plan only: a bin that already
	// holds such pods belongs into Levels only if it may take MaxPerNode more.
	MaxPerNode int
	// Apart, over Problem.Demands, are the demands that never share a node with this one, be it a bin or new. It is read both ways: it is
	// enough if one of two demands names the other. Its own index is never in it; MaxPerNode 1 says that. A bin that already holds
	// pods that these must keep away from belongs into no Level.
	Apart Set
	// WorthMilli, if not 0, says that nobody waits: Count pods are expected to arrive. They are never placed and never held, and no node is
	// bought for them alone. A place for one of them that is left on a node that is bought anyway is worth so many thousandths (1..1000)
	// of the cheapest price per pod of a node that holds nothing else: min over the offerings that may be bought for it of price / pods
	// that fit (at most MaxCount), in whole micro-dollars per hour, rounded down. What is minimised is then, among plans that serve as much, the cost of the nodes
	// less the worth of Node.Expected. Those that have room on a bin of their Levels when everybody waiting is placed need none elsewhere.
	// Likelihoods are told as several demands of one size with decreasing worth. Such a demand has no Gang.
	WorthMilli int
	// Priority: a higher one is served first when limits or stock bind.
	Priority int32
	// Gang, if not 0, ties demands with the same number: all of their pods are placed, or none.
	Gang int
	// Levels are the allowed places, strictest preference first; at least one. The last is what is required.
	Levels []Level
}

// Level is a set of places that satisfy a demand's requirements together with some of its preferences.
type Level struct {
	Offerings Set // over Problem.Offerings
	Bins      Set // over Problem.Bins
}

// Set is a bit set of indices.
type Set []uint64

// NewSet answers an empty set that can hold indices below n.
func NewSet(n int) Set { return make(Set, (n+63)/64) }

// Add puts i into the set; i must be below the n that the set was made for.
func (s Set) Add(i int) { s[i/64] |= 1 << (i % 64) }

// Has tells whether i is in the set. An index beyond its size is not.
func (s Set) Has(i int) bool { return i/64 < len(s) && s[i/64]&(1<<(i%64)) != 0 }

// All answers the indices in the set, ascending.
func (s Set) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for w, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(w*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

// Any tells whether anything is in the set.
func (s Set) Any() bool {
	for _, word := range s {
		if word != 0 {
			return true
		}
	}
	return false
}

// beyond tells whether the set has an index that is not below n.
func (s Set) beyond(n int) bool {
	for i := n; i < len(s)*64; i++ {
		if s.Has(i) {
			return true
		}
	}
	return false
}

// within tells whether t has every index of s.
func (s Set) within(t Set) bool {
	for w, word := range s {
		if w < len(t) {
			word &^= t[w]
		}
		if word != 0 {
			return false
		}
	}
	return true
}

// Policy is how to solve.
type Policy struct {
	// ToleranceMilli: offerings that hold the same content at up to this many thousandths above the chosen price are listed as
	// further choices of a node. 100 = 10 %.
	ToleranceMilli int
	// MaxChoices bounds the choices of a node; 0: 1.
	MaxChoices int
	// Steps bounds the effort beyond the first answer (columns, knapsacks and multisets looked at, some 100 ns each), so that the result does not depend on
	// the machine; 0: DefaultSteps. 1: the first answer.
	Steps int
}
