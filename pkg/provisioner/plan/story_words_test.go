package plan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// selecting reads what pods and DaemonSets say about nodes.
func selecting(s *demand.Selection) func(verb string, w []string) error {
	return func(verb string, w []string) error {
		term := func() corev1.NodeSelectorTerm {
			return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{requirement(w)}}
		}
		switch verb {
		case "select":
			s.NodeSelector = pairs(w)
		case "require": // several lines must all hold
			if s.Required == nil {
				s.Required = &corev1.NodeSelector{NodeSelectorTerms: make([]corev1.NodeSelectorTerm, 1)}
			}
			only := &s.Required.NodeSelectorTerms[0]
			only.MatchExpressions = append(only.MatchExpressions, requirement(w))
		case "prefer":
			s.Preferred = append(s.Preferred, corev1.PreferredSchedulingTerm{Weight: int32(100 - len(s.Preferred)), Preference: term()})
		case "tolerate":
			for _, t := range taints(w) {
				op := corev1.TolerationOpEqual
				if t.Value == "" {
					op = corev1.TolerationOpExists
				}
				s.Tolerations = append(s.Tolerations, corev1.Toleration{Key: t.Key, Operator: op, Value: t.Value, Effect: t.Effect})
			}
		default:
			return fmt.Errorf("unknown word %q", verb)
		}
		return nil
	}
}

// options are the KEY=VALUE words of a line; those that nobody asked for are a mistake.
type options map[string]string

func readOptions(words []string) (options, error) {
	o := options{}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		if _, twice := o[key]; twice {
			return nil, fmt.Errorf("%s stands twice", key)
		}
		o[key] = value
	}
	return o, nil
}

func (o options) or(key, otherwise string) string {
	value, ok := o[key]
	delete(o, key)
	if !ok {
		return otherwise
	}
	return value
}

func (o options) text(key string) string { return o.or(key, "") }

func (o options) number(key string, otherwise int64) int64 {
	n, err := strconv.ParseInt(o.or(key, fmt.Sprint(otherwise)), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (o options) at(key string, otherwise time.Time) time.Time {
	text := o.text(key)
	if text == "" {
		return otherwise
	}
	clock, err := time.Parse("15:04:05", text)
	if err != nil {
		panic(err)
	}
	return noon.Truncate(24 * time.Hour).Add(time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute +
		time.Duration(clock.Second())*time.Second)
}

func (o options) key() cloud.OfferingKey {
	return cloud.OfferingKey{InstanceType: o.text("type"), Zone: "us-east-1" + o.text("zone"), Market: cloud.Market(o.or("market", "on-demand"))}
}

// short are the words for resources in stories.
var short = map[string]corev1.ResourceName{
	"gpu": v1alpha1.ResourceGPU, "cpu": corev1.ResourceCPU, "mem": corev1.ResourceMemory, "disk": corev1.ResourceEphemeralStorage,
	"slots": corev1.ResourcePods, "efa": v1alpha1.ResourceEFA, "amd": v1alpha1.ResourceAMDGPU,
}

func (o options) resources() demand.Resources {
	list := corev1.ResourceList{}
	for word, name := range short {
		if text, ok := o[word]; ok {
			list[name] = resource.MustParse(text)
			delete(o, word)
		}
	}
	r := demand.FromList(list, demand.RoundUp)
	if _, told := r[corev1.ResourcePods]; !told {
		r[corev1.ResourcePods] = 50
	}
	return r
}

func (o options) rest() error {
	if len(o) > 0 {
		return fmt.Errorf("nobody understands %v", slices.Sorted(maps.Keys(o)))
	}
	return nil
}

func zones(letters string) []string {
	var list []string
	for _, l := range strings.Split(letters, ",") {
		list = append(list, "us-east-1"+l)
	}
	return list
}

func requirement(w []string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: w[0], Operator: corev1.NodeSelectorOperator(w[1]), Values: slices.Clone(w[2:])}
}

func pairs(w []string) map[string]string {
	m := map[string]string{}
	for _, p := range w {
		key, value, _ := strings.Cut(p, "=")
		m[key] = value
	}
	return m
}

// taints reads KEY=VALUE:EFFECT or KEY:EFFECT.
func taints(w []string) []corev1.Taint {
	var list []corev1.Taint
	for _, text := range w {
		rest, effect, _ := strings.Cut(text, ":")
		key, value, _ := strings.Cut(rest, "=")
		list = append(list, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)})
	}
	return list
}
