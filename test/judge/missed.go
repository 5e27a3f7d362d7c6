package judge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// miss is a pod that was held although kube-scheduler accepts it on some node.
type miss struct {
	pod    *corev1.Pod
	node   string
	reason v1alpha1.Reason
}

// forConstraint are the reasons that say: there is no place for the pod, whatever is bought.
func forConstraint(r v1alpha1.Reason) bool {
	return r == v1alpha1.HeldConstraint || r == v1alpha1.HeldNoShape || r == v1alpha1.HeldNoProvisioner
}

// forWant are the reasons that say: there would be, if it could be bought.
func forWant(r v1alpha1.Reason) bool {
	return r == v1alpha1.HeldStockout || r == v1alpha1.HeldQuota || r == v1alpha1.HeldOutage || r == v1alpha1.HeldLimit || r == v1alpha1.HeldDraining
}

// missed looks for a place of each pod that is held for a constraint: on the nodes that there are, and on one more node of everything in the
// catalogue; of one that is held for want of stock or limits, on what the ledger has left of that. Pods of a demand are equal, so one speaks for all, but for those with volumes.
func (b *binding) missed(ctx context.Context, decision plan.Decision, catalogue []machine, left *ledger) ([]miss, error) {
	var list []miss
	for _, h := range decision.Held {
		catalogue := catalogue
		switch {
		case forWant(h.Reason):
			catalogue = slices.DeleteFunc(slices.Clone(catalogue), func(m machine) bool { return !left.sells(m) })
		case !forConstraint(h.Reason):
			continue
		}
		node := ""
		for i := range h.Pods {
			pod := b.world.pod(v1alpha1.PodRef{UID: h.Pods[i].UID})
			if i == 0 || len(pod.Spec.Volumes) > 0 {
				var err error
				if node, err = b.placeOf(ctx, pod, catalogue); err != nil {
					return nil, err
				}
			}
			if node != "" {
				list = append(list, miss{pod: pod, node: node, reason: h.Reason})
			}
		}
	}
	return list, nil
}

// placeOf answers a node that accepts the pod; empty: there is none.
func (b *binding) placeOf(ctx context.Context, pod *corev1.Pod, catalogue []machine) (string, error) {
	for _, n := range b.nodes {
		if closed(n) || strings.HasPrefix(n.Name, fresh) {
			continue // a node that is closed is not counted on, though some pods tolerate even that; and what is fresh: it might have turned out to be another choice; if it is worth having, one more of it is looked at below
		}
		err := b.fits(ctx, pod, n.Name)
		if err == nil || errors.Is(err, errPlugin) {
			return n.Name, err
		}
	}
	before := b.save()
	defer b.restore(before)
	for _, n := range catalogue {
		name := n.node.Name
		b.restore(before)
		if err := b.join(ctx, n); err != nil {
			return "", err
		}
		if !b.furnished(n.node) {
			continue // a machine that is too small for its DaemonSets is not bought, though it would have room without one of them
		}
		err := b.fits(ctx, pod, name)
		if err == nil || errors.Is(err, errPlugin) {
			return name, err
		}
	}
	return "", nil
}

// furnished tells whether all pods of DaemonSets have found room on a node that has just joined.
func (b *binding) furnished(n *corev1.Node) bool {
	there := 0
	for _, p := range b.pods {
		if p.Spec.NodeName == n.Name {
			there++
		}
	}
	return there == len(daemonPods(b.world, n))
}

// closed tells whether a node is cordoned or not ready.
func closed(n *corev1.Node) bool {
	return n.Spec.Unschedulable || slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue
	})
}

// catalogue is one node of everything that the Provisioners may buy. Which that are is found without the planner's own reading of a
// Provisioner.
func (w *world) catalogue() []machine {
	var nodes []machine
	each(w, func(p *v1alpha1.Provisioner) {
		for _, o := range w.offerings {
			if kind := w.kind(o.InstanceType); kind.GPU.Count == 0 || kind.Architecture != "amd64" || !slices.Contains(w.zones, o.Zone) {
				continue
			}
			for _, own := range w.ownLabels(&p.Spec) {
				spec := v1alpha1.NodeClaimSpec{Provisioner: p.Name, NodeClassRef: p.Spec.NodeClassRef, Market: string(o.Market), Labels: own,
					Taints: p.Spec.Template.Taints, Kubelet: p.Spec.Template.Kubelet}
				n, driver := w.nodeOf(&spec, v1alpha1.InstanceChoice{InstanceType: o.InstanceType, Zone: o.Zone},
					fmt.Sprintf("new-%s-%s-%s-%s-%s", p.Name, o.InstanceType, o.Zone, o.Market, own[team]))
				if describes(&p.Spec, n.Labels) {
					nodes = append(nodes, machine{n, driver, o.OfferingKey, p.Name})
				}
			}
		}
	})
	return nodes
}

// ownLabels are the labels of a Provisioner's nodes besides those of the machine: of the custom key that is left open, each value that it
// or a waiting pod names, and none. Which value a pod would like that only asks for some is nobody's guess.
func (w *world) ownLabels(spec *v1alpha1.ProvisionerSpec) []map[string]string {
	base := spec.Template.Labels
	list := []map[string]string{base}
	if _, fixed := base[team]; fixed {
		return list
	}
	named, open := map[string]bool{}, false
	for _, r := range spec.Requirements {
		if r.Key == team {
			open = true
			for _, value := range r.Values {
				named[value] = named[value] || r.Operator == corev1.NodeSelectorOpIn
			}
		}
	}
	each(w, func(p *corev1.Pod) {
		if value, asks := p.Spec.NodeSelector[team]; asks && p.Spec.NodeName == "" {
			named[value] = true
		}
	})
	for _, value := range slices.Sorted(maps.Keys(named)) {
		if open && named[value] {
			own := map[string]string{team: value}
			maps.Copy(own, base)
			list = append(list, own)
		}
	}
	return list
}

// describes tells whether the Provisioner's requirements hold for a node with these labels, read with the scheduler's library. Silence
// means on-demand; a key that may be there need not.
func describes(spec *v1alpha1.ProvisionerSpec, labels map[string]string) bool {
	var terms []corev1.NodeSelectorRequirement
	market := false
	for _, r := range spec.Requirements {
		market = market || r.Key == v1alpha1.LabelCapacityType
		if _, there := labels[r.Key]; r.Key == team && r.Operator == corev1.NodeSelectorOpExists && !there {
			continue
		}
		terms = append(terms, r)
	}
	if !market {
		terms = append(terms, in(v1alpha1.LabelCapacityType, string(cloud.OnDemand)))
	}
	selector, err := nodeaffinity.NewNodeSelector(&corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: terms}}})
	return err == nil && selector.Match(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: labels}})
}
