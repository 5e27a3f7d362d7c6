package migrate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/carryover"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// clusterConfig is what is read of an eksctl ClusterConfig.
type clusterConfig struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	ManagedNodeGroups []nodeGroup `json:"managedNodeGroups"`
	NodeGroups        []nodeGroup `json:"nodeGroups"`
}

// nodeGroup is what is read of a node group, managed or not.
type nodeGroup struct {
	Name                  string            `json:"name"`
	InstanceType          string            `json:"instanceType"`
	InstanceTypes         []string          `json:"instanceTypes"`
	InstancesDistribution *distribution     `json:"instancesDistribution"`
	InstanceSelector      *instanceSelector `json:"instanceSelector"`
	Spot                  bool              `json:"spot"`
	AvailabilityZones     []string          `json:"availabilityZones"`
	MaxSize               *int64            `json:"maxSize"`
	Labels                map[string]string `json:"labels"`
	Taints                json.RawMessage   `json:"taints"`
	MaxPodsPerNode        *int32            `json:"maxPodsPerNode"`
	ClusterDNS            string            `json:"clusterDNS"`
	// KubeletExtraConfig is the kubelet's own configuration, of which the settings that a Provisioner knows are read.
	KubeletExtraConfig *karpenterv1alpha5.KubeletConfiguration `json:"kubeletExtraConfig"`
	AMIFamily          string                                  `json:"amiFamily"`
	AMI                string                                  `json:"ami"`
	VolumeSize         *int64                                  `json:"volumeSize"`
	VolumeType         string                                  `json:"volumeType"`
	VolumeIOPS         int64                                   `json:"volumeIOPS"`
	VolumeThroughput   int64                                   `json:"volumeThroughput"`
	VolumeEncrypted    *bool                                   `json:"volumeEncrypted"`
	VolumeKmsKeyID     string                                  `json:"volumeKmsKeyID"`
	VolumeName         string                                  `json:"volumeName"`
	PrivateNetworking  bool                                    `json:"privateNetworking"`
	Subnets            []string                                `json:"subnets"`
	SecurityGroups     struct {
		AttachIDs []string `json:"attachIDs"`
	} `json:"securityGroups"`
	IAM struct {
		InstanceRoleARN    string `json:"instanceRoleARN"`
		InstanceRoleName   string `json:"instanceRoleName"`
		InstanceProfileARN string `json:"instanceProfileARN"`
	} `json:"iam"`
	Tags                     map[string]string `json:"tags"`
	EnableDetailedMonitoring bool              `json:"enableDetailedMonitoring"`
}

type distribution struct {
	InstanceTypes                       []string `json:"instanceTypes"`
	OnDemandBaseCapacity                *int     `json:"onDemandBaseCapacity"`
	OnDemandPercentageAboveBaseCapacity *int     `json:"onDemandPercentageAboveBaseCapacity"`
}

type instanceSelector struct {
	GPUs            *int64 `json:"gpus"`
	VCPUs           int64  `json:"vCPUs"`
	CPUArchitecture string `json:"cpuArchitecture"`
}

// clusterSource is a ClusterConfig.
type clusterSource struct {
	opened
	in clusterConfig
}

func (s *clusterSource) class(*importing) { s.done(clusterRules()) }

func (s *clusterSource) pool(im *importing) {
	for _, list := range []struct {
		name   string
		groups []nodeGroup
	}{{"managedNodeGroups", s.in.ManagedNodeGroups}, {"nodeGroups", s.in.NodeGroups}} {
		for i, g := range list.groups {
			group := &groupSource{opened: s.opened, in: g, at: path{list.name, index(i)}, cluster: s.in.Metadata.Name}
			group.read(im)
		}
	}
	if len(s.report.Made) == 0 {
		s.leave("none of its node groups is about GPUs")
	}
}

