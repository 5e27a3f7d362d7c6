package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// draw writes a decision for people: equal claims once, pods of a demand that go the same way as a range, and what is empty not at all.
func draw(v View, d Decision, s Shrinking) string {
	var b strings.Builder
	if len(d.Create) > 0 {
		fmt.Fprintf(&b, "create, $%s per hour\n", cloud.FormatDollars(d.CostMicroUSDPerHour))
		drawCreate(&b, v, d.Create)
	}
	drawPlaced(&b, d.Placed)
	for _, h := range d.Held {
		names := make([]string, len(h.Pods))
		for i, p := range h.Pods {
			names[i] = p.Name
		}
		fmt.Fprintf(&b, "hold    %s: %s\n        %s\n", ranges(names), h.Reason, h.Message)
	}
	for _, r := range s.Retire {
		fmt.Fprintf(&b, "retire  %s: %s, %s\n", r.Claim, r.Reason, r.Message)
	}
	for _, name := range s.Release {
		fmt.Fprintf(&b, "release %s\n", name)
	}
	if !s.Next.IsZero() {
		fmt.Fprintf(&b, "look again at %s\n", s.Next.UTC().Format("15:04:05"))
	}
	if b.Len() == 0 {
		return "nothing to do\n"
	}
	return b.String()
}

func drawCreate(b *strings.Builder, v View, claims []v1alpha1.NodeClaim) {
	count := map[string]int{}
	pods, whys := map[string][]string{}, map[string]string{}
	var order []string
	for i := range claims {
		text := drawClaim(v, &claims[i])
		if count[text]++; count[text] == 1 {
			order = append(order, text)
			whys[text] = claims[i].Spec.Why
		}
		for _, p := range claims[i].Spec.Pods {
			pods[text] = append(pods[text], p.Name)
		}
	}
	for _, text := range order {
		fmt.Fprintf(b, "   %d x %s\n       for %s\n", count[text], text, ranges(pods[text]))
		fmt.Fprintf(b, "       why %s\n", whys[text])
	}
}

// drawClaim is one line with the first choice and how many others there are by type, and one with what the node carries.
func drawClaim(v View, c *v1alpha1.NodeClaim) string {
	s := &c.Spec
	zones := map[string][]string{}
	var kinds []string
	for _, choice := range s.Choices {
		if zones[choice.InstanceType] == nil {
			kinds = append(kinds, choice.InstanceType)
		}
		zones[choice.InstanceType] = append(zones[choice.InstanceType], strings.TrimPrefix(choice.Zone, v.Region))
	}
	for i, kind := range kinds {
		kinds[i] = kind + "/" + strings.Join(zones[kind], ",")
	}
	text := fmt.Sprintf("%s of %s: %s", s.Market, s.Provisioner, strings.Join(kinds, " or "))
	for _, key := range slices.Sorted(maps.Keys(s.Labels)) {
		text += fmt.Sprintf(" label %s=%s", key, s.Labels[key])
	}
	for _, t := range s.Taints {
		text += " taint " + t.ToString()
	}
	for _, t := range s.StartupTaints {
		text += " startup " + t.ToString()
	}
	gpu, nodes, cost := s.Debit[v1alpha1.LimitGPU], s.Debit[v1alpha1.LimitNodes], s.Debit[v1alpha1.LimitCostPerHour]
	return text + fmt.Sprintf(" (debit gpu %s, nodes %s, $%s)", gpu.String(), nodes.String(), cost.AsDec())
}

func drawPlaced(b *strings.Builder, placed []Placed) {
	pods := map[string][]string{}
	for _, p := range placed {
		where := "node " + p.Node
		if p.Node == "" {
			where = "claim " + p.Claim
		}
		pods[where] = append(pods[where], string(p.Pod))
	}
	for _, where := range slices.Sorted(maps.Keys(pods)) {
		fmt.Fprintf(b, "place   %s on %s\n", ranges(pods[where]), where)
	}
}

// ranges shortens infer-000 infer-001 infer-002 to infer-000..002 (3).
func ranges(names []string) string {
	groups := map[string][]string{}
	for _, n := range names {
		base := n[:strings.LastIndex(n, "-")]
		groups[base] = append(groups[base], n)
	}
	var words []string
	for _, base := range slices.Sorted(maps.Keys(groups)) {
		list := slices.SortedFunc(slices.Values(groups[base]), cmp.Compare[string])
		word := list[0]
		if n := len(list); n > 1 {
			word += fmt.Sprintf("..%s (%d)", list[n-1][len(base)+1:], n)
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// podsOf answers the UIDs of all pods of a View's demands.
func podsOf(v View) []demand.Pod {
	var all []demand.Pod
	for _, d := range v.Demands {
		all = append(all, d.Pods...)
	}
	return all
}
