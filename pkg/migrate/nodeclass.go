package migrate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// nodeClass is what is read of a karpenter.k8s.aws EC2NodeClass, v1 and v1beta1.
type nodeClass struct {
	Spec struct {
		AMIFamily                  string                                  `json:"amiFamily"`
		AMISelectorTerms           []v1alpha1.AMISelectorTerm              `json:"amiSelectorTerms"`
		SubnetSelectorTerms        []v1alpha1.SubnetSelectorTerm           `json:"subnetSelectorTerms"`
		SecurityGroupSelectorTerms []v1alpha1.SecurityGroupSelectorTerm    `json:"securityGroupSelectorTerms"`
		Role                       string                                  `json:"role"`
		InstanceProfile            string                                  `json:"instanceProfile"`
		UserData                   string                                  `json:"userData"`
		Tags                       map[string]string                       `json:"tags"`
		Kubelet                    *karpenterv1alpha5.KubeletConfiguration `json:"kubelet"`
		BlockDeviceMappings        []device                                `json:"blockDeviceMappings"`
		DetailedMonitoring         *bool                                   `json:"detailedMonitoring"`
		AssociatePublicIPAddress   *bool                                   `json:"associatePublicIPAddress"`
		MetadataOptions            v1alpha1.MetadataOptions                `json:"metadataOptions"`
		InstanceStorePolicy        string                                  `json:"instanceStorePolicy"`
	} `json:"spec"`
}

type device struct {
	DeviceName string  `json:"deviceName"`
	RootVolume bool    `json:"rootVolume"`
	EBS        *volume `json:"ebs"`
}

type volume struct {
	VolumeSize          *resource.Quantity `json:"volumeSize"`
	VolumeType          string             `json:"volumeType"`
	IOPS                int64              `json:"iops"`
	Throughput          int64              `json:"throughput"`
	Encrypted           *bool              `json:"encrypted"`
	KMSKeyID            string             `json:"kmsKeyID"`
	SnapshotID          string             `json:"snapshotID"`
	DeleteOnTermination *bool              `json:"deleteOnTermination"`
}

// classSource is an EC2NodeClass of Karpenter's, an AWSNodeTemplate, or the inline settings of a v1alpha5 Provisioner.
type classSource struct {
	opened
	in   nodeClass
	beta bool
	// old is the AWSNodeTemplate, nil for an EC2NodeClass.
	old *nodeTemplate
	// at is where the settings stand, if not in spec.
	at path
	// users are the imported Provisioners that refer to it, spared the pools that are left alone.
	users, spared []string
	out           v1alpha1.EC2NodeClass
}

func (s *classSource) usedBy(provisioner string) { s.users = append(s.users, provisioner) }

func (s *classSource) sparedBy(pool string) {
	if s != nil {
		s.spared = append(s.spared, pool)
	}
}

func (s *classSource) pool(*importing) {}

func (s *classSource) class(im *importing) {
	if len(s.users) == 0 && len(s.spared) > 0 {
		slices.Sort(s.spared)
		s.leave("only what is left alone refers to it: %s", strings.Join(slices.Compact(s.spared), ", "))
		return
	}
	s.make(im)
	if s.old != nil {
		s.done(nodeTemplateRules())
		return
	}
	s.done(nodeClassRules())
}

// make makes the native class.
func (s *classSource) make(im *importing) {
	if len(s.at) == 0 {
		s.at = path{"spec"}
	}
	s.out = v1alpha1.EC2NodeClass{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "EC2NodeClass"},
		ObjectMeta: metav1.ObjectMeta{Name: s.name},
	}
	if s.old != nil {
		s.fromTemplate()
	} else {
		s.fromClass()
	}
	if s.report.LeftAlone != "" {
		return
	}
	s.network(im)
	s.identity(im)
	s.metadata()
	s.report.Made = append(s.report.Made, "EC2NodeClass "+s.name)
	im.nodeClasses = append(im.nodeClasses, s.out)
}

// network makes sure that subnets and security groups are selected: without, by the tag that the installation's pages use.
func (s *classSource) network(im *importing) {
	discovery := map[string]string{"slipway.sh/discovery": cmp.Or(im.ClusterName, "CLUSTER")}
	silent := func(field string) {
		s.ledger.silence(s.at.String()+"."+field, Entry{Outcome: Approximated, Ours: "spec." + field,
			Message: "nothing is selected, so the tag slipway.sh/discovery is: tag what is meant, or select it another way"})
	}
	if len(s.out.Spec.SubnetSelectorTerms) == 0 {
		s.out.Spec.SubnetSelectorTerms = []v1alpha1.SubnetSelectorTerm{{Tags: discovery}}
		silent("subnetSelectorTerms")
	}
	if len(s.out.Spec.SecurityGroupSelectorTerms) == 0 {
		s.out.Spec.SecurityGroupSelectorTerms = []v1alpha1.SecurityGroupSelectorTerm{{Tags: discovery}}
		silent("securityGroupSelectorTerms")
	}
}