// groupSource is one node group.
type groupSource struct {
	opened
	in      nodeGroup
	at      path
	cluster string
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// read makes a Provisioner and an EC2NodeClass of the group's name.
func (s *groupSource) read(im *importing) {
	name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(s.in.Name), "-"), "-")
	if name == "" {
		name = "group"
	}
	if len(name) > 63 {
		name = strings.TrimRight(name[:63], "-")
	}
	old := &karpenterv1alpha5.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: name}}
	old.Spec.ProviderRef = &karpenterv1alpha5.ProviderRef{Kind: "EC2NodeClass", Name: name}
	old.Spec.Requirements = s.requirements()
	labels, taints := s.tagged()
	old.Spec.Labels = s.labels(labels)
	old.Spec.Taints = append(s.taintsOf(), taints...)
	if s.in.MaxSize != nil {
		old.Spec.Limits = &karpenterv1alpha5.Limits{Resources: corev1.ResourceList{v1alpha1.LimitNodes: *resource.NewQuantity(max(0, *s.in.MaxSize), resource.DecimalSI)}}
	}
	s.kubelet(old)
	_, _, linux := latest(s.in.AMIFamily)
	native, lost := carryover.Carry(old)
	native.Annotations = nil
	switch why := aboutGPUs(&native, im.All); {
	case !linux:
		s.leaveOut("its nodes run Windows, and Slipway launches Linux only")
		return
	case why != "":
		s.leaveOut(why)
		return
	}
	for _, l := range lost {
		s.ledger.silence(s.at.String()+" "+l.Field, Entry{Outcome: NotCarried, Message: l.Message})
	}
	s.accelerator(&native)
	if name != s.in.Name {
		s.ledger.say(Entry{Outcome: Approximated, Ours: "metadata.name", Message: "as " + name}, s.at.with("name"))
	}
	s.idle(&native)
	im.provisioners = append(im.provisioners, native)
	im.nodeClasses = append(im.nodeClasses, s.nodeClass(im, name))
	s.report.Made = append(s.report.Made, "EC2NodeClass "+name, "Provisioner "+name)
}

func (s *groupSource) leaveOut(why string) {
	s.ledger.say(Entry{Outcome: LeftOut, Message: "the node group stays: " + why}, s.at)
}

func in(key string, values ...string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: values}
}

func (s *groupSource) requirements() []corev1.NodeSelectorRequirement {
	g := &s.in
	types := slices.Clone(g.InstanceTypes)
	if g.InstanceType != "" && g.InstanceType != "mixed" {
		types = append(types, g.InstanceType)
	}
	if g.InstancesDistribution != nil {
		types = append(types, g.InstancesDistribution.InstanceTypes...)
	}
	var list []corev1.NodeSelectorRequirement
	if len(types) > 0 {
		slices.Sort(types)
		list = append(list, in(corev1.LabelInstanceTypeStable, slices.Compact(types)...))
	}
	if n := g.InstanceSelector; n != nil {
		if n.GPUs != nil {
			list = append(list, in(v1alpha1.LabelInstanceGPUCount, strconv.FormatInt(*n.GPUs, 10)))
		}
		if n.VCPUs > 0 {
			list = append(list, in(v1alpha1.LabelInstanceCPU, strconv.FormatInt(n.VCPUs, 10)))
		}
		if arch, ok := map[string]string{"x86_64": "amd64", "amd64": "amd64", "arm64": "arm64"}[n.CPUArchitecture]; ok {
			list = append(list, in(corev1.LabelArchStable, arch))
		}
	}
	if len(g.AvailabilityZones) > 0 {
		list = append(list, in(corev1.LabelTopologyZone, g.AvailabilityZones...))
	}
	return append(list, in(v1alpha1.LabelCapacityType, s.markets()...))
}

// markets are spot, on-demand, or both where a group mixed them.
func (s *groupSource) markets() []string {
	d := s.in.InstancesDistribution
	switch {
	case s.in.Spot:
		return []string{"spot"}
	case d == nil || d.OnDemandPercentageAboveBaseCapacity == nil || *d.OnDemandPercentageAboveBaseCapacity >= 100:
		return []string{"on-demand"}
	case *d.OnDemandPercentageAboveBaseCapacity == 0 && (d.OnDemandBaseCapacity == nil || *d.OnDemandBaseCapacity == 0):
		return []string{"spot"}
	}
	return []string{"spot", "on-demand"}
}

// labels adds the group's own to others, but for those that follow from the machine: every node of Slipway's has them by itself.
func (s *groupSource) labels(labels map[string]string) map[string]string {
	for _, key := range slices.Sorted(maps.Keys(s.in.Labels)) {
		switch {
		case key == v1alpha1.LabelAccelerator: // see accelerator
		case ownLabel(key):
			s.ledger.say(Entry{Outcome: NotCarried, Message: "the label is eksctl's or Slipway's own to set"}, s.at.with("labels", key))
		default:
			labels[key] = s.in.Labels[key]
		}
	}
	return labels
}

