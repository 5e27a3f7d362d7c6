package carryover

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/apis/crds"
	"github.com/slipway-sh/slipway/pkg/apis/crds/admit"
	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

type carryFunc func(*karpenterv1alpha5.Provisioner) (v1alpha1.Provisioner, []NotCarried)

// laws are what must hold of every v1alpha5 Provisioner that its CRD accepts.
type laws struct{ original, native *admit.CRD }

func newLaws(t *testing.T) laws {
	t.Helper()
	original, err := admit.Load(crds.Karpenter())
	if err != nil {
		t.Fatal(err)
	}
	native, err := admit.Load(crds.Native()[2])
	if err != nil {
		t.Fatal(err)
	}
	return laws{original: original, native: native}
}

// broken answers the first law that carry breaks for in, or nil; accepted says whether the CRD accepts in at all.
func (l laws) broken(in *karpenterv1alpha5.Provisioner, carry carryFunc) (accepted bool, err error) {
	if errs := l.original.Create(generic(in)); len(errs) > 0 {
		return false, nil
	}
	out, lost := carry(in)
	if errs := l.native.Create(generic(&out)); len(errs) > 0 {
		return true, fmt.Errorf("the native Provisioner is refused: %w", errs.ToAggregate())
	}
	nodes, limited := out.Spec.Limits[v1alpha1.LimitNodes]
	closed := limited && nodes.IsZero()
	if theirs(in) && !closed {
		return true, errors.New("Karpenter may serve it, and Slipway buys for it too")
	}
	for _, m := range machines() {
		before, after := allowedByOriginal(in, m), !closed && all(out.Spec.Requirements, m)
		if after && !before {
			return true, fmt.Errorf("%v is allowed now and was not", m)
		}
		if before && !after && len(lost) == 0 && !closed {
			return true, fmt.Errorf("%v was allowed and is not, and nothing is said to be lost", m)
		}
	}
	for _, l := range lost {
		if !strings.HasPrefix(l.Field, "spec.") || l.Message == "" {
			return true, fmt.Errorf("lost without field or remedy: %+v", l)
		}
	}
	return true, nil
}

// theirs tells whether a Karpenter could serve it: it refuses what says neither provider nor providerRef.
func theirs(in *karpenterv1alpha5.Provisioner) bool {
	ref := in.Spec.ProviderRef
	return in.Spec.Provider != nil || ref != nil && ref.Kind != "EC2NodeClass"
}

func TestCarryKeepsTheLaws(t *testing.T) {
	l := newLaws(t)
	var accepted, refused int
	rapid.Check(t, func(t *rapid.T) {
		in := provisioner(t)
		ok, err := l.broken(in, Carry)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			accepted++
		} else {
			refused++
		}
	})
	if accepted < refused/2 {
		t.Errorf("only %d of %d were accepted: the generator no longer tests much", accepted, accepted+refused)
	}
}

// The laws notice what a careless Carry would do.
func TestLaws_catches(t *testing.T) {
	l := newLaws(t)
	in := &karpenterv1alpha5.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}, Spec: karpenterv1alpha5.ProvisionerSpec{
		Requirements: []corev1.NodeSelectorRequirement{
			{Key: "beta.kubernetes.io/arch", Operator: corev1.NodeSelectorOpIn, Values: []string{"amd64"}},
			{Key: "karpenter.k8s.aws/instance-category", Operator: corev1.NodeSelectorOpIn, Values: []string{"g4dn"}},
		}}}
	served := in.DeepCopy()
	served.Spec.ProviderRef = &karpenterv1alpha5.ProviderRef{Name: "default"}
	for _, in := range []*karpenterv1alpha5.Provisioner{in, served} {
		if _, err := l.broken(in, Carry); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.broken(served, func(in *karpenterv1alpha5.Provisioner) (v1alpha1.Provisioner, []NotCarried) {
		out, lost := Carry(in)
		out.Spec.Limits = nil
		return out, lost
	}); err == nil {
		t.Error("both buy, and no law was broken")
	}
	for name, spoil := range map[string]func(*v1alpha1.Provisioner){
		"keys of old are copied":            func(p *v1alpha1.Provisioner) { p.Spec.Requirements = in.Spec.Requirements },
		"a requirement is dropped":          func(p *v1alpha1.Provisioner) { p.Spec.Requirements = p.Spec.Requirements[:1] },
		"families are taken for categories": func(p *v1alpha1.Provisioner) { p.Spec.Requirements[1].Key = v1alpha1.LabelInstanceCategory },
		"the name is lost":                  func(p *v1alpha1.Provisioner) { p.Spec.NodeClassRef.Name = "" },
		"Forever":                           func(p *v1alpha1.Provisioner) { p.Spec.Disruption.ExpireAfter = "Forever" },
	} {
		t.Run(name, func(t *testing.T) {
			spoilt := func(in *karpenterv1alpha5.Provisioner) (v1alpha1.Provisioner, []NotCarried) {
				out, lost := Carry(in)
				spoil(&out)
				return out, lost
			}
			if _, err := l.broken(in, spoilt); err == nil {
				t.Error("no law was broken")
			}
		})
	}
}

