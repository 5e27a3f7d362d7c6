package migrate

import (
	"slices"
	"strings"
)

// Rule says what a field of a source means here, unless its value asks for something else.
type Rule struct {
	// Field is its path: * stands for an index or a key of a map, ** at the end for everything below.
	Field string
	// Of are the fields below it that it speaks for together; empty: the field itself, or all below with **.
	Of      []string
	Outcome Outcome
	// Ours is the field that it is carried into: of the Provisioner, or of the EC2NodeClass.
	Ours string
	// Message says how it differs, or why it is lost and what to do.
	Message string
}

// Table is the rules of one kind of source, in the order in which docs/migrate.md shows them. The first that matches counts.
type Table struct {
	// Kind and APIVersion of the source: NodePool, karpenter.sh/v1.
	Kind       string
	APIVersion string
	Rules      []Rule
}

// Tables are those of all kinds of source. Each call returns a new slice.
func Tables() []Table {
	return []Table{
		{"NodePool", "karpenter.sh/v1 and v1beta1", nodePoolRules()},
		{"EC2NodeClass", "karpenter.k8s.aws/v1 and v1beta1", nodeClassRules()},
		{"Provisioner", "karpenter.sh/v1alpha5", provisionerRules()},
		{"AWSNodeTemplate", "karpenter.k8s.aws/v1alpha1", nodeTemplateRules()},
		{"ClusterConfig", "eksctl.io/v1alpha5, each of nodeGroups and managedNodeGroups", nodeGroupRules()},
		{"Nodegroup", "aws eks describe-nodegroup, below nodegroup", eksNodegroupRules()},
		{"AutoScalingGroup", "aws autoscaling describe-auto-scaling-groups, below AutoScalingGroups[]", autoScalingGroupRules()},
	}
}

// find answers the first rule for a leaf, and the concrete path of the rule's field.
func find(rules []Rule, leaf path) (*Rule, path) {
	for i := range rules {
		pattern := strings.Split(rules[i].Field, ".")
		if rest, whole := strings.CutSuffix(rules[i].Field, "**"); whole {
			pattern = strings.Split(strings.TrimSuffix(rest, "."), ".")
			if rest == "" {
				return &rules[i], leaf[:1]
			}
			if matches(pattern, leaf) {
				return &rules[i], leaf[:len(pattern)]
			}
			continue
		}
		if !matches(pattern, leaf) {
			continue
		}
		if of := rules[i].Of; len(of) == 0 && len(leaf) == len(pattern) || len(leaf) > len(pattern) && slices.Contains(of, leaf[len(pattern)]) {
			return &rules[i], leaf[:len(pattern)]
		}
	}
	return nil, nil
}

// within tells whether a rule is about something in a field.
func within(rules []Rule, field path) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool {
		pattern := strings.Split(r.Field, ".")
		return len(pattern) > len(field) && matches(pattern[:len(field)], field)
	})
}

// matches tells whether a path begins as a pattern says.
func matches(pattern []string, p path) bool {
	if len(p) < len(pattern) {
		return false
	}
	for i, word := range pattern {
		if word != "*" && word != p[i] {
			return false
		}
	}
	return true
}

// carried, approximated and lost are rules of one field.
func carried(field, ours string) Rule { return Rule{Field: field, Outcome: Carried, Ours: ours} }

func approximated(field, ours, message string) Rule {
	return Rule{Field: field, Outcome: Approximated, Ours: ours, Message: message}
}

func lost(field, message string) Rule {
	return Rule{Field: field, Outcome: NotCarried, Message: message}
}

func leftOut(field, message string) Rule {
	return Rule{Field: field, Outcome: LeftOut, Message: message}
}

// with is a rule for several fields below one.
func (r Rule) with(of ...string) Rule {
	r.Of = of
	return r
}

// objectRules are those of every Kubernetes object: its name is kept, and what others wrote into it is theirs.
func objectRules() []Rule {
	return []Rule{
		leftOut("apiVersion", "the kind of the source"),
		leftOut("kind", "the kind of the source"),
		carried("metadata.name", "metadata.name"),
		leftOut("metadata.labels.**", "labels of the object itself stay with it: the tools that set them would take the new object for theirs"),
		leftOut("metadata.annotations.**", "annotations of the object itself stay with it, as its labels do"),
		leftOut("metadata.**", "bookkeeping of the API server"),
		leftOut("status.**", "it tells what was, and is no wish"),
	}
}

// kubeletRules are those of kubelet settings below a field, which are carried one by one.
func kubeletRules(at string) []Rule {
	const ours = "spec.template.kubelet."
	var rules []Rule
	for _, name := range []string{"clusterDNS", "maxPods", "podsPerCore", "evictionMaxPodGracePeriod", "imageGCHighThresholdPercent",
		"imageGCLowThresholdPercent", "cpuCFSQuota"} {
		rules = append(rules, carried(at+"."+name, ours+name))
	}
	for _, name := range []string{"systemReserved", "kubeReserved", "evictionHard", "evictionSoft", "evictionSoftGracePeriod"} {
		rules = append(rules, carried(at+"."+name+".*", ours+name))
	}
	return append(rules, lost(at+".**", "Slipway sets no such setting of the kubelet: write it into userData of the EC2NodeClass, as a NodeConfig of nodeadm or as Bottlerocket's settings"))
}
