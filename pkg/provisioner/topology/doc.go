// Package topology decides which domains pods go to, as far as the pods around them have a say: topology spread, pod affinity and
// anti-affinity, host ports.
//
// Domains are dealt before packing. Deal takes classes of equal items and gives each a number per cell, a cell being one domain for each label
// key that matters to the class: those of its own rules, and those on which the rules of others count its pods. It deals item by item, as
// kube-scheduler binds, against the filters of v1.37 (podtopologyspread/filtering.go, interpodaffinity/filtering.go): first whom nobody
// binds but others count, targets of affinity before those that must be near them. Among the cells that pass it takes the one whose
// followers can be served, then the one with the fewest pods, then what stands, then what node affinity prefers, then the cheapest. The packing
// then only sees places of that cell.
//
// What is about single nodes (kubernetes.io/hostname) is not dealt: Clash and Place.Refuses say who shares no node with whom, LeastPerNode
// from what a spread over nodes is measured, and Together who shares a node because of affinity.
//
// Counts that are not certain (where a claim that is on its way will be, whether a pod will be on a node that counts) go in with their worst:
// the most pods for what bounds from above, the fewest for what must be there. So a deal may be tighter than kube-scheduler; what it
// allows, kube-scheduler allows in the order in which it was dealt.
//
// Tighter than kube-scheduler on purpose: the minimum of a spread over nodes is 0 once a node is bought that counts; of demands with one
// selector and several skews the smallest binds them all; who is counted by a spread over nodes and does not ask for it keeps off the nodes of
// those who do; pods that may only join others on a node get one such node, or an equal share of the pods that they must be near.
//
// It knows strings and numbers: no client, no clock, no price list. It may import pkg/provisioner/demand for the words of the rules, and
// pkg/binpack for its sets.
package topology
