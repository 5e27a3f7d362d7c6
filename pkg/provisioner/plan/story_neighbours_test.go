package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// term reads KEY SELECTOR.
func term(key, selector string) demand.Term {
	switch key {
	case "zone":
		key = corev1.LabelTopologyZone
	case "market":
		key = v1alpha1.LabelCapacityType
	case "host":
		key = topology.Hostname
	}
	return demand.Term{TopologyKey: key, Selector: demand.SelectorKey(selector)}
}

func ports(w []string) []demand.HostPort {
	var list []demand.HostPort
	for _, text := range w {
		n, err := strconv.Atoi(text)
		if err != nil {
			panic(err)
		}
		list = append(list, demand.HostPort{Protocol: "TCP", Address: "0.0.0.0", Port: int32(n)})
	}
	return list
}

// neighbourly reads what a demand asks of its neighbours; false if the verb is about something else.
func neighbourly(n *demand.Neighbours, verb string, w []string) bool {
	switch verb {
	case "chosen":
		for _, s := range w {
			n.Chosen = append(n.Chosen, demand.SelectorKey(s))
		}
		slices.Sort(n.Chosen)
	case "port":
		n.Ports = append(n.Ports, ports(w)...)
	case "near":
		n.Near = append(n.Near, term(w[0], w[1]))
	case "apart":
		n.Apart = append(n.Apart, term(w[0], w[1]))
	case "like":
		n.Preferred = append(n.Preferred, demand.Preference{Term: term(w[0], w[1]), Weight: 100 - int32(len(n.Preferred))})
	case "dislike":
		n.Preferred = append(n.Preferred, demand.Preference{Term: term(w[0], w[1]), Weight: -100 + int32(len(n.Preferred))})
	case "spread":
		skew, err := strconv.Atoi(w[1])
		if err != nil {
			panic(err)
		}
		s := demand.Spread{Term: term(w[0], w[2]), MaxSkew: int32(skew), Soft: slices.Contains(w, "soft"),
			AnyNode: slices.Contains(w, "anynode"), HonorTaints: slices.Contains(w, "taints")}
		if last := w[len(w)-1]; strings.HasPrefix(last, "min=") {
			n, _ := strconv.Atoi(last[4:])
			s.MinDomains = int32(n)
		}
		n.Spread = append(n.Spread, s)
	default:
		return false
	}
	return true
}

// holding reads what the pods on a node are to others.
func holding(n *Node, verb string, w []string) error {
	switch verb {
	case "holds":
		n.Chosen, n.Lasting = map[demand.SelectorKey]int{}, map[demand.SelectorKey]int{}
		for _, word := range w { // app=web=3
			at := strings.LastIndex(word, "=")
			selector := word[:at]
			count, err := strconv.Atoi(word[at+1:])
			if err != nil {
				return err
			}
			n.Chosen[demand.SelectorKey(selector)], n.Lasting[demand.SelectorKey(selector)] = count, count
		}
	case "repels":
		n.Apart = append(n.Apart, term(w[0], w[1]))
	case "port":
		n.Ports = append(n.Ports, ports(w)...)
	default:
		return fmt.Errorf("unknown word %q", verb)
	}
	return nil
}
