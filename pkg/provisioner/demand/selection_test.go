package demand_test

import (
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

const (
	in, notIn      = corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn
	exists, absent = corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist
	gt, lt         = corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt
)

func TestMatches(t *testing.T) {
	node := map[string]string{"zone": "a", "memory": "16384", "spot": ""}
	gpu := corev1.Taint{Key: "gpu", Value: "true", Effect: corev1.TaintEffectNoSchedule}
	tolerating := func(ts ...corev1.Toleration) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Tolerations = ts }
	}
	selecting := func(key, value string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{key: value} }
	}
	term := func(rs ...corev1.NodeSelectorRequirement) func(*corev1.Pod) { return requiring(expressions(rs...)) }
	tests := map[string]struct {
		change func(*corev1.Pod)
		taints []corev1.Taint
		want   bool
	}{
		"anything":                    {func(*corev1.Pod) {}, nil, true},
		"nodeSelector":                {selecting("zone", "a"), nil, true},
		"nodeSelector, other value":   {selecting("zone", "b"), nil, false},
		"nodeSelector, absent":        {selecting("arch", ""), nil, false},
		"In":                          {term(is("zone", in, "b", "a")), nil, true},
		"In, other":                   {term(is("zone", in, "b")), nil, false},
		"NotIn":                       {term(is("zone", notIn, "b")), nil, true},
		"NotIn, that one":             {term(is("zone", notIn, "b", "a")), nil, false},
		"NotIn, absent":               {term(is("arch", notIn, "b")), nil, true},
		"Exists":                      {term(is("spot", exists)), nil, true},
		"Exists, absent":              {term(is("arch", exists)), nil, false},
		"DoesNotExist":                {term(is("arch", absent)), nil, true},
		"DoesNotExist, present":       {term(is("spot", absent)), nil, false},
		"Gt":                          {term(is("memory", gt, "16383")), nil, true},
		"Gt, equal":                   {term(is("memory", gt, "16384")), nil, false},
		"Gt, label is no number":      {term(is("zone", gt, "1")), nil, false},
		"Gt, absent":                  {term(is("arch", gt, "1")), nil, false},
		"Lt":                          {term(is("memory", lt, "16385")), nil, true},
		"Lt, equal":                   {term(is("memory", lt, "16384")), nil, false},
		"expressions are ANDed":       {term(is("zone", in, "a"), is("memory", lt, "2")), nil, false},
		"terms are ORed":              {requiring(expressions(is("zone", in, "b")), expressions(is("zone", in, "a"))), nil, true},
		"both selector and affinity":  {func(p *corev1.Pod) { selecting("zone", "b")(p); term(is("zone", in, "a"))(p) }, nil, false},
		"an empty term matches none":  {requiring(corev1.NodeSelectorTerm{}), nil, false},
		"a bad term beside a good":    {requiring(expressions(is("memory", gt, "x")), expressions(is("zone", in, "a"))), nil, true},
		"only a bad term":             {term(is("memory", gt, "x")), nil, false},
		"a node by name":              {requiring(fields(is("metadata.name", in, "node-1"))), nil, false},
		"not a node by name":          {requiring(fields(is("metadata.name", notIn, "node-1"))), nil, true},
		"taint":                       {func(*corev1.Pod) {}, []corev1.Taint{gpu}, false},
		"NoExecute":                   {func(*corev1.Pod) {}, []corev1.Taint{{Key: "x", Effect: corev1.TaintEffectNoExecute}}, false},
		"PreferNoSchedule":            {func(*corev1.Pod) {}, []corev1.Taint{{Key: "x", Effect: corev1.TaintEffectPreferNoSchedule}}, true},
		"tolerated by value":          {tolerating(corev1.Toleration{Key: "gpu", Value: "true"}), []corev1.Taint{gpu}, true},
		"tolerated, another value":    {tolerating(corev1.Toleration{Key: "gpu", Value: "false"}), []corev1.Taint{gpu}, false},
		"tolerated by key":            {tolerating(corev1.Toleration{Key: "gpu", Operator: corev1.TolerationOpExists}), []corev1.Taint{gpu}, true},
		"tolerated, another effect":   {tolerating(corev1.Toleration{Key: "gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}), []corev1.Taint{gpu}, false},
		"everything is tolerated":     {tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists}), []corev1.Taint{gpu, {Key: "y", Effect: corev1.TaintEffectNoExecute}}, true},
		"one of two taints tolerated": {tolerating(corev1.Toleration{Key: "gpu", Value: "true"}), []corev1.Taint{gpu, {Key: "y", Effect: corev1.TaintEffectNoSchedule}}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := gpuPod("a", tc.change)
			if got := demand.SelectionOf(&pod.Spec).Matcher().Matches(node, tc.taints); got != tc.want {
				t.Errorf("Matches = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestMatchesNodeLooksAtTheName(t *testing.T) {
	pod := gpuPod("a", requiring(fields(is("metadata.name", in, "node-1"))))
	m := demand.SelectionOf(&pod.Spec).Matcher()
	if !m.MatchesNode("node-1", nil, nil) || m.MatchesNode("node-2", nil, nil) {
		t.Error("the node that is named must match, and no other")
	}
}

func TestScore(t *testing.T) {
	zone := func(weight int32, zone string) corev1.PreferredSchedulingTerm {
		return preferred(weight, expressions(is("zone", in, zone)))
	}
	pod := gpuPod("a", preferring(zone(1, "light"), zone(50, "first"), zone(0, "skipped"), zone(50, "second"), preferred(9, corev1.NodeSelectorTerm{})))
	s := demand.SelectionOf(&pod.Spec)
	if diff := cmp.Diff([]corev1.PreferredSchedulingTerm{zone(50, "first"), zone(50, "second"), zone(1, "light")}, s.Preferred); diff != "" {
		t.Fatalf("Preferred (-want +got):\n%s", diff)
	}
	for zone, want := range map[string]int64{"first": 50, "second": 50, "light": 1, "none": 0} {
		if got := s.Scorer().Score("", map[string]string{"zone": zone}); got != want {
			t.Errorf("Score of zone %s = %d, want %d", zone, got, want)
		}
	}
	if (demand.Selection{}).Scorer() != nil {
		t.Error("a Scorer for nothing preferred")
	}
}

func TestAvoiding(t *testing.T) {
	pod := gpuPod("a", func(p *corev1.Pod) {
		p.Spec.Tolerations = []corev1.Toleration{{Key: "known", Operator: corev1.TolerationOpExists}}
	})
	taint := func(key string) []corev1.Taint {
		return []corev1.Taint{{Key: key, Effect: corev1.TaintEffectPreferNoSchedule}}
	}
	for name, tc := range map[string]struct {
		taints         []corev1.Taint
		avoiding, want bool
	}{
		"no taint":              {nil, true, true},
		"a taint":               {taint("other"), false, true},
		"a taint it tolerates":  {taint("known"), true, true},
		"one that keeps it off": {[]corev1.Taint{{Key: "other", Effect: corev1.TaintEffectNoSchedule}}, false, false},
	} {
		m := demand.SelectionOf(&pod.Spec).Matcher()
		if got, avoiding := m.Matches(nil, tc.taints), m.Avoiding().Matches(nil, tc.taints); got != tc.want || avoiding != tc.avoiding {
			t.Errorf("%s: matches %v, want %v; avoiding it %v, want %v", name, got, tc.want, avoiding, tc.avoiding)
		}
	}
}

// drawPod draws what decides a pod's placement from few values, so that equal and nearly equal pods are frequent.
func drawPod(t *rapid.T) *corev1.Pod {
	value := rapid.SampledFrom([]string{"a", "b", "1", "2", "not a label value"})
	requirement := rapid.Custom(func(t *rapid.T) corev1.NodeSelectorRequirement {
		op := rapid.SampledFrom([]corev1.NodeSelectorOperator{in, notIn, exists, absent, gt, lt, "Near"}).Draw(t, "op")
		return is(rapid.SampledFrom([]string{"zone", "memory"}).Draw(t, "key"), op, rapid.SliceOfN(value, 0, 2).Draw(t, "values")...)
	})
	field := rapid.Custom(func(t *rapid.T) corev1.NodeSelectorRequirement {
		op := rapid.SampledFrom([]corev1.NodeSelectorOperator{in, notIn}).Draw(t, "op")
		return is("metadata.name", op, rapid.SliceOfN(value, 0, 2).Draw(t, "values")...)
	})
	term := rapid.Custom(func(t *rapid.T) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: rapid.SliceOfN(requirement, 0, 2).Draw(t, "expressions"),
			MatchFields: rapid.SliceOfN(field, 0, 1).Draw(t, "fields")}
	})
	prefer := rapid.Custom(func(t *rapid.T) corev1.PreferredSchedulingTerm {
		return preferred(rapid.Int32Range(0, 2).Draw(t, "weight"), term.Draw(t, "term"))
	})
	toleration := rapid.Custom(func(t *rapid.T) corev1.Toleration {
		return corev1.Toleration{
			Key:      rapid.SampledFrom([]string{"", "gpu", "x"}).Draw(t, "key"),
			Operator: rapid.SampledFrom([]corev1.TolerationOperator{"", corev1.TolerationOpEqual, corev1.TolerationOpExists, corev1.TolerationOpGt}).Draw(t, "op"),
			Value:    rapid.SampledFrom([]string{"", "1"}).Draw(t, "value"),
			Effect:   rapid.SampledFrom([]corev1.TaintEffect{"", corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute}).Draw(t, "effect"),
		}
	})
	pod := gpuPod(rapid.StringMatching(`[a-c]{1,3}`).Draw(t, "name"))
	pod.Namespace = rapid.SampledFrom([]string{"ml", "ops"}).Draw(t, "namespace")
	pod.Spec.Containers[0] = requests("cpu", rapid.SampledFrom([]string{"1", "2"}).Draw(t, "cpu"), "nvidia.com/gpu", rapid.SampledFrom([]string{"1", "8"}).Draw(t, "gpu"))
	pod.Spec.Tolerations = rapid.SliceOfN(toleration, 0, 2).Draw(t, "tolerations")
	if rapid.Bool().Draw(t, "selects") {
		pod.Spec.NodeSelector = map[string]string{"zone": value.Draw(t, "zone")}
	}
	if rapid.Bool().Draw(t, "has affinity") {
		requiring(rapid.SliceOfN(term, 0, 2).Draw(t, "required")...)(pod)
		pod.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = rapid.SliceOfN(prefer, 0, 2).Draw(t, "preferred")
	}
	return pod
}

func drawNode(t *rapid.T) *corev1.Node {
	value := rapid.SampledFrom([]string{"", "a", "b", "1", "2"})
	taint := rapid.Custom(func(t *rapid.T) corev1.Taint {
		return corev1.Taint{
			Key: rapid.SampledFrom([]string{"gpu", "x"}).Draw(t, "key"), Value: rapid.SampledFrom([]string{"", "1"}).Draw(t, "value"),
			Effect: rapid.SampledFrom([]corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule}).Draw(t, "effect"),
		}
	})
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:   rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"),
			Labels: rapid.MapOf(rapid.SampledFrom([]string{"zone", "memory"}), value).Draw(t, "labels"),
		},
		Spec: corev1.NodeSpec{Taints: rapid.SliceOfN(taint, 0, 2).Draw(t, "taints")},
	}
}

