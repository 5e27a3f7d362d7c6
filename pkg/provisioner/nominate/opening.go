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
	// openingTimeout bounds what a node's gate waits for its pods' nominations.
	openingTimeout = 5 * time.Second
	// showTick is the time between two looks whether the cache shows what was written.
	showTick = 5 * time.Millisecond
)

// Opening nominates the pods of a claim's node, which its caller is about to open, so that their schedulers know of the nominations when
// they see it open. It answers 0 if the node is to open now, and else in what time to ask again: see rounds. It takes openingTimeout at
// most, and whatever fails, the node opens.
func (n *Nominator) Opening(ctx context.Context, claim *v1alpha1.NodeClaim, node *corev1.Node) time.Duration {
	if n.Off {
		return 0
	}
	round, wait := n.rounds.join()
	if round == nil {
		return wait
	}
	n.lock.Lock()
	n.nodes[claim.Name] = node.Name
	n.lock.Unlock()
	ctx, cancel := context.WithTimeout(ctx, openingTimeout)
	defer cancel()
	start := n.Now()
	list := n.prepare(ctx, claim, node)
	n.awaitShown(ctx, list)
	lag := n.Now().Sub(start)
	if len(list) > 0 {
		// Pods and nodes come to a scheduler on two watches, of which that of the pods has more to tell and may be behind. It gets as long
		// again as it took until this process knew.
		rest(ctx, lag)
	}
	// What has been dropped meanwhile is being written again, and no node waits for that alone: the first one that opens wakes the pods of all,
	// and those whose node is not open then lose their nominations.
	n.rounds.arrive(ctx, round, list, lag, func(all []act.Nomination) { n.awaitShown(ctx, all) })
	return 0
}

// prepare nominates the pods that are expected on a node, as far as they fit, and answers the nominations.
func (n *Nominator) prepare(ctx context.Context, claim *v1alpha1.NodeClaim, node *corev1.Node) []act.Nomination {
	room, err := n.room(ctx, node)
	if err != nil {
		n.Log.Error(err, "Nominating the pods of a node; it opens without", "Node", node.Name)
		return nil
	}
	var list []act.Nomination
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
		if demand.Expected(pod) != node.Name {
			list = append(list, act.Nomination{Pod: pod, Node: node.Name})
		}
	}
	n.carryOut(ctx, list)
	return list
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// awaitShown waits until the cache shows the nominations: what has come to this process has most likely come to the scheduler, too.
func (n *Nominator) awaitShown(ctx context.Context, list []act.Nomination) {
	tick := time.NewTicker(showTick)
	defer tick.Stop()
	for {
		if !slices.ContainsFunc(list, func(want act.Nomination) bool {
			pod := n.pod(ctx, v1alpha1.PodRef{Namespace: want.Pod.Namespace, Name: want.Pod.Name, UID: want.Pod.UID})
			return pod != nil && demand.Expected(pod) != want.Node && n.worthwhile(pod, want.Node)
		}) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
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
