package migrate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/carryover"
)

// nodePool is what is read of a karpenter.sh NodePool, v1 and v1beta1.
type nodePool struct {
	Spec struct {
		Template struct {
			Metadata struct {
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"metadata"`
			Spec struct {
				Taints        []corev1.Taint                          `json:"taints"`
				StartupTaints []corev1.Taint                          `json:"startupTaints"`
				Requirements  []corev1.NodeSelectorRequirement        `json:"requirements"`
				NodeClassRef  karpenterv1alpha5.ProviderRef           `json:"nodeClassRef"`
				ExpireAfter   *string                                 `json:"expireAfter"`
				Kubelet       *karpenterv1alpha5.KubeletConfiguration `json:"kubelet"`
			} `json:"spec"`
		} `json:"template"`
		Disruption struct {
			ConsolidationPolicy string   `json:"consolidationPolicy"`
			ConsolidateAfter    *string  `json:"consolidateAfter"`
			ExpireAfter         *string  `json:"expireAfter"`
			Budgets             []budget `json:"budgets"`
		} `json:"disruption"`
		Limits corev1.ResourceList `json:"limits"`
		Weight *int32              `json:"weight"`
	} `json:"spec"`
}

type budget struct {
	Nodes    string   `json:"nodes"`
	Schedule *string  `json:"schedule"`
	Reasons  []string `json:"reasons"`
}

// freezes tells whether a budget forbids disruption for a reason for ever.
func (b budget) freezes(reason string) bool {
	return (b.Nodes == "0" || b.Nodes == "0%") && b.Schedule == nil && (len(b.Reasons) == 0 || slices.Contains(b.Reasons, reason))
}

// defaultExpiry is what a NodePool means that does not say expireAfter.
const defaultExpiry = "720h"

// poolSource is a NodePool.
type poolSource struct {
	opened
	in   nodePool
	beta bool
}

var templateSpec = path{"spec", "template", "spec"}

func (s *poolSource) class(*importing) {}

// pool carries a NodePool by way of the v1alpha5 Provisioner that means the same, whose semantics are carryover's business.
func (s *poolSource) pool(im *importing) {
	in := &s.in.Spec
	if windowsOnly(in.Template.Spec.Requirements) {
		s.leave("its nodes run Windows, and Slipway launches Linux only")
		return
	}
	old := &karpenterv1alpha5.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: s.name}}
	old.Spec = karpenterv1alpha5.ProvisionerSpec{
		Labels:               in.Template.Metadata.Labels,
		Annotations:          in.Template.Metadata.Annotations,
		Taints:               in.Template.Spec.Taints,
		StartupTaints:        in.Template.Spec.StartupTaints,
		Requirements:         in.Template.Spec.Requirements,
		KubeletConfiguration: in.Template.Spec.Kubelet,
		ProviderRef:          &karpenterv1alpha5.ProviderRef{Kind: "EC2NodeClass", Name: in.Template.Spec.NodeClassRef.Name},
		Limits:               &karpenterv1alpha5.Limits{Resources: in.Limits},
		Weight:               in.Weight,
	}
	if old.Spec.ProviderRef.Name == "" {
		old.Spec.ProviderRef = nil
	}
	name := in.Template.Spec.NodeClassRef.Name
	class := im.classes[cmp.Or(name, "default")]
	if class != nil && old.Spec.KubeletConfiguration == nil {
		old.Spec.KubeletConfiguration = class.in.Spec.Kubelet
	}
	native := s.carry(old, poolPaths)
	if why := aboutGPUs(native, im.All); why != "" {
		s.leave("%s", why)
		class.sparedBy(s.name)
		return
	}
	s.disruption(native)
	s.silences(old)
	s.made(im, native, class)
	s.done(nodePoolRules())
}

// made takes the finished Provisioner in and says what it is made from.
func (o *opened) made(im *importing, native *v1alpha1.Provisioner, class *classSource) {
	if class == nil {
		o.ledger.silence("EC2NodeClass "+native.Spec.NodeClassRef.Name, Entry{Outcome: NotCarried, Ours: "spec.nodeClassRef.name",
			Message: "it is not among the sources: import it too, or write one of this name"})
	} else {
		class.usedBy(native.Name)
	}
	o.report.Made = append(o.report.Made, "Provisioner "+native.Name)
	im.provisioners = append(im.provisioners, *native)
}

// silences says what it means here that neither market nor architecture is chosen, where Karpenter since v1beta1 takes any.
func (o *opened) silences(old *karpenterv1alpha5.Provisioner) {
	for _, s := range []struct{ key, means string }{
		{v1alpha1.LabelCapacityType, "on-demand"}, {corev1.LabelArchStable, "amd64"},
	} {
		chooses := func(key string) bool { return carryover.NativeKey(key) == s.key }
		if slices.ContainsFunc(old.Spec.Requirements, func(r corev1.NodeSelectorRequirement) bool { return chooses(r.Key) }) ||
			slices.ContainsFunc(slices.Collect(maps.Keys(old.Spec.Labels)), chooses) {
			continue
		}
		o.ledger.silence("no requirement on "+s.key, Entry{Outcome: Approximated, Ours: "spec.requirements[" + s.key + "]",
			Message: "it is " + s.means + ", where Karpenter takes any: add the other values to get those too"})
	}
}

// paths say where the parts of a v1alpha5 Provisioner come from in the source.
type paths struct{ labels, taints, startupTaints, requirements, limits path }

var poolPaths = paths{
	labels: path{"spec", "template", "metadata", "labels"}, taints: templateSpec.with("taints"),
	startupTaints: templateSpec.with("startupTaints"), requirements: templateSpec.with("requirements"), limits: path{"spec", "limits"},
}

// carry carries a v1alpha5 Provisioner and enters what is particular about its parts. What is left of the table then holds.
func (o *opened) carry(old *karpenterv1alpha5.Provisioner, at paths) *v1alpha1.Provisioner {
	old = old.DeepCopy()
	o.operators(old.Spec.Requirements, at.requirements)
	old.Spec.Taints = o.taints(old.Spec.Taints, at.taints)
	old.Spec.StartupTaints = o.taints(old.Spec.StartupTaints, at.startupTaints)
	native, lost := carryover.Carry(old)
	native.Annotations = nil // nobody keeps it equal to anything
	for _, l := range lost {
		o.lost(l, at)
	}
	for i, r := range old.Spec.Requirements {
		key := carryover.NativeKey(r.Key)
		is := func(key string) bool {
			return slices.ContainsFunc(native.Spec.Requirements, func(r corev1.NodeSelectorRequirement) bool { return r.Key == key })
		}
		if key == v1alpha1.LabelInstanceCategory && !is(key) {
			key = v1alpha1.LabelInstanceFamily // users took its values for families as well
		}
		o.ledger.say(Entry{Outcome: Carried, Ours: "spec.requirements[" + key + "]"}, at.requirements.with(index(i)), "key", "operator", "values")
	}
	for key := range old.Spec.Labels {
		if carryover.DescribesMachine(key) {
			o.ledger.say(Entry{Outcome: Carried, Ours: "spec.requirements[" + carryover.NativeKey(key) + "]",
				Message: "it chooses machines, as a requirement with one value"}, at.labels.with(key))
		}
	}
	if old.Spec.Limits != nil {
		if _, limited := old.Spec.Limits.Resources[v1alpha1.ResourceGPU]; limited {
			o.ledger.say(Entry{Outcome: Carried, Ours: "spec.limits[gpu]", Message: "a hard ceiling: launching and draining nodes count"},
				at.limits.with(string(v1alpha1.ResourceGPU)))
		}
	}
	return &native
}

// lost enters what carryover could not carry, at the place where the source says it.
func (o *opened) lost(l carryover.NotCarried, at paths) {
	e := Entry{Outcome: NotCarried, Message: l.Message}
	within := func(prefix string) (string, bool) {
		rest, ok := strings.CutPrefix(l.Field, prefix+"[")
		return strings.TrimSuffix(rest, "]"), ok
	}
	said := false
	if i, ok := within("spec.requirements"); ok {
		said = o.ledger.say(e, at.requirements.with("["+i+"]"), "key", "operator", "values")
	} else if key, ok := within("spec.labels"); ok {
		said = o.ledger.say(e, at.labels.with(key))
	} else if name, ok := within("spec.limits.resources"); ok {
		said = o.ledger.say(e, at.limits.with(name))
	} else {
		said = o.ledger.say(e, strings.Split(l.Field, "."))
	}
	if !said {
		o.ledger.silence(l.Field, e)
	}
}

// operators rewrites what a native requirement cannot say: Gte and Lte as Gt and Lt of the neighbour, which is the same for integers, and
// kubernetes.io/os as linux alone.
func (o *opened) operators(requirements []corev1.NodeSelectorRequirement, at path) {
	for i := range requirements {
		r := &requirements[i]
		if carryover.NativeKey(r.Key) == corev1.LabelOSStable && r.Operator == corev1.NodeSelectorOpIn && len(r.Values) > 1 {
			r.Values = []string{"linux"}
			o.ledger.say(Entry{Outcome: Approximated, Ours: "spec.requirements[" + corev1.LabelOSStable + "]", Message: "Slipway launches Linux only"},
				at.with(index(i)), "key", "operator", "values")
		}
		step, native := 0, corev1.NodeSelectorOperator("")
		switch r.Operator {
		case "Gte":
			step, native = -1, corev1.NodeSelectorOpGt
		case "Lte":
			step, native = 1, corev1.NodeSelectorOpLt
		default:
			continue
		}
		if len(r.Values) != 1 {
			continue
		}
		bound, err := strconv.ParseInt(r.Values[0], 10, 62)
		switch {
		case err != nil:
			continue
		case bound+int64(step) < 0:
			// At least nothing: every integer, but the label must be there.
			*r = corev1.NodeSelectorRequirement{Key: r.Key, Operator: corev1.NodeSelectorOpExists}
		default:
			r.Operator, r.Values = native, []string{strconv.FormatInt(bound+int64(step), 10)}
		}
		o.ledger.say(Entry{Outcome: Carried, Ours: "spec.requirements[" + carryover.NativeKey(r.Key) + "]",
			Message: strings.TrimSpace(fmt.Sprintf("as %s %s", r.Operator, strings.Join(r.Values, "")))}, at.with(index(i)), "key", "operator", "values")
	}
}

// taints drops those whose keys are Kubernetes' and Slipway's own to set.
func (o *opened) taints(taints []corev1.Taint, at path) []corev1.Taint {
	var kept []corev1.Taint
	for i, t := range taints {
		domain, _, _ := strings.Cut(t.Key, "/")
		reserved := domain == v1alpha1.Group || domain == "node.kubernetes.io" || domain == "node.cloudprovider.kubernetes.io" ||
			slices.Contains([]string{"karpenter.sh/unregistered", "karpenter.sh/disrupted", "karpenter.sh/disruption"}, t.Key)
		if !reserved {
			t.TimeAdded = nil
			kept = append(kept, t)
			continue
		}
		o.ledger.say(Entry{Outcome: NotCarried, Message: "the key is Kubernetes', Karpenter's or Slipway's own to set: use one of your own domain"},
			at.with(index(i)), "key", "value", "effect")
	}
	return kept
}

func windowsOnly(requirements []corev1.NodeSelectorRequirement) bool {
	return slices.ContainsFunc(requirements, func(r corev1.NodeSelectorRequirement) bool {
		return carryover.NativeKey(r.Key) == corev1.LabelOSStable && r.Operator == corev1.NodeSelectorOpIn && !slices.Contains(r.Values, "linux")
	})
}

// disruption carries when nodes go. Nothing of it is exactly the same.
func (s *poolSource) disruption(native *v1alpha1.Provisioner) {
	in := &s.in.Spec.Disruption
	out := &native.Spec.Disruption
	at := path{"spec", "disruption"}
	if in.ConsolidateAfter == nil {
		s.ledger.silence("spec.disruption.consolidateAfter", Entry{Outcome: Approximated, Ours: "spec.disruption.idleAfter",
			Message: "an idle node goes after " + out.IdleAfter + ", where Karpenter does not wait: write 0s for that"})
	} else {
		s.duration(*in.ConsolidateAfter, &out.IdleAfter, at.with("consolidateAfter"))
	}
	if in.ConsolidationPolicy == "WhenEmpty" {
		s.ledger.say(Entry{Outcome: Approximated, Ours: "spec.disruption.idleAfter", Message: idleMessage}, at.with("consolidationPolicy"))
	}
	expiry, expiryAt := s.in.Spec.Template.Spec.ExpireAfter, templateSpec.with("expireAfter")
	if s.beta {
		expiry, expiryAt = in.ExpireAfter, at.with("expireAfter")
	}
	out.ExpireAfter = defaultExpiry
	if expiry == nil {
		s.ledger.silence(expiryAt.String(), Entry{Outcome: Approximated, Ours: "spec.disruption.expireAfter",
			Message: "Karpenter means 720h by silence, and so it is written; Never is Slipway's own default"})
	} else {
		s.duration(*expiry, &out.ExpireAfter, expiryAt)
	}
	for i, b := range in.Budgets {
		idle, expired := b.freezes("Empty"), b.freezes("Drifted") && len(b.Reasons) == 0
		if idle {
			out.IdleAfter = v1alpha1.Never
			s.ledger.say(Entry{Outcome: Approximated, Ours: "spec.disruption", Message: "nodes are kept: idleAfter, and expireAfter if no reason is named, are Never"}, at.with("budgets", index(i)),
				"nodes", "schedule", "duration", "reasons")
		}
		if expired {
			out.ExpireAfter = v1alpha1.Never
		}
	}
}

// duration carries a duration of Karpenter's, whose units may come in any order. One that cannot be read keeps nodes, and is lost.
func (o *opened) duration(text string, into *string, at path) {
	spelled, ok := spell(text)
	*into = spelled
	if !ok {
		o.ledger.say(Entry{Outcome: NotCarried, Message: "it is no duration, so " + v1alpha1.Never + " is written: correct it"}, at)
	}
}

// maxDuration is the longest that a native Provisioner spells in hours; longer is Never.
const maxDuration = 999_999 * time.Hour

// spell writes a duration as the CRD wants it: 720h, 1h30m, 0s, Never.
func spell(text string) (string, bool) {
	if text == v1alpha1.Never {
		return text, true
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil || d < 0:
		return v1alpha1.Never, false
	case d > maxDuration:
		return v1alpha1.Never, true
	case d == 0:
		return "0s", true
	}
	d = d.Round(time.Second)
	var b strings.Builder
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.of; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, unit.name)
			d -= n * unit.of
		}
	}
	if b.Len() == 0 {
		return "0s", true
	}
	return b.String(), true
}

// gibibytes rounds a quantity up to whole GiB.
func gibibytes(q resource.Quantity) int64 {
	const gib = 1 << 30
	return (q.Value() + gib - 1) / gib
}