func (s *classSource) fromClass() {
	in, out := &s.in.Spec, &s.out.Spec
	s.images(in.AMISelectorTerms, in.AMIFamily)
	for i, t := range in.SubnetSelectorTerms {
		if t.ID != "" || len(t.Tags) > 0 {
			out.SubnetSelectorTerms = append(out.SubnetSelectorTerms, t)
		} else {
			s.emptyTerm(s.at.with("subnetSelectorTerms", index(i)))
		}
	}
	for i, t := range in.SecurityGroupSelectorTerms {
		if t.ID != "" || t.Name != "" || len(t.Tags) > 0 {
			out.SecurityGroupSelectorTerms = append(out.SecurityGroupSelectorTerms, t)
		} else {
			s.emptyTerm(s.at.with("securityGroupSelectorTerms", index(i)))
		}
	}
	out.Role, out.InstanceProfile = in.Role, in.InstanceProfile
	s.userData(in.UserData)
	s.tags(in.Tags)
	s.devices(in.BlockDeviceMappings)
	out.DetailedMonitoring = in.DetailedMonitoring != nil && *in.DetailedMonitoring
	out.AssociatePublicIPAddress = in.AssociatePublicIPAddress
	out.MetadataOptions = in.MetadataOptions
	if in.InstanceStorePolicy == v1alpha1.InstanceStoreRAID0 {
		out.InstanceStorePolicy = in.InstanceStorePolicy
	} else {
		s.ledger.say(Entry{Outcome: NotCarried, Message: "RAID0 is the one policy"}, s.at.with("instanceStorePolicy"))
	}
	s.kubeletOf()
}

func (s *classSource) emptyTerm(at path) {
	s.ledger.say(Entry{Outcome: NotCarried, Message: "a term without id, name and tags selects nothing"}, at)
}

// kubeletOf says where the kubelet's settings went: into the Provisioners, where v1alpha5 and v1beta1 had them as well.
func (s *classSource) kubeletOf() {
	at := s.at.with("kubelet")
	known := kubeletRules("spec.kubelet")
	for _, leaf := range s.ledger.leaves {
		if !covers(at, nil, leaf.path) {
			continue
		}
		r, _ := find(known, leaf.path)
		switch {
		case r == nil || r.Outcome != Carried:
		case len(s.users) == 0:
			s.ledger.say(Entry{Outcome: NotCarried, Ours: r.Ours,
				Message: "an EC2NodeClass has no kubelet settings, and no NodePool among the sources refers to it: write them into the Provisioners"}, leaf.path)
		default:
			s.ledger.say(Entry{Outcome: Carried, Ours: r.Ours, Message: "of Provisioner " + strings.Join(s.users, ", ")}, leaf.path)
		}
	}
}

// identity makes sure that there is exactly one of role and instance profile, each a plain name.
func (s *classSource) identity(im *importing) {
	out := &s.out.Spec
	for _, f := range []struct {
		name  string
		value *string
	}{{"role", &out.Role}, {"instanceProfile", &out.InstanceProfile}} {
		if plain := (*f.value)[strings.LastIndexAny(*f.value, ":/")+1:]; plain != *f.value {
			s.ledger.say(Entry{Outcome: Approximated, Ours: "spec." + f.name, Message: "as " + plain + ", the name without ARN and path"}, s.at.with(f.name))
			*f.value = plain
		}
	}
	switch {
	case out.Role != "" && out.InstanceProfile != "":
		s.ledger.say(Entry{Outcome: NotCarried, Message: "role and instanceProfile exclude each other: role is used"}, s.at.with("instanceProfile"))
		out.InstanceProfile = ""
	case out.Role == "" && out.InstanceProfile == "":
		out.Role = im.role("")
		s.ledger.silence(s.at.String()+".role", Entry{Outcome: Approximated, Ours: "spec.role",
			Message: "the source names no role, " + out.Role + " is written: correct it, or give --node-role"})
	}
}

