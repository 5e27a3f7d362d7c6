package demand_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

type (
	labelled  = map[string]string
	key       = demand.SelectorKey
	spread    = corev1.TopologySpreadConstraint
	podTerm   = corev1.PodAffinityTerm
	labelRule = metav1.LabelSelectorRequirement
)

// having is a label selector by pairs: key, value, key, value, ...
func having(pairs ...string) *metav1.LabelSelector {
	s := &metav1.LabelSelector{MatchLabels: labelled{}}
	for i := 0; i < len(pairs); i += 2 {
		s.MatchLabels[pairs[i]] = pairs[i+1]
	}
	return s
}

func ruling(rules ...labelRule) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: rules}
}

func rule(key string, op metav1.LabelSelectorOperator, values ...string) labelRule {
	return labelRule{Key: key, Operator: op, Values: values}
}

func with(pairs ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels = having(pairs...).MatchLabels }
}

func within(namespace string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Namespace = namespace }
}

func around(p *corev1.Pod) *corev1.Affinity {
	if p.Spec.Affinity == nil {
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}, PodAntiAffinity: &corev1.PodAntiAffinity{}}
	}
	return p.Spec.Affinity
}

func near(terms ...podTerm) func(*corev1.Pod) {
	return func(p *corev1.Pod) { around(p).PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution = terms }
}

func apartFrom(terms ...podTerm) func(*corev1.Pod) {
	return func(p *corev1.Pod) { around(p).PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution = terms }
}

func spreading(all ...spread) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.TopologySpreadConstraints = all }
}

func on(node string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { running(p); p.Spec.NodeName = node }
}

