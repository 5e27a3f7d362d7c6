package migrate

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// nodeTemplatePrefix is that of the tags by which cluster-autoscaler is told what nodes of a group that has none will look like.
const nodeTemplatePrefix = "k8s.io/cluster-autoscaler/node-template/"

// tagged answers the labels and taints that only tags of the auto scaling group tell of. Here they become real: nodes carry them from the start.
// What the group says itself as well, and what follows from the instance type, needs no tag.
func (s *groupSource) tagged() (map[string]string, []corev1.Taint) {
	labels := map[string]string{}
	var taints []corev1.Taint
	for _, tag := range slices.Sorted(maps.Keys(s.in.Tags)) {
		rest, ok := strings.CutPrefix(tag, nodeTemplatePrefix)
		if !ok {
			continue
		}
		what, key, _ := strings.Cut(rest, "/")
		value := s.in.Tags[tag]
		e := Entry{Outcome: LeftOut, Message: "the instance type tells it"}
		switch {
		case what == "label" && (s.in.Labels[key] == value || key == v1alpha1.LabelAccelerator):
			e.Message = "nodes carry the label without it"
		case what == "label" && s.in.Labels[key] == "" && !ownLabel(key):
			labels[key] = value
			e = Entry{Outcome: Approximated, Ours: "spec.template.labels", Message: "nodes carry the label from the start, where the tag only promised it"}
		case what == "taint":
			t := taintOf(key, value)
			if slices.ContainsFunc(s.groupTaints(), func(have corev1.Taint) bool { return have.Key == t.Key && have.Effect == t.Effect }) {
				e.Message = "nodes carry the taint without it"
				break
			}
			taints = append(taints, t)
			e = Entry{Outcome: Approximated, Ours: "spec.template.taints", Message: "nodes carry the taint from the start, where the tag only promised it"}
		case what == "autoscaling-options" && key == "scaledownunneededtime":
			continue // see idle
		case what != "resources":
			e = Entry{Outcome: NotCarried, Message: "cluster-autoscaler's options of one group: Slipway has none of this kind"}
		}
		s.ledger.say(e, s.at.with("tags", tag))
	}
	return labels, taints
}

// idle carries how long a node may be idle, which one of the tags says.
func (s *groupSource) idle(native *v1alpha1.Provisioner) {
	const tag = nodeTemplatePrefix + "autoscaling-options/scaledownunneededtime"
	after := &native.Spec.Disruption.IdleAfter
	if text, ok := spell(s.in.Tags[tag]); ok {
		*after = text
		s.ledger.say(Entry{Outcome: Approximated, Ours: "spec.disruption.idleAfter", Message: "cluster-autoscaler counts what pods ask for, Slipway whether any asks for a GPU"},
			s.at.with("tags", tag))
		return
	}
	s.ledger.silence(s.at.String()+" idle", Entry{Outcome: Approximated, Ours: "spec.disruption.idleAfter",
		Message: "a node goes after " + *after + " without a GPU pod, where cluster-autoscaler waits for 10 minutes unless told otherwise"})
}

// ownLabel tells of labels that are eksctl's or Slipway's own to set.
func ownLabel(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	return domain == "alpha.eksctl.io" || domain == v1alpha1.Group
}

// taintOf reads value:effect, or an effect alone.
func taintOf(key, text string) corev1.Taint {
	value, effect, found := strings.Cut(text, ":")
	if !found {
		value, effect = "", value
	}
	return corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}
}
