package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
)

// right is something that the controller of cluster demo in us-east-1 must be able to do, and what of it binds it to that cluster.
type right struct {
	action, resource string
	// binds are the condition keys without which, or with another value than this one, it must be refused. ?* is any value but none.
	binds map[string]string
	// others are resources on which it must be refused all the same.
	others []string
}

func ec2(resource string) string { return "arn:aws:ec2:us-east-1:123456789012:" + resource }

func iam(resource string) string { return "arn:aws:iam::123456789012:" + resource }

// cluster answers the tags that say whose something is, as condition keys, and more tags that must be there.
func cluster(kind string, more ...string) map[string]string {
	keys := map[string]string{"aws:" + kind + "/kubernetes.io/cluster/demo": "owned", "aws:" + kind + "/eks:eks-cluster-name": "demo"}
	for _, tag := range more {
		keys["aws:"+kind+"/"+tag] = "?*"
	}
	return keys
}

func with(keys map[string]string, key, value string) map[string]string {
	keys[key] = value
	return keys
}

// taggedProfile is what the tags of an instance profile must be, those that it has and those that it gets: IAM takes the tags that one is made with
// for both.
func taggedProfile() map[string]string {
	keys := map[string]string{}
	for _, kind := range []string{"RequestTag", "ResourceTag"} {
		maps.Copy(keys, with(cluster(kind, nodeClass), "aws:"+kind+regionTag, "us-east-1"))
	}
	return keys
}

const (
	provisioner = "slipway.sh/provisioner"
	claimUID    = "slipway.sh/claim-uid"
	nodeClass   = "slipway.sh/nodeclass"
	profile     = "instance-profile/slipway-demo-0123456789abcdef"
	regionTag   = "/topology.kubernetes.io/region"
)

// elsewhere are the same resource in another region and another account.
func elsewhere(resource string) []string {
	return []string{strings.Replace(resource, "us-east-1", "eu-west-1", 1), strings.Replace(resource, "123456789012", "210987654321", 1)}
}

func otherKeys() []string {
	return append(elsewhere(VolumeKey), "arn:aws:kms:us-east-1:123456789012:key/ffffffff-1111-2222-3333-444455556666")
}

