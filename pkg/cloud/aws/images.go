package aws

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

type imageAPI interface {
	DescribeImages(context.Context, *ec2.DescribeImagesInput, ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error)
}

type parameterAPI interface {
	GetParameters(context.Context, *ssm.GetParametersInput, ...func(*ssm.Options)) (*ssm.GetParametersOutput, error)
}

// parameterWord finds an image's family and variant where the name of its SSM parameter tells them.
type parameterWord struct{ family, variant string }

// aliasParameters answers the public SSM parameters that an alias family@version stands for, with what each is.
// AWS publishes one for each architecture and variant; not all of them exist for every version.
func aliasParameters(alias, kubernetes string) (map[string]parameterWord, error) {
	family, version, _ := strings.Cut(alias, "@")
	if version == "" {
		return nil, &cloud.MisconfiguredError{Field: fieldImages, Message: fmt.Sprintf(
			"alias %q has no version; write %s@latest or a release, such as al2023@v20260801", alias, cmp.Or(family, FamilyAL2023))}
	}
	parameters := map[string]parameterWord{}
	for _, arch := range []string{"x86_64", "arm64"} {
		for _, variant := range []string{VariantNVIDIA, VariantStandard} {
			word := parameterWord{family, variant}
			switch family {
			case FamilyAL2023:
				release := "recommended"
				if version != "latest" {
					release = fmt.Sprintf("amazon-eks-node-al2023-%s-%s-%s-%s", arch, variant, kubernetes, version)
				}
				parameters[fmt.Sprintf("/aws/service/eks/optimized-ami/%s/amazon-linux-2023/%s/%s/%s/image_id",
					kubernetes, arch, variant, release)] = word
			case FamilyBottlerocket:
				suffix := map[string]string{VariantNVIDIA: "-nvidia"}[variant]
				parameters[fmt.Sprintf("/aws/service/bottlerocket/aws-k8s-%s%s/%s/%s/image_id",
					kubernetes, suffix, arch, strings.TrimPrefix(version, "v"))] = word
			default:
				return nil, &cloud.MisconfiguredError{Field: fieldImages, Message: fmt.Sprintf(
					"alias %q names an unknown family; use al2023 or bottlerocket, or select the image by id, name, tags or ssmParameter", alias)}
			}
		}
	}
	return parameters, nil
}

// foundImage is an image with what decides its place in the order.
type foundImage struct {
	cloud.Image
	family  string
	created string // ISO 8601, sorts as text
}

// resolveImages answers the usable images, newest first, and their one family.
func (t *Templates) resolveImages(ctx context.Context, spec cloud.TemplateSpec, kubernetes string) ([]cloud.Image, string, error) {
	byID, err := t.parameterImages(ctx, spec.Images, kubernetes)
	if err != nil {
		return nil, "", err
	}
	found := map[string]foundImage{}
	for _, in := range imageQuestions(spec.Images, byID) {
		if err := t.describeImages(ctx, in, byID, found); err != nil {
			return nil, "", err
		}
	}
	if len(found) == 0 {
		return nil, "", &cloud.MisconfiguredError{Field: fieldImages, Message: fmt.Sprintf(
			"no available x86_64 or arm64 image matches %s; correct the terms, and see that the image is shared with this account", imageTermsText(spec.Images))}
	}
	sorted := slices.SortedFunc(maps.Values(found), func(a, b foundImage) int {
		return cmp.Or(strings.Compare(b.created, a.created), strings.Compare(a.ID, b.ID))
	})
	images := make([]cloud.Image, len(sorted))
	for i, f := range sorted {
		images[i] = f.Image
		if f.family != sorted[0].family {
			return nil, "", &cloud.MisconfiguredError{Field: fieldImages, Message: fmt.Sprintf(
				"%s is of family %s and %s of family %s; one node class has one family: split it",
				sorted[0].ID, sorted[0].family, f.ID, f.family)}
		}
	}
	return images, sorted[0].family, nil
}