func TestSelectorKeys(t *testing.T) {
	app := having("app", "web")
	for name, tc := range map[string]struct {
		term podTerm
		pod  func(*corev1.Pod)
		want key
	}{
		"the own namespace":             {term: podTerm{LabelSelector: app}, want: "ml/app=web"},
		"no selector chooses nothing":   {term: podTerm{}, want: "(nothing)"},
		"an empty one chooses all":      {term: podTerm{LabelSelector: having()}, want: "ml"},
		"namespaces":                    {term: podTerm{LabelSelector: app, Namespaces: []string{"b", "a", "b"}}, want: "a,b/app=web"},
		"all namespaces":                {term: podTerm{LabelSelector: app, NamespaceSelector: having()}, want: "*/app=web"},
		"all namespaces and one":        {term: podTerm{LabelSelector: app, NamespaceSelector: having(), Namespaces: []string{"a"}}, want: "*/app=web"},
		"selected namespaces":           {term: podTerm{LabelSelector: app, NamespaceSelector: having("team", "x")}, want: "x1,x2/app=web"},
		"selected and named":            {term: podTerm{LabelSelector: app, NamespaceSelector: having("team", "x"), Namespaces: []string{"ml"}}, want: "ml,x1,x2/app=web"},
		"selected by name":              {term: podTerm{LabelSelector: app, NamespaceSelector: having("kubernetes.io/metadata.name", "ml")}, want: "ml/app=web"},
		"none is selected":              {term: podTerm{LabelSelector: app, NamespaceSelector: having("team", "none")}, want: "(nothing)"},
		"matchLabelKeys":                {term: podTerm{LabelSelector: app, MatchLabelKeys: []string{"v", "absent"}}, pod: with("v", "1"), want: "ml/app=web,v=1"},
		"merged by the API server":      {term: podTerm{LabelSelector: ruling(rule("app", "In", "web"), rule("v", "In", "1")), MatchLabelKeys: []string{"v"}}, pod: with("v", "1"), want: "ml/app=web,v=1"},
		"mismatchLabelKeys":             {term: podTerm{LabelSelector: having(), MismatchLabelKeys: []string{"v"}}, pod: with("v", "1"), want: "ml/v notin (1)"},
		"keys without a selector":       {term: podTerm{MatchLabelKeys: []string{"v"}}, pod: with("v", "1"), want: "(nothing)"},
		"several values":                {term: podTerm{LabelSelector: ruling(rule("a", "In", "y", "x", "y"))}, want: "ml/a in (x,y)"},
		"In and NotIn":                  {term: podTerm{LabelSelector: ruling(rule("a", "In", "x", "y"), rule("a", "NotIn", "x"))}, want: "ml/a=y"},
		"In and NotIn, nothing is left": {term: podTerm{LabelSelector: ruling(rule("a", "In", "x"), rule("a", "NotIn", "x"))}, want: "(nothing)"},
		"In twice":                      {term: podTerm{LabelSelector: ruling(rule("a", "In", "x", "y"), rule("a", "In", "z", "y"))}, want: "ml/a=y"},
		"Exists and In":                 {term: podTerm{LabelSelector: ruling(rule("a", "Exists"), rule("a", "In", "x"))}, want: "ml/a=x"},
		"Exists and NotIn":              {term: podTerm{LabelSelector: ruling(rule("a", "NotIn", "x"), rule("a", "Exists"))}, want: "ml/a,a notin (x)"},
		"absent":                        {term: podTerm{LabelSelector: ruling(rule("a", "DoesNotExist"), rule("a", "NotIn", "x"))}, want: "ml/!a"},
		"absent and present":            {term: podTerm{LabelSelector: ruling(rule("a", "DoesNotExist"), rule("a", "Exists"))}, want: "(nothing)"},
		"absent and In":                 {term: podTerm{LabelSelector: ruling(rule("a", "DoesNotExist"), rule("a", "In", "x"))}, want: "(nothing)"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.term.TopologyKey = "zone"
			if tc.pod == nil {
				tc.pod = func(*corev1.Pod) {}
			}
			got := demand.NewNeighbourhood(demand.Surroundings{
				Waiting:    []*corev1.Pod{gpuPod("a", tc.pod, apartFrom(tc.term))},
				Namespaces: map[string]map[string]string{"x1": {"team": "x"}, "x2": {"team": "x"}, "y": {"team": "y"}},
			}).Demands()[0].Neighbours.Apart
			if diff := cmp.Diff([]demand.Term{{TopologyKey: "zone", Selector: tc.want}}, got); diff != "" {
				t.Errorf("Apart (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNeighbours(t *testing.T) {
	two, ignore, honor := int32(2), corev1.NodeInclusionPolicyIgnore, corev1.NodeInclusionPolicyHonor
	web, db := having("app", "web"), having("app", "db")
	for name, tc := range map[string]struct {
		pod  func(*corev1.Pod)
		want demand.Neighbours
	}{
		"nothing": {func(*corev1.Pod) {}, demand.Neighbours{}},
		"hard spread": {
			spreading(spread{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: web, MinDomains: &two}),
			demand.Neighbours{Chosen: []key{"ml/app=web"}, Spread: []demand.Spread{{Term: demand.Term{TopologyKey: "zone", Selector: "ml/app=web"}, MaxSkew: 1, MinDomains: 2}}},
		},
		"soft spread that counts all nodes and honours taints": {
			spreading(spread{MaxSkew: 3, TopologyKey: "zone", WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: db, NodeAffinityPolicy: &ignore, NodeTaintsPolicy: &honor}),
			demand.Neighbours{Spread: []demand.Spread{{Term: demand.Term{TopologyKey: "zone", Selector: "ml/app=db"}, MaxSkew: 3, Soft: true, AnyNode: true, HonorTaints: true}}},
		},
		"spread over pods of one version": {
			spreading(spread{MaxSkew: 1, TopologyKey: "zone", LabelSelector: web, MatchLabelKeys: []string{"v"}}),
			demand.Neighbours{Chosen: []key{"ml/app=web,v=1"}, Spread: []demand.Spread{{Term: demand.Term{TopologyKey: "zone", Selector: "ml/app=web,v=1"}, MaxSkew: 1}}},
		},
		"an empty selector spreads nothing": {
			spreading(spread{MaxSkew: 1, TopologyKey: "zone", LabelSelector: having()}),
			demand.Neighbours{Spread: []demand.Spread{{Term: demand.Term{TopologyKey: "zone", Selector: "(nothing)"}, MaxSkew: 1}}},
		},
		"affinity counts pods that all terms choose": {
			near(podTerm{TopologyKey: "zone", LabelSelector: web}, podTerm{TopologyKey: "rack", LabelSelector: having("v", "1")}),
			demand.Neighbours{Chosen: []key{"ml/app=web,v=1"}, Near: []demand.Term{{TopologyKey: "rack", Selector: "ml/app=web,v=1"}, {TopologyKey: "zone", Selector: "ml/app=web,v=1"}}},
		},
		"affinity whose terms share no namespace": {
			near(podTerm{TopologyKey: "zone", LabelSelector: web, Namespaces: []string{"ml"}}, podTerm{TopologyKey: "zone", LabelSelector: web, Namespaces: []string{"ops"}}),
			demand.Neighbours{Near: []demand.Term{{TopologyKey: "zone", Selector: "(nothing)"}}},
		},
		"anti-affinity, each term alone": {
			apartFrom(podTerm{TopologyKey: "zone", LabelSelector: web}, podTerm{TopologyKey: "host", LabelSelector: db}, podTerm{TopologyKey: "zone", LabelSelector: web}),
			demand.Neighbours{Chosen: []key{"ml/app=web"}, Apart: []demand.Term{{TopologyKey: "host", Selector: "ml/app=db"}, {TopologyKey: "zone", Selector: "ml/app=web"}}},
		},
		"preferences, the heaviest first": {
			func(p *corev1.Pod) {
				around(p).PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.WeightedPodAffinityTerm{
					{Weight: 5, PodAffinityTerm: podTerm{TopologyKey: "zone", LabelSelector: web}}, {PodAffinityTerm: podTerm{TopologyKey: "zone"}}}
				around(p).PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.WeightedPodAffinityTerm{
					{Weight: 50, PodAffinityTerm: podTerm{TopologyKey: "host", LabelSelector: db}}}
			},
			demand.Neighbours{Chosen: []key{"ml/app=web"}, Preferred: []demand.Preference{
				{Term: demand.Term{TopologyKey: "host", Selector: "ml/app=db"}, Weight: -50}, {Term: demand.Term{TopologyKey: "zone", Selector: "ml/app=web"}, Weight: 5}}},
		},
		"ports of containers and sidecars": {
			func(p *corev1.Pod) {
				open := func(c corev1.Container, port int32, ip string) corev1.Container {
					c.Ports = []corev1.ContainerPort{{ContainerPort: 1, HostPort: port, HostIP: ip}, {ContainerPort: 2}}
					return c
				}
				p.Spec.InitContainers = []corev1.Container{open(sidecar(), 80, ""), open(requests(), 81, "")}
				p.Spec.Containers = append(p.Spec.Containers, open(requests(), 82, "10.0.0.1"), open(requests(), 80, "0.0.0.0"))
			},
			demand.Neighbours{Ports: []demand.HostPort{{Protocol: "TCP", Address: "0.0.0.0", Port: 80}, {Protocol: "TCP", Address: "10.0.0.1", Port: 82}}},
		},
		"ports on the host's network": {
			func(p *corev1.Pod) {
				p.Spec.HostNetwork = true
				p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 53, Protocol: corev1.ProtocolUDP}}
			},
			demand.Neighbours{Ports: []demand.HostPort{{Protocol: "UDP", Address: "0.0.0.0", Port: 53}}},
		},
		"ports of the pod alone": {func(p *corev1.Pod) { p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80}} }, demand.Neighbours{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := demand.Group([]*corev1.Pod{gpuPod("a", with("app", "web", "v", "1"), tc.pod)})[0]
			if got.Unsupported != "" {
				t.Errorf("Unsupported = %q", got.Unsupported)
			}
			if diff := cmp.Diff(tc.want, got.Neighbours); diff != "" {
				t.Errorf("Neighbours (-want +got):\n%s", diff)
			}
		})
	}
}