// rights is every right with conditions or names, as Karpenter has them or tighter: its CloudFormation reference (getting started, 2026) asks for the
// cluster's tag and the name of a pool to launch, and for the same to terminate and delete; Slipway asks besides for eks:eks-cluster-name and the
// claim's UID, and lets tags be made only while something is created.
func rights() []right {
	var all []right
	launch := func(resource string, binds map[string]string) {
		for _, action := range []string{"ec2:CreateFleet", "ec2:RunInstances"} {
			all = append(all, right{action, ec2(resource), binds, elsewhere(ec2(resource))})
		}
	}
	for _, kind := range []string{"fleet/*", "instance/*", "volume/*"} {
		launch(kind, cluster("RequestTag", provisioner, claimUID))
	}
	launch("network-interface/*", cluster("RequestTag", nodeClass))
	launch("launch-template/lt-1", cluster("ResourceTag", nodeClass))
	for kind, by := range map[string]string{"fleet": "CreateFleet", "instance": "RunInstances", "launch-template": "CreateLaunchTemplate",
		"network-interface": "RunInstances", "volume": "RunInstances"} {
		all = append(all, right{"ec2:CreateTags", ec2(kind + "/*"), with(cluster("RequestTag", nodeClass), "ec2:CreateAction", by),
			append(elsewhere(ec2(kind+"/*")), ec2("subnet/subnet-1"), ec2("security-group/sg-1"), "arn:aws:ec2:us-east-1::image/ami-1")})
	}
	for _, action := range []string{"iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"} {
		all = append(all, right{action, iam(profile), with(cluster("ResourceTag", nodeClass), "aws:ResourceTag"+regionTag, "us-east-1"),
			[]string{iam("instance-profile/slipway-prod-0123456789abcdef"), iam("instance-profile/admins")}})
	}
	for _, action := range []string{"Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"} {
		all = append(all, right{"kms:" + action, VolumeKey, map[string]string{"kms:ViaService": "ec2.us-east-1.amazonaws.com"}, otherKeys()})
	}
	return append(all,
		right{"ec2:CreateLaunchTemplate", ec2("launch-template/*"), cluster("RequestTag", nodeClass), elsewhere(ec2("launch-template/*"))},
		right{"ec2:TerminateInstances", ec2("instance/i-1"), cluster("ResourceTag", claimUID), elsewhere(ec2("instance/i-1"))},
		right{"ec2:DeleteLaunchTemplate", ec2("launch-template/lt-1"), cluster("ResourceTag", nodeClass), elsewhere(ec2("launch-template/lt-1"))},
		right{"ec2:DescribeInstances", "*", map[string]string{"aws:RequestedRegion": "us-east-1"}, nil},
		right{"ec2:RunInstances", ec2("subnet/subnet-1"), nil, []string{strings.Replace(ec2("subnet/subnet-1"), "us-east-1", "eu-west-1", 1)}},
		right{"ec2:RunInstances", "arn:aws:ec2:us-east-1::image/ami-1", nil, []string{"arn:aws:ec2:eu-west-1::image/ami-1", ec2("key-pair/root")}},
		right{"ec2:RunInstances", "arn:aws:ec2:us-east-1::snapshot/snap-1", nil, []string{"arn:aws:ec2:eu-west-1::snapshot/snap-1"}},
		right{"ec2:RunInstances", ec2("security-group/sg-1"), nil, []string{ec2("placement-group/pg-1"), strings.Replace(ec2("security-group/sg-1"), "us-east-1", "eu-west-1", 1)}},
		right{"iam:PassRole", iam("role/SlipwayNodeRole-demo"), map[string]string{"iam:PassedToService": "ec2.amazonaws.com"},
			[]string{iam("role/SlipwayNodeRole-prod"), iam("role/SlipwayController-demo"), iam("role/admin")}},
		right{"iam:CreateInstanceProfile", iam(profile), with(cluster("RequestTag", nodeClass), "aws:RequestTag"+regionTag, "us-east-1"),
			[]string{iam("instance-profile/slipway-prod-0123456789abcdef"), iam("instance-profile/admins"), iam("instance-profile/slipway-demo-2-0123456789abcdef")}},
		right{"iam:TagInstanceProfile", iam(profile), taggedProfile(),
			[]string{iam("instance-profile/slipway-prod-0123456789abcdef"), iam("instance-profile/admins")}},
		right{"iam:GetInstanceProfile", iam(profile), nil, []string{iam("instance-profile/slipway-prod-0123456789abcdef"), iam("instance-profile/admins")}},
		right{"iam:GetRole", iam("role/SlipwayNodeRole-demo"), nil, []string{iam("role/admin"), iam("role/SlipwayNodeRole-prod")}},
		right{"iam:GetRole", iam("role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"), nil, []string{iam("role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS")}},
		right{"eks:DescribeCluster", "arn:aws:eks:us-east-1:123456789012:cluster/demo", nil, []string{"arn:aws:eks:us-east-1:123456789012:cluster/prod"}},
		right{"ssm:GetParameters", "arn:aws:ssm:us-east-1::parameter/aws/service/eks/optimized-ami/1.37/x", nil,
			[]string{"arn:aws:ssm:us-east-1:123456789012:parameter/team/secret", "arn:aws:ssm:eu-west-1::parameter/aws/service/x"}},
		right{"ssm:GetParameters", "arn:aws:ssm:us-east-1:123456789012:parameter/team/images/gpu", nil,
			append(elsewhere("arn:aws:ssm:us-east-1:123456789012:parameter/team/images/gpu"), "arn:aws:ssm:us-east-1:123456789012:parameter/team/images-secret")},
		right{"kms:CreateGrant", VolumeKey, map[string]string{"kms:ViaService": "ec2.us-east-1.amazonaws.com", "kms:GrantIsForAWSResource": "true"}, otherKeys()},
		right{"sqs:ReceiveMessage", "arn:aws:sqs:us-east-1:123456789012:queue", nil, []string{"arn:aws:sqs:us-east-1:123456789012:other"}},
		right{"sqs:GetQueueAttributes", "arn:aws:sqs:us-east-1:123456789012:queue", nil, []string{"arn:aws:sqs:us-east-1:123456789012:other"}},
		right{"events:DescribeRule", "arn:aws:events:us-east-1:123456789012:rule/x", nil, elsewhere("arn:aws:events:us-east-1:123456789012:rule/x")},
		right{"servicequotas:GetServiceQuota", "*", map[string]string{"aws:RequestedRegion": "us-east-1"}, nil},
		right{"events:ListRuleNamesByTarget", "*", map[string]string{"aws:RequestedRegion": "us-east-1"}, nil},
	)
}

