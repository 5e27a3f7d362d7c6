// Package machine plays the machines of a simulated cloud in a real Kubernetes cluster, without any container.
//
// For each machine of a sim.Cloud it does what runs on the machine and what watches over it: it boots as the user data
// says (nodeadm's NodeConfig or Bottlerocket's TOML), registers a Node like a kubelet, labels it like the cloud controller
// manager, renews its Lease, shows its GPUs when the device plugin would, admits or rejects the pods that are bound to it,
// runs and ends them, and takes the Node away when the machine is gone. User data that would keep a kubelet from starting
// keeps the machine from joining: the log says why, as the machine's console would.
//
// A pod runs for as long as its annotation RunSecondsAnnotation says, or else as its `sleep N`, or else for ever; it stops
// when it is deleted, after StopSecondsAnnotation.
//
// Step plays everything that is due by the cloud's clock and is all there is: Run calls it again and again. It refuses no
// pod for what a kubelet would not look at. It is for fakes only; it may import the Kubernetes client and pkg/cloud/sim.
package machine
