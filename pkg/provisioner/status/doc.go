// Package status tells, in each Provisioner's status and in metrics, whether it is usable and what it has.
//
// It decides the condition Ready and its one reason, and adds up every NodeClaim of the Provisioner, launching and draining ones
// included: the same sum that limits are held against, exact to the micro-dollar. It decides nothing about nodes; nobody plans from what
// it writes.
//
// It writes only what changed: at once where the condition did, at most once a second where only numbers did.
//
// It may import pkg/apis, pkg/cloud, pkg/provisioner/telemetry and controller-runtime.
package status
