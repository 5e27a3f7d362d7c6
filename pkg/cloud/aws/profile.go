package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

type profileAPI interface {
	GetInstanceProfile(context.Context, *iam.GetInstanceProfileInput, ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error)
	CreateInstanceProfile(context.Context, *iam.CreateInstanceProfileInput, ...func(*iam.Options)) (*iam.CreateInstanceProfileOutput, error)
	AddRoleToInstanceProfile(context.Context, *iam.AddRoleToInstanceProfileInput, ...func(*iam.Options)) (*iam.AddRoleToInstanceProfileOutput, error)
	RemoveRoleFromInstanceProfile(context.Context, *iam.RemoveRoleFromInstanceProfileInput, ...func(*iam.Options)) (*iam.RemoveRoleFromInstanceProfileOutput, error)
	DeleteInstanceProfile(context.Context, *iam.DeleteInstanceProfileInput, ...func(*iam.Options)) (*iam.DeleteInstanceProfileOutput, error)
	GetRole(context.Context, *iam.GetRoleInput, ...func(*iam.Options)) (*iam.GetRoleOutput, error)
}

// profiles finds or makes the instance profile of a node class.
type profiles struct {
	api      profileAPI
	cluster  string
	region   string
	isolated bool
	// onlyLook makes nothing: a profile that is still to be made is the empty name, once its role was seen.
	onlyLook bool
}

// resolve answers the name of the profile. One that the user names is taken at its word: the launch would tell.
func (p *profiles) resolve(ctx context.Context, spec cloud.TemplateSpec) (string, error) {
	switch {
	case spec.InstanceProfile != "" && spec.Role != "":
		return "", &cloud.MisconfiguredError{Field: fieldRole, Message: "both role and instanceProfile are set; remove one"}
	case spec.InstanceProfile != "" && p.onlyLook:
		return spec.InstanceProfile, p.lookAtNamed(ctx, spec.InstanceProfile)
	case spec.InstanceProfile != "":
		return spec.InstanceProfile, nil
	case spec.Role == "":
		return "", &cloud.MisconfiguredError{Field: fieldRole, Message: "neither role nor instanceProfile is set; set one, a node cannot join without"}
	case p.isolated:
		return "", &cloud.MisconfiguredError{Field: fieldRole, Message: "IAM cannot be reached from an isolated VPC, so no instance profile can be made for a role; set instanceProfile instead"}
	}
	return p.ensure(ctx, spec.Name, roleName(spec))
}

// roleName is what IAM's calls want; the role may be given as its ARN.
func roleName(spec cloud.TemplateSpec) string { return spec.Role[strings.LastIndex(spec.Role, "/")+1:] }

// release deletes the profile that ensure made. IAM lets nobody delete a role that a profile holds, nor a profile that holds one. It is looked
// for first: of one that is not there the controller's policies, which ask for its tags, deny everything else.
func (p *profiles) release(ctx context.Context, spec cloud.TemplateSpec) error {
	if spec.Role == "" || spec.InstanceProfile != "" || p.isolated {
		return nil
	}
	name := awssdk.String(profileName(p.cluster, p.region, spec.Name, roleName(spec)))
	missing := (*iamtypes.NoSuchEntityException)(nil)
	out, err := p.api.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: name})
	if errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		return callError("iam:GetInstanceProfile", err)
	}
	for _, role := range out.InstanceProfile.Roles {
		_, err := p.api.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: name, RoleName: role.RoleName})
		if err != nil && !errors.As(err, &missing) {
			return callError("iam:RemoveRoleFromInstanceProfile", err)
		}
	}
	_, err = p.api.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: name})
	if err != nil && !errors.As(err, &missing) {
		return callError("iam:DeleteInstanceProfile", err)
	}
	return nil
}