// accelerator says whether the label that cluster-autoscaler needs comes by itself with the value that the group had.
func (s *groupSource) accelerator(native *v1alpha1.Provisioner) {
	want, has := s.in.Labels[v1alpha1.LabelAccelerator]
	if !has {
		return
	}
	var values []string
	for _, t := range gpuTypes(native) {
		values = append(values, plan.TypeLabels(t)[v1alpha1.LabelAccelerator])
	}
	slices.Sort(values)
	values = slices.Compact(values)
	e := Entry{Outcome: Carried, Ours: "a label of every node", Message: "nodes carry it by themselves, with the same value"}
	if !slices.Equal(values, []string{want}) {
		e = Entry{Outcome: Approximated, Ours: "a label of every node", Message: "nodes carry it by themselves, as " + strings.Join(values, " or ") +
			": change pods that select on " + want}
	}
	s.ledger.say(e, s.at.with("labels", v1alpha1.LabelAccelerator))
}

// taintsOf are the taints that may be carried.
func (s *groupSource) taintsOf() []corev1.Taint {
	list := s.groupTaints()
	if list == nil {
		s.ledger.say(Entry{Outcome: NotCarried, Message: "it is neither a list of taints nor a map of them: write spec.template.taints"}, s.at.with("taints"))
	}
	return s.opened.taints(list, s.at.with("taints"))
}

// groupTaints reads a list of taints, or the map key: value:effect of earlier versions; nil: it is neither.
func (s *groupSource) groupTaints() []corev1.Taint {
	var list []corev1.Taint
	if json.Unmarshal(s.in.Taints, &list) == nil {
		return list
	}
	var pairs map[string]string
	if json.Unmarshal(s.in.Taints, &pairs) != nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		list = append(list, taintOf(key, pairs[key]))
	}
	return list
}

func (s *groupSource) kubelet(old *karpenterv1alpha5.Provisioner) {
	k := s.in.KubeletExtraConfig.DeepCopy()
	if k == nil && s.in.MaxPodsPerNode == nil && s.in.ClusterDNS == "" {
		return
	}
	if k == nil {
		k = &karpenterv1alpha5.KubeletConfiguration{}
	}
	if s.in.MaxPodsPerNode != nil {
		k.MaxPods = s.in.MaxPodsPerNode
	}
	if s.in.ClusterDNS != "" {
		k.ClusterDNS = []string{s.in.ClusterDNS}
	}
	old.Spec.KubeletConfiguration = k
}

// nodeClass makes the class by the code that reads Karpenter's, from the same things under other names.
func (s *groupSource) nodeClass(im *importing, name string) v1alpha1.EC2NodeClass {
	g := &s.in
	c := &classSource{opened: s.opened, at: s.at}
	c.name = name
	c.out = v1alpha1.EC2NodeClass{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "EC2NodeClass"}, ObjectMeta: metav1.ObjectMeta{Name: name}}
	if strings.HasPrefix(g.AMI, "ami-") {
		c.out.Spec.AMISelectorTerms = []v1alpha1.AMISelectorTerm{{ID: g.AMI}}
	} else {
		alias, differs, _ := latest(cmp.Or(g.AMIFamily, "AmazonLinux2023"))
		c.out.Spec.AMISelectorTerms = []v1alpha1.AMISelectorTerm{{Alias: alias}}
		if differs != "" {
			s.ledger.say(Entry{Outcome: Approximated, Ours: "EC2NodeClass spec.amiSelectorTerms", Message: differs}, s.at.with("amiFamily"))
		}
		s.ledger.say(Entry{Outcome: LeftOut, Message: "the newest image is taken"}, s.at.with("ami"))
	}
	s.subnets(c)
	c.out.Spec.SecurityGroupSelectorTerms = []v1alpha1.SecurityGroupSelectorTerm{{Tags: map[string]string{"aws:eks:cluster-name": s.cluster}}}
	if s.cluster == "" {
		c.out.Spec.SecurityGroupSelectorTerms = nil
		c.network(im)
	}
	for _, id := range g.SecurityGroups.AttachIDs {
		c.out.Spec.SecurityGroupSelectorTerms = append(c.out.Spec.SecurityGroupSelectorTerms, v1alpha1.SecurityGroupSelectorTerm{ID: id})
	}
	s.role(im, c)
	c.tags(g.Tags)
	c.out.Spec.DetailedMonitoring = g.EnableDetailedMonitoring
	s.volume(c)
	return c.out
}

