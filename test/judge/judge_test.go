package judge

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

var (
	first  = flag.Uint64("seed", 1, "the first world's seed")
	worlds = flag.Int("worlds", 1000, "how many worlds to judge")
	strict = flag.Bool("strict", false, "excuse no pod that is held although there is a place")
	only   = flag.String("features", "", "features that a world may have, with commas between; empty: any")
)

// TestDecisions draws worlds, plans, and has kube-scheduler's plugins judge: every placement is accepted, whatever each claim turns out to
// be, and no pod that is held for a constraint has a place. Each world is judged a second time some moments later.
func TestDecisions(t *testing.T) {
	total := newTally()
	for seed := *first; seed < *first+uint64(*worlds) && !t.Failed(); seed++ {
		w := worldOf(seed, asked(*only)...)
		v := judgeOnce(t, w, seed, total)
		if t.Failed() || len(v.decision.Create) == 0 {
			continue
		}
		w, err := w.later(t.Context(), seed, v.decision)
		if err != nil {
			t.Fatalf("seed %d, going on: %v", seed, err)
		}
		judgeOnce(t, w, seed, total)
	}
	t.Log(total)
	if *only == "" && total.worlds > 300 && !t.Failed() {
		total.check(t)
	}
}

// check tells when the worlds have become about nothing, and when too many pods are excused.
func (total *tally) check(t *testing.T) {
	t.Helper()
	for _, what := range []string{"near", "apart", "spread:DoNotSchedule", "ports", "volumes", "tolerations", "nodeSelector", "nodeAffinity",
		"spread by default"} {
		if total.wants[what] == 0 {
			t.Errorf("no pod that asks for %s was placed", what)
		}
	}
	if total.wanting == 0 {
		t.Error("no pod was held for stock or a limit")
	}
	if total.reordered*200 > total.turns {
		t.Errorf("%d of %d bindings need another order than the plan's; at most one in 200 may", total.reordered, total.turns)
	}
	if total.excused*100 > total.judged {
		t.Errorf("%d of %d pods that are held have a place; at most one in 100 is excused", total.excused, total.judged)
	}
}

// asked reads a list of features.
func asked(list string) []feature {
	if list == "" {
		return features
	}
	var fs []feature
	for _, name := range strings.Split(list, ",") {
		fs = append(fs, feature(name))
	}
	return fs
}

// judgeOnce judges one world. What it finds is an error of the test, with the smallest world that shows it.
func judgeOnce(t *testing.T, w *world, seed uint64, total *tally) verdict {
	t.Helper()
	v, err := judge(t.Context(), w, seed, bug{})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	total.count(w, v)
	for _, m := range v.missed {
		if why := excuse(w, m.pod); why != "" {
			total.excused, total.excuses[why] = total.excused+1, total.excuses[why]+1
		}
	}
	if len(faults(w, v)) > 0 {
		wanted := kind(faults(w, v)[0])
		small := shrink(w, 600, func(smaller *world) bool {
			return slices.ContainsFunc(faultsOf(t.Context(), smaller, seed), func(f string) bool { return kind(f) == wanted })
		})
		t.Errorf("seed %d:\n  %s\nthe same in small:\n  %s\n%s", seed, strings.Join(faults(w, v), "\n  "),
			strings.Join(faultsOf(t.Context(), small, seed), "\n  "), small)
	}
	return v
}

// kind is what a fault is about, without the names.
func kind(fault string) string {
	if _, held, ok := strings.Cut(fault, " is held for "); ok {
		held, _, _ = strings.Cut(held, ",")
		return held
	}
	return fault[strings.LastIndex(fault, ": ")+1:]
}

func faultsOf(ctx context.Context, w *world, seed uint64) []string {
	v, err := judge(ctx, w, seed, bug{})
	if err != nil {
		return nil // another fault
	}
	return faults(w, v)
}

// faults are what is wrong with a decision.
func faults(w *world, v verdict) []string {
	list := v.refused
	for _, m := range inexcusable(w, v) {
		list = append(list, fmt.Sprintf("pod %s/%s is held for %s, and fits %s", m.pod.Namespace, m.pod.Name, m.reason, m.node))
	}
	return list
}

