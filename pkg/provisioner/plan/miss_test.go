package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// missed are worlds with pods that other pods stand in the way of.
var missed = rapid.Custom(func(t *rapid.T) View {
	v := drawView(t)
	drawCompany(t, &v)
	return v
})

// TestNearestMissIsTrue does what each miss of each held demand says, in the world that the decision leaves, and decides again: then a node
// is bought for the pod; and without it none is.
func TestNearestMissIsTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := missed.Draw(t, "view")
		d, err := Grow(v, Policy{Steps: 2000})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range d.Held {
			for _, untrue := range untruths(v, d, h) {
				t.Error(untrue)
			}
		}
	})
}

// The worlds are such that every kind of change is said; the same ones each time, since a few drawn ones may lack one.
func TestNearestMissIsTrue_draws(t *testing.T) {
	kinds := map[string]int{}
	for seed := range 300 {
		d := grow(t, missed.Example(seed))
		for _, h := range d.Held {
			for _, m := range h.Misses {
				for _, c := range m.Changes {
					kinds[string(c.Kind)+" "+c.Field]++
				}
			}
		}
	}
	for _, kind := range []string{string(RaiseLimit) + " ", string(AskLess) + " ", string(Tolerate) + " ", string(Leave) + " ", string(Allow) + " ",
		"Drop " + FieldNodeSelector, "Drop " + FieldNodeAffinity, "Drop " + FieldNeighbours} {
		if kinds[kind] < 5 {
			t.Errorf("%q is said %d times, all: %v", kind, kinds[kind], kinds)
		}
	}
}

// TestNearestMissIsTrue_catches tells lies of each kind.
func TestNearestMissIsTrue_catches(t *testing.T) {
	story := func() (View, Decision) {
		v := testView(t, wish("a", 3, 1), wish("b", 1, 16), wish("c", 1, 1), wish("d", 1, 1), wish("e", 1, 1), wish("f", 1, 1), wish("g", 1, 1))
		v.Provisioners[0].Object.Spec.Limits = v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse("2")}
		v.Demands[2].Select.NodeSelector = map[string]string{"example.com/team": "x", "example.com/rack": "y"}
		v.Demands[3].Select.NodeSelector = map[string]string{corev1.LabelTopologyZone: "us-east-1z"}
		v.Provisioners[0].Object.Spec.Requirements = append(v.Provisioners[0].Object.Spec.Requirements,
			corev1.NodeSelectorRequirement{Key: v1alpha1.LabelInstanceFamily, Operator: corev1.NodeSelectorOpNotIn, Values: []string{"p3"}})
		v.Demands[4].Select.NodeSelector = map[string]string{v1alpha1.LabelInstanceFamily: "p3"}
		v.Demands[5].Neighbours.Near = []demand.Term{{TopologyKey: corev1.LabelTopologyZone, Selector: "app=none"}}
		v.Demands[6].Neighbours.Chosen = []demand.SelectorKey{"app=g"}
		v.Provisioners[0].Object.Spec.Requirements = append(v.Provisioners[0].Object.Spec.Requirements,
			corev1.NodeSelectorRequirement{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"us-east-1a"}})
		v.Provisioners[0].Zones = []string{"us-east-1a", "us-east-1b", "us-east-1c"}
		for i, zone := range v.Provisioners[0].Zones[:2] {
			v.Nodes = append(v.Nodes, Node{Name: fmt.Sprint("n", i), Labels: map[string]string{corev1.LabelTopologyZone: zone},
				Apart: []demand.Term{{TopologyKey: corev1.LabelTopologyZone, Selector: "app=g"}}})
		}
		return v, grow(t, v)
	}
	miss := func(d *Decision, key string) *Held {
		return &d.Held[slices.IndexFunc(d.Held, func(h Held) bool { return h.Demand == key })]
	}
	v, d := story()
	for _, h := range d.Held {
		if found := untruths(v, d, h); len(found) > 0 || len(h.Misses) == 0 {
			t.Fatalf("the good decision has untruths: %v, misses %v", found, h.Misses)
		}
	}
	lies := map[string]func(d *Decision) Held{
		"a neighbour that nobody is forgotten": func(d *Decision) Held {
			h := miss(d, "f")
			h.Misses[0].Changes = h.Misses[0].Changes[1:]
			return *h
		},
		"another domain, in which one runs": func(d *Decision) Held {
			h := miss(d, "g")
			at := slices.IndexFunc(h.Misses, func(m Miss) bool { return m.Changes[0].Kind == Allow })
			h.Misses[at].Changes[0].Requirement.Values[0] = "us-east-1b"
			return *h
		},
		"a limit one too low": func(d *Decision) Held {
			h := miss(d, "a")
			h.Misses[0].Changes[0].Need--
			return *h
		},
		"asking for one more than there is": func(d *Decision) Held {
			h := miss(d, "b")
			h.Misses[0].Changes[0].Have += 1000
			return *h
		},
		"one of two wishes forgotten": func(d *Decision) Held {
			h := miss(d, "c")
			h.Misses[0].Changes = h.Misses[0].Changes[1:]
			return *h
		},
		"a requirement forgotten": func(d *Decision) Held {
			h := miss(d, "e")
			at := slices.IndexFunc(h.Misses, func(m Miss) bool { return m.Changes[0].Kind == Allow })
			h.Misses[at].Changes = h.Misses[at].Changes[1:]
			return *h
		},
		"another value allowed": func(d *Decision) Held {
			h := miss(d, "e")
			at := slices.IndexFunc(h.Misses, func(m Miss) bool { return m.Changes[0].Kind == Allow })
			h.Misses[at].Changes[0].Requirement.Values[0] = "g3"
			return *h
		},
		"a limit forgotten": func(d *Decision) Held {
			h := miss(d, "d")
			h.Misses[0].Changes = slices.DeleteFunc(h.Misses[0].Changes, func(c Change) bool { return c.Kind == RaiseLimit })
			return *h
		},
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			v, d := story()
			if found := untruths(v, d, lie(&d)); len(found) == 0 {
				t.Error("nothing was found")
			}
		})
	}
}

