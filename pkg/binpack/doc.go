// Package binpack packs demands onto bins and offerings at the least cost per hour.
//
// It decides which pods go onto which existing bin, which new nodes to buy, and which demands are held and why. The
// problem is multiple-choice variable-cost vector bin packing with few item classes: identical pods are one Demand with
// a Count, never one item per pod.
//
// It knows numbers only: no pod, no label, no zone name. What a demand may use is a Set of offerings and bins that the
// caller computed. Everything is a function of its arguments: no clock, no randomness, no I/O, no goroutine, no map
// order that reaches the result. It may import the standard library only.
//
// Units: prices are micro-dollars per hour; the unit of each resource is the caller's (milli-cores, MiB, milli-GPU).
// All arithmetic that decides is on integers, so the plan does not depend on the machine either.
//
// # Method
//
//	          ┌ all together ──────────────┐ nobody starves
//	Problem ──┤                            ├───────────────► improve ─► leftovers ─► choices, held ─► Plan
//	          └ priority by priority ◄─────┘ else: best of several
//
// One attempt fills bins first (large pods first, each onto the bin that then strands the fewest GPUs and has the least value left; or by
// exact knapsack what is dear to place elsewhere), then, level by level and tier by tier within a level, buys nodes for what is left, and
// puts what it can onto nodes bought before.
//
// Buying is first a greedy on value per price in the manner of weighted set cover: the value of a pod is the cheapest price per pod of a
// node that holds nothing else; each candidate offering has its most valuable contents, found by a bounded multi-dimensional
// knapsack; the best ratio is bought in as many copies as there are pods for. Pods only get fewer, so an old ratio is an upper bound and
// is looked at again only when it comes first (Minoux's lazy evaluation). Offerings that another one beats on price, size, allowed
// demands, charges and stock are dropped before, so zones and markets at one price cost nothing; of more than 128 that are left the most promising
// are looked at. The greedy runs again with values learnt from what its purchases charged each class, and first-fit decreasing by class runs
// beside it; the best is kept, so that no pass is dearer than first fit. A crowd of small pods in more than 512 items (see crowded) is packed by first fit alone.
//
// Then columns are generated (Gilmore and Gomory 1961): a linear programme over the contents bought so far prices a place for each demand, a
// knapsack per candidate finds contents worth more than their node, until there are none. Worths are smoothed (Wentges 1997), and contents that
// beat their price by less than a slack, from 1 % down, are not looked for: that is where knapsacks get hard. Hundreds of like classes are what makes
// that slow. So columns of price 0 exchange a place for one that needs less: dual-optimal inequalities (Ben Amor, Desrosiers and Valério
// de Carvalho 2006), which need an order of the classes only (see dominance). And a programme of more than 128 rows begins without those of the
// smallest classes, whose pods count among those of a class above them, and goes on from that solution (see coarse). The programme's whole copies
// are bought, with stand-ins where its exchanges say so, and greedy with its duals, from several depths of a dive, packs the rest. Its knapsack is bounded by Lagrangian relaxation of every
// resource but the GPU, with the dual of its linear relaxation for multipliers; nodes with many small pods round that relaxation. Where that
// bound is too weak to end the search, the dearest other resource is counted too, in at most 256 buckets with sizes rounded down, and the
// multipliers are learnt from one round to the next (Polyak's subgradient steps): of tens of candidates one or two are that hard, and what is
// not found there is missing in the plan and in the bound alike. A candidate that has one column to add gives up to eight more in a round.
//
// Improving repacks single nodes, pairs and triples, the most wasteful first: exactly, by dynamic programming over sub-multisets, where
// those are at most 2048, by greedy otherwise. If all pods that are bought for fit into that, the purchases are optimal.
//
// # The lower bound
//
// Plan.LowerBoundMicroUSDPerHour rests on linear programming duality: if no contents of any node that may be bought are worth more than the
// node costs, nodes cost at least what the pods are worth. Farley (1990) divides worths that miss this by the worst ratio; here they are
// repaired candidate by candidate, and only the items pay that can be in contents worth too much: either divided by that candidate's ratio,
// or cut down to a price of its resources that adds up to the node's. Where a knapsack is too hard to finish its proven upper bound stands for it, and
// the fractional contents behind that bound become columns of a second programme, for the proof alone, so that one hard candidate does not
// scale down all the others. Choosing worths is floating point; the proof is in integers, rounded down: it holds whenever generation stops.
//
// # Expected arrivals
//
// Pods that nobody waits for yet (Demand.WorthMilli) are never bought for. When everybody waiting has a place, purchases are looked at again:
// up to 256 sub-multisets of them exactly, else one node at a time, each on every candidate, when a node costs its price less the worth of
// the most valuable expected contents of the room beside its pods (the same knapsack). A change is kept if the cost of all nodes less the
// worth of all room left falls, each expected pod counted once. So nobody is served less, and room never costs more than it is worth.
//
// # When limits or stock bind
//
// If a demand is left that would have a place in an empty world, the attempts go through the priorities in order, gangs before the rest
// of their class and larger ones first, with money and with shares of the limits as the price. Who is served is compared first: class by
// class from the highest, GPUs, then larger pods, then pods. A gang is packed on its own and rolled back unless it is whole.
//
// What holds of every plan (Check verifies it): no limit, stock or capacity is exceeded; a gang is whole or held; no pod outside a held
// gang is held that would fit, alone, onto a bin, a new node, or an offering that stock and limits still allow. What does not hold: that
// no other arrangement of the pods that are served would have made room for one more; that is as hard as the packing itself.
//
// # Cost and worst case
//
// With D demands, O offerings, K of them not beaten, B bins, R resources, P patterns bought: O(R·O·(D+K)) to choose candidates, O(P·K)
// plus knapsacks to buy, O(R·D·(B+P)) to fill; nothing depends on the number of pods. A knapsack costs O(D·(R+GPUs²)) for its bound, a few
// times that for multipliers, and at most 256 search nodes, so the first answer takes some milliseconds for a hundred demands and tens for
// hundreds; the rest is bounded by Steps. Columns are generated for at most 1024 demands, whose programme holds the square of them.
//
// Measured: with at most 6 pods and nothing that binds the plan is optimal, with limits, stock, bins or gangs in more than 9 of 10 cases,
// and then at worst 3 times the optimum (internal/oracle asserts both, and that no bound exceeds an optimum). On large GPU mixes the first
// answer is within 1.5 % and the default one within 0.65 % from 1,000 pods on (1.2 % and 0.85 % at 100) of the bound that it proves, hundreds of
// classes bound to GPU models included (quality_test.go asserts it, BenchmarkMixes measures it). In theory weighted set cover with exact knapsacks
// is at most 1 + 1/2 + ... + 1/m times the LP bound, m the pods of a node, when values adapt to what is left (Chvátal 1979); with the values
// used here the guarantee, when nothing binds, is that of the baseline: never dearer than every demand alone on whole nodes of its cheapest
// offering. More steps never end dearer than the first answer.
package binpack
