package nodeclass

import (
	"cmp"
	"maps"

	"github.com/samber/lo"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

// TemplateSpec is an EC2NodeClass in the cloud's plain values. Metadata options that are not set are the strict ones: with tokens
// required and one hop, a pod that is tricked into a request cannot read the node's credentials. Volumes that are not set stay so: their
// default depends on the image's family, which the cloud finds out.
func TemplateSpec(nc *v1alpha1.EC2NodeClass) cloud.TemplateSpec {
	s := nc.Spec
	return cloud.TemplateSpec{
		Name: nc.Name,
		Images: lo.Map(s.AMISelectorTerms, func(t v1alpha1.AMISelectorTerm, _ int) cloud.ImageTerm {
			return cloud.ImageTerm{Alias: t.Alias, ID: t.ID, SSMParameter: t.SSMParameter, Name: t.Name, Owner: t.Owner, Tags: maps.Clone(t.Tags)}
		}),
		Subnets: lo.Map(s.SubnetSelectorTerms, func(t v1alpha1.SubnetSelectorTerm, _ int) cloud.Selector {
			return cloud.Selector{ID: t.ID, Tags: maps.Clone(t.Tags)}
		}),
		SecurityGroups: lo.Map(s.SecurityGroupSelectorTerms, func(t v1alpha1.SecurityGroupSelectorTerm, _ int) cloud.Selector {
			return cloud.Selector{ID: t.ID, Name: t.Name, Tags: maps.Clone(t.Tags)}
		}),
		Role:            s.Role,
		InstanceProfile: s.InstanceProfile,
		UserData:        s.UserData,
		BlockDevices:    lo.Map(s.BlockDeviceMappings, func(m v1alpha1.BlockDeviceMapping, _ int) cloud.BlockDevice { return blockDevice(m) }),
		InstanceStore:   s.InstanceStorePolicy == v1alpha1.InstanceStoreRAID0,
		Metadata: cloud.MetadataOptions{
			HTTPEndpoint: cmp.Or(s.MetadataOptions.HTTPEndpoint, "enabled"),
			HopLimit:     cmp.Or(s.MetadataOptions.HTTPPutResponseHopLimit, 1),
			HTTPTokens:   cmp.Or(s.MetadataOptions.HTTPTokens, "required"),
			IPv6:         cmp.Or(s.MetadataOptions.HTTPProtocolIPv6, "disabled"),
		},
		Tags:            maps.Clone(s.Tags),
		DetailedMonitor: s.DetailedMonitoring,
		AssociatePublic: clonePointer(s.AssociatePublicIPAddress),
	}
}

// blockDevice encrypts and cleans up unless told otherwise, as the defaults of the CRD say.
func blockDevice(m v1alpha1.BlockDeviceMapping) cloud.BlockDevice {
	return cloud.BlockDevice{
		DeviceName:          m.DeviceName,
		Root:                m.RootVolume,
		VolumeType:          cmp.Or(m.VolumeType, "gp3"),
		SizeGiB:             m.VolumeSizeGiB,
		IOPS:                m.IOPS,
		ThroughputMiBps:     m.Throughput,
		Encrypted:           m.Encrypted == nil || *m.Encrypted,
		KMSKeyID:            m.KMSKeyID,
		SnapshotID:          m.SnapshotID,
		DeleteOnTermination: m.DeleteOnTermination == nil || *m.DeleteOnTermination,
	}
}