// metadata says what silence about the instance metadata service means: v1 has Slipway's strict defaults, earlier versions let pods reach it.
func (s *classSource) metadata() {
	if (s.beta || s.old != nil) && s.out.Spec.MetadataOptions.HTTPPutResponseHopLimit == 0 {
		s.out.Spec.MetadataOptions.HTTPPutResponseHopLimit = 2
		s.ledger.silence(s.at.String()+".metadataOptions.httpPutResponseHopLimit", Entry{Outcome: Approximated,
			Ours: "spec.metadataOptions.httpPutResponseHopLimit", Message: "2 was the default there and is written; remove it for 1, which keeps pods from the node's credentials"})
	}
}

func (s *classSource) userData(text string) {
	const most = 16384
	if len(text) > most {
		s.ledger.say(Entry{Outcome: NotCarried, Message: fmt.Sprintf("it is longer than EC2's %d bytes", most)}, s.at.with("userData"))
		return
	}
	s.out.Spec.UserData = text
}

// tags leaves out those that Slipway, EKS or AWS set.
func (s *classSource) tags(tags map[string]string) {
	const most = 45
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		why := ""
		switch {
		case strings.HasPrefix(key, "kubernetes.io/cluster"), strings.HasPrefix(key, "slipway.sh/"), strings.HasPrefix(key, "eks:"), strings.HasPrefix(key, "aws:"):
			why = "Slipway or AWS sets it"
		case strings.HasPrefix(key, "k8s.io/cluster-autoscaler/"):
			why = "cluster-autoscaler found its node groups by it; Slipway has none"
		case len(key) > 127 || key == "" || len(tags[key]) > 256:
			why = "a tag has a key of 1 to 127 characters and a value of at most 256"
		case len(s.out.Spec.Tags) >= most:
			why = fmt.Sprintf("at most %d tags can be set, since Slipway adds its own", most)
		}
		if why != "" {
			s.ledger.say(Entry{Outcome: NotCarried, Message: why}, s.at.with("tags", key))
			continue
		}
		if s.out.Spec.Tags == nil {
			s.out.Spec.Tags = map[string]string{}
		}
		s.out.Spec.Tags[key] = tags[key]
	}
}

// devices carries the volumes. One of unknown size is left out, since nobody knows how large its snapshot is.
func (s *classSource) devices(devices []device) {
	seen := map[string]bool{}
	for i, d := range devices {
		at := s.at.with("blockDeviceMappings", index(i))
		drop := func(why string) { s.ledger.say(Entry{Outcome: NotCarried, Message: why}, at) }
		switch {
		case d.DeviceName == "":
			drop("it has no deviceName")
			continue
		case seen[d.DeviceName]:
			drop("there is another mapping of this device")
			continue
		case d.EBS == nil || d.EBS.VolumeSize == nil:
			drop("the size is not said, and that of the snapshot is not known here: add the mapping with volumeSizeGiB")
			continue
		}
		size := gibibytes(*d.EBS.VolumeSize)
		if size < 1 || size > 65536 {
			drop("the size is not between 1 and 65536 GiB")
			continue
		}
		seen[d.DeviceName] = true
		s.out.Spec.BlockDeviceMappings = append(s.out.Spec.BlockDeviceMappings, s.device(d, size, at.with("ebs")))
	}
}

func (s *classSource) device(d device, size int64, at path) v1alpha1.BlockDeviceMapping {
	v := d.EBS
	out := v1alpha1.BlockDeviceMapping{DeviceName: d.DeviceName, RootVolume: d.RootVolume, VolumeType: v.VolumeType, VolumeSizeGiB: size,
		IOPS: v.IOPS, Throughput: v.Throughput, Encrypted: v.Encrypted, KMSKeyID: v.KMSKeyID, SnapshotID: v.SnapshotID, DeleteOnTermination: v.DeleteOnTermination}
	if v.VolumeType == "" {
		out.VolumeType = "gp3"
		s.ledger.silence(at.String()+".volumeType", Entry{Outcome: Approximated, Ours: "spec.blockDeviceMappings.volumeType",
			Message: "it is gp3, where EC2 takes gp2: cheaper and faster"})
	}
	if v.Encrypted == nil {
		s.ledger.silence(at.String()+".encrypted", Entry{Outcome: Approximated, Ours: "spec.blockDeviceMappings.encrypted", Message: encryptedMessage})
	}
	provisioned := slices.Contains([]string{"gp3", "io1", "io2"}, out.VolumeType)
	if out.IOPS != 0 && !provisioned {
		out.IOPS = 0
		s.ledger.say(Entry{Outcome: NotCarried, Message: "only gp3, io1 and io2 have iops of their own"}, at.with("iops"))
	}
	if out.Throughput != 0 && (out.VolumeType != "gp3" || out.Throughput < 125 || out.Throughput > 2000) {
		out.Throughput = 0
		s.ledger.say(Entry{Outcome: NotCarried, Message: "only gp3 has a throughput of its own, of 125 to 2000 MiB/s"}, at.with("throughput"))
	}
	if out.IOPS == 0 && (out.VolumeType == "io1" || out.VolumeType == "io2") {
		s.ledger.say(Entry{Outcome: Approximated, Ours: "spec.blockDeviceMappings.volumeType", Message: "it has no iops, which " + out.VolumeType + " needs: gp3 is written"}, at.with("volumeType"))
		out.VolumeType = "gp3"
	}
	return out
}

