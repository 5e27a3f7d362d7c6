// Package sim is a cloud in memory: seeded, on a given clock, and as unpleasant as the real one.
//
// It decides what an account and a region decide: which of the asked offerings has stock, whose quota is used up, when
// a machine boots, when its GPUs show, when spot takes it back. It plays stockouts, throttling, lost replies, partial
// fills, ignored tokens and late device plugins, by configuration or by a script (see Parse). Cloud implements the port
// (cloud.Catalog, cloud.Templates, cloud.Fleet, cloud.NoticeSource); what lies below the port (CreateFleet, Terminate,
// Machines, Queue) is for cmd/fakeaws, which puts the same cloud behind EC2's wire protocols and plays the machines.
//
// Nothing happens by itself: there is no goroutine, no timer and no I/O. Every call first settles what has fallen due
// since the last one, in the order of its time, so that the same seed, the same clock and the same calls give the same
// cloud. Next says when something is due, for whoever moves the clock. Chance is drawn per machine from the seed and the
// machine's ordinal, so that one call more or less elsewhere does not change the fate of the others.
//
// It refuses a Config that contradicts itself (Validate). It may import the standard library and pkg/cloud.
package sim
