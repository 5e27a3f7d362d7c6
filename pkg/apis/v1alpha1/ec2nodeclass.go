package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EC2NodeClass says what machines are made of: image, network, identity, disks.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=slipway,shortName=ec2nc
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="AMI",type=string,JSONPath=`.status.amis[0].id`
// +kubebuilder:printcolumn:name="Role",type=string,priority=1,JSONPath=`.spec.role`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name labels every node, so it has at most 63 characters: choose a shorter name"
type EC2NodeClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EC2NodeClassSpec   `json:"spec"`
	Status EC2NodeClassStatus `json:"status,omitempty"`
}

// EC2NodeClassList is a list of EC2NodeClasses.
//
// +kubebuilder:object:root=true
type EC2NodeClassList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []EC2NodeClass `json:"items"`
}

// EC2NodeClassSpec is the wish. The terms of a list are ORed.
//
// +kubebuilder:validation:XValidation:rule="(has(self.role) && self.role.size() > 0) != (has(self.instanceProfile) && self.instanceProfile.size() > 0)",message="role and instanceProfile: set exactly one of the two; with role, Slipway keeps an instance profile for it"
type EC2NodeClassSpec struct {
	// amiSelectorTerms choose the image. With an alias (al2023@latest, bottlerocket@latest) the GPU variant is picked by itself.
	// +kubebuilder:validation:MaxItems=30
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="amiSelectorTerms must have at least one term: say which images are meant, by tags or by id"
	// +listType=atomic
	AMISelectorTerms []AMISelectorTerm `json:"amiSelectorTerms"`
	// +kubebuilder:validation:MaxItems=30
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="subnetSelectorTerms must have at least one term: say which subnets are meant, by tags or by id"
	// +listType=atomic
	SubnetSelectorTerms []SubnetSelectorTerm `json:"subnetSelectorTerms"`
	// +kubebuilder:validation:MaxItems=30
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="securityGroupSelectorTerms must have at least one term: say which security groups are meant, by tags or by id"
	// +listType=atomic
	SecurityGroupSelectorTerms []SecurityGroupSelectorTerm `json:"securityGroupSelectorTerms"`
	// role is the IAM role of the nodes; Slipway keeps an instance profile for it. Exactly one of role and instanceProfile.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="!self.contains(':') && !self.contains('/')",message="role must be the name of an IAM role, not its ARN or path: keep the part after the last slash"
	// +optional
	Role string `json:"role,omitempty"`
	// instanceProfile that nodes run with, kept by somebody else.
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="!self.contains(':') && !self.contains('/')",message="instanceProfile must be the name of an instance profile, not its ARN or path: keep the part after the last slash"
	// +optional
	InstanceProfile string `json:"instanceProfile,omitempty"`
	// userData is merged with the bootstrap of the image's family.
	// +kubebuilder:validation:MaxLength=16384
	// +optional
	UserData string `json:"userData,omitempty"`
	// blockDeviceMappings are the EBS volumes; without any, the image's own with room for GPU images.
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, a.deviceName == b.deviceName))",message="blockDeviceMappings must not repeat a deviceName: remove one of the two"
	// +kubebuilder:validation:XValidation:rule="self.filter(a, has(a.rootVolume) && a.rootVolume).size() <= 1",message="blockDeviceMappings may mark only one volume as rootVolume: remove the mark from the others"
	// +optional
	// +listType=atomic
	BlockDeviceMappings []BlockDeviceMapping `json:"blockDeviceMappings,omitempty"`
	// instanceStorePolicy RAID0 puts pods' ephemeral storage, logs and images on the type's own NVMe disks, as one RAID 0, where it has any;
	// without it they are on the root volume. With an own AMI that is no al2023 or bottlerocket the user data must do it.
	// +kubebuilder:validation:XValidation:rule="self == 'RAID0'",message="instanceStorePolicy must be RAID0: correct it, or leave it out for the root volume"
	// +kubebuilder:validation:MaxLength=63
	// +optional
	InstanceStorePolicy string `json:"instanceStorePolicy,omitempty"`
	// metadataOptions of the instances.
	// +kubebuilder:default={}
	// +optional
	MetadataOptions MetadataOptions `json:"metadataOptions,omitempty"`
	// tags on every instance, volume and fleet.
	// +kubebuilder:validation:MaxProperties=45
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() > 0 && size(k) <= 127)",message="tags must have keys of 1 to 127 characters: correct the key"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('kubernetes.io/cluster') && !k.startsWith('slipway.sh/') && !k.startsWith('eks:') && !k.startsWith('aws:'))",message="tags that start with kubernetes.io/cluster, slipway.sh/, eks: or aws: are set by Slipway or AWS: remove them"
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
	// detailedMonitoring of the instances, at one minute.
	// +optional
	DetailedMonitoring bool `json:"detailedMonitoring,omitempty"`
	// associatePublicIPAddress overrides what the subnet says.
	// +optional
	AssociatePublicIPAddress *bool `json:"associatePublicIPAddress,omitempty"`
}

