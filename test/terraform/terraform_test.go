package terraform

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"github.com/slipway-sh/slipway/test/stack"
)

const directory = "../../deploy/terraform"

const provider = "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E"

// variants are parameters of the template, and the module's variables that mean the same.
var variants = map[string]struct {
	parameters map[string]string
	variables  map[string]cty.Value
}{
	"only the cluster's name": {
		map[string]string{"ClusterName": "prod"},
		map[string]cty.Value{"cluster_name": cty.StringVal("prod")},
	},
	"IRSA": {
		map[string]string{"ClusterName": "prod", "ControllerIdentity": "IRSA", "OIDCProvider": provider, "Namespace": "gpu", "ServiceAccount": "s"},
		map[string]cty.Value{"cluster_name": cty.StringVal("prod"), "controller_identity": cty.StringVal("IRSA"),
			"oidc_provider": cty.StringVal(provider), "namespace": cty.StringVal("gpu"), "service_account": cty.StringVal("s")},
	},
	"a node role that stands, and own names": {
		map[string]string{"ClusterName": "prod", "NodeRoleArn": "arn:aws:iam::123456789012:role/team/nodes", "CreateAccessEntry": "false",
			"QueueName": "q", "ControllerRoleName": "c"},
		map[string]cty.Value{"cluster_name": cty.StringVal("prod"), "node_role_arn": cty.StringVal("arn:aws:iam::123456789012:role/team/nodes"),
			"create_access_entry": cty.False, "queue_name": cty.StringVal("q"), "controller_role_name": cty.StringVal("c")},
	},
	"a node role that stands, and is let in": {
		map[string]string{"ClusterName": "a_b-1", "NodeRoleArn": "arn:aws:iam::123456789012:role/nodes"},
		map[string]cty.Value{"cluster_name": cty.StringVal("a_b-1"), "node_role_arn": cty.StringVal("arn:aws:iam::123456789012:role/nodes")},
	},
	"own keys and images": {
		map[string]string{"ClusterName": "prod", "ImageParameterPrefix": "/team/images",
			"VolumeKeyArns": stack.VolumeKey + ",arn:aws-cn:kms:cn-north-1:210987654321:key/mrk-1"},
		map[string]cty.Value{"cluster_name": cty.StringVal("prod"), "image_parameter_prefix": cty.StringVal("/team/images"),
			"volume_key_arns": cty.ListVal([]cty.Value{cty.StringVal(stack.VolumeKey), cty.StringVal("arn:aws-cn:kms:cn-north-1:210987654321:key/mrk-1")})},
	},
}

// places are where the two are compared: Slipway runs in each partition.
var places = map[string]stack.Place{
	"Virginia": stack.Fake(),
	"Beijing":  {Partition: "aws-cn", Region: "cn-north-1", Account: "210987654321", URLSuffix: "amazonaws.com.cn"},
}

// difference says how what the module makes differs from what the template makes, resource by resource and statement by statement.
func difference(files fs.FS, place stack.Place, parameters map[string]string, variables map[string]cty.Value) (string, error) {
	template, err := stack.Slipway()
	if err != nil {
		return "", err
	}
	want, err := template.Make(place, parameters)
	if err != nil {
		return "", err
	}
	module, err := Load(files)
	if err != nil {
		return "", err
	}
	plan, err := module.Plan(place, variables)
	if err != nil {
		return "", err
	}
	got, err := plan.Stack()
	if err != nil {
		return "", err
	}
	wantPlain, err := plain(want)
	if err != nil {
		return "", err
	}
	gotPlain, err := plain(got)
	if err != nil {
		return "", err
	}
	return cmp.Diff(wantPlain, gotPlain) + cmp.Diff(want.Outputs, got.Outputs), nil
}

// TestModuleMakesWhatTheTemplateMakes: whoever takes Terraform gets the same queue, rules, roles and policies, to the last condition.
func TestModuleMakesWhatTheTemplateMakes(t *testing.T) {
	for where, place := range places {
		for name, tc := range variants {
			t.Run(where+", "+name, func(t *testing.T) {
				diff, err := difference(os.DirFS(directory), place, tc.parameters, tc.variables)
				if err != nil {
					t.Fatal(err)
				}
				if diff != "" {
					t.Errorf("deploy/cloudformation - deploy/terraform +:\n%s", diff)
				}
			})
		}
	}
}

