package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EC2NodeClass says what machines are made of: image, network, identity, disks.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=slipway
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
type EC2NodeClassSpec struct {
	// amiSelectorTerms choose the image. With an alias (al2023@latest, bottlerocket@latest) the GPU variant is picked by itself.
	// +listType=atomic
	AMISelectorTerms []AMISelectorTerm `json:"amiSelectorTerms"`
	// +listType=atomic
	SubnetSelectorTerms []SubnetSelectorTerm `json:"subnetSelectorTerms"`
	// +listType=atomic
	SecurityGroupSelectorTerms []SecurityGroupSelectorTerm `json:"securityGroupSelectorTerms"`
	// role is the IAM role of the nodes; Slipway keeps an instance profile for it. Exactly one of role and instanceProfile.
	// +optional
	Role string `json:"role,omitempty"`
	// +optional
	InstanceProfile string `json:"instanceProfile,omitempty"`
	// userData is merged with the bootstrap of the image's family.
	// +optional
	UserData string `json:"userData,omitempty"`
	// +optional
	// +listType=atomic
	BlockDeviceMappings []BlockDeviceMapping `json:"blockDeviceMappings,omitempty"`
	// +kubebuilder:default={}
	// +optional
	MetadataOptions MetadataOptions `json:"metadataOptions,omitempty"`
	// tags on every instance, volume and fleet.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
	// +optional
	DetailedMonitoring bool `json:"detailedMonitoring,omitempty"`
	// +optional
	AssociatePublicIPAddress *bool `json:"associatePublicIPAddress,omitempty"`
}

// AMISelectorTerm selects images by exactly one of alias, id, ssmParameter, or name and tags.
type AMISelectorTerm struct {
	// alias is family@version: al2023@latest, bottlerocket@1.20.0.
	// +optional
	Alias string `json:"alias,omitempty"`
	// +optional
	ID string `json:"id,omitempty"`
	// +optional
	SSMParameter string `json:"ssmParameter,omitempty"`
	// +optional
	Name string `json:"name,omitempty"`
	// owner is an account ID, self or amazon.
	// +optional
	Owner string `json:"owner,omitempty"`
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
}

// SubnetSelectorTerm selects subnets by exactly one of id and tags; a tag value of * matches any value.
type SubnetSelectorTerm struct {
	// +optional
	ID string `json:"id,omitempty"`
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
}

// SecurityGroupSelectorTerm selects security groups by exactly one of id, name and tags.
type SecurityGroupSelectorTerm struct {
	// +optional
	ID string `json:"id,omitempty"`
	// +optional
	Name string `json:"name,omitempty"`
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
}

// BlockDeviceMapping is one EBS volume.
type BlockDeviceMapping struct {
	DeviceName string `json:"deviceName"`
	// rootVolume marks the volume that pods' ephemeral storage is on.
	// +optional
	RootVolume bool `json:"rootVolume,omitempty"`
	// +kubebuilder:default=gp3
	// +optional
	VolumeType string `json:"volumeType,omitempty"`
	// volumeSizeGiB in GiB.
	VolumeSizeGiB int64 `json:"volumeSizeGiB"`
	// +optional
	IOPS int64 `json:"iops,omitempty"`
	// throughput in MiB/s.
	// +optional
	Throughput int64 `json:"throughput,omitempty"`
	// +kubebuilder:default=true
	// +optional
	Encrypted *bool `json:"encrypted,omitempty"`
	// +optional
	KMSKeyID string `json:"kmsKeyID,omitempty"`
	// +optional
	SnapshotID string `json:"snapshotID,omitempty"`
	// +kubebuilder:default=true
	// +optional
	DeleteOnTermination *bool `json:"deleteOnTermination,omitempty"`
}

// MetadataOptions are the instance metadata service's settings; the defaults are the strict ones.
type MetadataOptions struct {
	// +kubebuilder:default=enabled
	// +optional
	HTTPEndpoint string `json:"httpEndpoint,omitempty"`
	// +kubebuilder:default=disabled
	// +optional
	HTTPProtocolIPv6 string `json:"httpProtocolIPv6,omitempty"`
	// +kubebuilder:default=1
	// +optional
	HTTPPutResponseHopLimit int32 `json:"httpPutResponseHopLimit,omitempty"`
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