// InstanceStoreRAID0 is the one policy of EC2NodeClassSpec.InstanceStorePolicy.
const InstanceStoreRAID0 = "RAID0"

// AMISelectorTerm selects images by exactly one of alias, id, ssmParameter, or name and tags.
//
// +kubebuilder:validation:XValidation:rule="[has(self.alias), has(self.id), has(self.ssmParameter), has(self.name) || has(self.tags)].filter(p, p).size() == 1",message="amiSelectorTerms must have exactly one of alias, id, ssmParameter, or name and tags: write the others as terms of their own"
// +kubebuilder:validation:XValidation:rule="!has(self.owner) || has(self.name) || has(self.tags)",fieldPath=".owner",message="amiSelectorTerms: owner narrows name and tags: add one of them, or remove owner"
type AMISelectorTerm struct {
	// alias is family@version: al2023@latest, bottlerocket@1.20.0.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^(al2023|bottlerocket)@[A-Za-z0-9][A-Za-z0-9.-]*$')",message="alias must be family@version, where family is al2023 or bottlerocket: write for example al2023@latest"
	// +optional
	Alias string `json:"alias,omitempty"`
	// id of an image.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^ami-[0-9a-z]+$')",message="id must look like ami-0123456789abcdef0: correct it, or select by tags"
	// +optional
	ID string `json:"id,omitempty"`
	// ssmParameter that holds an image's id. The stack lets the controller read those of AWS, below /aws/service/; for one of your own, give the
	// stack the path above it as ImageParameterPrefix.
	// +kubebuilder:validation:MaxLength=1011
	// +kubebuilder:validation:MinLength=1
	// +optional
	SSMParameter string `json:"ssmParameter,omitempty"`
	// name of an image; * stands for anything.
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:MinLength=1
	// +optional
	Name string `json:"name,omitempty"`
	// owner is an account ID, self or amazon.
	// +kubebuilder:validation:MaxLength=12
	// +kubebuilder:validation:XValidation:rule="self in ['self','amazon'] || self.matches('^[0-9]{12}$')",message="owner must be self, amazon or an account id of 12 digits: correct it"
	// +optional
	Owner string `json:"owner,omitempty"`
	// tags that must all match; a value of * matches any.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=20
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() > 0 && size(k) <= 127 && self[k].size() > 0)",message="tags must not have an empty key or value: write * to match any value"
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
}

// SubnetSelectorTerm selects subnets by exactly one of id and tags; a tag value of * matches any value.
//
// +kubebuilder:validation:XValidation:rule="has(self.id) != has(self.tags)",message="subnetSelectorTerms must have exactly one of id and tags: write the other as a term of its own"
type SubnetSelectorTerm struct {
	// id of a subnet.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^subnet-[0-9a-z]+$')",message="id must look like subnet-0123456789abcdef0: correct it, or select by tags"
	// +optional
	ID string `json:"id,omitempty"`
	// tags that must all match; a value of * matches any.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=20
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() > 0 && size(k) <= 127 && self[k].size() > 0)",message="tags must not have an empty key or value: write * to match any value"
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
}

// SecurityGroupSelectorTerm selects security groups by exactly one of id, name and tags.
//
// +kubebuilder:validation:XValidation:rule="[has(self.id), has(self.name), has(self.tags)].filter(p, p).size() == 1",message="securityGroupSelectorTerms must have exactly one of id, name and tags: write the others as terms of their own"
type SecurityGroupSelectorTerm struct {
	// id of a security group.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^sg-[0-9a-z]+$')",message="id must look like sg-0123456789abcdef0: correct it, or select by tags"
	// +optional
	ID string `json:"id,omitempty"`
	// name of a security group; * stands for anything.
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:MinLength=1
	// +optional
	Name string `json:"name,omitempty"`
	// tags that must all match; a value of * matches any.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=20
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() > 0 && size(k) <= 127 && self[k].size() > 0)",message="tags must not have an empty key or value: write * to match any value"
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
}

