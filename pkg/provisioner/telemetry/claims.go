package telemetry

import (
	"time"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// The phases of a claim's life as the label phase has them. Each method below says which one it closes.
const (
	phaseLaunch  = "launch"
	phaseJoin    = "join"
	phaseReady   = "ready"
	phaseDrain   = "drain"
	phaseRelease = "release"
)

// The events of a claim that failed, as the label event has them.
const (
	launchFailed = "launch_failed"
	neverJoined  = "never_joined"
	neverReady   = "never_ready"
)

func (m *Metrics) claim(event, reason string) { m.claims.WithLabelValues(event, reason).Inc() }

// expectFailures has the series of failures begin at 0, so that an increase is seen where many nodes fail at one moment and none did before.
func (m *Metrics) expectFailures() {
	for event, reasons := range map[string][]v1alpha1.Reason{
		launchFailed: {v1alpha1.ReasonQuota, v1alpha1.ReasonOutage, v1alpha1.ReasonDenied, v1alpha1.ReasonThrottled, v1alpha1.ReasonMisconfigured},
		neverJoined:  {v1alpha1.ReasonWaitingForNode},
		neverReady:   {v1alpha1.ReasonWaitingForGPUs, v1alpha1.ReasonWaitingForTaint, v1alpha1.ReasonNodeNotReady},
	} {
		for _, reason := range reasons {
			m.claims.WithLabelValues(event, string(reason))
		}
	}
}

func (m *Metrics) phase(phase string, took time.Duration) {
	m.claimPhase.WithLabelValues(phase).Observe(took.Seconds())
}

// ClaimLaunched says that a claim has its machine, so long after it was created.
func (m *Metrics) ClaimLaunched(took time.Duration) {
	m.claim("launched", string(v1alpha1.ReasonOK))
	m.phase(phaseLaunch, took)
}

// ClaimJoined says that a claim's machine has become a Node, so long after its launch.
func (m *Metrics) ClaimJoined(took time.Duration) {
	m.claim("joined", string(v1alpha1.ReasonOK))
	m.phase(phaseJoin, took)
}

// ClaimReady says that a claim's node shows its GPUs and is open, so long after it joined.
func (m *Metrics) ClaimReady(took time.Duration) {
	m.claim("ready", string(v1alpha1.ReasonOK))
	m.phase(phaseReady, took)
}

// ClaimDrained says that a claim's node was emptied, so long after its retirement was decided.
func (m *Metrics) ClaimDrained(took time.Duration) { m.phase(phaseDrain, took) }

// ClaimTerminated says that the machine of a claim that was retired for this reason is gone, so long after its end was asked for.
func (m *Metrics) ClaimTerminated(reason v1alpha1.RetireReason, took time.Duration) {
	m.claim("terminated", string(reason))
	m.phase(phaseRelease, took)
}

// ClaimLaunchFailed says that a claim got no machine and is given up.
func (m *Metrics) ClaimLaunchFailed(reason v1alpha1.Reason) { m.claim(launchFailed, string(reason)) }

// ClaimNeverJoined says that a claim's machine did not become a Node in time; reason is what it waited for.
func (m *Metrics) ClaimNeverJoined(reason v1alpha1.Reason) { m.claim(neverJoined, string(reason)) }

// ClaimNeverReady says that a claim's node did not become ready in time; reason is what it waited for.
func (m *Metrics) ClaimNeverReady(reason v1alpha1.Reason) { m.claim(neverReady, string(reason)) }

// NoticeOutcome is what became of a notice.
type NoticeOutcome string

// The outcomes of a notice.
const (
	NoticeHandled NoticeOutcome = "handled"
	NoticeUnknown NoticeOutcome = "unknown_instance" // about a machine that no claim has
	NoticeWaits   NoticeOutcome = "waits"            // no claim has the machine yet, but one may; it comes again
	NoticeIgnored NoticeOutcome = "ignored"          // nothing to act on, or not readable
	NoticeFailed  NoticeOutcome = "failed"           // it comes again
)

// Noticed says what became of a notice.
func (m *Metrics) Noticed(kind cloud.NoticeKind, outcome NoticeOutcome) {
	m.notices.WithLabelValues(noticeKind(kind), string(outcome)).Inc()
}

func noticeKind(kind cloud.NoticeKind) string {
	switch kind {
	case cloud.SpotInterruption, cloud.Rebalance, cloud.StateChange, cloud.ScheduledChange, cloud.Irrelevant, cloud.Unreadable:
		return string(kind)
	}
	return other
}

// NoticeReceiveFailed says that notices could not be received.
func (m *Metrics) NoticeReceiveFailed() { m.receiveErrors.Inc() }

// Interrupted says that the cloud announced for the first time that it takes a node of a Provisioner.
func (m *Metrics) Interrupted(provisioner string, kind cloud.NoticeKind) {
	m.interruptions.WithLabelValues(provisioner, noticeKind(kind)).Inc()
}

// FencedAfter says how long after the cloud's notice a node was fenced.
func (m *Metrics) FencedAfter(took time.Duration) { m.fenceSeconds.Observe(max(0, took).Seconds()) }
