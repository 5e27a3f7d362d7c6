package aws

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

var update = flag.Bool("update", false, "write the golden files anew")

func testNode() cloud.NodeConfig {
	return cloud.NodeConfig{
		Labels: map[string]string{
			"slipway.sh/provisioner": "gpu", "karpenter.sh/capacity-type": "spot", "topology.kubernetes.io/zone": "us-east-1a",
			"node.kubernetes.io/purpose": "training", "app.kubernetes.io/part-of": "refused-by-the-kubelet",
		},
		Taints: []cloud.Taint{
			{Key: "slipway.sh/unregistered", Effect: "NoExecute"}, {Key: "nvidia.com/gpu", Value: "true", Effect: "NoSchedule"},
		},
		Kubelet: cloud.Kubelet{
			MaxPods: awssdk.Int32(58), ClusterDNS: []string{"10.100.0.10"}, KubeReserved: map[string]string{"memory": "1Gi", "cpu": "100m"},
			SystemReserved: map[string]string{"memory": "100Mi"}, EvictionHard: map[string]string{"memory.available": "5%"},
			EvictionSoft: map[string]string{"memory.available": "10%"}, EvictionSoftGracePeriod: map[string]string{"memory.available": "1m"},
			EvictionMaxPodGracePeriod: awssdk.Int32(60), ImageGCHighThresholdPercent: awssdk.Int32(85), ImageGCLowThresholdPercent: awssdk.Int32(80),
			CPUCFSQuota: awssdk.Bool(false),
		},
	}
}

const userMIME = `MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="SLIPWAY"

--SLIPWAY
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/bash
echo hello
--SLIPWAY
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  instance:
    localStorage: {strategy: RAID0}
--SLIPWAY--
`

func TestUserDataGolden(t *testing.T) {
	for name, tc := range map[string]struct {
		family, user string
		node         cloud.NodeConfig
	}{
		"al2023-plain":        {FamilyAL2023, "", cloud.NodeConfig{}},
		"al2023-full":         {FamilyAL2023, "", testNode()},
		"al2023-shell":        {FamilyAL2023, "#!/bin/bash\necho hello\n", testNode()},
		"al2023-cloud-config": {FamilyAL2023, "#cloud-config\nruncmd: [ls]", cloud.NodeConfig{}},
		"al2023-nodeconfig":   {FamilyAL2023, "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  featureGates: {InstanceIdNodeName: true}\n", cloud.NodeConfig{}},
		"al2023-mime":         {FamilyAL2023, userMIME, testNode()},
		"bottlerocket-plain":  {FamilyBottlerocket, "", cloud.NodeConfig{}},
		"bottlerocket-full":   {FamilyBottlerocket, "", testNode()},
		"bottlerocket-merged": {FamilyBottlerocket, "[settings.kernel.sysctl]\n\"vm.max_map_count\" = \"262144\"\n\n[settings.kubernetes]\ncluster-name = \"mine\"\nallowed-unsafe-sysctls = [\"net.core.*\"]\n\n[settings.kubernetes.node-labels]\nteam = \"ml\"\n\"slipway.sh/provisioner\" = \"theirs\"\n", testNode()},
		"al2023-nvme":         {FamilyAL2023, "", cloud.NodeConfig{}},
		"bottlerocket-nvme":   {FamilyBottlerocket, "[settings.bootstrap-commands.theirs]\ncommands = [[\"apiclient\", \"get\"]]\nmode = \"once\"\nessential = false\n", cloud.NodeConfig{}},
		"custom":              {FamilyCustom, "#!/bin/sh\njoin\n", testNode()},
	} {
		t.Run(name, func(t *testing.T) {
			template := cloud.Template{Family: tc.family, Spec: cloud.TemplateSpec{UserData: tc.user, InstanceStore: strings.HasSuffix(name, "-nvme")}}
			got, err := userData(testCluster, template, tc.node)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run with -update if this is meant (-want +got):\n%s", diff)
			}
			if again, _ := userData(testCluster, template, tc.node); again != got {
				t.Error("the same input made other user data")
			}
		})
	}
}