// BlockDeviceMapping is one EBS volume.
//
// +kubebuilder:validation:XValidation:rule="!has(self.throughput) || self.throughput == 0 || self.volumeType == 'gp3'",fieldPath=".throughput",message="throughput can be set for gp3 only: choose gp3, or remove throughput"
// +kubebuilder:validation:XValidation:rule="!has(self.iops) || self.iops == 0 || self.volumeType in ['gp3','io1','io2']",fieldPath=".iops",message="iops can be set for gp3, io1 and io2 only: choose one of them, or remove iops"
// +kubebuilder:validation:XValidation:rule="!(self.volumeType in ['io1','io2']) || (has(self.iops) && self.iops > 0)",fieldPath=".iops",message="iops is needed for io1 and io2: set it, or choose gp3"
type BlockDeviceMapping struct {
	// deviceName such as /dev/xvda.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	DeviceName string `json:"deviceName"`
	// rootVolume marks the volume that pods' ephemeral storage is on.
	// +optional
	RootVolume bool `json:"rootVolume,omitempty"`
	// volumeType of the volume.
	// +kubebuilder:validation:Enum=gp2;gp3;io1;io2;st1;sc1;standard
	// +kubebuilder:default=gp3
	// +optional
	VolumeType string `json:"volumeType,omitempty"`
	// volumeSizeGiB in GiB, 1 to 65536.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 65536",message="volumeSizeGiB must be between 1 and 65536 GiB: GPU images need 100 or more"
	VolumeSizeGiB int64 `json:"volumeSizeGiB"`
	// iops that are bought.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 256000",message="iops must be between 0 (the type's own) and 256000: correct it"
	// +optional
	IOPS int64 `json:"iops,omitempty"`
	// throughput in MiB/s.
	// +kubebuilder:validation:XValidation:rule="self == 0 || (self >= 125 && self <= 2000)",message="throughput must be between 125 and 2000 MiB/s: correct it, or leave it out for 125"
	// +optional
	Throughput int64 `json:"throughput,omitempty"`
	// encrypted volumes are the default.
	// +kubebuilder:default=true
	// +optional
	Encrypted *bool `json:"encrypted,omitempty"`
	// kmsKeyID is a key's id, ARN or alias; unset means the account's default key. A customer managed key must be among the stack's VolumeKeyArns,
	// and for spot be granted to AWSServiceRoleForEC2Spot.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	KMSKeyID string `json:"kmsKeyID,omitempty"`
	// snapshotID that the volume starts from.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^snap-[0-9a-z]+$')",message="snapshotID must look like snap-0123456789abcdef0: correct it, or remove it"
	// +optional
	SnapshotID string `json:"snapshotID,omitempty"`
	// deleteOnTermination of the instance.
	// +kubebuilder:default=true
	// +optional
	DeleteOnTermination *bool `json:"deleteOnTermination,omitempty"`
}

// MetadataOptions are the instance metadata service's settings; the defaults are the strict ones.
type MetadataOptions struct {
	// httpEndpoint switches the service.
	// +kubebuilder:validation:Enum=enabled;disabled
	// +kubebuilder:default=enabled
	// +optional
	HTTPEndpoint string `json:"httpEndpoint,omitempty"`
	// httpProtocolIPv6 switches its IPv6 address.
	// +kubebuilder:validation:Enum=enabled;disabled
	// +kubebuilder:default=disabled
	// +optional
	HTTPProtocolIPv6 string `json:"httpProtocolIPv6,omitempty"`
	// httpPutResponseHopLimit, 1 to 64; 1 keeps pods without host network away from the node's credentials.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 64",message="httpPutResponseHopLimit must be between 1 and 64: 1 keeps pods away from the node's credentials"
	// +kubebuilder:default=1
	// +optional
	HTTPPutResponseHopLimit int32 `json:"httpPutResponseHopLimit,omitempty"`
	// httpTokens required is IMDSv2.
	// +kubebuilder:validation:Enum=required;optional
	// +kubebuilder:default=required
	// +optional
	HTTPTokens string `json:"httpTokens,omitempty"`
}

// EC2NodeClassStatus is what the selectors resolved to.
type EC2NodeClassStatus struct {
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// +optional
	// +listType=atomic
	AMIs []ResolvedAMI `json:"amis,omitempty"`
	// +optional
	// +listType=atomic
	Subnets []ResolvedSubnet `json:"subnets,omitempty"`
	// +optional
	// +listType=atomic
	SecurityGroups []string `json:"securityGroups,omitempty"`
	// +optional
	InstanceProfile string `json:"instanceProfile,omitempty"`
}

// ResolvedAMI is an image that nodes of an architecture are launched with.
type ResolvedAMI struct {
	ID           string `json:"id"`
	Name         string `json:"name,omitempty"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

// ResolvedSubnet is a subnet that nodes of a zone are launched in.
type ResolvedSubnet struct {
	ID     string `json:"id"`
	Zone   string `json:"zone"`
	ZoneID string `json:"zoneID,omitempty"`
}
