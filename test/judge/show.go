package judge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// String shows what a world is made of, for people who look for a fault.
func (w *world) String() string {
	var b strings.Builder
	for _, o := range w.objects {
		if _, always := o.(*corev1.Namespace); !always {
			fmt.Fprintf(&b, "  %s\n", show(o))
		}
	}
	for _, o := range w.offerings {
		fmt.Fprintf(&b, "  %s $%d\n", o.OfferingKey, o.PriceMicroUSDPerHour)
	}
	return b.String()
}

// shown are the labels of a node that are worth a look.
var shown = []string{corev1.LabelInstanceTypeStable, corev1.LabelTopologyZone, v1alpha1.LabelCapacityType, rack, team, v1alpha1.LabelProvisioner}

// show is an object in one line, without what follows from the rest.
func show(o client.Object) string {
	o = o.DeepCopyObject().(client.Object)
	kind := fmt.Sprintf("%T", o)[strings.LastIndex(fmt.Sprintf("%T", o), ".")+1:]
	name := strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/")
	var parts []any
	switch o := o.(type) {
	case *corev1.Node:
		for key := range o.Labels {
			if !slices.Contains(shown, key) {
				delete(o.Labels, key)
			}
		}
		parts = append(parts, o.Labels, o.Spec, o.Status.Allocatable)
	case *corev1.Pod:
		parts = append(parts, o.Labels, o.Spec)
		if o.Status.NominatedNodeName != "" {
			parts = append(parts, "nominated to "+o.Status.NominatedNodeName)
		}
		if o.DeletionTimestamp != nil {
			parts = append(parts, "terminating")
		}
	default:
		o.SetUID("")
		o.SetResourceVersion("")
		parts = append(parts, o)
	}
	text := make([]string, len(parts))
	for i, part := range parts {
		line, err := json.Marshal(part)
		text[i] = string(line)
		if err != nil {
			text[i] = err.Error()
		}
	}
	return kind + " " + name + " " + strings.Join(text, " ")
}
