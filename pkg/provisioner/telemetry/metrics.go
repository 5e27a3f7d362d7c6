package telemetry

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

const (
	namespace     = "slipway"
	microsPerUnit = 1_000_000
	// other stands for every label value that is outside of its set.
	other = "other"
)

// Metrics are the controller's metrics. The zero value is not usable: see New. Methods may be called from many goroutines.
type Metrics struct {
	podsHeld      *gauges
	podsBound     *prometheus.CounterVec
	nominations   *prometheus.CounterVec
	heeded        prometheus.Gauge
	pendingToPlan prometheus.Histogram
	planSeconds   prometheus.Histogram
	planCost      prometheus.Gauge
	expected      prometheus.Gauge
	decisions     *prometheus.CounterVec
	claims        *prometheus.CounterVec
	claimPhase    *prometheus.HistogramVec
	nodes         *gauges
	nodesBlocked  *gauges
	gpus          *gauges
	cost          *gauges
	notices       *prometheus.CounterVec
	receiveErrors prometheus.Counter
	interruptions *prometheus.CounterVec
	fenceSeconds  prometheus.Histogram
	evictions     *prometheus.CounterVec
	orphans       prometheus.Counter
	degraded      *gauges
	operations    *prometheus.CounterVec
	operationTime *prometheus.HistogramVec
	requests      *prometheus.CounterVec
	requestTime   *prometheus.HistogramVec
}

var (
	// waitBuckets reach from the arrival window (0.1 s) to a quarter of an hour of stockout.
	waitBuckets = []float64{0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300, 900}
	planBuckets = []float64{0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10}
	// phaseBuckets reach from a launch (1 s) to a drain that waits for a training step.
	phaseBuckets = []float64{0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1800}
	// callBuckets include the 20 s of a long poll.
	callBuckets = []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10, 21, 60}
)