// latest is the alias that stands for an image family of Karpenter's or eksctl's, how it differs, and whether there is one.
func latest(family string) (alias, differs string, ok bool) {
	switch name := strings.ToLower(family); {
	case name == "al2023", name == "amazonlinux2023":
		return "al2023@latest", "", true
	case name == "bottlerocket":
		return "bottlerocket@latest", "", true
	case strings.HasPrefix(name, "windows"):
		return "", "", false
	default:
		return "al2023@latest", "Slipway boots AL2023 and Bottlerocket, so AL2023 is written: see that your images and userData run there", true
	}
}

// images carries the selection of images. Without any the family stands for its newest.
func (s *classSource) images(terms []v1alpha1.AMISelectorTerm, family string) {
	at := s.at.with("amiSelectorTerms")
	for i, t := range terms {
		if term, ok := s.image(t, at.with(index(i))); ok {
			s.out.Spec.AMISelectorTerms = append(s.out.Spec.AMISelectorTerms, term)
		}
	}
	if s.report.LeftAlone != "" {
		return
	}
	aliased := slices.ContainsFunc(terms, func(t v1alpha1.AMISelectorTerm) bool { return t.Alias != "" })
	if aliased {
		s.ledger.say(Entry{Outcome: Carried, Ours: "spec.amiSelectorTerms", Message: "the alias says it"}, s.at.with("amiFamily"))
	}
	if len(s.out.Spec.AMISelectorTerms) > 0 {
		return
	}
	alias, differs, ok := latest(cmp.Or(family, "AL2023"))
	if !ok {
		s.leave("its images are %s, and Slipway launches Linux only", family)
		return
	}
	s.out.Spec.AMISelectorTerms = []v1alpha1.AMISelectorTerm{{Alias: alias}}
	e := Entry{Outcome: Approximated, Ours: "spec.amiSelectorTerms", Message: strings.TrimPrefix(differs+"; ", "; ") + "as " + alias + ", which picks the image for GPUs by itself"}
	if family != "" {
		s.ledger.say(e, s.at.with("amiFamily"))
	} else {
		s.ledger.silence(at.String(), e)
	}
}

// image carries one term.
func (s *classSource) image(t v1alpha1.AMISelectorTerm, at path) (v1alpha1.AMISelectorTerm, bool) {
	if t.Alias != "" {
		family, version, _ := strings.Cut(t.Alias, "@")
		alias, differs, ok := latest(family)
		switch {
		case !ok:
			s.leave("its images are %s, and Slipway launches Linux only", t.Alias)
			return t, false
		case differs != "":
			s.ledger.say(Entry{Outcome: Approximated, Ours: "spec.amiSelectorTerms", Message: differs + " (" + alias + ")"}, at)
			return v1alpha1.AMISelectorTerm{Alias: alias}, true
		}
		return v1alpha1.AMISelectorTerm{Alias: strings.ToLower(family) + "@" + cmp.Or(version, "latest")}, true
	}
	if t.Owner != "" && (t.Name == "" && len(t.Tags) == 0 || t.Owner != "self" && t.Owner != "amazon" && !isAccount(t.Owner)) {
		s.ledger.say(Entry{Outcome: NotCarried, Message: "the owner is self, amazon or an account's 12 digits, and narrows name and tags: write the account's number"}, at, "owner")
		t.Owner = ""
	}
	if t.ID == "" && t.SSMParameter == "" && t.Name == "" && len(t.Tags) == 0 {
		s.emptyTerm(at)
		return t, false
	}
	return t, true
}

func isAccount(owner string) bool {
	return len(owner) == 12 && strings.Trim(owner, "0123456789") == ""
}
