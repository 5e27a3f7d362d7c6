package machine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/utils/ptr"

	"github.com/slipway-sh/slipway/cmd/fakeaws/machine"
	"github.com/slipway-sh/slipway/pkg/cloud"
)

const nodeConfigText = `apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  cluster: {name: demo, apiServerEndpoint: "https://127.0.0.1:6443", certificateAuthority: Q0E=, cidr: 10.100.0.0/16}
  kubelet:
    config:
      maxPods: 58
      kubeReserved: {cpu: 100m}
      registerWithTaints:
      - {key: slipway.sh/unregistered, effect: NoExecute}
      - {key: gpu, value: "true", effect: NoSchedule}
    flags:
    - --node-labels=slipway.sh/provisioner=gpu,team=ml
`

const multipartText = `MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="B"

--B
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/sh
echo hello

--B
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  kubelet:
    config: {maxPods: 10}
    flags: ["--node-labels=team=web,mine=1"]

--B
Content-Type: application/node.eks.aws

` + nodeConfigText + `
--B--
`

const tomlText = `
[settings.kubernetes]
api-server = "https://127.0.0.1:6443"
cluster-certificate = "Q0E="
cluster-name = "demo"
max-pods = 58
[settings.kubernetes.kube-reserved]
cpu = "100m"
[settings.kubernetes.node-labels]
"slipway.sh/provisioner" = "gpu"
team = "ml"
[settings.kubernetes.node-taints]
"slipway.sh/unregistered" = [":NoExecute"]
gpu = ["true:NoSchedule"]
`

func TestParseUserData(t *testing.T) {
	ours := machine.Boot{Cluster: "demo", NodeConfig: cloud.NodeConfig{
		Labels:  map[string]string{"slipway.sh/provisioner": "gpu", "team": "ml"},
		Taints:  []cloud.Taint{{Key: "slipway.sh/unregistered", Effect: "NoExecute"}, {Key: "gpu", Value: "true", Effect: "NoSchedule"}},
		Kubelet: cloud.Kubelet{MaxPods: ptr.To(int32(58)), KubeReserved: map[string]string{"cpu": "100m"}},
	}}
	withMine := ours
	withMine.Labels = map[string]string{"slipway.sh/provisioner": "gpu", "team": "ml", "mine": "1"}
	for name, tc := range map[string]struct {
		text string
		want machine.Boot
	}{
		"a NodeConfig":              {text: nodeConfigText, want: ours},
		"MIME, the later part wins": {text: multipartText, want: withMine},
		"Bottlerocket":              {text: tomlText, want: ours},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := machine.ParseUserData(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			byKey := cmpopts.SortSlices(func(a, b cloud.Taint) bool { return a.Key < b.Key })
			if diff := cmp.Diff(tc.want, got, byKey, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("boots as (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseUserDataRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":                {"", "no user data"},
		"a script":               {"#!/bin/sh\n", "needs api-server"},
		"no cluster":             {"apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\n", "names no cluster"},
		"half a cluster":         {strings.Replace(nodeConfigText, "cidr: 10.100.0.0/16", "", 1), "cidr are all needed"},
		"an unknown strategy":    {strings.Replace(nodeConfigText, "spec:", "spec:\n  instance: {localStorage: {strategy: RAID5}}", 1), `strategy "RAID5"`},
		"a reserved label":       {strings.Replace(nodeConfigText, "team=ml", "kubernetes.io/team=ml", 1), "unknown kubernetes.io"},
		"an unknown effect":      {strings.Replace(nodeConfigText, "NoExecute", "Never", 1), `the effect "Never"`},
		"MIME without a config":  {strings.ReplaceAll(multipartText, "node.eks.aws\n\n", "other\n\n"), "no part of type"},
		"a broken NodeConfig":    {"apiVersion: [", "reading a NodeConfig"},
		"Bottlerocket's, halved": {strings.Replace(tomlText, "api-server", "api", 1), "needs api-server"},
	} {
		if _, err := machine.ParseUserData(tc.text); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v; want an error that says %q", name, err, tc.want)
		}
	}
}

// TestInstanceStore: machines understand what pkg/cloud/aws writes for instanceStorePolicy, and have the disk that the planner counts on.
func TestInstanceStore(t *testing.T) {
	for name, want := range map[string]bool{"al2023-nvme": true, "bottlerocket-nvme": true, "al2023-full": false, "bottlerocket-merged": false} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", "pkg", "cloud", "aws", "testdata", name+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		if boot, err := machine.ParseUserData(string(text)); err != nil || boot.InstanceStore != want {
			t.Errorf("%s: instance store %v, %v; want %v", name, boot.InstanceStore, err, want)
		}
	}
}

func FuzzParseUserData(f *testing.F) {
	for _, text := range []string{nodeConfigText, multipartText, tomlText, "", "MIME-Version: 1.0\n\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if boot, err := machine.ParseUserData(text); err == nil && boot.Cluster == "" {
			t.Error("user data without a cluster was read")
		}
	})
}