func (s *groupSource) role(im *importing, c *classSource) {
	last := func(arn string) string { return arn[strings.LastIndexAny(arn, ":/")+1:] }
	iam := &s.in.IAM
	switch {
	case iam.InstanceProfileARN != "":
		c.out.Spec.InstanceProfile = last(iam.InstanceProfileARN)
		for _, name := range []string{"instanceRoleARN", "instanceRoleName"} {
			s.ledger.say(Entry{Outcome: NotCarried, Message: "the instance profile has a role already"}, s.at.with("iam", name))
		}
	case iam.InstanceRoleARN != "":
		c.out.Spec.Role = last(iam.InstanceRoleARN)
		s.ledger.say(Entry{Outcome: NotCarried, Message: "instanceRoleARN names the role"}, s.at.with("iam", "instanceRoleName"))
	case iam.InstanceRoleName != "":
		c.out.Spec.Role = iam.InstanceRoleName
	default:
		c.out.Spec.Role = im.role(s.cluster)
		s.ledger.silence(s.at.String()+".iam.instanceRoleARN", Entry{Outcome: Approximated, Ours: "EC2NodeClass spec.role",
			Message: "the group names no role, " + c.out.Spec.Role + " is written: correct it, or give --node-role"})
	}
}

// subnets selects those that are named, else the cluster's private or public ones by the tags that eksctl gives them.
func (s *groupSource) subnets(c *classSource) {
	for _, subnet := range s.in.Subnets {
		term := v1alpha1.SubnetSelectorTerm{ID: subnet}
		if !strings.HasPrefix(subnet, "subnet-") {
			term = v1alpha1.SubnetSelectorTerm{Tags: map[string]string{"Name": subnet}}
		}
		c.out.Spec.SubnetSelectorTerms = append(c.out.Spec.SubnetSelectorTerms, term)
	}
	if len(s.in.Subnets) > 0 || s.cluster == "" {
		return
	}
	role := "kubernetes.io/role/elb"
	if s.in.PrivateNetworking {
		role = "kubernetes.io/role/internal-elb"
	}
	c.out.Spec.SubnetSelectorTerms = []v1alpha1.SubnetSelectorTerm{{Tags: map[string]string{"alpha.eksctl.io/cluster-name": s.cluster, role: "1"}}}
	s.ledger.silence(s.at.String()+".subnets", Entry{Outcome: Approximated, Ours: "EC2NodeClass spec.subnetSelectorTerms",
		Message: fmt.Sprintf("those of the cluster with the tag %s, as eksctl makes them: check that the tags are there", role)})
}

// volume carries the root volume, as a mapping of Karpenter's, so that the same is checked.
func (s *groupSource) volume(c *classSource) {
	g := &s.in
	if g.VolumeSize == nil {
		if g.VolumeType != "" || g.VolumeIOPS != 0 || g.VolumeThroughput != 0 || g.VolumeEncrypted != nil || g.VolumeKmsKeyID != "" || g.VolumeName != "" {
			g.VolumeSize = new(int64(80)) // eksctl's default
		} else {
			return
		}
	}
	device := v1alpha1.BlockDeviceMapping{DeviceName: g.VolumeName, RootVolume: true, VolumeSizeGiB: min(max(1, *g.VolumeSize), 65536), VolumeType: g.VolumeType,
		IOPS: g.VolumeIOPS, Throughput: g.VolumeThroughput, Encrypted: g.VolumeEncrypted, KMSKeyID: g.VolumeKmsKeyID}
	if device.VolumeType == "" {
		device.VolumeType = "gp3"
	}
	if device.DeviceName == "" {
		device.DeviceName = "/dev/xvda"
		if strings.EqualFold(g.AMIFamily, "bottlerocket") {
			device.DeviceName = "/dev/xvdb"
		}
	}
	if device.VolumeType != "gp3" || device.Throughput < 125 || device.Throughput > 2000 {
		device.Throughput = 0
		s.ledger.say(Entry{Outcome: NotCarried, Message: "only gp3 has a throughput of its own, of 125 to 2000 MiB/s"}, s.at.with("volumeThroughput"))
	}
	switch device.VolumeType {
	case "gp3":
	case "io1", "io2":
		if device.IOPS == 0 {
			device.VolumeType = "gp3"
		}
	default:
		device.IOPS = 0
		s.ledger.say(Entry{Outcome: NotCarried, Message: "only gp3, io1 and io2 have iops of their own"}, s.at.with("volumeIOPS"))
	}
	c.out.Spec.BlockDeviceMappings = []v1alpha1.BlockDeviceMapping{device}
}
