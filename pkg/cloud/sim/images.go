package sim

import (
	"fmt"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// KubernetesVersion is the minor version for which DefaultImages exist.
const KubernetesVersion = "1.37"

// DefaultImages are the images that Amazon publishes for EKS nodes, one release of each: al2023 (standard and nvidia) and
// bottlerocket (standard and nvidia), for amd64 and arm64, under the names of their public SSM parameters.
func DefaultImages() []Image {
	var images []Image
	for _, arch := range []struct{ kubernetes, ec2 string }{{"amd64", "x86_64"}, {"arm64", "arm64"}} {
		for _, variant := range []string{"standard", "nvidia"} {
			images = append(images, al2023(arch.kubernetes, arch.ec2, variant), bottlerocket(arch.kubernetes, arch.ec2, variant))
		}
	}
	for i := range images {
		images[i].ID = fmt.Sprintf("ami-0a1b2c3d4e5f6%04d", i+1)
	}
	return images
}

func al2023(arch, ec2Arch, variant string) Image {
	const release = "v20260801"
	path := fmt.Sprintf("/aws/service/eks/optimized-ami/%s/amazon-linux-2023/%s/%s/", KubernetesVersion, ec2Arch, variant)
	name := fmt.Sprintf("amazon-eks-node-al2023-%s-%s-%s-%s", ec2Arch, variant, KubernetesVersion, release)
	return Image{
		Image:  cloud.Image{Name: name, Architecture: arch, Variant: variant},
		Family: "al2023", Versions: []string{"latest", release}, Owner: "amazon",
		Parameters: []string{path + "recommended/image_id", path + name + "/image_id"},
	}
}

func bottlerocket(arch, ec2Arch, variant string) Image {
	const release = "1.50.0"
	flavour, suffix := "aws-k8s-"+KubernetesVersion, ""
	if variant == "nvidia" {
		suffix = "-nvidia"
	}
	path := fmt.Sprintf("/aws/service/bottlerocket/%s%s/%s/", flavour, suffix, ec2Arch)
	return Image{
		Image: cloud.Image{Name: fmt.Sprintf("bottlerocket-%s%s-%s-v%s", flavour, suffix, ec2Arch, release), Architecture: arch,
			Variant: variant},
		Family: "bottlerocket", Versions: []string{"latest", release, "v" + release}, Owner: "amazon",
		Parameters: []string{path + "latest/image_id", path + release + "/image_id"},
	}
}