// request is the right used as it should be, but for one condition key: absent where value is nil.
func (r right) request(resource, changed string, value *string) policy.Request {
	context := map[string][]string{}
	for key, bound := range r.binds {
		context[key] = []string{strings.Replace(bound, "?*", "some", 1)}
	}
	if changed != "" {
		delete(context, changed)
		if value != nil {
			context[changed] = []string{*value}
		}
	}
	return policy.Request{Action: r.action, Resource: resource, Context: context}
}

// breaches answers the rights that are refused, and the attempts that are not.
func breaches(set *policy.Set) (found []string) {
	empty, foreign := "", "foreign"
	for _, r := range rights() {
		if err := set.Check(r.request(r.resource, "", nil)); err != nil {
			found = append(found, err.Error())
		}
		for _, other := range r.others {
			if set.Check(r.request(other, "", nil)) == nil {
				found = append(found, fmt.Sprintf("%s is allowed on %s", r.action, other))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(r.binds)) {
			wrong := &foreign
			if r.binds[key] == "?*" {
				wrong = &empty
			}
			for how, value := range map[string]*string{"without": nil, "with another": wrong} {
				if set.Check(r.request(r.resource, key, value)) == nil {
					found = append(found, fmt.Sprintf("%s is allowed on %s %s %s", r.action, r.resource, how, key))
				}
			}
		}
	}
	return found
}

// TestNothingForeignIsAllowed: whatever the controller may do, it may do to what is its cluster's, and to nothing else.
func TestNothingForeignIsAllowed(t *testing.T) {
	document, err := WidestPolicies("demo", "queue")
	if err != nil {
		t.Fatal(err)
	}
	set, err := policy.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range breaches(set) {
		t.Error(problem)
	}
}

// TestEveryConditionCounts_catches takes away each condition of each statement, widens each resource, and takes away each statement: each must be
// noticed.
func TestEveryConditionCounts_catches(t *testing.T) {
	document, err := WidestPolicies("demo", "queue")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, m := range mutations(t, document) {
		set, err := policy.Parse(m.document)
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		tried++
		if len(breaches(set)) == 0 {
			t.Errorf("%s: nobody notices", m.name)
		}
	}
	if tried < 60 {
		t.Errorf("only %d changes were tried", tried)
	}
}

type mutation struct {
	name     string
	document []byte
}

// unnoticed are changes that allow nothing more or that no attempt can tell, and why.
var unnoticed = map[string]string{
	"ReadPrices, no statement":                  "pricing:GetProducts has no conditions, and reads public prices",
	"OnlyTheRulesBelowSend, any resource":       "a queue's policy is about that queue only",
	"NobodyElseOfTheAccountSends, any resource": "as above",
	"OnlyEncryptedTransport, any resource":      "as above",
}

func mutations(t *testing.T, document []byte) (all []mutation) {
	t.Helper()
	read := func() (policies []map[string]any) {
		if err := json.Unmarshal(document, &policies); err != nil {
			t.Fatal(err)
		}
		return policies
	}
	try := func(i, j int, name string, change func(policies []map[string]any, statement map[string]any)) {
		policies := read()
		statement := policies[i]["Statement"].([]any)[j].(map[string]any)
		change(policies, statement)
		text, err := json.Marshal(policies)
		if err != nil {
			t.Fatal(err)
		}
		if name = statement["Sid"].(string) + ", " + name; unnoticed[name] == "" {
			all = append(all, mutation{name, text})
		}
	}
	for i, p := range read() {
		for j, s := range p["Statement"].([]any) {
			statement := s.(map[string]any)
			try(i, j, "no statement", func(policies []map[string]any, _ map[string]any) {
				list := policies[i]["Statement"].([]any)
				policies[i]["Statement"] = slices.Delete(slices.Clone(list), j, j+1)
			})
			if statement["Resource"] != "*" {
				try(i, j, "any resource", func(_ []map[string]any, s map[string]any) { s["Resource"] = "*" })
			}
			conditions, _ := statement["Condition"].(map[string]any)
			for operator, keys := range conditions {
				for key := range keys.(map[string]any) {
					try(i, j, "no condition on "+key, func(_ []map[string]any, s map[string]any) {
						delete(s["Condition"].(map[string]any)[operator].(map[string]any), key)
					})
				}
			}
		}
	}
	return all
}