// untruths says which misses of a held demand do not help, and whether the pod would have been served anyway.
func untruths(v View, d Decision, h Held) []string {
	if h.Reason == v1alpha1.HeldNotBound {
		return nil // that is over as soon as it is alone
	}
	after := aftermath(v, d, h)
	n := &after.Demands[slices.IndexFunc(after.Demands, func(d demand.Demand) bool { return d.Key == h.Demand })].Neighbours
	free := len(n.Chosen)+len(n.Near)+len(n.Apart)+len(n.Spread) == 0 // for others the deal decides, which is not made anew
	if bought, err := buys(after, h.Pods[0].UID); err != nil || bought && free {
		return []string{fmt.Sprintf("%s is held for %s, and served as soon as it is alone: %v", h.Demand, h.Reason, err)}
	}
	var found []string
	for _, m := range h.Misses {
		changed := again(fatal{}, after)
		for _, c := range m.Changes {
			change(&changed, h.Demand, m, c)
		}
		if bought, err := buys(changed, h.Pods[0].UID); err != nil || !bought {
			found = append(found, fmt.Sprintf("%s, %s: %s does not help: %v %s", h.Demand, h.Message, m, err, heldFor(changed, h.Demand)))
		}
	}
	return found
}

type fatal struct{}

func (fatal) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// change makes one change of a miss.
func change(v *View, key string, m Miss, c Change) {
	d := &v.Demands[slices.IndexFunc(v.Demands, func(d demand.Demand) bool { return d.Key == key })]
	switch c.Kind {
	case RaiseLimit:
		i := slices.IndexFunc(v.Provisioners, func(p Provisioner) bool { return p.Object.Name == c.Provisioner })
		v.Provisioners[i].Object.Spec.Limits[c.Resource] = resource.MustParse(showLimit(c.Resource, c.Need))
	case Leave:
		v.Orphans = nil
		v.Claims = slices.DeleteFunc(v.Claims, func(claim Claim) bool { return claim.Leaving })
	case AskLess:
		d.Requests = maps.Clone(d.Requests)
		d.Requests[c.Resource] = c.Have
	case Reopen:
		i := slices.IndexFunc(v.Offerings, func(o Offering) bool { return o.OfferingKey == m.Offering })
		v.Offerings[i].Closed, v.Offerings[i].Stock = "", -1
	case Drop:
		drop(d, c)
	case Tolerate:
		d.Select.Tolerations = append(d.Select.Tolerations, corev1.Toleration{Key: c.Taint.Key, Value: c.Taint.Value, Effect: c.Taint.Effect,
			Operator: corev1.TolerationOpEqual})
	case Allow:
		i := slices.IndexFunc(v.Provisioners, func(p Provisioner) bool { return p.Object.Name == c.Provisioner })
		allow(&v.Provisioners[i].Object.Spec, c.Requirement.Key, c.Requirement.Values[0])
	}
}

