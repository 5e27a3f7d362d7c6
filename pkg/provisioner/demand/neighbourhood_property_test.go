package demand_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

var (
	namespaces    = []string{"ml", "ops", "new"}
	namespaceSets = map[string]map[string]string{"ml": {"team": "x"}, "ops": {"team": "y"}, "empty": {"team": "x"}}
	labelKeys     = []string{"app", "v"}
	labelValues   = []string{"a", "", "c"} // one more than selectors use: what is not named can be told from what is
)

func drawLabels(t *rapid.T) map[string]string {
	return rapid.MapOfN(rapid.SampledFrom(labelKeys), rapid.SampledFrom(labelValues[:2]), 0, 2).Draw(t, "labels")
}

func drawSelector(t *rapid.T) *metav1.LabelSelector {
	if rapid.IntRange(0, 9).Draw(t, "nil") == 0 {
		return nil
	}
	requirement := rapid.Custom(func(t *rapid.T) labelRule {
		op := rapid.SampledFrom([]metav1.LabelSelectorOperator{"In", "NotIn", "Exists", "DoesNotExist"}).Draw(t, "op")
		values := rapid.SliceOfN(rapid.SampledFrom(labelValues[:2]), 1, 2).Draw(t, "values")
		if op == "Exists" || op == "DoesNotExist" {
			values = nil
		}
		return rule(rapid.SampledFrom(labelKeys).Draw(t, "key"), op, values...)
	})
	s := &metav1.LabelSelector{MatchExpressions: rapid.SliceOfN(requirement, 0, 3).Draw(t, "expressions")}
	if rapid.Bool().Draw(t, "by label") {
		s.MatchLabels = drawLabels(t)
	}
	return s
}

func drawTerm(t *rapid.T) podTerm {
	keys := rapid.SliceOfN(rapid.SampledFrom(labelKeys), 0, 1)
	term := podTerm{TopologyKey: rapid.SampledFrom([]string{"zone", "host"}).Draw(t, "topology key"), LabelSelector: drawSelector(t),
		Namespaces:     rapid.SliceOfN(rapid.SampledFrom(namespaces), 0, 2).Draw(t, "namespaces"),
		MatchLabelKeys: keys.Draw(t, "match"), MismatchLabelKeys: keys.Draw(t, "mismatch")}
	term.NamespaceSelector = rapid.SampledFrom([]*metav1.LabelSelector{nil, nil, {}, having("team", "x"), having("team", "none"), having(corev1.LabelMetadataName, "new")}).Draw(t, "namespace selector")
	return term
}

func drawSpread(t *rapid.T) spread {
	honor := corev1.NodeInclusionPolicyHonor
	return spread{
		MaxSkew: rapid.Int32Range(0, 2).Draw(t, "skew"), TopologyKey: rapid.SampledFrom([]string{"zone", "host"}).Draw(t, "topology key"),
		WhenUnsatisfiable: rapid.SampledFrom([]corev1.UnsatisfiableConstraintAction{corev1.DoNotSchedule, corev1.ScheduleAnyway}).Draw(t, "action"),
		LabelSelector:     drawSelector(t), MatchLabelKeys: rapid.SliceOfN(rapid.SampledFrom(labelKeys), 0, 1).Draw(t, "match"),
		NodeTaintsPolicy: rapid.SampledFrom([]*corev1.NodeInclusionPolicy{nil, &honor}).Draw(t, "taints"),
		MinDomains:       rapid.SampledFrom([]*int32{nil, new(int32(2))}).Draw(t, "domains"),
	}
}

// chosenBy is whom a term chooses, as kube-scheduler decides it (AffinityTerm.Matches), of every pod that there could be.
func chosenBy(owner *corev1.Pod, term podTerm) (whom string) {
	merged := term.LabelSelector.DeepCopy()
	if merged != nil {
		for _, k := range term.MatchLabelKeys {
			if v, has := owner.Labels[k]; has {
				merged.MatchExpressions = append(merged.MatchExpressions, rule(k, "In", v))
			}
		}
		for _, k := range term.MismatchLabelKeys {
			if v, has := owner.Labels[k]; has {
				merged.MatchExpressions = append(merged.MatchExpressions, rule(k, "NotIn", v))
			}
		}
	}
	selector, _ := metav1.LabelSelectorAsSelector(merged)
	within, _ := metav1.LabelSelectorAsSelector(term.NamespaceSelector)
	// "other" is there so that a term that lists every namespace it can know of is not one that takes them all.
	for _, ns := range append([]string{"empty", "other"}, namespaces...) {
		of, known := namespaceSets[ns]
		if !known {
			of = labelled{corev1.LabelMetadataName: ns}
		}
		named := len(term.Namespaces) == 0 && term.NamespaceSelector == nil && ns == owner.Namespace
		for _, n := range term.Namespaces {
			named = named || n == ns
		}
		for _, set := range everyLabels() {
			if (named || within.Matches(labels.Set(of))) && selector.Matches(labels.Set(set)) {
				whom += fmt.Sprint(ns, set, " ")
			}
		}
	}
	return whom
}

// everyLabels are all sets of labels that there could be.
func everyLabels() []labelled {
	sets := []labelled{{}}
	for _, k := range labelKeys {
		for _, set := range sets {
			for _, v := range labelValues {
				more := labelled{k: v}
				maps.Copy(more, set)
				sets = append(sets, more)
			}
		}
	}
	return sets
}

type neighbourhood func(demand.Surroundings) *demand.Neighbourhood

