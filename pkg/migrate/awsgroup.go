package migrate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/manifest"
)

// The pretended API version of node groups as AWS describes them, which have none.
const awsGroup = "aws"

// ReadGroups reads what `aws eks describe-nodegroup` and `aws autoscaling describe-auto-scaling-groups` print as JSON: each group is a document.
// name is that of the file, for messages.
func ReadGroups(name string, from io.Reader) ([]manifest.Document, error) {
	var found []manifest.Document
	decoder := json.NewDecoder(from)
	for {
		var in struct {
			Nodegroup         json.RawMessage   `json:"nodegroup"`
			AutoScalingGroups []json.RawMessage `json:"AutoScalingGroups"`
		}
		err := decoder.Decode(&in)
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, fmt.Errorf("%s: reading node groups (ask aws for --output json): %w", name, err)
		case in.Nodegroup == nil && in.AutoScalingGroups == nil:
			return nil, fmt.Errorf("%s: it has neither nodegroup nor AutoScalingGroups: write what aws eks describe-nodegroup or "+
				"aws autoscaling describe-auto-scaling-groups prints as it is", name)
		}
		add := func(kind string, group json.RawMessage) {
			found = append(found, manifest.Document{Where: fmt.Sprintf("%s: group %d (%s)", name, len(found)+1, kind), APIVersion: awsGroup, Kind: kind, JSON: group})
		}
		if in.Nodegroup != nil {
			add("Nodegroup", in.Nodegroup)
		}
		for _, group := range in.AutoScalingGroups {
			add("AutoScalingGroup", group)
		}
	}
}

// described is a node group as AWS describes it, which is read as the one of eksctl's that means the same.
type described interface {
	// group answers that one, and the cluster's name. places are where its fields stand in the description.
	group() (g nodeGroup, cluster string, places map[string]path)
	rules() []Rule
	// account enters what the rules cannot say since it depends on values.
	account(*ledger)
}

// awsSource is a node group as AWS describes it.
type awsSource struct {
	opened
	in described
}

func (s *awsSource) pool(im *importing) {
	g, cluster, places := s.in.group()
	s.in.account(s.ledger)
	s.ledger.places = places
	if len(g.InstanceTypes) == 0 {
		s.leave("it names no instance type, which is in its launch template: write the Provisioner by the table of docs/migrate.md")
		return
	}
	(&groupSource{opened: s.opened, in: g, cluster: cmp.Or(cluster, im.ClusterName)}).read(im)
	if len(s.report.Made) == 0 {
		s.leave("the node group stays: it launches no Linux machines with GPUs")
	}
}

func (s *awsSource) class(*importing) { s.done(s.in.rules()) }

// eksNodegroup is what is read of an EKS managed node group.
type eksNodegroup struct {
	NodegroupName string `json:"nodegroupName"`
	ClusterName   string `json:"clusterName"`
	ScalingConfig struct {
		MaxSize *int64 `json:"maxSize"`
	} `json:"scalingConfig"`
	InstanceTypes []string          `json:"instanceTypes"`
	CapacityType  string            `json:"capacityType"`
	Subnets       []string          `json:"subnets"`
	AMIType       string            `json:"amiType"`
	NodeRole      string            `json:"nodeRole"`
	Labels        map[string]string `json:"labels"`
	Taints        []corev1.Taint    `json:"taints"`
	DiskSize      *int64            `json:"diskSize"`
	Tags          map[string]string `json:"tags"`
}

func (n *eksNodegroup) rules() []Rule   { return eksNodegroupRules() }
func (n *eksNodegroup) account(*ledger) {}

