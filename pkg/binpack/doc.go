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
package binpack