// checkChoices: keys of selectors are equal exactly if they choose the same, and Chosen and Company say what kube-scheduler would.
func checkChoices(t *rapid.T, make neighbourhood) string {
	pods := []*corev1.Pod{}
	terms := []podTerm{}
	for i := range 3 {
		term := drawTerm(t)
		pod := gpuPod(fmt.Sprint(i), within(namespaces[i]), func(p *corev1.Pod) { p.Labels = drawLabels(t) }, apartFrom(term))
		pod.UID = types.UID(fmt.Sprint(i))
		pods, terms = append(pods, pod), append(terms, term)
	}
	n := make(demand.Surroundings{Waiting: pods, Namespaces: namespaceSets})
	of := map[types.UID]demand.Neighbours{}
	for _, d := range n.Demands() {
		for _, p := range d.Pods {
			of[p.UID] = d.Neighbours
		}
	}
	for i, a := range pods {
		for j, b := range pods {
			s := of[b.UID].Apart[0].Selector
			same := chosenBy(a, terms[i]) == chosenBy(b, terms[j])
			if (of[a.UID].Apart[0].Selector == s) != same {
				return fmt.Sprintf("keys %q and %q, and they choose the same: %v", of[a.UID].Apart[0].Selector, s, same)
			}
			chosen := false
			for _, k := range of[a.UID].Chosen {
				chosen = chosen || k == s
			}
			alone := *a
			alone.Spec.Affinity = nil
			count := n.Company("n", []*corev1.Pod{&alone}).Chosen[s]
			want := chosenBy(b, podTerm{LabelSelector: exactly(a), Namespaces: []string{a.Namespace}})
			if meets := strings.Contains(chosenBy(b, terms[j]), want); chosen != meets || (count == 1) != meets {
				return fmt.Sprintf("%q chooses pod %v: Chosen %v, counted %d, want %v", s, a.Labels, chosen, count, meets)
			}
		}
	}
	return ""
}

// exactly chooses pods with the labels of this one alone.
func exactly(p *corev1.Pod) *metav1.LabelSelector {
	s := &metav1.LabelSelector{MatchLabels: p.Labels}
	for _, k := range labelKeys {
		if _, has := p.Labels[k]; !has {
			s.MatchExpressions = append(s.MatchExpressions, rule(k, "DoesNotExist"))
		}
	}
	return s
}

func TestChoicesProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if problem := checkChoices(t, demand.NewNeighbourhood); problem != "" {
			t.Fatal(problem)
		}
	})
}

func TestChoicesProperty_catches(t *testing.T) {
	changed := func(change func(*corev1.Pod, *podTerm)) neighbourhood {
		return func(s demand.Surroundings) *demand.Neighbourhood {
			for i, p := range s.Waiting {
				p = p.DeepCopy()
				change(p, &p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0])
				s.Waiting[i] = p
			}
			return demand.NewNeighbourhood(s)
		}
	}
	plants := map[string]neighbourhood{
		"matchLabelKeys are forgotten":    changed(func(_ *corev1.Pod, t *podTerm) { t.MatchLabelKeys = nil }),
		"mismatchLabelKeys are forgotten": changed(func(_ *corev1.Pod, t *podTerm) { t.MismatchLabelKeys = nil }),
		"namespaces are forgotten":        changed(func(_ *corev1.Pod, t *podTerm) { t.Namespaces = nil }),
		"an empty namespaceSelector is none": changed(func(_ *corev1.Pod, t *podTerm) {
			if t.NamespaceSelector != nil && len(t.NamespaceSelector.MatchLabels) == 0 {
				t.NamespaceSelector = nil
			}
		}),
		"no selector is an empty one": changed(func(_ *corev1.Pod, t *podTerm) {
			if t.LabelSelector == nil {
				t.LabelSelector = having()
			}
		}),
		"namespaces are not resolved": func(s demand.Surroundings) *demand.Neighbourhood {
			s.Namespaces = nil
			return demand.NewNeighbourhood(s)
		},
	}
	for name, plant := range plants {
		caught := false
		for seed := 0; seed < 3000 && !caught; seed++ {
			caught = rapid.Custom(func(t *rapid.T) string { return checkChoices(t, plant) }).Example(seed) != ""
		}
		if !caught {
			t.Errorf("%s: not caught", name)
		}
	}
}

// The order of pods decides nothing, and no pod is lost.
func TestNeighbourhoodIsPermutationInvariant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pods []*corev1.Pod
		for i := range rapid.IntRange(0, 8).Draw(t, "pods") {
			pod := drawPod(t)
			pod.Labels, pod.UID = drawLabels(t), types.UID(fmt.Sprint(i))
			for range rapid.IntRange(0, 2).Draw(t, "twists") {
				drawTwist(t)(pod)
			}
			pods = append(pods, pod)
		}
		cut := rapid.IntRange(0, len(pods)).Draw(t, "placed")
		for _, p := range pods[:cut] {
			running(p)
		}
		gather := func(placed, waiting []*corev1.Pod) ([]demand.Demand, demand.Company) {
			n := demand.NewNeighbourhood(demand.Surroundings{Waiting: waiting, Placed: placed, Namespaces: namespaceSets})
			return n.Demands(), n.Company("n", placed)
		}
		demands, company := gather(pods[:cut], pods[cut:])
		placed, waiting := rapid.Permutation(pods[:cut]).Draw(t, "shuffled placed"), rapid.Permutation(pods[cut:]).Draw(t, "shuffled waiting")
		again, companyAgain := gather(placed, waiting)
		if diff := cmp.Diff(demands, again) + cmp.Diff(company, companyAgain); diff != "" {
			t.Fatal(diff)
		}
		count := 0
		for _, d := range demands {
			count += len(d.Pods)
		}
		if count != len(pods)-cut {
			t.Fatalf("%d pods in demands, want %d", count, len(pods)-cut)
		}
	})
}