// TestComparison_catches plants mistakes in the module that must be found, in one of the variants.
func TestComparison_catches(t *testing.T) {
	for name, plant := range map[string]struct{ file, old, new string }{
		"an action more":                    {"policies/machines.json.tftpl", `"Action": "ec2:TerminateInstances"`, `"Action": ["ec2:TerminateInstances", "ec2:StopInstances"]`},
		"an action less":                    {"policies/reading.json.tftpl", `"ec2:DescribeImages",`, ""},
		"a wider resource":                  {"policies/profiles.json.tftpl", `"Resource": "${node_role}"`, `"Resource": "*"`},
		"a condition less":                  {"policies/machines.json.tftpl", `"StringLike": {"aws:ResourceTag/slipway.sh/claim-uid": "?*"}`, `"StringLike": {}`},
		"a looser condition":                {"policies/profiles.json.tftpl", `"StringEquals": {"iam:PassedToService"`, `"StringLike": {"iam:PassedToService"`},
		"a statement of another effect":     {"policies/notices.json.tftpl", `"Effect": "Allow"`, `"Effect": "Deny"`},
		"another cluster's queue":           {"policies/preflight.json.tftpl", `"Resource": "${queue}"`, `"Resource": "arn:${partition}:sqs:${region}:${account}:slipway"`},
		"a policy that is not attached":     {"controller.tf", "resource \"aws_iam_role_policy_attachment\" \"controller\" {\n  for_each   = local.policies", "resource \"aws_iam_role_policy_attachment\" \"controller\" {\n  for_each   = { for k, v in local.policies : k => v if k != \"Notices\" }"},
		"anybody may be the controller":     {"controller.tf", `"system:serviceaccount:${var.namespace}:${var.service_account}"`, `"system:serviceaccount:${var.namespace}:*"`},
		"another cluster's pods":            {"controller.tf", `"aws:RequestTag/eks-cluster-name"           = var.cluster_name`, ""},
		"an event less":                     {"queue.tf", `"stopping", "stopped", `, `"stopping", `},
		"a rule without a target":           {"queue.tf", "resource \"aws_cloudwatch_event_target\" \"interruption\" {\n  for_each  = local.events", "resource \"aws_cloudwatch_event_target\" \"interruption\" {\n  for_each  = toset([\"Health\"])"},
		"messages that stay":                {"queue.tf", "message_retention_seconds = 300", "message_retention_seconds = 345600"},
		"plain transport":                   {"queue.tf", `Effect    = "Deny"`, `Effect    = "Allow"`},
		"users send":                        {"queue.tf", `"aws:PrincipalIsAWSService" = "false"`, `"aws:PrincipalIsAWSService" = "true"`},
		"a key for more than volumes":       {"policies/volumekeys.json.tftpl", `"kms:DescribeKey", `, `"kms:DescribeKey", "kms:Encrypt", `},
		"a grant to anybody":                {"policies/volumekeys.json.tftpl", `"Bool": {"kms:GrantIsForAWSResource": "true"}`, `"Bool": {}`},
		"keys without EC2":                  {"policies/volumekeys.json.tftpl", `"kms:ViaService": [`, `"aws:RequestedRegion": [`},
		"keys that nobody asked for":        {"controller.tf", `length(var.volume_key_arns) > 0`, `true`},
		"parameters beside the prefix":      {"policies/imageparameters.json.tftpl", `${image_prefix}/*`, `${image_prefix}*`},
		"anybody sends":                     {"queue.tf", `StringEquals = { "aws:SourceAccount" = local.account }`, ""},
		"a node policy more":                {"node.tf", `"AmazonSSMManagedInstanceCore",`, `"AmazonSSMManagedInstanceCore", "AdministratorAccess",`},
		"another default":                   {"variables.tf", `default     = "slipway-system"`, `default     = "kube-system"`},
		"an entry of another type":          {"node.tf", `type          = "EC2_LINUX"`, `type          = "STANDARD"`},
		"an argument that is misspelt":      {"queue.tf", "sqs_managed_sse_enabled ", "sqs_managed_sse "},
		"a reference to nothing":            {"controller.tf", "= aws_iam_role.controller.arn", "= aws_iam_role.controler.arn"},
		"an attribute that is not there":    {"controller.tf", "= aws_iam_role.controller.arn", "= aws_iam_role.controller.arns"},
		"a local that refers to itself":     {"queue.tf", "= data.aws_region.current.id", "= local.region"},
		"a function that is not there":      {"controller.tf", "${lower(each.key)}", "${title(each.key)}"},
		"a file that is not there":          {"controller.tf", ".json.tftpl", ".json"},
		"an output less":                    {"outputs.tf", `output "node_role_name"`, `output "node_role"`},
		"a resource that the other has not": {"node.tf", `resource "aws_eks_access_entry" "node"`, "resource \"aws_sqs_queue\" \"other\" {\n  name = \"x\"\n}\n\nresource \"aws_eks_access_entry\" \"node\""},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := planted(plant.file, plant.old, plant.new)
			if err != nil {
				t.Fatal(err)
			}
			for _, tc := range variants {
				if diff, err := difference(files, stack.Fake(), tc.parameters, tc.variables); err != nil || diff != "" {
					return
				}
			}
			t.Error("it was not found")
		})
	}
}

