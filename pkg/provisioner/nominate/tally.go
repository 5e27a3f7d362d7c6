package nominate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// What becomes of a pod that was expected somewhere.
const (
	BoundAsPlanned = "planned"   // on the node where it was expected
	BoundElsewhere = "elsewhere" // on another, though that one was open
	BoundEarlier   = "earlier"   // on another, before that one was open: a place became free sooner
)

const (
	// window is how many of the latest pods of a Provisioner and a scheduler are judged, enough how many are needed for it.
	window, enough = 100, 20
	// From saysAt of a hundred pods elsewhere on users are told; once it is down to calmAt, they will be told again.
	saysAt, calmAt = 20, 10
	// A scheduler that binds so many of a hundred nominated pods elsewhere does not heed nominations; after pause it gets another chance.
	ignoresAt = 50
	pause     = 30 * time.Minute
)

// tallyKey is whose pods are counted together.
type tallyKey struct{ provisioner, scheduler string }

// result is one pod that was bound while its planned node was open.
type result struct {
	followed, nominated bool
	emptier             bool // it went to a node with more free GPUs than the planned one
}

// tally is the latest results, oldest first.
type tally struct {
	results []result
	said    bool
}

// tallies judge whether plans are followed. They are guarded by Nominator.lock.
type tallies struct {
	now    func() time.Time
	by     map[tallyKey]*tally
	paused map[string]time.Time // by scheduler: until when nothing is nominated for it
}

func newTallies(now func() time.Time) tallies {
	return tallies{now: now, by: map[tallyKey]*tally{}, paused: map[string]time.Time{}}
}

// ignores tells whether a scheduler has been seen to ignore nominations lately.
func (t *tallies) ignores(scheduler string) bool {
	return t.now().Before(t.paused[schedulerOf(scheduler)])
}

func schedulerOf(name string) string {
	if name == "" {
		return corev1.DefaultSchedulerName
	}
	return name
}

// add counts a result and answers what users are to be told now; empty: nothing.
func (t *tallies) add(key tallyKey, r result, off bool) string {
	own := t.by[key]
	if own == nil {
		own = &tally{}
		t.by[key] = own
	}
	own.results = append(own.results, r)
	own.results = own.results[max(0, len(own.results)-window):]
	missed, nominated, ignored, emptier := own.sums()
	count := len(own.results)
	switch {
	case count < enough:
		return ""
	case nominated >= enough && ignored*100 >= nominated*ignoresAt && !t.ignores(key.scheduler):
		t.paused[key.scheduler] = t.now().Add(pause)
		own.results, own.said = nil, true
		return fmt.Sprintf("%s bound %d of %d pods to other nodes than status.nominatedNodeName says, so nominations for it are useless and "+
			"stop for %s; %s", key.scheduler, ignored, nominated, pause, remedyProfile)
	case missed*100 <= count*calmAt:
		own.said = false
	case missed*100 >= count*saysAt && !own.said:
		own.said = true
		return t.spreading(key, count, missed, emptier, off)
	}
	return ""
}

const remedyProfile = "let the pods be placed by a profile that packs GPUs: see docs/scheduling.md"

func (t *tallies) spreading(key tallyKey, count, missed, emptier int, off bool) string {
	remedy := remedyProfile
	if off {
		remedy = "switch nominations on (--nominate), or " + remedy
	}
	return fmt.Sprintf("of the last %d pods %s bound %d to other nodes than planned, %d of them to a node with more free GPUs, as kube-scheduler's "+
		"default scoring does; spread pods keep dear nodes in use: %s", count, key.scheduler, missed, emptier, remedy)
}

func (t *tally) sums() (missed, nominated, ignored, emptier int) {
	for _, r := range t.results {
		if r.nominated {
			nominated++
		}
		if !r.followed {
			missed++
			if r.nominated {
				ignored++
			}
			if r.emptier {
				emptier++
			}
		}
	}
	return missed, nominated, ignored, emptier
}

// bound takes note of where a pod was bound. before is the pod as it was last seen waiting.
func (n *Nominator) bound(ctx context.Context, before, pod *corev1.Pod) {
	n.lock.Lock()
	expected, known := n.places[pod.UID]
	delete(n.places, pod.UID)
	delete(n.drops, pod.UID)
	n.lock.Unlock()
	if !known {
		return
	}
	target, provisioner := n.target(ctx, expected)
	outcome := n.outcome(ctx, target, pod.Spec.NodeName)
	n.Meter.PodBound(outcome)
	if outcome == BoundEarlier || provisioner == "" {
		return
	}
	n.lock.Lock()
	more, here := n.free[pod.Spec.NodeName]
	less, there := n.free[target]
	r := result{followed: outcome == BoundAsPlanned, nominated: demand.Expected(before) == target, emptier: here && there && more > less}
	news := n.tallies.add(tallyKey{provisioner, schedulerOf(pod.Spec.SchedulerName)}, r, n.Off)
	n.lock.Unlock()
	if news != "" {
		n.tell(ctx, provisioner, news)
	}
}

// target answers the node on which a pod was expected, empty while there is none, and the Provisioner that pays for it, empty for a node of
// somebody else.
func (n *Nominator) target(ctx context.Context, p place) (node, provisioner string) {
	if p.Node != "" {
		var object corev1.Node
		if n.Cache.Get(ctx, client.ObjectKey{Name: p.Node}, &object) != nil {
			return p.Node, ""
		}
		return p.Node, object.Labels[v1alpha1.LabelProvisioner]
	}
	var claim v1alpha1.NodeClaim
	if n.Cache.Get(ctx, client.ObjectKey{Name: p.Claim}, &claim) != nil {
		return "", ""
	}
	n.lock.Lock()
	defer n.lock.Unlock()
	return cmp.Or(n.nodes[p.Claim], claim.Status.NodeName), claim.Spec.Provisioner
}

func (n *Nominator) outcome(ctx context.Context, target, bound string) string {
	if target == bound {
		return BoundAsPlanned
	}
	if target == "" || !n.open(ctx, target) {
		return BoundEarlier
	}
	return BoundElsewhere
}

// tell says once that plans are not followed: in the log, and as an event of the Provisioner.
func (n *Nominator) tell(ctx context.Context, provisioner, message string) {
	n.Log.Info("Pods are not bound as planned", "Provisioner", provisioner, "message", message)
	var p v1alpha1.Provisioner
	if err := n.Cache.Get(ctx, client.ObjectKey{Name: provisioner}, &p); err == nil {
		n.Events.PlanNotFollowed(&p, message)
	}
}

func compareRefs(a, b v1alpha1.PodRef) int {
	return slices.Compare([]string{a.Namespace, a.Name, string(a.UID)}, []string{b.Namespace, b.Name, string(b.UID)})
}
