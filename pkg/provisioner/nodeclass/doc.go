// Package nodeclass keeps every EC2NodeClass looked up: which images, subnets, security groups and instance profile its selectors mean
// today.
//
// It decides when to ask the cloud again (on a changed spec, and every few minutes), what an answer or an error means for the class
// (the condition Ready, with one reason, the field and the remedy), and when a class may go (no NodeClaim refers to it).
//
//	unknown ──resolved──► ready ──outage, throttling──► ready, and the condition says so
//	   ▲                    │ spec changed, misconfigured, access denied
//	   └──── after restart  └──► not ready: nothing is launched from it
//
// What it found is kept in memory (Store) for those who launch and plan; it is found anew after a restart, since a launch
// needs a cloud that answers anyway. It launches nothing and refuses to guess: a selector that matches nothing is an error of the user.
//
// It may import pkg/apis, pkg/cloud, pkg/provisioner/{inventory,telemetry} and controller-runtime.
package nodeclass