func generic(object any) map[string]any {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}

// machines are nodes with their labels in Slipway's words.
func machines() []map[string]string {
	var list []map[string]string
	for _, kind := range []struct{ family, category, generation, arch string }{
		{"g4dn", "g", "4", "amd64"}, {"g5", "g", "5", "amd64"}, {"g5g", "g", "5", "arm64"}, {"p3", "p", "3", "amd64"}, {"p4d", "p", "4", "amd64"},
	} {
		for _, market := range []string{"spot", "on-demand"} {
			for _, zone := range []string{"a", "b"} {
				list = append(list, map[string]string{
					v1alpha1.LabelInstanceFamily: kind.family, v1alpha1.LabelInstanceCategory: kind.category,
					v1alpha1.LabelInstanceGeneration: kind.generation, v1alpha1.LabelCapacityType: market,
					corev1.LabelArchStable: kind.arch, corev1.LabelOSStable: "linux", corev1.LabelTopologyZone: zone,
				})
			}
		}
	}
	return list
}

// allowedByOriginal is v1alpha5's own meaning, written down independently of Carry.
func allowedByOriginal(in *karpenterv1alpha5.Provisioner, m map[string]string) bool {
	old := maps.Clone(m)
	old["karpenter.sh/capacity-type"] = m[v1alpha1.LabelCapacityType]
	old["beta.kubernetes.io/arch"], old["beta.kubernetes.io/os"] = m[corev1.LabelArchStable], "linux"
	old["failure-domain.beta.kubernetes.io/zone"] = m[corev1.LabelTopologyZone]
	for _, name := range []string{"family", "category", "generation"} {
		old["karpenter.k8s.aws/instance-"+name] = m["slipway.sh/instance-"+name]
	}
	asked := map[string]bool{}
	requirements := slices.Clone(in.Spec.Requirements)
	for key, value := range in.Spec.Labels {
		if _, ok := old[key]; ok || strings.HasPrefix(key, "karpenter.k8s.aws/") {
			requirements = append(requirements, corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}})
		}
	}
	for _, r := range requirements {
		if strings.HasPrefix(r.Key, "example.com/") {
			continue // puts a label on the node, and chooses nothing
		}
		asked[r.Key] = true
		also := ""
		if strings.HasSuffix(r.Key, "/instance-category") {
			also = old["karpenter.k8s.aws/instance-family"]
		}
		if !holds(r, old, also) {
			return false
		}
	}
	if !asked["kubernetes.io/arch"] && !asked["beta.kubernetes.io/arch"] && m[corev1.LabelArchStable] != "amd64" {
		return false
	}
	return asked["karpenter.sh/capacity-type"] || asked["slipway.sh/capacity-type"] || m[v1alpha1.LabelCapacityType] == "on-demand"
}

func all(requirements []corev1.NodeSelectorRequirement, m map[string]string) bool {
	for _, r := range requirements {
		if !strings.HasPrefix(r.Key, "example.com/") && !holds(r, m, "") {
			return false
		}
	}
	return true
}

// holds tells whether a node with these labels satisfies r; also, if not empty, is a second value of the label.
func holds(r corev1.NodeSelectorRequirement, labels map[string]string, also string) bool {
	value, has := labels[r.Key]
	in := has && (slices.Contains(r.Values, value) || also != "" && slices.Contains(r.Values, also))
	switch r.Operator {
	case corev1.NodeSelectorOpIn:
		return in
	case corev1.NodeSelectorOpNotIn:
		return !in
	case corev1.NodeSelectorOpExists:
		return has
	case corev1.NodeSelectorOpDoesNotExist:
		return !has
	}
	have, err := strconv.Atoi(value)
	bound, _ := strconv.Atoi(r.Values[0])
	return err == nil && (r.Operator == corev1.NodeSelectorOpGt && have > bound || r.Operator == corev1.NodeSelectorOpLt && have < bound)
}