// profileName is the same for the same cluster, region, node class and role. IAM is global, so the region is part of it;
// a profile holds one role only, so the role is too, and a changed role means a new profile.
func profileName(cluster, region, nodeClass, role string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{cluster, region, nodeClass, role}, "\x00")))
	return fmt.Sprintf("slipway-%s-%s", cluster, hex.EncodeToString(sum[:8]))
}

// ensure makes what is missing of the profile. Each step may have been done by an earlier run or by another replica.
func (p *profiles) ensure(ctx context.Context, nodeClass, role string) (string, error) {
	name := profileName(p.cluster, p.region, nodeClass, role)
	out, err := p.api.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: awssdk.String(name)})
	switch missing := (*iamtypes.NoSuchEntityException)(nil); {
	case errors.As(err, &missing) && p.onlyLook:
		return "", p.lookAtRole(ctx, role)
	case errors.As(err, &missing):
		if err := p.create(ctx, name, nodeClass); err != nil {
			return "", err
		}
	case err != nil:
		return "", callError("iam:GetInstanceProfile", err)
	case out.InstanceProfile != nil && len(out.InstanceProfile.Roles) > 0:
		return name, nil
	case p.onlyLook:
		return "", p.lookAtRole(ctx, role)
	}
	_, err = p.api.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{
		InstanceProfileName: awssdk.String(name), RoleName: awssdk.String(role),
	})
	var missing *iamtypes.NoSuchEntityException
	var full *iamtypes.LimitExceededException
	switch {
	case errors.As(err, &full): // somebody was faster; the name says that it is the same role
		return name, nil
	case errors.As(err, &missing):
		return "", noRole(role)
	case err != nil:
		return "", callError("iam:AddRoleToInstanceProfile", err)
	}
	return name, nil
}

func noRole(role string) error {
	return &cloud.MisconfiguredError{Field: fieldRole, Message: fmt.Sprintf("IAM knows no role %q; create it, or correct the name", role)}
}

func (p *profiles) lookAtRole(ctx context.Context, role string) error {
	_, err := p.api.GetRole(ctx, &iam.GetRoleInput{RoleName: awssdk.String(role)})
	if missing := (*iamtypes.NoSuchEntityException)(nil); errors.As(err, &missing) {
		return noRole(role)
	}
	if err != nil {
		return callError("iam:GetRole", err)
	}
	return nil
}

// lookAtNamed looks at a profile that the user names. Its own policies let the controller see those of its own names only, so not being
// allowed to look is no fault.
func (p *profiles) lookAtNamed(ctx context.Context, name string) error {
	out, err := p.api.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: awssdk.String(name)})
	missing := (*iamtypes.NoSuchEntityException)(nil)
	switch {
	case errors.As(err, &missing):
		return &cloud.MisconfiguredError{Field: fieldInstanceProfile, Message: fmt.Sprintf("IAM knows no instance profile %q; create it, or correct the name", name)}
	case err != nil && classOf(errorCode(err)) == classDenied:
		return nil
	case err != nil:
		return callError("iam:GetInstanceProfile", err)
	case out.InstanceProfile == nil || len(out.InstanceProfile.Roles) == 0:
		return &cloud.MisconfiguredError{Field: fieldInstanceProfile, Message: fmt.Sprintf("the instance profile %q has no role; add the nodes' role to it", name)}
	}
	return nil
}

func (p *profiles) create(ctx context.Context, name, nodeClass string) error {
	var tags []iamtypes.Tag
	for _, t := range [][2]string{
		{clusterTag(p.cluster), tagOwned}, {TagEKSCluster, p.cluster}, {TagNodeClass, nodeClass}, {TagRegion, p.region},
	} {
		tags = append(tags, iamtypes.Tag{Key: awssdk.String(t[0]), Value: awssdk.String(t[1])})
	}
	_, err := p.api.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: awssdk.String(name), Tags: tags})
	if exists := (*iamtypes.EntityAlreadyExistsException)(nil); err != nil && !errors.As(err, &exists) {
		return callError("iam:CreateInstanceProfile", err)
	}
	return nil
}