// schedulerAccepts is what kube-scheduler's filters for node affinity and taints answer.
func schedulerAccepts(pod *corev1.Pod, node *corev1.Node) bool {
	ok, _ := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node)
	_, kept := schedulinghelper.FindMatchingUntoleratedTaint(logr.Discard(), node.Spec.Taints, pod.Spec.Tolerations, func(taint *corev1.Taint) bool {
		return taint.Effect == corev1.TaintEffectNoSchedule || taint.Effect == corev1.TaintEffectNoExecute
	}, false)
	return ok && !kept
}

// The Matcher of what is required answers for each node what the scheduler's filters answer; with preferred terms, those with all of
// the level's terms are left.
func TestMatcherAgreesWithScheduler(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pod, node := drawPod(t), drawNode(t)
		s := demand.SelectionOf(&pod.Spec)
		want := schedulerAccepts(pod, node)
		if got := s.Matcher().MatchesNode(node.Name, node.Labels, node.Spec.Taints); got != want {
			t.Fatalf("MatchesNode = %v, the scheduler says %v", got, want)
		}
		future := node.DeepCopy()
		future.Name = "no-pod-knows-this-name"
		if got, want := s.Matcher().Matches(node.Labels, node.Spec.Taints), schedulerAccepts(pod, future); got != want {
			t.Fatalf("Matches = %v, the scheduler says %v of a new node", got, want)
		}
		terms, err := nodeaffinity.NewPreferredSchedulingTerms(s.Preferred)
		if err != nil || len(s.Preferred) == 0 {
			return
		}
		if got, want := s.Scorer().Score(node.Name, node.Labels), terms.Score(node); got != want {
			t.Fatalf("Score = %d, the scheduler's is %d", got, want)
		}
	})
}
