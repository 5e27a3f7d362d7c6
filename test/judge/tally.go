package judge

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// tally counts what many worlds have shown, so that a test can tell when it has become about nothing.
type tally struct {
	worlds, pods, placed, judged, excused int
	wanting                               int            // of those that are judged: held for stock or a limit
	turns, reordered                      int            // bindings of a whole decision, and those that another order than the plan's was needed for
	wants                                 map[string]int // pods placed, by what they asked for
	unsupported                           map[string]int // pods held as not understood, by the field
	excuses                               map[string]int // pods excused, by why
}

func newTally() *tally {
	return &tally{wants: map[string]int{}, unsupported: map[string]int{}, excuses: map[string]int{}}
}

// count takes in the decision about a world.
func (t *tally) count(w *world, v verdict) {
	t.worlds++
	for _, tried := range v.orders {
		if t.turns++; tried > 1 {
			t.reordered++
		}
	}
	place := func(p *corev1.Pod) {
		t.pods, t.placed = t.pods+1, t.placed+1
		for _, what := range wants(p) {
			t.wants[what]++
		}
		if len(p.Spec.TopologySpreadConstraints) == 0 && w.minds(p) > 0 {
			t.wants["spread by default"]++
		}
	}
	for _, p := range v.decision.Placed {
		place(w.pod(v1alpha1.PodRef{UID: p.Pod}))
	}
	for _, c := range v.decision.Create {
		for _, ref := range c.Spec.Pods {
			place(w.pod(ref))
		}
	}
	for _, h := range v.decision.Held {
		t.pods += len(h.Pods)
		switch {
		case forConstraint(h.Reason):
			t.judged += len(h.Pods)
		case forWant(h.Reason):
			t.judged, t.wanting = t.judged+len(h.Pods), t.wanting+len(h.Pods)
		case h.Reason == v1alpha1.HeldUnsupported:
			for _, problem := range strings.Split(h.Message, ". ") {
				field, _, _ := strings.Cut(problem, ":")
				t.unsupported[field] += len(h.Pods)
			}
		}
	}
}

func (t *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d worlds, %d pods: %d placed, %d held for a constraint and %d for stock or a limit (%d of them although there is a place); "+
		"%d of %d bindings need another order", t.worlds, t.pods, t.placed, t.judged-t.wanting, t.wanting, t.excused, t.reordered, t.turns)
	for _, m := range []map[string]int{t.wants, t.unsupported, t.excuses} {
		b.WriteString("\n ")
		for _, what := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&b, " %s %d", what, m[what])
		}
	}
	return b.String()
}

// wants names what of a pod's constraints this package is about.
func wants(p *corev1.Pod) []string {
	var list []string
	add := func(there bool, what string) {
		if there {
			list = append(list, what)
		}
	}
	spec := &p.Spec
	add(len(spec.NodeSelector) > 0, "nodeSelector")
	add(len(spec.Tolerations) > 0, "tolerations")
	add(len(spec.Containers[0].Ports) > 0, "ports")
	add(len(spec.Volumes) > 0, "volumes")
	for i := range spec.TopologySpreadConstraints {
		add(true, "spread:"+string(spec.TopologySpreadConstraints[i].WhenUnsatisfiable))
	}
	if a := spec.Affinity; a != nil {
		add(a.NodeAffinity != nil, "nodeAffinity")
		add(a.PodAffinity != nil && len(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0, "near")
		add(a.PodAntiAffinity != nil && len(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0, "apart")
		add(a.PodAffinity != nil && len(a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0, "near:preferred")
		add(a.PodAntiAffinity != nil && len(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0, "apart:preferred")
	}
	slices.Sort(list)
	return slices.Compact(list)
}
