// Replay plays weeks of arrivals of a production GPU cluster against three ways to buy nodes, and says what each paid.
//
//	go run ./test/replay -traces DIR [-days 24] [-quick] [-only ROW] [-out FILE] [-svg FILE]
//
// The arrivals are those of Alibaba's openb trace (its last 24 days, ten copies shifted against each other). An event heap plays them: pods
// arrive, kube-scheduler puts those that fit onto nodes that are there, the rest waits for the end of a batch window and is given to the
// policy; a node that has been empty for the idle delay goes. Nobody is moved. The policies:
//
//   - karpenter: Karpenter's own algorithm for a batch, written again (see karpenter.go),
//   - myopic: plan.Grow with Policy.Arrivals off,
//   - slipway: plan.Grow as it is, on Views with the arrivals that were seen so far.
//
// What a policy paid is the integral of the nodes' prices over their lives. Slipway's is shown over Karpenter's, and over the better of
// Karpenter's and myopic.
//
// It is a program for developers: the product never imports it. It takes no clock and no randomness but a seeded one, so that the
// same trace gives the same numbers.
package main
