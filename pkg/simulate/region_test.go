package simulate

import (
	"slices"
	"strings"
	"testing"
)

// TestRegionWithoutKnownZones simulates where the program does not know what is sold: in the zones that nodes and EC2NodeClasses name, or in three, and
// says so.
func TestRegionWithoutKnownZones(t *testing.T) {
	node := func(zone string) string {
		return `apiVersion: v1
kind: Node
metadata: {name: n-` + zone + `, labels: {topology.kubernetes.io/region: eu-west-1, topology.kubernetes.io/zone: ` + zone + `}}
status: {allocatable: {cpu: "2", pods: "20"}, conditions: [{type: Ready, status: "True"}]}
`
	}
	class := `apiVersion: slipway.sh/v1alpha1
kind: EC2NodeClass
metadata: {name: default}
spec:
  amiSelectorTerms: [{alias: al2023@latest}]
  subnetSelectorTerms: [{tags: {a: b}}]
  securityGroupSelectorTerms: [{tags: {a: b}}]
  role: r
status:
  subnets: [{id: subnet-1, zone: eu-west-1c}, {id: subnet-2, zone: us-east-1a}]
`
	const assumed = "Which types are sold where in eu-west-1 is not known: each is taken to be in "
	for name, tc := range map[string]struct {
		config Config
		want   string
	}{
		"nobody names zones":        {Config{Region: "eu-west-1", Manifests: read(t, anyGPU, pod("a", "1", ""))}, "eu-west-1a, eu-west-1b, eu-west-1c"},
		"nodes name them":           {Config{Manifests: read(t, anyGPU, node("eu-west-1b"), node("eu-west-1a"), pod("a", "1", ""))}, "eu-west-1a, eu-west-1b"},
		"an EC2NodeClass does, too": {Config{Manifests: read(t, anyGPU, class, node("eu-west-1b"), pod("a", "1", ""))}, "eu-west-1b, eu-west-1c"},
	} {
		r := run(t, tc.config)
		if r.Region != "eu-west-1" || len(r.Nodes) != 1 || !strings.HasPrefix(r.Nodes[0].Zone, "eu-west-1") {
			t.Errorf("%s: region %q, nodes %+v", name, r.Region, r.Nodes)
		}
		if !slices.Contains(r.Assumptions, assumed+tc.want) {
			t.Errorf("%s: assumed is %q, want %q", name, r.Assumptions, assumed+tc.want)
		}
	}
}

// TestCatalogueOfRegionWithoutKnownZones prints the types, and reads them again.
func TestCatalogueOfRegionWithoutKnownZones(t *testing.T) {
	file, back := printed(t, "eu-west-1")
	if len(file.Types) == 0 || len(file.Types[0].Zones) > 0 {
		t.Fatalf("%d types, or zones that nobody knows", len(file.Types))
	}
	r := run(t, Config{Region: "eu-west-1", Manifests: read(t, anyGPU, pod("a", "1", "")), Catalogue: &back})
	if len(r.Nodes) != 1 || !strings.HasPrefix(r.Nodes[0].Zone, "eu-west-1") {
		t.Errorf("nodes %+v", r.Nodes)
	}
}