// inexcusable are the pods that should not have been held, with -strict all that have a place. Where pods depend on each other the planner
// settles on one way to divide them before it knows what fits where, and may hold a pod that another way would have served: TestDecisions
// bounds how often.
func inexcusable(w *world, v verdict) []miss {
	return slices.DeleteFunc(slices.Clone(v.missed), func(m miss) bool { return excuse(w, m.pod) != "" && !*strict })
}

// excuse says why a pod may be held that has a place; empty: it may not.
//
// "near", "apart", "spread": who is dealt first decides what is left for others, and one way of dealing is tried; a spread over nodes is taken
// tighter than kube-scheduler does, see the doc of pkg/provisioner/topology; and a pod that others have made room for by preemption is not kept
// from its place, though kube-scheduler would. "apart of others": so for those whom they choose. "near on a node": so for those whom
// others must share a node with, which are planned for as one. Volumes: claims that wait are divided before places are known, and attachments are counted by pod.
func excuse(w *world, pod *corev1.Pod) string {
	for _, what := range []string{"near", "apart", "spread:DoNotSchedule"} {
		if slices.Contains(wants(pod), what) {
			return what
		}
	}
	if w.minds(pod) > 0 {
		return "spread by default"
	}
	if contends(w, pod) {
		return "contends for a volume"
	}
	if shares(w, pod) {
		return "shares a volume"
	}
	apart, cling := false, false
	each(w, func(p *corev1.Pod) {
		if p == pod {
			return
		}
		info, err := framework.NewPodInfo(p)
		if err != nil {
			return // it is the judge's own to say so
		}
		apart = apart || slices.ContainsFunc(info.GetRequiredAntiAffinityTerms(), func(t fwk.AffinityTerm) bool { return chooses(w, t, pod) })
		cling = cling || slices.ContainsFunc(info.GetRequiredAffinityTerms(), func(t fwk.AffinityTerm) bool {
			return t.TopologyKey == corev1.LabelHostname && chooses(w, t, pod)
		})
	})
	switch {
	case apart:
		return "apart of others"
	case cling:
		return "near on a node"
	}
	return ""
}

// chooses tells whether a term of another pod is about this one.
func chooses(w *world, t fwk.AffinityTerm, pod *corev1.Pod) bool {
	found := false
	each(w, func(n *corev1.Namespace) { found = found || n.Name == pod.Namespace && t.Matches(pod, n.Labels) })
	return found
}

// shares tells whether a pod that has a node uses a volume of the pod, too. Volumes are counted by pod, so that the pod is thought to attach one
// more than it does there: at the limit of a node's attachments it may be held.
func shares(w *world, pod *corev1.Pod) bool {
	own := map[string]bool{}
	for i := range pod.Spec.Volumes {
		if v := pod.Spec.Volumes[i].PersistentVolumeClaim; v != nil {
			own[v.ClaimName] = true
		}
	}
	found := false
	each(w, func(p *corev1.Pod) {
		if p.Spec.NodeName == "" || p.Namespace != pod.Namespace {
			return
		}
		for i := range p.Spec.Volumes {
			v := p.Spec.Volumes[i].PersistentVolumeClaim
			found = found || v != nil && own[v.ClaimName]
		}
	})
	return found
}

// contends tells whether the pod waits for a volume that it shares, or that another may take.
func contends(w *world, pod *corev1.Pod) bool {
	users := map[string]int{}
	names := func(p *corev1.Pod, f func(string)) {
		for i := range p.Spec.Volumes {
			if v := &p.Spec.Volumes[i]; v.PersistentVolumeClaim != nil {
				f(p.Namespace + "/" + v.PersistentVolumeClaim.ClaimName)
			} else if v.Ephemeral != nil {
				f(p.Namespace + "/" + p.Name + "-" + v.Name)
			}
		}
	}
	each(w, func(p *corev1.Pod) { names(p, func(name string) { users[name]++ }) })
	found := false
	each(w, func(c *corev1.PersistentVolumeClaim) {
		name := c.Namespace + "/" + c.Name
		names(pod, func(own string) {
			found = found || own == name && c.Spec.VolumeName == "" && (users[name] > 1 || *c.Spec.StorageClassName == classStatic)
		})
	})
	return found
}