func (n *eksNodegroup) group() (nodeGroup, string, map[string]path) {
	g := nodeGroup{Name: n.NodegroupName, InstanceTypes: n.InstanceTypes, Spot: n.CapacityType == "SPOT", MaxSize: n.ScalingConfig.MaxSize,
		Subnets: n.Subnets, Labels: n.Labels, VolumeSize: n.DiskSize, Tags: n.Tags}
	g.IAM.InstanceRoleARN = n.NodeRole
	for prefix, family := range map[string]string{"AL2023_": "AmazonLinux2023", "BOTTLEROCKET_": "Bottlerocket", "AL2_": "AmazonLinux2", "WINDOWS_": "Windows"} {
		if strings.HasPrefix(n.AMIType, prefix) {
			g.AMIFamily = family
		}
	}
	taints := slices.Clone(n.Taints)
	for i := range taints {
		effects := map[corev1.TaintEffect]corev1.TaintEffect{"NO_SCHEDULE": corev1.TaintEffectNoSchedule, "NO_EXECUTE": corev1.TaintEffectNoExecute,
			"PREFER_NO_SCHEDULE": corev1.TaintEffectPreferNoSchedule}
		taints[i].Effect = cmp.Or(effects[taints[i].Effect], taints[i].Effect)
	}
	g.Taints, _ = json.Marshal(taints) // they were JSON a moment ago
	return g, n.ClusterName, map[string]path{"name": {"nodegroupName"}, "labels": {"labels"}, "taints": {"taints"}, "tags": {"tags"},
		"amiFamily": {"amiType"}, "iam.instanceRoleARN": {"nodeRole"}}
}

// autoScalingGroup is what is read of a group that is no managed one's.
type autoScalingGroup struct {
	AutoScalingGroupName string
	MaxSize              *int64
	VPCZoneIdentifier    string
	Instances            []struct{ InstanceType string }
	Tags                 []struct{ Key, Value string }
	MixedInstancesPolicy struct {
		LaunchTemplate struct {
			Overrides []struct{ InstanceType string }
		}
		InstancesDistribution *struct{ OnDemandBaseCapacity, OnDemandPercentageAboveBaseCapacity *int }
	}
}

func (a *autoScalingGroup) rules() []Rule { return autoScalingGroupRules() }

func (a *autoScalingGroup) account(l *ledger) {
	if len(a.MixedInstancesPolicy.LaunchTemplate.Overrides) > 0 {
		l.say(Entry{Outcome: LeftOut, Message: "they run on"}, path{"Instances"})
	}
	for i, t := range a.Tags {
		if clusterOf(t.Key) != "" {
			l.say(Entry{Outcome: Carried, Ours: "the names of roles and tags"}, path{"Tags", index(i)}, "Key")
		}
	}
}

// clusterOf is the cluster that a tag's key names; empty: it names none.
func clusterOf(key string) string {
	for _, prefix := range []string{"kubernetes.io/cluster/", "k8s.io/cluster/"} {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			return name
		}
	}
	return ""
}

// group takes the types of what runs where only the launch template names them.
func (a *autoScalingGroup) group() (nodeGroup, string, map[string]path) {
	g := nodeGroup{Name: a.AutoScalingGroupName, MaxSize: a.MaxSize, Tags: map[string]string{}}
	if d := a.MixedInstancesPolicy.InstancesDistribution; d != nil {
		g.InstancesDistribution = &distribution{OnDemandBaseCapacity: d.OnDemandBaseCapacity, OnDemandPercentageAboveBaseCapacity: d.OnDemandPercentageAboveBaseCapacity}
	}
	for _, o := range a.MixedInstancesPolicy.LaunchTemplate.Overrides {
		g.InstanceTypes = append(g.InstanceTypes, o.InstanceType)
	}
	if len(g.InstanceTypes) == 0 {
		for _, i := range a.Instances {
			g.InstanceTypes = append(g.InstanceTypes, i.InstanceType)
		}
	}
	g.InstanceTypes = slices.DeleteFunc(g.InstanceTypes, func(t string) bool { return t == "" })
	if a.VPCZoneIdentifier != "" {
		g.Subnets = strings.Split(a.VPCZoneIdentifier, ",")
	}
	cluster := ""
	places := map[string]path{"name": {"AutoScalingGroupName"}}
	for i, t := range a.Tags {
		g.Tags[t.Key] = t.Value
		places[path{"tags", t.Key}.String()] = path{"Tags", index(i)}
		cluster = cmp.Or(cluster, clusterOf(t.Key))
	}
	return g, cluster, places
}