// What several terms of affinity choose together.
func TestTermsChooseTogether(t *testing.T) {
	all := having()
	for name, tc := range map[string]struct {
		a, b podTerm
		want key
	}{
		"different keys":         {podTerm{LabelSelector: having("a", "1")}, podTerm{LabelSelector: having("b", "2")}, "ml/a=1,b=2"},
		"In and In":              {podTerm{LabelSelector: ruling(rule("a", "In", "1", "2"))}, podTerm{LabelSelector: ruling(rule("a", "In", "2", "3"))}, "ml/a=2"},
		"In and NotIn":           {podTerm{LabelSelector: ruling(rule("a", "In", "1", "2"))}, podTerm{LabelSelector: ruling(rule("a", "NotIn", "2"))}, "ml/a=1"},
		"NotIn and NotIn":        {podTerm{LabelSelector: ruling(rule("a", "NotIn", "1"))}, podTerm{LabelSelector: ruling(rule("a", "NotIn", "2"))}, "ml/a notin (1,2)"},
		"Exists and NotIn":       {podTerm{LabelSelector: ruling(rule("a", "Exists"))}, podTerm{LabelSelector: ruling(rule("a", "NotIn", "2"))}, "ml/a,a notin (2)"},
		"Exists and absent":      {podTerm{LabelSelector: ruling(rule("a", "Exists"))}, podTerm{LabelSelector: ruling(rule("a", "DoesNotExist"))}, "(nothing)"},
		"absent and NotIn":       {podTerm{LabelSelector: ruling(rule("a", "DoesNotExist"))}, podTerm{LabelSelector: ruling(rule("a", "NotIn", "2"))}, "ml/!a"},
		"nothing and all":        {podTerm{}, podTerm{LabelSelector: all}, "(nothing)"},
		"everywhere and here":    {podTerm{LabelSelector: all, NamespaceSelector: all}, podTerm{LabelSelector: all}, "ml"},
		"everywhere, twice":      {podTerm{LabelSelector: all, NamespaceSelector: all}, podTerm{LabelSelector: having("a", "1"), NamespaceSelector: all}, "*/a=1"},
		"namespaces in common":   {podTerm{LabelSelector: all, Namespaces: []string{"a", "b"}}, podTerm{LabelSelector: all, Namespaces: []string{"c", "b"}}, "b"},
		"no namespace in common": {podTerm{LabelSelector: all, Namespaces: []string{"a"}}, podTerm{LabelSelector: all}, "(nothing)"},
	} {
		tc.a.TopologyKey, tc.b.TopologyKey = "zone", "zone"
		for _, terms := range [][]podTerm{{tc.a, tc.b}, {tc.b, tc.a}} {
			got := demand.Group([]*corev1.Pod{gpuPod("a", near(terms...))})[0].Neighbours.Near
			if diff := cmp.Diff([]demand.Term{{TopologyKey: "zone", Selector: tc.want}}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

// Labels split pods only where a selector in use tells them apart.
func TestLabelsSplitOnlyWhereSomebodyLooks(t *testing.T) {
	pods := func(extra ...func(*corev1.Pod)) []*corev1.Pod {
		return []*corev1.Pod{gpuPod("a", append(extra, with("app", "web", "v", "1"))...), gpuPod("b", append(extra, with("app", "web", "v", "2"))...)}
	}
	other := gpuPod("other", apartFrom(podTerm{TopologyKey: "zone", LabelSelector: having("v", "1")}))
	keeper := gpuPod("keeper", on("n"), apartFrom(podTerm{TopologyKey: "zone", LabelSelector: having("v", "2")}))
	lover := gpuPod("lover", on("n"), near(podTerm{TopologyKey: "zone", LabelSelector: having("v", "2")}))
	for name, tc := range map[string]struct {
		around demand.Surroundings
		want   int
	}{
		"nobody looks":                      {demand.Surroundings{Waiting: pods()}, 1},
		"they look at what they share":      {demand.Surroundings{Waiting: pods(spreading(spread{MaxSkew: 1, TopologyKey: "zone", LabelSelector: having("app", "web")}))}, 1},
		"they look at what differs":         {demand.Surroundings{Waiting: pods(spreading(spread{MaxSkew: 1, TopologyKey: "zone", LabelSelector: having("v", "1")}))}, 2},
		"another that waits looks":          {demand.Surroundings{Waiting: append(pods(), other)}, 3},
		"one that runs keeps one away":      {demand.Surroundings{Waiting: pods(), Placed: []*corev1.Pod{keeper}}, 2},
		"one that runs is fond of one":      {demand.Surroundings{Waiting: pods(), Placed: []*corev1.Pod{lover}}, 1},
		"one keeps away, another namespace": {demand.Surroundings{Waiting: pods(), Placed: []*corev1.Pod{gpuPod("k", within("ops"), on("n"), apartFrom(podTerm{TopologyKey: "zone", LabelSelector: having("v", "2")}))}}, 1},
	} {
		if got := demand.NewNeighbourhood(tc.around).Demands(); len(got) != tc.want {
			t.Errorf("%s: %d demands, want %d", name, len(got), tc.want)
		}
	}
}

func TestCompany(t *testing.T) {
	now := metav1.NewTime(since)
	web, db := having("app", "web"), having("app", "db")
	host := func(p *corev1.Pod) { p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80}} }
	placed := []*corev1.Pod{
		gpuPod("w1", on("n1"), with("app", "web")),
		gpuPod("w2", on("n1"), with("app", "web"), func(p *corev1.Pod) { p.DeletionTimestamp = &now }),
		gpuPod("w3", on("n1"), with("app", "web"), within("ops")),
		gpuPod("keeper", on("n1"), host, apartFrom(podTerm{TopologyKey: "zone", LabelSelector: web}, podTerm{TopologyKey: "zone", LabelSelector: having("app", "nobody")})),
		gpuPod("moves", on("n2"), with("app", "db"), host, apartFrom(podTerm{TopologyKey: "zone", LabelSelector: web})),
	}
	n := demand.NewNeighbourhood(demand.Surroundings{
		Waiting: []*corev1.Pod{gpuPod("a", with("app", "web"), spreading(spread{MaxSkew: 1, TopologyKey: "zone", LabelSelector: web}, spread{MaxSkew: 1, TopologyKey: "zone", LabelSelector: db}))},
		Moving:  placed[4:], Placed: placed,
	})
	want := demand.Company{
		Chosen: map[key]int{"ml/app=web": 2}, Lasting: map[key]int{"ml/app=web": 1},
		Apart: []demand.Term{{TopologyKey: "zone", Selector: "ml/app=web"}},
		Ports: []demand.HostPort{{Protocol: "TCP", Address: "0.0.0.0", Port: 80}},
	}
	if diff := cmp.Diff(want, n.Company("n1", placed[:4])); diff != "" {
		t.Errorf("n1 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(demand.Company{}, n.Company("n1", placed[4:])); diff != "" {
		t.Errorf("a pod whose successor is planned is counted (-want +got):\n%s", diff)
	}
	alone := demand.NewNeighbourhood(demand.Surroundings{Placed: placed})
	if diff := cmp.Diff(demand.Company{}, alone.Company("n1", placed)); diff != "" {
		t.Errorf("nobody waits (-want +got):\n%s", diff)
	}
}

func BenchmarkNeighbourhood(b *testing.B) {
	var s demand.Surroundings
	for i := range 15_000 {
		app := string(rune('a'+i%20)) + "-app"
		pod := gpuPod("", with("app", app, "pod-index", string(rune('a'+i%26)), "controller-revision-hash", "x"))
		pod.UID = types.UID(slices.Repeat([]byte{'x'}, i%7))
		spreading(spread{MaxSkew: 1, TopologyKey: "zone", LabelSelector: having("app", app)})(pod)
		apartFrom(podTerm{TopologyKey: "kubernetes.io/hostname", LabelSelector: having("app", app)})(pod)
		if i < 10_000 {
			s.Waiting = append(s.Waiting, pod)
		} else {
			on("n")(pod)
			s.Placed = append(s.Placed, pod)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		n := demand.NewNeighbourhood(s)
		if got := len(n.Demands()); got != 20 {
			b.Fatal(got)
		}
		if got := len(slices.Collect(maps.Keys(n.Company("n", s.Placed).Chosen))); got != 20 {
			b.Fatal(got)
		}
	}
}