// New makes the metrics and registers them. It fails if one of the names is taken in reg.
func New(reg prometheus.Registerer) (*Metrics, error) {
	r := &registrar{to: reg}
	m := &Metrics{
		podsHeld: r.gauges("pods_held", "Pods that wait and cannot be placed now, by the one reason and the Provisioner that was considered.",
			"provisioner", "reason"),
		podsBound: r.counters("pods_bound_total", "Pods bound for which there was a plan: as planned, elsewhere, or earlier than their node opened.",
			"outcome"),
		nominations: r.counters("nominations_total", "Pods whose status.nominatedNodeName was written, or taken back.", "kind"),
		heeded: r.gauge("nominations_heeded",
			"0 if the API server is older than Kubernetes 1.35, whose scheduler does not heed nominations by default; else 1."),
		pendingToPlan: r.histogram("pods_pending_to_planned_seconds",
			"Time from the scheduler's first Unschedulable to the decision that a node is to be launched for the pod.", waitBuckets),
		planSeconds: r.histogram("plan_duration_seconds", "Time that one decision took to make.", planBuckets),
		planCost:    r.gauge("plan_cost_dollars_per_hour", "Price of the nodes that the latest decision launches."),
		expected: r.gauge("expected_arrivals_per_hour",
			"GPU pods that are expected to arrive in an hour, from what came lately; bursts are not counted."),
		decisions:     r.counters("decisions_total", "Things decided: nodes to launch, demands held.", "kind"),
		claims:        r.counters("claims_total", "NodeClaims that came to this point of their life, and why.", "event", "reason"),
		claimPhase:    r.histograms("claim_phase_seconds", "Time that NodeClaims spent in a phase that they completed.", phaseBuckets, "phase"),
		nodes:         r.gauges("nodes", "Nodes that run, are launching or are draining.", "provisioner", "market"),
		nodesBlocked:  r.gauges("nodes_blocked", "Nodes that are to go and are kept by a PodDisruptionBudget.", "provisioner"),
		gpus:          r.gauges("gpus", "GPUs: the limit, those that pods on nodes ask for, and the rest of those paid for.", "provisioner", "state"),
		cost:          r.gauges("cost_dollars_per_hour", "Price of all nodes that run, are launching or are draining.", "provisioner"),
		notices:       r.counters("notices_total", "Notices of the cloud, by what became of them.", "kind", "outcome"),
		receiveErrors: r.counter("notice_receive_errors_total", "Failed attempts to receive notices."),
		interruptions: r.counters("interruptions_total", "Nodes that the cloud said it will take.", "provisioner", "kind"),
		fenceSeconds: r.histogram("notice_to_fence_seconds",
			"Time from the cloud's saying that it takes a node until no new pod can come onto it.", callBuckets),
		evictions:     r.counters("evictions_total", "Attempts to move a pod off a node.", "outcome"),
		orphans:       r.counter("orphans_terminated_total", "Machines that belonged to no NodeClaim and were terminated."),
		degraded:      r.gauges("catalog_degraded", "1 for each source of prices and types that is replaced by older facts.", "source"),
		operations:    r.counters("cloud_operations_total", "Calls of the cloud port.", "operation", "outcome"),
		operationTime: r.histograms("cloud_operation_seconds", "Duration of calls of the cloud port.", callBuckets, "operation"),
		requests:      r.counters("cloud_requests_total", "Requests on the wire to the cloud's API, retries included.", "service", "operation", "outcome"),
		requestTime:   r.histograms("cloud_request_seconds", "Duration of requests on the wire to the cloud's API.", callBuckets, "service", "operation"),
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	m.expectFailures()
	m.NominationsHeeded(true) // until something else is known
	return m, nil
}

// HeldKey is what held pods are counted by.
type HeldKey struct {
	Provisioner string // empty: there is none
	Reason      v1alpha1.Reason
}

// PodsHeld says how many pods are held now. It replaces what was said before.
func (m *Metrics) PodsHeld(pods map[HeldKey]int) {
	m.podsHeld.replace(func(set func(float64, ...string)) {
		for k, n := range pods {
			set(float64(n), k.Provisioner, string(k.Reason))
		}
	})
}

// PodBound says what became of the plan for a pod that was bound now: planned, elsewhere or earlier.
func (m *Metrics) PodBound(outcome string) { m.podsBound.WithLabelValues(outcome).Inc() }

// Nominated says that so many pods were told the node where they are expected, and so many that they are not expected there any more.
func (m *Metrics) Nominated(written, withdrawn int) {
	m.nominations.WithLabelValues("written").Add(float64(written))
	m.nominations.WithLabelValues("withdrawn").Add(float64(withdrawn))
}

// NominationsHeeded says whether the scheduler of a cluster of its version heeds nominations.
func (m *Metrics) NominationsHeeded(are bool) {
	m.heeded.Set(0)
	if are {
		m.heeded.Set(1)
	}
}

// PodPlanned says that a node is to be launched for a pod that has waited so long.
func (m *Metrics) PodPlanned(waited time.Duration) { m.pendingToPlan.Observe(waited.Seconds()) }

// Planned says that a decision was made, in how long, and what its launches cost.
func (m *Metrics) Planned(took time.Duration, costMicroUSDPerHour int64) {
	m.planSeconds.Observe(took.Seconds())
	m.planCost.Set(float64(costMicroUSDPerHour) / microsPerUnit)
}

// Expecting says how many GPU pods are expected to arrive in an hour.
func (m *Metrics) Expecting(podsPerHour float64) { m.expected.Set(podsPerHour) }

// DecisionKind is what was decided.
type DecisionKind string

// The kinds of decision.
const (
	DecisionLaunch DecisionKind = "launch" // a claim is to be created
	DecisionHold   DecisionKind = "hold"   // a demand stays pending
)

// Decided says that so many things of a kind were decided.
func (m *Metrics) Decided(kind DecisionKind, count int) {
	m.decisions.WithLabelValues(string(kind)).Add(float64(count))
}

// EvictionOutcome is what became of an attempt to move a pod.
type EvictionOutcome string

// The outcomes of an eviction.
const (
	EvictionAccepted EvictionOutcome = "accepted"
	EvictionBlocked  EvictionOutcome = "blocked" // by a PodDisruptionBudget
	EvictionForced   EvictionOutcome = "forced"  // deleted without asking, because of a deadline
	EvictionFailed   EvictionOutcome = "failed"
)

// Evicted says what became of an attempt to move a pod off a node.
func (m *Metrics) Evicted(outcome EvictionOutcome) {
	m.evictions.WithLabelValues(string(outcome)).Inc()
}

// OrphanTerminated says that a machine without a claim was terminated.
func (m *Metrics) OrphanTerminated() { m.orphans.Inc() }

// CatalogDegraded names the sources that are replaced by older facts now; none: all are fresh.
func (m *Metrics) CatalogDegraded(sources []string) {
	m.degraded.replace(func(set func(float64, ...string)) {
		for _, s := range sources {
			set(1, s)
		}
	})
}

// CloudOperation says that a call of the cloud port (Fleet.Launch) ended so.
func (m *Metrics) CloudOperation(operation, outcome string, took time.Duration) {
	m.operations.WithLabelValues(operation, outcome).Inc()
	m.operationTime.WithLabelValues(operation).Observe(took.Seconds())
}

// CloudRequest says that a request on the wire (EC2, CreateFleet) ended so.
func (m *Metrics) CloudRequest(service, operation, outcome string, took time.Duration) {
	m.requests.WithLabelValues(service, operation, outcome).Inc()
	m.requestTime.WithLabelValues(service, operation).Observe(took.Seconds())
}

// Usage is what a Provisioner has of everything that it is limited in.
type Usage struct {
	Nodes               map[cloud.Market]int
	Blocked             int    // of the nodes, those that are to go and are kept by a PodDisruptionBudget
	GPULimit            *int64 // nil: unlimited
	GPUsUsed            int64  // asked for by pods on its nodes
	GPUsIdle            int64  // paid for, and not asked for by any pod on a node
	CostMicroUSDPerHour int64
}

// ProvisionerUses says what a Provisioner has now. It replaces what was said of it before.
func (m *Metrics) ProvisionerUses(provisioner string, u Usage) {
	m.nodes.replaceFor(provisioner, func(set func(float64, ...string)) {
		for market, n := range u.Nodes {
			set(float64(n), provisioner, string(market))
		}
	})
	m.nodesBlocked.replaceFor(provisioner, func(set func(float64, ...string)) { set(float64(u.Blocked), provisioner) })
	m.gpus.replaceFor(provisioner, func(set func(float64, ...string)) {
		if u.GPULimit != nil {
			set(float64(*u.GPULimit), provisioner, "limit")
		}
		set(float64(u.GPUsUsed), provisioner, "used")
		set(float64(u.GPUsIdle), provisioner, "idle")
	})
	m.cost.replaceFor(provisioner, func(set func(float64, ...string)) {
		set(float64(u.CostMicroUSDPerHour)/microsPerUnit, provisioner)
	})
}

// ProvisionerGone removes every series of a Provisioner that neither exists nor has nodes.
func (m *Metrics) ProvisionerGone(provisioner string) {
	none := func(func(float64, ...string)) {}
	m.nodes.replaceFor(provisioner, none)
	m.nodesBlocked.replaceFor(provisioner, none)
	m.gpus.replaceFor(provisioner, none)
	m.cost.replaceFor(provisioner, none)
	m.interruptions.DeletePartialMatch(prometheus.Labels{"provisioner": provisioner})
}
