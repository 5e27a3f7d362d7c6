package app

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/health"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/explain"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// observer tells metrics, events and the pods themselves what the grow loop decided.
type observer struct {
	metrics    *telemetry.Metrics
	events     *telemetry.Events
	conditions *telemetry.PodConditions
	follow     func(plan.View, plan.Decision)
	now        func() time.Time
}

// Decided has a decision's nominations written.
func (o observer) Decided(v plan.View, d plan.Decision) { o.follow(v, d) }

// Planned counts a decision and tells each pod what is decided about it.
func (o observer) Planned(v plan.View, d plan.Decision, took time.Duration) {
	o.metrics.Planned(took, d.CostMicroUSDPerHour)
	o.metrics.Expecting(inventory.Expected(v))
	o.metrics.Decided(telemetry.DecisionLaunch, len(d.Create))
	o.metrics.Decided(telemetry.DecisionHold, len(d.Held))
	held := map[telemetry.HeldKey]int{}
	for _, h := range d.Held {
		held[telemetry.HeldKey{Provisioner: h.Provisioner, Reason: h.Reason}] += len(h.Pods)
	}
	o.metrics.PodsHeld(held)
	since := map[types.UID]time.Time{}
	for _, demand := range v.Demands {
		for _, p := range demand.Pods {
			if !p.Moving {
				since[p.UID] = p.Since
			}
		}
	}
	for _, outcome := range explain.Outcomes(v, d) {
		at, waits := since[outcome.Pod.UID]
		if outcome.New && waits {
			o.metrics.PodPlanned(max(0, o.now().Sub(at)))
		}
		if outcome.New {
			o.events.Planned(podOf(outcome.Pod), outcome.Message)
		}
		if !outcome.Moving { // it runs: its condition would be about its successor
			o.conditions.Say(context.Background(), outcome.Pod, telemetry.Planning{ // reads memory only
				Planned: outcome.Planned, Reason: outcome.Reason, Message: outcome.Message,
			})
		}
	}
}

// HeldPod tells a pod why it waits.
func (o observer) HeldPod(p demand.Pod, h plan.Held) {
	o.events.Held(podOf(v1alpha1.PodRef{Namespace: p.Namespace, Name: p.Name, UID: p.UID}), h.Reason, h.Message)
}

// podOf is a pod as far as an event must know it.
func podOf(ref v1alpha1.PodRef) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID},
	}
}

// degraded logs the sources that older facts stand in for; the metric is the observed catalogue's.
func (a *assembly) degraded(list []cloud.Degradation) {
	for _, d := range list {
		a.Log.Info("A source of prices or types is replaced by older facts", "source", d.Source, "message", d.Message)
	}
}

// healthOf answers health in the planner's words.
type healthOf struct{ book *health.Book }

// OfferingState answers what an offering has done lately.
func (h healthOf) OfferingState(key cloud.OfferingKey, now time.Time) inventory.OfferingState {
	s := h.book.State(key, now)
	state := inventory.OfferingState{Until: s.Until, Stock: s.Stock, RiskMilli: s.RiskMilli}
	switch s.Because {
	case health.Open:
	case health.Quota:
		state.Closed = v1alpha1.HeldQuota
	case health.Outage:
		state.Closed = v1alpha1.HeldOutage
	default:
		state.Closed = v1alpha1.HeldStockout
	}
	return state
}

// waker registers the wakers once the caches run. Every replica does, so that a new leader's memory is up to date.
type waker struct {
	cache  cache.Cache
	wakers wakers
}

// NeedLeaderElection is false.
func (w waker) NeedLeaderElection() bool { return false }

// Start registers the handlers.
func (w waker) Start(ctx context.Context) error { return w.wakers.watch(ctx, w.cache) }
