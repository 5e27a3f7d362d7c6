package demand_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

type gathering func(demand.Surroundings) []demand.Demand

func gather(s demand.Surroundings) []demand.Demand { return demand.NewNeighbourhood(s).Demands() }

// drawSurroundings draws a few pods that differ in little, with volumes in two zones.
func drawSurroundings(t *rapid.T) demand.Surroundings {
	zone := func(label string) string { return rapid.SampledFrom([]string{"z1", "z2"}).Draw(t, label) }
	s := demand.Surroundings{Namespaces: namespaceSets, Storage: demand.Storage{Classes: []*sc{className("gp3", ebs), className("zonal", ebs, "z1")}}}
	for _, name := range []string{"a", "b"} {
		s.Storage.Claims = append(s.Storage.Claims, claimNamed(name, "gp3", boundTo("v-"+name)))
		s.Storage.Volumes = append(s.Storage.Volumes, volumeIn("v-"+name, "gp3", corev1.LabelTopologyZone, zone(name)))
	}
	base := drawPod(t)
	for i := range 4 {
		pod := base.DeepCopy()
		pod.Name, pod.UID = fmt.Sprint(i), types.UID(fmt.Sprint(i))
		for range i % 3 {
			drawTwist(t)(pod)
		}
		if pod.Namespace == "ml" && rapid.Bool().Draw(t, "with a volume") {
			rapid.SampledFrom([]func(*corev1.Pod){using("a"), using("b"), using("a", "b"), scratch("gp3"), scratch("zonal")}).Draw(t, "volume")(pod)
		}
		s.Waiting = append(s.Waiting, pod)
	}
	return s
}

// checkEqualKeys: over all that was gathered, here and there, keys are equal exactly where everything that decides a placement is.
func checkEqualKeys(t *rapid.T, gather gathering) string {
	var all []demand.Demand
	for range 2 {
		demands := gather(drawSurroundings(t))
		if !slices.IsSortedFunc(demands, func(a, b demand.Demand) int { return strings.Compare(a.Key, b.Key) }) {
			return "not sorted"
		}
		all = append(all, demands...)
	}
	content := func(d demand.Demand) demand.Demand {
		d.Key, d.Pods = "", nil
		return d
	}
	for i, a := range all {
		for _, b := range all[i+1:] {
			if diff := cmp.Diff(content(a), content(b)); (a.Key == b.Key) != (diff == "") {
				return fmt.Sprintf("keys %s and %s, and they differ in %s", a.Key, b.Key, diff)
			}
		}
	}
	return ""
}

func TestEqualKeysProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if problem := checkEqualKeys(t, gather); problem != "" {
			t.Fatal(problem)
		}
	})
}

func TestEqualKeysProperty_catches(t *testing.T) {
	// As if the key left something out: it is that of pods without it.
	without := func(strip func(*corev1.Pod)) gathering {
		return func(s demand.Surroundings) []demand.Demand {
			bare := s
			bare.Waiting = nil
			for _, p := range s.Waiting {
				p = p.DeepCopy()
				strip(p)
				bare.Waiting = append(bare.Waiting, p)
			}
			keys := map[types.UID]string{}
			for _, d := range gather(bare) {
				for _, p := range d.Pods {
					keys[p.UID] = d.Key
				}
			}
			demands := gather(s)
			for i := range demands {
				demands[i].Key = keys[demands[i].Pods[0].UID]
			}
			slices.SortFunc(demands, func(a, b demand.Demand) int { return strings.Compare(a.Key, b.Key) })
			return demands
		}
	}
	for name, plant := range map[string]gathering{
		"volumes":     without(func(p *corev1.Pod) { p.Spec.Volumes = nil }),
		"ports":       without(func(p *corev1.Pod) { p.Spec.Containers[0].Ports = nil }),
		"spread":      without(func(p *corev1.Pod) { p.Spec.TopologySpreadConstraints = nil }),
		"affinity":    without(func(p *corev1.Pod) { p.Spec.Affinity = nil }),
		"who chooses": without(func(p *corev1.Pod) { p.Labels = nil }),
		"the key is random": func(s demand.Surroundings) []demand.Demand {
			demands := gather(s)
			for i := range demands {
				demands[i].Key += string(demands[i].Pods[0].UID)
			}
			return demands
		},
	} {
		caught := false
		for seed := 0; seed < 2000 && !caught; seed++ {
			caught = rapid.Custom(func(t *rapid.T) string { return checkEqualKeys(t, plant) }).Example(seed) != ""
		}
		if !caught {
			t.Errorf("%s: not caught", name)
		}
	}
}

// FuzzSelectorKey: whatever a manifest says, reading it ends, the key is of one line, and gathering the same again answers the same. A selector
// that is not valid holds the pod.
func FuzzSelectorKey(f *testing.F) {
	f.Add("app", "In", "web,db", "ml", "team", "x")
	f.Add("a b", "NotIn", "", "ml,ops", "", "")
	f.Add("app", "Exists", "x", "*", "team", "x y")
	f.Add("app", "Near", "\n", "a/b\"", "team", "")
	f.Fuzz(func(t *testing.T, name, op, values, spaces, by, team string) {
		term := podTerm{TopologyKey: "zone", LabelSelector: ruling(rule(name, metav1.LabelSelectorOperator(op), strings.Split(values, ",")...)), Namespaces: strings.Split(spaces, ",")}
		if by != "" {
			term.NamespaceSelector = having(by, team)
		}
		s := demand.Surroundings{Waiting: []*corev1.Pod{gpuPod("a", with(name, values), apartFrom(term))}, Namespaces: namespaceSets}
		got := gather(s)[0]
		if diff := cmp.Diff(got, gather(s)[0]); diff != "" {
			t.Fatal(diff)
		}
		key := string(got.Neighbours.Apart[0].Selector)
		if key == "" || strings.ContainsAny(key, "\n\r\x00") {
			t.Fatalf("key %q", key)
		}
		if chosen := got.Neighbours.Chosen; len(chosen) > 0 && (got.Unsupported != "" && key == "(nothing)" || string(chosen[0]) != key) {
			t.Fatalf("key %q, chosen by %q: %s", key, chosen, got.Unsupported)
		}
	})
}