// allow widens what a Provisioner says about a key until it takes one more value.
func allow(spec *v1alpha1.ProvisionerSpec, key, value string) {
	spec.Template.Labels = maps.Clone(spec.Template.Labels)
	delete(spec.Template.Labels, key)
	var wider []corev1.NodeSelectorRequirement
	silent := true
	for _, r := range spec.Requirements {
		if r.Key != key || satisfies(map[string]string{key: value}, r) {
			wider = append(wider, r)
			silent = silent && r.Key != key
			continue
		}
		silent = false
		switch {
		case r.Operator == corev1.NodeSelectorOpIn:
			r.Values = append(slices.Clone(r.Values), value)
			wider = append(wider, r)
		case r.Operator == corev1.NodeSelectorOpNotIn && len(r.Values) > 1:
			r.Values = slices.DeleteFunc(slices.Clone(r.Values), func(v string) bool { return v == value })
			wider = append(wider, r)
		}
	}
	if silent { // what is meant by silence is said, and more
		for _, r := range defaulted(nil) {
			if r.Key == key {
				wider = append(wider, corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: append(slices.Clone(r.Values), value)})
			}
		}
	}
	spec.Requirements = wider
}

func drop(d *demand.Demand, c Change) {
	s := &d.Select
	same := func(r corev1.NodeSelectorRequirement) bool { return r.String() == c.Requirement.String() }
	switch {
	case c.Field == FieldNodeSelector:
		delete(s.NodeSelector, c.Requirement.Key)
	case c.Field == FieldNeighbours:
		d.Neighbours = demand.Neighbours{}
	case c.Field == FieldVolumes:
		s.Also = slices.Delete(s.Also, c.Term, c.Term+1)
	case c.Requirement == nil || len(requirementsIn(s.Required.NodeSelectorTerms[c.Term])) == 1 && len(s.Required.NodeSelectorTerms) == 1:
		s.Required = nil
	default:
		// One of equal ones is dropped with the other: the user would not see two.
		term := &s.Required.NodeSelectorTerms[c.Term]
		term.MatchExpressions = slices.DeleteFunc(term.MatchExpressions, same)
		term.MatchFields = slices.DeleteFunc(term.MatchFields, same)
	}
}

// buys tells whether a node is bought for the pod.
func buys(v View, pod types.UID) (bool, error) {
	d, err := Grow(v, Policy{Steps: 2000})
	return slices.ContainsFunc(d.Create, func(c v1alpha1.NodeClaim) bool {
		return slices.ContainsFunc(c.Spec.Pods, func(p v1alpha1.PodRef) bool { return p.UID == pod })
	}), err
}