// planted answers the module with a change in one file.
func planted(file, old, changed string) (fs.FS, error) {
	files := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS(directory), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(directory + "/" + path)
		if err == nil && path == file {
			if !strings.Contains(string(text), old) {
				return fs.ErrNotExist
			}
			text = []byte(strings.ReplaceAll(string(text), old, changed))
		}
		files[path] = &fstest.MapFile{Data: text}
		return err
	})
	return files, err
}

func TestVariablesAreChecked(t *testing.T) {
	module, err := Load(os.DirFS(directory))
	if err != nil {
		t.Fatal(err)
	}
	text := cty.StringVal
	for name, variables := range map[string]map[string]cty.Value{
		"no cluster":            {},
		"a cluster with a dot":  {"cluster_name": text("a.b")},
		"IRSA without provider": {"cluster_name": text("a"), "controller_identity": text("IRSA")},
		"a provider's URL":      {"cluster_name": text("a"), "controller_identity": text("IRSA"), "oidc_provider": text("https://" + provider)},
		"another identity":      {"cluster_name": text("a"), "controller_identity": text("Keys")},
		"a role's name":         {"cluster_name": text("a"), "node_role_arn": text("nodes")},
		"an unknown variable":   {"cluster_name": text("a"), "cluster": text("b")},
		"a long queue":          {"cluster_name": text("a"), "queue_name": text(strings.Repeat("q", 81))},
		"a long role":           {"cluster_name": text("a"), "controller_role_name": text(strings.Repeat("r", 65))},
		"a key's alias":         {"cluster_name": text("a"), "volume_key_arns": cty.ListVal([]cty.Value{text(stack.VolumeKey), text("arn:aws:kms:us-east-1:123456789012:alias/nodes")})},
		"a key that is no list": {"cluster_name": text("a"), "volume_key_arns": text(stack.VolumeKey)},
		"a prefix without /":    {"cluster_name": text("a"), "image_parameter_prefix": text("team")},
		"every parameter":       {"cluster_name": text("a"), "image_parameter_prefix": text("/")},
		"a long prefix":         {"cluster_name": text("a"), "image_parameter_prefix": text("/" + strings.Repeat("p", 1000))},
		"a text for a truth":    {"cluster_name": text("a"), "create_access_entry": text("no")},
	} {
		if _, err := module.Plan(stack.Fake(), variables); err == nil {
			t.Errorf("%s: it was planned", name)
		}
	}
	if _, err := module.Plan(stack.Fake(), map[string]cty.Value{"cluster_name": text("a")}); err != nil {
		t.Error(err)
	}
}