// provisioner draws a v1alpha5 Provisioner that is mostly, not always, one that the CRD accepts.
func provisioner(t *rapid.T) *karpenterv1alpha5.Provisioner {
	spec := karpenterv1alpha5.ProvisionerSpec{
		Requirements: rapid.SliceOfN(rapid.Custom(requirement), 0, 6).Draw(t, "requirements"),
		Labels: rapid.MapOfN(rapid.SampledFrom([]string{"team", "example.com/a", "karpenter.sh/capacity-type", "kubernetes.io/arch",
			"topology.kubernetes.io/zone", "karpenter.k8s.aws/instance-family", "karpenter.k8s.aws/instance-pods"}),
			rapid.SampledFrom([]string{"spot", "amd64", "a", "g5", ""}), 0, 1).Draw(t, "labels"),
		TTLSecondsAfterEmpty:   optional(t, "idle", rapid.Int64Range(-1, 1<<62)),
		TTLSecondsUntilExpired: optional(t, "expiry", rapid.Int64Range(0, 1<<62)),
		Weight:                 optional(t, "weight", rapid.Int32Range(1, 100)),
		Taints:                 rapid.SliceOfN(rapid.Custom(taint), 0, 2).Draw(t, "taints"),
		StartupTaints:          rapid.SliceOfN(rapid.Custom(taint), 0, 1).Draw(t, "startupTaints"),
	}
	if rapid.Bool().Draw(t, "limited") {
		spec.Limits = &karpenterv1alpha5.Limits{Resources: corev1.ResourceList{}}
		for _, name := range rapid.SliceOfN(rapid.SampledFrom([]corev1.ResourceName{"gpu", "nvidia.com/gpu", "amd.com/gpu", "cpu",
			"memory", "nodes", "ephemeral-storage", "example.com/fpga"}), 0, 4).Draw(t, "limits") {
			spec.Limits.Resources[name] = *resource.NewQuantity(rapid.Int64Range(0, 1<<40).Draw(t, "limit"), resource.DecimalSI)
		}
	}
	switch rapid.IntRange(0, 3).Draw(t, "provider") {
	case 1:
		spec.Provider = &runtime.RawExtension{Raw: []byte(`{"instanceProfile":"nodes"}`)}
	case 2:
		spec.ProviderRef = &karpenterv1alpha5.ProviderRef{Name: "gpu", Kind: rapid.SampledFrom([]string{"", "AWSNodeTemplate", "EC2NodeClass"}).Draw(t, "kind")}
	case 3:
		spec.KubeletConfiguration = &karpenterv1alpha5.KubeletConfiguration{
			MaxPods:        optional(t, "maxPods", rapid.Int32Range(1, 250)),
			SystemReserved: corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(rapid.Int64Range(0, 1e6).Draw(t, "cpu"), resource.DecimalSI)},
			EvictionSoft:   map[string]string{"memory.available": "5%"},
			EvictionSoftGracePeriod: map[string]metav1.Duration{
				"memory.available": {Duration: 90 * 1e9}},
		}
	}
	if on := optional(t, "consolidation", rapid.Bool()); on != nil {
		spec.Consolidation = &karpenterv1alpha5.Consolidation{Enabled: on}
	}
	return &karpenterv1alpha5.Provisioner{
		TypeMeta:   metav1.TypeMeta{APIVersion: "karpenter.sh/v1alpha5", Kind: "Provisioner"},
		ObjectMeta: metav1.ObjectMeta{Name: "gpu"}, Spec: spec,
	}
}

func optional[T any](t *rapid.T, label string, of *rapid.Generator[T]) *T {
	return rapid.Ptr(of, true).Draw(t, label)
}

func taint(t *rapid.T) corev1.Taint {
	return corev1.Taint{
		Key:    rapid.SampledFrom([]string{"a", "b", "nvidia.com/gpu", "example.com/x"}).Draw(t, "key"),
		Effect: rapid.SampledFrom([]corev1.TaintEffect{"NoSchedule", "NoExecute", "PreferNoSchedule"}).Draw(t, "effect"),
	}
}

func requirement(t *rapid.T) corev1.NodeSelectorRequirement {
	values := map[string][]string{
		"karpenter.k8s.aws/instance-category":    {"g", "p", "g4dn", "g5", "p3", "g5g"},
		"slipway.sh/instance-category":           {"g", "p", "p4d"},
		"karpenter.k8s.aws/instance-family":      {"g4dn", "g5", "p3", "p4d", "g5g"},
		"karpenter.k8s.aws/instance-generation":  {"3", "4", "5"},
		"karpenter.k8s.aws/instance-pods":        {"29"},
		"karpenter.k8s.aws/nitro-sandbox":        {"true"},
		"karpenter.sh/capacity-type":             {"spot", "on-demand"},
		"slipway.sh/capacity-type":               {"spot", "on-demand"},
		"kubernetes.io/arch":                     {"amd64", "arm64"},
		"beta.kubernetes.io/arch":                {"amd64", "arm64"},
		"kubernetes.io/os":                       {"linux"},
		"topology.kubernetes.io/zone":            {"a", "b", "c"},
		"failure-domain.beta.kubernetes.io/zone": {"a", "b", "c"},
		"example.com/team":                       {"x", ""},
	}
	r := corev1.NodeSelectorRequirement{Key: rapid.SampledFrom(slices.Sorted(maps.Keys(values))).Draw(t, "key")}
	r.Operator = rapid.SampledFrom([]corev1.NodeSelectorOperator{"In", "In", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"}).Draw(t, "operator")
	switch r.Operator {
	case "In", "NotIn":
		r.Values = rapid.SliceOfNDistinct(rapid.SampledFrom(values[r.Key]), 1, -1, rapid.ID[string]).Draw(t, "values")
	case "Gt", "Lt":
		r.Values = []string{strconv.Itoa(rapid.IntRange(0, 6).Draw(t, "bound"))}
	}
	return r
}
