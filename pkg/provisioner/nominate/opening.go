package nominate

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/act"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

const (
	// openingPatience bounds what a node's gate waits for a moment that suits schedulers, openingTimeout what it waits in all.
	openingPatience, openingTimeout = 5 * time.Second, 10 * time.Second
	// openingTick is the time between two looks whether a node may open.
	openingTick = 5 * time.Millisecond
	// openingShown bounds what is waited for the cache to show a node open.
	openingShown = time.Second
	// openingAtOnce is how many nodes are being opened at the same time: the fewer, the sooner each is. openingWait is how many callers are kept
	// waiting: they have other claims to look after.
	openingAtOnce, openingWait = 4, 16
)

// Opening nominates the pods of a claim's node and has it opened when schedulers know of the nominations and are not about to try one of the
// pods (see queue). It answers whether it has called open, and open's error; it has not if too many nodes wait already, and does within
// openingTimeout otherwise, whatever fails.
func (n *Nominator) Opening(ctx context.Context, claim *v1alpha1.NodeClaim, node *corev1.Node, open func() error) (called bool, err error) {
	if n.Off {
		return true, open()
	}
	n.lock.Lock()
	n.nodes[claim.Name] = node.Name
	n.lock.Unlock()
	select {
	case n.openings.wait <- struct{}{}:
		defer func() { <-n.openings.wait }()
	default:
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, openingTimeout)
	defer cancel()
	patience, end := context.WithTimeout(ctx, openingPatience)
	defer end()
	for !called {
		called, err = n.tryOpening(ctx, patience, opening{claim, node, open})
	}
	return true, err
}

// openings bounds how many nodes wait to be opened, and how many are being opened.
type openings struct{ wait, turn chan struct{} }

// opening is a node that is to be opened.
type opening struct {
	claim *v1alpha1.NodeClaim
	node  *corev1.Node
	open  func() error
}

// tryOpening opens a node, unless one of its pods loses its nomination before: then the scheduler is best left alone until it has gone
// through the pods. Once patience is over, that does not matter.
func (n *Nominator) tryOpening(ctx, patience context.Context, o opening) (called bool, err error) {
	defer n.awaitTurn(patience, o.claim)()
	start := n.Now()
	own, stand := n.nominateAll(ctx, patience, o)
	if !stand && patience.Err() == nil {
		return false, nil
	}
	opens := n.Now()
	if err := o.open(); err != nil {
		return true, err
	}
	n.lock.Lock()
	n.opened[o.node.Name] = true
	n.lock.Unlock()
	for i := range own { // what was dropped while it opened
		if !n.stand(own[i : i+1]) {
			n.writeAgain(own[i])
		}
	}
	// Schedulers see it open about when this process does: that is how long it takes.
	ctx, cancel := context.WithTimeout(ctx, openingShown)
	defer cancel()
	n.await(ctx, func() bool { return n.open(ctx, o.node.Name) })
	n.queue.took(opens.Sub(start), n.Now().Sub(opens))
	return true, nil
}

// awaitTurn waits until schedulers will not try the pods of a node while it is being opened, and it is the node's turn; or ctx ends. It answers
// what ends the turn.
func (n *Nominator) awaitTurn(ctx context.Context, claim *v1alpha1.NodeClaim) func() {
	pods := map[types.UID]bool{}
	for _, ref := range n.expectedOn(claim) {
		pods[ref.UID] = true
	}
	end := func() {}
	n.await(ctx, func() bool {
		if !n.queue.spares(pods, false) {
			return false
		}
		select {
		case n.openings.turn <- struct{}{}:
			end = func() { <-n.openings.turn }
			return true
		default:
			return false
		}
	})
	return end
}

