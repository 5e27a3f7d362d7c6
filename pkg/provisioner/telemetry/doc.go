// Package telemetry holds every Prometheus metric, every Kubernetes event, and the condition of waiting pods that the controller writes (those
// metrics of single cloud calls come in through pkg/cloud/observed).
//
// It decides names, labels and buckets, and how often the same event may be said. Its methods are named for what
// happened, so that callers neither know a metric's name nor build a sentence for a label. There is no global registry
// and no init: New registers with the registry that it is given.
//
// It refuses labels without a bound: no pod, node or claim name is ever a label. The labels that users choose are the names of
// Provisioners; all others are sets of constants, and a value outside of its set is counted as "other".
//
// Units: seconds, dollars per hour, whole GPUs. It may import pkg/apis, pkg/cloud, pkg/provisioner/demand, Prometheus, client-go's
// events, and controller-runtime's client.
package telemetry