// parameterImages looks up aliases and SSM parameters: the word for each image ID that they hold.
func (t *Templates) parameterImages(ctx context.Context, terms []cloud.ImageTerm, kubernetes string) (map[string]parameterWord, error) {
	byID := map[string]parameterWord{}
	for _, term := range terms {
		var parameters map[string]parameterWord
		switch {
		case term.Alias != "":
			var err error
			if parameters, err = aliasParameters(term.Alias, kubernetes); err != nil {
				return nil, err
			}
		case term.SSMParameter != "":
			parameters = map[string]parameterWord{term.SSMParameter: {
				family: familyOf(term.SSMParameter), variant: variantOf(term.SSMParameter),
			}}
		default:
			continue
		}
		names := slices.Sorted(maps.Keys(parameters))
		out, err := t.parameters.GetParameters(ctx, &ssm.GetParametersInput{Names: names})
		if err != nil {
			return nil, callError("ssm:GetParameters", err)
		}
		if len(out.Parameters) == 0 {
			return nil, &cloud.MisconfiguredError{Field: fieldImages, Message: fmt.Sprintf(
				"%s: SSM has none of the parameters %s; choose a release that exists for Kubernetes %s, or latest",
				cmp.Or(term.Alias, term.SSMParameter), strings.Join(names, ", "), kubernetes)}
		}
		for _, p := range out.Parameters {
			byID[strings.TrimSpace(awssdk.ToString(p.Value))] = parameters[awssdk.ToString(p.Name)]
		}
	}
	return byID, nil
}

// imageQuestions answers the DescribeImages calls to make: one for all IDs, one for each term by name or tags.
func imageQuestions(terms []cloud.ImageTerm, byID map[string]parameterWord) []*ec2.DescribeImagesInput {
	ids := slices.Collect(maps.Keys(byID))
	var questions []*ec2.DescribeImagesInput
	for _, term := range terms {
		switch {
		case term.ID != "":
			ids = append(ids, term.ID)
		case term.Name != "" || len(term.Tags) > 0:
			filters := tagFilters(term.Tags)
			if term.Name != "" {
				filters = append(filters, ec2types.Filter{Name: awssdk.String("name"), Values: []string{term.Name}})
			}
			owners := []string{"self", "amazon"}
			if term.Owner != "" {
				owners = []string{term.Owner}
			}
			questions = append(questions, &ec2.DescribeImagesInput{Owners: owners, Filters: filters})
		}
	}
	if len(ids) > 0 {
		slices.Sort(ids)
		byFilter := []ec2types.Filter{{Name: awssdk.String("image-id"), Values: slices.Compact(ids)}}
		questions = append(questions, &ec2.DescribeImagesInput{Filters: byFilter, IncludeDeprecated: awssdk.Bool(true)})
	}
	return questions
}

func (t *Templates) describeImages(
	ctx context.Context, in *ec2.DescribeImagesInput, byID map[string]parameterWord, found map[string]foundImage,
) error {
	pages := ec2.NewDescribeImagesPaginator(t.images, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return callError("ec2:DescribeImages", err)
		}
		for _, i := range page.Images {
			id, name := awssdk.ToString(i.ImageId), awssdk.ToString(i.Name)
			arch := architecture([]ec2types.ArchitectureType{ec2types.ArchitectureType(i.Architecture)})
			if arch == "" || i.State != "" && i.State != ec2types.ImageStateAvailable {
				continue
			}
			word, known := byID[id]
			if !known {
				word = parameterWord{family: familyOf(name), variant: variantOf(name)}
			}
			found[id] = foundImage{
				Image:  cloud.Image{ID: id, Name: name, Architecture: arch, Variant: word.variant},
				family: word.family, created: awssdk.ToString(i.CreationDate),
			}
		}
	}
	return nil
}

// familyOf reads the family from the name that AWS gives to its images or parameters; any other name is custom.
func familyOf(name string) string {
	switch {
	case strings.HasPrefix(name, "amazon-eks-node-al2023-"), strings.HasPrefix(name, "/aws/service/eks/") && strings.Contains(name, "/amazon-linux-2023/"):
		return FamilyAL2023
	case strings.HasPrefix(name, "bottlerocket-aws-k8s-"), strings.HasPrefix(name, "/aws/service/bottlerocket/"):
		return FamilyBottlerocket
	}
	return FamilyCustom
}

func variantOf(name string) string {
	for _, v := range []string{VariantNVIDIA, VariantNeuron} {
		if strings.Contains(strings.ToLower(name), v) {
			return v
		}
	}
	return VariantStandard
}

func imageTermsText(terms []cloud.ImageTerm) string {
	said := make([]string, len(terms))
	for i, t := range terms {
		said[i] = cmp.Or(t.Alias, t.ID, t.SSMParameter, strings.TrimSpace(t.Name+" "+tagText(t.Tags)))
	}
	return strings.Join(said, " or ")
}