// nominateAll nominates the pods of a node and waits until all nominations stand and, while there is patience, until schedulers are not about
// to try one of the pods. It answers whether all stand. A dropped nomination wakes every pod that waits, as if a pod had gone from the node,
// so writing it again at once would keep the scheduler busy with dropping it.
func (n *Nominator) nominateAll(ctx, patience context.Context, o opening) (own []act.Nomination, stand bool) {
	start := n.Now()
	own = n.prepare(ctx, o.claim, o.node)
	pods := make(map[types.UID]bool, len(own))
	for i := range own {
		pods[own[i].Pod.UID] = true
	}
	n.await(ctx, func() bool { return n.stand(own) })
	// News of pods and of nodes comes to a scheduler on two watches, and that of the pods has more to tell. It gets as long again as it took until
	// this process knew.
	shown := n.Now()
	took := shown.Sub(start)
	n.await(ctx, func() bool {
		stand = n.stand(own)
		return !stand || n.Now().Sub(shown) >= took && (patience.Err() != nil || n.queue.spares(pods, true))
	})
	return own, stand
}

// await returns once it is so, or ctx ends.
func (n *Nominator) await(ctx context.Context, so func() bool) {
	tick := time.NewTicker(openingTick)
	defer tick.Stop()
	for ctx.Err() == nil && !so() {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// stand tells whether the nominations of pods that wait have been shown to this process: what has come here has most likely come to the
// scheduler, too.
func (n *Nominator) stand(list []act.Nomination) bool {
	return !slices.ContainsFunc(list, func(want act.Nomination) bool {
		node, waits := n.queue.expected(want.Pod.UID)
		return waits && node != want.Node && n.worthwhile(want.Pod, want.Node)
	})
}

// prepare nominates the pods that are expected on a node, as far as they fit, and answers the nominations, old and new.
func (n *Nominator) prepare(ctx context.Context, claim *v1alpha1.NodeClaim, node *corev1.Node) []act.Nomination {
	room, err := n.room(ctx, node)
	if err != nil {
		n.Log.Error(err, "Nominating the pods of a node; it opens without", "Node", node.Name)
		return nil
	}
	var all, list []act.Nomination
	for _, ref := range n.expectedOn(claim) {
		pod := n.pod(ctx, ref)
		if pod == nil || !n.worthwhile(pod, node.Name) {
			continue
		}
		requests := demand.Requests(pod)
		if !requests.Fits(room) {
			continue
		}
		room = room.Sub(requests)
		all = append(all, act.Nomination{Pod: pod, Node: node.Name})
		if demand.Expected(pod) != node.Name {
			list = append(list, act.Nomination{Pod: pod, Node: node.Name})
		}
	}
	n.carryOut(ctx, list)
	return all
}

// expectedOn answers the pods that the claim was bought for, but for those that the latest decision expects elsewhere, and those that it
// expects here besides.
func (n *Nominator) expectedOn(claim *v1alpha1.NodeClaim) []v1alpha1.PodRef {
	n.lock.Lock()
	defer n.lock.Unlock()
	here := func(p place) bool { return p.Claim == claim.Name || p.Node != "" && p.Node == claim.Status.NodeName }
	var list []v1alpha1.PodRef
	bought := map[types.UID]bool{}
	for _, ref := range claim.Spec.Pods {
		bought[ref.UID] = true
		if p, known := n.places[ref.UID]; !known || here(p) {
			list = append(list, ref)
		}
	}
	first := len(list)
	for uid, p := range n.places {
		if here(p) && !bought[uid] {
			list = append(list, p.ref)
		}
	}
	slices.SortFunc(list[first:], compareRefs)
	return list
}

// room is what the pods that are bound to a node leave of it.
func (n *Nominator) room(ctx context.Context, node *corev1.Node) (demand.Resources, error) {
	var pods corev1.PodList
	if err := n.Cache.List(ctx, &pods, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	room := demand.FromList(node.Status.Allocatable, demand.RoundDown)
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Spec.NodeName == node.Name && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			room = room.Sub(demand.RequestsOnNode(p))
		}
	}
	return room, nil
}
