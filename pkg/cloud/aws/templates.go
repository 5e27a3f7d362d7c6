package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

var _ cloud.Templates = (*Templates)(nil)

// Families of images, which decide the form of the user data.
const (
	FamilyAL2023       = "al2023"
	FamilyBottlerocket = "bottlerocket"
	FamilyCustom       = "custom"
)

// Variants of images.
const (
	VariantNVIDIA   = "nvidia"
	VariantNeuron   = "neuron"
	VariantStandard = "standard"
)

// Templates implements cloud.Templates. Each Resolve asks anew: about one request for each of subnets, groups and
// images, and one of IAM where a role is given.
type Templates struct {
	network    networkAPI
	images     imageAPI
	parameters parameterAPI
	profiles   *profiles
	cluster    *clusterFacts
	made       *launchTemplates // those that launches make
}

// Resolve implements cloud.Templates. In the answer, Spec has its defaults filled in: volumes and metadata options.
// Images are in the order in which a launch prefers them: newest first, then by ID.
func (t *Templates) Resolve(ctx context.Context, spec cloud.TemplateSpec) (cloud.Template, error) {
	facts, err := t.cluster.get(ctx)
	if err != nil {
		return cloud.Template{}, fmt.Errorf("resolving node class %s: %w", spec.Name, err)
	}
	out := cloud.Template{Spec: spec}
	steps := []func() error{
		func() (err error) { out.Subnets, err = t.subnets(ctx, spec.Subnets); return },
		func() (err error) { out.SecurityGroupIDs, err = t.securityGroups(ctx, spec.SecurityGroups); return },
		func() (err error) {
			out.Images, out.Family, err = t.resolveImages(ctx, spec, facts.KubernetesVersion)
			return
		},
		func() (err error) { out.InstanceProfile, err = t.profiles.resolve(ctx, spec); return },
	}
	errs := make([]error, len(steps))
	var wg sync.WaitGroup
	for i, step := range steps {
		wg.Go(func() { errs[i] = step() })
	}
	wg.Wait()
	// One problem at a time, always the first of them: a condition has room for one remedy, and must not flap.
	if err := cmp.Or(errs...); err != nil {
		return cloud.Template{}, fmt.Errorf("resolving node class %s: %w", spec.Name, err)
	}
	out.Spec = withDefaults(spec, out.Family)
	if _, err := userData(facts, out, cloud.NodeConfig{}); err != nil {
		return cloud.Template{}, fmt.Errorf("resolving node class %s: %w", spec.Name, err)
	}
	return out, nil
}

// Release implements cloud.Templates. A profile that was made for a role which the class named before is not found.
func (t *Templates) Release(ctx context.Context, spec cloud.TemplateSpec) error {
	if err := errors.Join(t.profiles.release(ctx, spec), t.made.dropClass(ctx, spec.Name)); err != nil {
		return fmt.Errorf("releasing node class %s: %w", spec.Name, err)
	}
	return nil
}

// defaultVolumeGiB holds a few GPU images, which are 5 to 15 GB each once unpacked.
const defaultVolumeGiB = 100

// withDefaults fills in volumes and metadata options. The image's own volumes stand for a custom image: nobody knows
// the name of its root device.
func withDefaults(spec cloud.TemplateSpec, family string) cloud.TemplateSpec {
	spec.Metadata.HTTPEndpoint = cmp.Or(spec.Metadata.HTTPEndpoint, "enabled")
	spec.Metadata.HTTPTokens = cmp.Or(spec.Metadata.HTTPTokens, "required")
	spec.Metadata.IPv6 = cmp.Or(spec.Metadata.IPv6, "disabled")
	spec.Metadata.HopLimit = cmp.Or(spec.Metadata.HopLimit, 1)
	if len(spec.BlockDevices) > 0 {
		return spec
	}
	volume := func(device string, sizeGiB int64, root bool) cloud.BlockDevice {
		return cloud.BlockDevice{
			DeviceName: device, Root: root, VolumeType: "gp3", SizeGiB: sizeGiB, Encrypted: true, DeleteOnTermination: true,
		}
	}
	switch family {
	case FamilyAL2023:
		spec.BlockDevices = []cloud.BlockDevice{volume("/dev/xvda", defaultVolumeGiB, true)}
	case FamilyBottlerocket:
		// the first holds the system and is read only; pods live on the second
		spec.BlockDevices = []cloud.BlockDevice{volume("/dev/xvda", 4, false), volume("/dev/xvdb", defaultVolumeGiB, true)}
	}
	return spec
}
