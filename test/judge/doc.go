// Package judge asks kube-scheduler itself about Slipway's decisions.
//
// It draws a cluster from a seed: nodes, pods that run, wait, leave or are nominated, Provisioners, volumes, DaemonSets, claims on their way.
// It gathers that with pkg/provisioner/inventory and plans with pkg/provisioner/plan, as the controller does. Then it makes the decision
// true: a node for each claim, once of its first choice, once of its last, once of any, with the pods that the real DaemonSet controller's
// rule puts there; and it binds the placed pods one after another with the filter plugins of kube-scheduler's default profile. Every
// placement must be accepted. A pod that is held for a constraint must fit no node that there is and no further one that a Provisioner could
// buy; one that is held for want of stock or for a limit, none that these still allow. What is bought must be in stock and inside the limits.
// What a node offers is worked out by cmd/fakeaws' machines, not by the planner, but for how many volumes a new one attaches. The cluster is
// then taken some steps on (claims launch, nodes join, pods are bound, more arrive) and judged again.
//
// What the plugins read comes from informers without a watch, so a world costs some 15 ms and a test run judges thousands. A failure prints
// the seed and the smallest world that shows it.
//
// This is a module of its own because it links k8s.io/kubernetes. It may import anything of the main module; nothing imports it.
package judge