// heldFor answers why a demand is held, for a person who looks for the fault.
func heldFor(v View, key string) string {
	d, err := Grow(v, Policy{Steps: 2000})
	for _, h := range d.Held {
		if h.Demand == key {
			return string(h.Reason) + ": " + h.Message
		}
	}
	return fmt.Sprint("it is not: ", err)
}

// TestMissesAreRead sees that a message and its typed values tell the same story for every kind of change.
func TestMissesAreRead(t *testing.T) {
	taint := corev1.Taint{Key: "dedicated", Value: "gpu", Effect: corev1.TaintEffectNoSchedule}
	key := cloud.OfferingKey{InstanceType: "g5.xlarge", Zone: "us-east-1a", Market: cloud.Spot}
	zone := &corev1.NodeSelectorRequirement{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"us-east-1b"}}
	for name, tc := range map[string]struct {
		changes []Change
		want    string
	}{
		"limit": {[]Change{{Kind: RaiseLimit, Provisioner: "gpu", Resource: "gpu", Need: 102}}, " if limits.gpu of Provisioner gpu were at least 102"},
		"two limits": {[]Change{{Kind: RaiseLimit, Provisioner: "gpu", Resource: "gpu", Need: 2}, {Kind: RaiseLimit, Provisioner: "gpu",
			Resource: "costPerHour", Need: 1_006_000}},
			" if limits.gpu of Provisioner gpu were at least 2 and limits.costPerHour of Provisioner gpu were at least 1.006"},
		"draining":  {[]Change{{Kind: Leave, Claims: []string{"a", "b"}, Until: noon}}, " once NodeClaims a, b are gone, by 12:00:00Z"},
		"orphans":   {[]Change{{Kind: Leave}}, " once machines without a NodeClaim are gone"},
		"less":      {[]Change{{Kind: AskLess, Resource: "memory", Have: 2048}, {Kind: AskLess, Resource: v1alpha1.ResourceGPU, Have: 8000}}, " if it asked for at most 2Gi memory and 8 nvidia.com/gpu"},
		"stockout":  {[]Change{{Kind: Reopen, Reason: v1alpha1.HeldStockout, Until: noon}}, " once EC2 has it again (next try after 12:00:00Z)"},
		"quota":     {[]Change{{Kind: Reopen, Reason: v1alpha1.HeldQuota}}, " once the quota has room for it (a try is under way)"},
		"outage":    {[]Change{{Kind: Reopen, Reason: v1alpha1.HeldOutage, Until: noon}}, " once EC2 answers (next try after 12:00:00Z)"},
		"selector":  {[]Change{{Kind: Drop, Field: FieldNodeSelector, Requirement: zone}}, " without nodeSelector topology.kubernetes.io/zone=us-east-1b"},
		"affinity":  {[]Change{{Kind: Drop, Field: FieldNodeAffinity, Requirement: zone}}, " without required node affinity topology.kubernetes.io/zone In us-east-1b"},
		"all of it": {[]Change{{Kind: Drop, Field: FieldNodeAffinity}}, " without required node affinity"},
		"volume":    {[]Change{{Kind: Drop, Field: FieldVolumes, Requirement: zone}}, " without the place of its volumes topology.kubernetes.io/zone In us-east-1b"},
		"allow": {[]Change{{Kind: Allow, Provisioner: "gpu", Requirement: zone}, {Kind: RaiseLimit, Provisioner: "gpu", Resource: "gpu", Need: 2}},
			" if Provisioner gpu allowed topology.kubernetes.io/zone us-east-1b and limits.gpu of Provisioner gpu were at least 2"},
		"taint": {[]Change{{Kind: Tolerate, Taint: &taint}}, " with a toleration of dedicated=gpu:NoSchedule"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Miss{Offering: key, Changes: tc.changes}).String(); got != key.String()+tc.want || strings.Contains(got, "  ") {
				t.Errorf("%q, want %q", got, key.String()+tc.want)
			}
		})
	}
}