func TestBadUserDataNamesTheField(t *testing.T) {
	for name, tc := range map[string]struct{ family, user, want string }{
		"plain text":          {FamilyAL2023, "hello", "neither MIME multipart"},
		"other YAML":          {FamilyAL2023, "kind: Pod\napiVersion: v1\n", `its kind "Pod"`},
		"MIME without parts":  {FamilyAL2023, "MIME-Version: 1.0\nContent-Type: text/plain\n\nx", "not multipart"},
		"MIME broken off":     {FamilyAL2023, strings.TrimSuffix(userMIME, "--SLIPWAY--\n"), "breaks off"},
		"MIME in base64":      {FamilyAL2023, strings.Replace(userMIME, "\n\n#!", "\nContent-Transfer-Encoding: base64\n\n#!", 1), "transfer encoding"},
		"MIME bad NodeConfig": {FamilyAL2023, strings.Replace(userMIME, "kind: NodeConfig", "kind: Nodeconfig", 1), "no NodeConfig"},
		"too long":            {FamilyAL2023, "#!/bin/sh\n" + strings.Repeat("x", 16384), "EC2 takes 16384"},
		"no TOML":             {FamilyBottlerocket, "#!/bin/sh\necho hello\n", "not TOML"},
		"TOML of other shape": {FamilyBottlerocket, "settings = 1\n", "settings must be a table"},
		"TOML labels":         {FamilyBottlerocket, "[settings.kubernetes]\nnode-labels = \"x\"\n", "settings.kubernetes.node-labels must be a table"},
		"custom and empty":    {FamilyCustom, " \n", "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := userData(testCluster, cloud.Template{Family: tc.family, Spec: cloud.TemplateSpec{UserData: tc.user}}, testNode())
			var misconfigured *cloud.MisconfiguredError
			if !errors.As(err, &misconfigured) || misconfigured.Field != "spec.userData" || !strings.Contains(misconfigured.Message, tc.want) {
				t.Errorf("got %v, want spec.userData with %q", err, tc.want)
			}
		})
	}
}

func TestBottlerocketHasNoPodsPerCore(t *testing.T) {
	node := cloud.NodeConfig{Kubelet: cloud.Kubelet{PodsPerCore: awssdk.Int32(4)}}
	_, err := userData(testCluster, cloud.Template{Family: FamilyBottlerocket}, node)
	var misconfigured *cloud.MisconfiguredError
	if !errors.As(err, &misconfigured) || !strings.Contains(misconfigured.Field, "podsPerCore") {
		t.Errorf("got %v", err)
	}
}

// Whatever the user writes, either it is refused, or it comes back out and ours is the last word.
func FuzzUserParts(f *testing.F) {
	f.Add(userMIME)
	f.Add("#!/bin/sh\n")
	f.Add("apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\n")
	f.Fuzz(func(t *testing.T, user string) {
		parts, err := userParts(user)
		if err != nil {
			return
		}
		text := writeParts(append(parts, part{nodeConfigMediaType, "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\n"}))
		back, err := readParts(text)
		if err != nil {
			t.Fatalf("cannot read back:\n%s\n%v", text, err)
		}
		if len(back) != len(parts)+1 || back[len(back)-1].mediaType != nodeConfigMediaType {
			t.Errorf("%d parts went in, %d came out:\n%s", len(parts)+1, len(back), text)
		}
	})
}

func FuzzBottlerocketUserData(f *testing.F) {
	f.Add("[settings.kubernetes]\nmax-pods = 1\n")
	f.Add("settings = {kubernetes = {}}\n")
	f.Fuzz(func(t *testing.T, user string) {
		text, err := bottlerocketUserData(testCluster, cloud.TemplateSpec{UserData: user}, testNode())
		if err != nil {
			return
		}
		var back struct {
			Settings struct {
				Kubernetes struct {
					ClusterName string            `toml:"cluster-name"`
					Labels      map[string]string `toml:"node-labels"`
				} `toml:"kubernetes"`
			} `toml:"settings"`
		}
		if err := toml.Unmarshal([]byte(text), &back); err != nil {
			t.Fatalf("cannot read back %q: %v", text, err)
		}
		if back.Settings.Kubernetes.ClusterName != "prod" {
			t.Errorf("the cluster's name was overruled:\n%s", text)
		}
	})
}
