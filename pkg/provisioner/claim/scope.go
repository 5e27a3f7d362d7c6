package claim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// scope is one pass over one claim.
type scope struct {
	r      *Reconciler
	log    logr.Logger
	now    time.Time
	claim  *v1alpha1.NodeClaim // as it shall be
	before *v1alpha1.NodeClaim // as it is stored
	node   *corev1.Node        // of the machine, once it was looked up and found
	wait   time.Duration       // until the next pass; 0: none is needed
	news   []news
	// released: nothing of the claim is left, the finalizer can go.
	released bool
}

// news is an event that is told once the status that it follows from is stored.
type news struct {
	about                           runtime.Object
	eventType, reason, action, note string
}

func newScope(r *Reconciler, claim *v1alpha1.NodeClaim, log logr.Logger) *scope {
	return &scope{r: r, log: log, now: r.cfg.Now(), claim: claim, before: claim.DeepCopy()}
}

// run runs phases until one ends the pass.
func (s *scope) run(ctx context.Context, phases []phase) error {
	for _, do := range phases {
		more, err := do(s, ctx)
		if err != nil {
			return s.soften(err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// soften turns errors that only mean "again, soon" into a wait: they are expected, and are not logged.
func (s *scope) soften(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsConflict(err):
		s.again(time.Second)
		return nil
	case errors.Is(err, cloud.ErrThrottled):
		s.again(pollInterval + s.jitter())
		return nil
	}
	return err
}

// again asks for another pass in d at the latest.
func (s *scope) again(d time.Duration) {
	d = max(d, time.Millisecond)
	if s.wait == 0 || d < s.wait {
		s.wait = d
	}
}

// jitter is up to a second, always the same for a claim: it keeps claims apart that were created together.
func (s *scope) jitter() time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s.claim.UID))
	return time.Duration(h.Sum32()%1000) * time.Millisecond
}

func (s *scope) deleting() bool { return !s.claim.DeletionTimestamp.IsZero() }

func (s *scope) condition(name string) *metav1.Condition {
	return meta.FindStatusCondition(s.claim.Status.Conditions, name)
}

func (s *scope) isTrue(name string) bool {
	return meta.IsStatusConditionTrue(s.claim.Status.Conditions, name)
}

// since is when a condition got its present status; the claim's creation if it has none.
func (s *scope) since(name string) time.Time {
	if c := s.condition(name); c != nil {
		return c.LastTransitionTime.Time
	}
	return s.claim.CreationTimestamp.Time
}

func (s *scope) set(name string, status metav1.ConditionStatus, reason v1alpha1.Reason, message string) {
	meta.SetStatusCondition(&s.claim.Status.Conditions, metav1.Condition{
		Type: name, Status: status, Reason: string(reason), Message: message,
		ObservedGeneration: s.claim.Generation, LastTransitionTime: metav1.NewTime(s.now),
	})
}

// reach sets a condition True. If it was not, it says so, and answers true.
func (s *scope) reach(name string, reason v1alpha1.Reason, message string) bool {
	news := !s.isTrue(name)
	if news {
		s.say(corev1.EventTypeNormal, name, "%s", message)
		s.log.Info("Claim advanced", "condition", name, "message", message)
	}
	s.set(name, metav1.ConditionTrue, reason, message)
	return news
}

// say records an event about the claim.
func (s *scope) say(eventType, reason, format string, args ...any) {
	s.sayOf(s.claim, eventType, reason, format, args...)
}

// sayOf records an event about another object.
func (s *scope) sayOf(about runtime.Object, eventType, reason, format string, args ...any) {
	s.news = append(s.news, news{about, eventType, reason, s.action(), fmt.Sprintf(format, args...)})
}

// action is what an event says that Slipway was doing.
func (s *scope) action() string {
	switch {
	case s.claim.Status.Retire != nil:
		return "Retiring"
	case s.isTrue(v1alpha1.ConditionLaunched):
		return "Joining"
	}
	return "Launching"
}

func (s *scope) tell() {
	for _, n := range s.news {
		var related runtime.Object
		if n.about != s.claim {
			related = s.claim
		}
		s.r.cfg.Events.Eventf(n.about, related, n.eventType, n.reason, n.action, "%s", clip(n.note))
	}
}

// clip keeps a note within the 1024 bytes that the API server takes.
func clip(note string) string {
	const limit, more = 1024, "..."
	if len(note) <= limit {
		return note
	}
	return strings.ToValidUTF8(note[:limit-len(more)], "") + more
}

// retire notes that the node is to go, if that is not decided yet.
func (s *scope) retire(reason v1alpha1.RetireReason, message string) {
	if s.claim.Status.Retire != nil && !(reason == v1alpha1.RetireGone && s.claim.Status.Retire.Reason != reason) {
		return
	}
	s.claim.Status.Retire = &v1alpha1.Retirement{Reason: reason, Message: message, Since: metav1.NewTime(s.now)}
	s.say(corev1.EventTypeWarning, string(reason), "%s", message)
	s.log.Info("Claim retires", "reason", reason, "message", message)
}

// retiresItself: for these reasons nobody but the claim knows that it has to go.
func (s *scope) retiresItself() bool {
	if s.claim.Status.Retire == nil {
		return false
	}
	switch s.claim.Status.Retire.Reason {
	case v1alpha1.RetireLaunch, v1alpha1.RetireJoin, v1alpha1.RetireNeverReady, v1alpha1.RetireGone, v1alpha1.RetireDeleted:
		return true
	}
	return false
}

// explainDeletion gives a reason to a claim that was deleted without one.
func (s *scope) explainDeletion() {
	if s.claim.Status.Retire == nil {
		s.retire(v1alpha1.RetireDeleted, "the claim was deleted")
	}
}

// writeStatus stores the status if it has changed. Others write status.retire, too; so whoever changes it must have seen the latest.
func (s *scope) writeStatus(ctx context.Context) error {
	if equality.Semantic.DeepEqual(s.before.Status, s.claim.Status) {
		return nil
	}
	// A merge patch replaces the whole list of conditions. Without the lock a pass over a stale claim, whose intent to launch was just
	// refused for being stale, would put the intent back over the machine that the pass before it has bought.
	if err := s.r.cfg.Client.Status().Patch(ctx, s.claim, locked(s.before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	if s.claim.Status.InstanceID != "" {
		s.r.attempts.record(s.claim.UID)
	}
	s.before = s.claim.DeepCopy()
	return nil
}
