package stack

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
)

// properties are the names that each type of resource has, of those that the template uses: CloudFormation's resource reference, 2026.
var properties = map[string][]string{ // read only
	"AWS::SQS::Queue":                  {"QueueName", "MessageRetentionPeriod", "SqsManagedSseEnabled"},
	"AWS::SQS::QueuePolicy":            {"Queues", "PolicyDocument"},
	"AWS::Events::Rule":                {"Description", "EventPattern", "Targets"},
	"AWS::IAM::Role":                   {"RoleName", "Description", "AssumeRolePolicyDocument", "ManagedPolicyArns"},
	"AWS::IAM::ManagedPolicy":          {"ManagedPolicyName", "Description", "PolicyDocument"},
	"AWS::EKS::AccessEntry":            {"ClusterName", "PrincipalArn", "Type"},
	"AWS::EKS::PodIdentityAssociation": {"ClusterName", "Namespace", "ServiceAccount", "RoleArn"},
}

const provider = "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E"

func made(t *testing.T, parameters map[string]string) *Stack {
	t.Helper()
	template, err := Slipway()
	if err != nil {
		t.Fatal(err)
	}
	s, err := template.Make(Fake(), parameters)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVariants(t *testing.T) {
	always := []string{"ControllerRole", "HealthRule", "InterruptionQueue", "InterruptionQueuePolicy", "MachinesPolicy", "NoticesPolicy",
		"PreflightPolicy", "ProfilesPolicy", "ReadingPolicy", "RebalanceRule", "SpotInterruptionRule", "StateChangeRule"}
	for name, tc := range map[string]struct {
		parameters map[string]string
		more       []string
		outputs    map[string]string
	}{
		"only the cluster's name": {
			map[string]string{"ClusterName": "prod"}, []string{"ControllerAssociation", "NodeAccessEntry", "NodeRole"},
			map[string]string{"InterruptionQueueName": "slipway-prod", "NodeRoleName": "SlipwayNodeRole-prod",
				"ControllerRoleArn": "arn:aws:iam::123456789012:role/SlipwayController-prod"},
		},
		"IRSA": {
			map[string]string{"ClusterName": "prod", "ControllerIdentity": "IRSA", "OIDCProvider": provider}, []string{"NodeAccessEntry", "NodeRole"},
			map[string]string{"InterruptionQueueName": "slipway-prod", "NodeRoleName": "SlipwayNodeRole-prod",
				"ControllerRoleArn": "arn:aws:iam::123456789012:role/SlipwayController-prod"},
		},
		"a node role that stands, and own names": {
			map[string]string{"ClusterName": "prod", "NodeRoleArn": "arn:aws:iam::123456789012:role/team/nodes", "CreateAccessEntry": "false",
				"QueueName": "q", "ControllerRoleName": "c"}, []string{"ControllerAssociation"},
			map[string]string{"InterruptionQueueName": "q", "ControllerRoleArn": "arn:aws:iam::123456789012:role/c"},
		},
		"own keys and images": {
			map[string]string{"ClusterName": "prod", "ImageParameterPrefix": ImagePrefix, "VolumeKeyArns": VolumeKey + ", " + VolumeKey},
			[]string{"ControllerAssociation", "ImageParametersPolicy", "NodeAccessEntry", "NodeRole", "VolumeKeysPolicy"},
			map[string]string{"InterruptionQueueName": "slipway-prod", "NodeRoleName": "SlipwayNodeRole-prod",
				"ControllerRoleArn": "arn:aws:iam::123456789012:role/SlipwayController-prod"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := made(t, tc.parameters)
			want := slices.Sorted(slices.Values(slices.Concat(always, tc.more)))
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(s.Resources))); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.outputs, s.Outputs); diff != "" {
				t.Errorf("outputs (-want +got):\n%s", diff)
			}
			for _, problem := range strangers(s) {
				t.Error(problem)
			}
		})
	}
}

// strangers answers the types and properties that CloudFormation does not know.
func strangers(s *Stack) []string {
	var found []string
	for name, r := range s.Resources {
		for property := range r.Properties {
			if !slices.Contains(properties[r.Type], property) {
				found = append(found, fmt.Sprintf("%s: a %s has no property %s", name, r.Type, property))
			}
		}
	}
	return found
}

func TestParametersAreChecked(t *testing.T) {
	template, err := Slipway()
	if err != nil {
		t.Fatal(err)
	}
	for name, parameters := range map[string]map[string]string{
		"no cluster":            {},
		"a cluster with a dot":  {"ClusterName": "a.b"},
		"IRSA without provider": {"ClusterName": "a", "ControllerIdentity": "IRSA"},
		"a provider's URL":      {"ClusterName": "a", "ControllerIdentity": "IRSA", "OIDCProvider": "https://" + provider},
		"another identity":      {"ClusterName": "a", "ControllerIdentity": "Keys"},
		"a role's name":         {"ClusterName": "a", "NodeRoleArn": "nodes"},
		"an unknown parameter":  {"ClusterName": "a", "Cluster": "b"},
		"a long queue":          {"ClusterName": "a", "QueueName": strings.Repeat("q", 81)},
		"a key's alias":         {"ClusterName": "a", "VolumeKeyArns": VolumeKey + ",arn:aws:kms:us-east-1:123456789012:alias/nodes"},
		"every key":             {"ClusterName": "a", "VolumeKeyArns": "arn:aws:kms:us-east-1:123456789012:key/*"},
		"a prefix without /":    {"ClusterName": "a", "ImageParameterPrefix": "team"},
		"every parameter":       {"ClusterName": "a", "ImageParameterPrefix": "/"},
		"a prefix with *":       {"ClusterName": "a", "ImageParameterPrefix": "/*"},
	} {
		if _, err := template.Make(Fake(), parameters); err == nil {
			t.Errorf("%s: a stack was made", name)
		}
	}
}

// TestNamesFit: AWS' limits of names hold for the longest cluster names that the parameters' descriptions promise.
func TestNamesFit(t *testing.T) {
	s := made(t, map[string]string{"ClusterName": strings.Repeat("c", 46)})
	for name, r := range s.Resources {
		for property, most := range map[string]int{"RoleName": 64, "ManagedPolicyName": 128, "QueueName": 80} {
			if text, _ := r.Properties[property].(string); len(text) > most {
				t.Errorf("%s: %s has %d characters; AWS takes %d", name, property, len(text), most)
			}
		}
	}
	long := made(t, map[string]string{"ClusterName": strings.Repeat("c", 100), "QueueName": "q", "ControllerRoleName": "c",
		"NodeRoleArn": "arn:aws:iam::123456789012:role/nodes", "ImageParameterPrefix": ImagePrefix, "VolumeKeyArns": strings.Repeat(","+VolumeKey, 20)[1:]})
	policies, err := long.Policies()
	if err != nil {
		t.Fatal(err)
	}
	for name, document := range policies {
		// IAM counts neither space nor line end
		if n := len(regexp.MustCompile(`\s`).ReplaceAll(document, nil)); n > 6144 {
			t.Errorf("%s has %d characters; IAM takes 6144", name, n)
		}
		if _, err := policy.Parse(document); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if role := long.Resources["ControllerRole"].Properties["ManagedPolicyArns"].([]any); len(role) != len(policies) {
		t.Errorf("the controller has %d of %d policies", len(role), len(policies))
	}
}

func TestQueue(t *testing.T) {
	s := made(t, map[string]string{"ClusterName": "prod"})
	const queue = "arn:aws:sqs:us-east-1:123456789012:slipway-prod"
	want := map[string]any{"QueueName": "slipway-prod", "MessageRetentionPeriod": 300, "SqsManagedSseEnabled": true}
	if diff := cmp.Diff(want, s.Resources["InterruptionQueue"].Properties); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
	patterns, arns := map[string]any{}, []any{}
	for _, name := range []string{"SpotInterruptionRule", "RebalanceRule", "StateChangeRule", "HealthRule"} {
		rule := s.Resources[name].Properties
		pattern := rule["EventPattern"].(map[string]any)
		patterns[pattern["detail-type"].([]any)[0].(string)] = []any{pattern["source"], pattern["detail"]}
		arns = append(arns, "arn:aws:events:us-east-1:123456789012:rule/"+name)
		if diff := cmp.Diff([]any{map[string]any{"Id": "InterruptionQueue", "Arn": queue}}, rule["Targets"]); diff != "" {
			t.Errorf("%s: targets (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(map[string]any{
		"EC2 Spot Instance Interruption Warning": []any{[]any{"aws.ec2"}, nil},
		"EC2 Instance Rebalance Recommendation":  []any{[]any{"aws.ec2"}, nil},
		"EC2 Instance State-change Notification": []any{[]any{"aws.ec2"},
			map[string]any{"state": []any{"stopping", "stopped", "shutting-down", "terminated"}}},
		"AWS Health Event": []any{[]any{"aws.health"},
			map[string]any{"service": []any{"EC2"}, "eventTypeCategory": []any{"scheduledChange"}}},
	}, patterns); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"Version": "2012-10-17", "Statement": []any{
		map[string]any{"Sid": "OnlyTheRulesBelowSend", "Effect": "Allow", "Principal": map[string]any{"Service": "events.amazonaws.com"},
			"Action": "sqs:SendMessage", "Resource": queue, "Condition": map[string]any{
				"ArnEquals":    map[string]any{"aws:SourceArn": arns},
				"StringEquals": map[string]any{"aws:SourceAccount": "123456789012"}}},
		map[string]any{"Sid": "NobodyElseOfTheAccountSends", "Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue,
			"Condition": map[string]any{"Bool": map[string]any{"aws:PrincipalIsAWSService": "false"}}},
		map[string]any{"Sid": "OnlyEncryptedTransport", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": queue,
			"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}}},
	}}, s.Resources["InterruptionQueuePolicy"].Properties["PolicyDocument"]); diff != "" {
		t.Errorf("the queue's policy (-want +got):\n%s", diff)
	}
}

// TestWhoMayBeTheController: nobody but the controller's service account in this cluster gets its role.
func TestWhoMayBeTheController(t *testing.T) {
	for identity, want := range map[string]string{
		"PodIdentity": `{"Statement":[{"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEquals":{"aws:RequestTag/eks-cluster-name":"prod",` +
			`"aws:RequestTag/kubernetes-namespace":"gpu","aws:RequestTag/kubernetes-service-account":"s","aws:SourceAccount":"123456789012"}},` +
			`"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Sid":"TheControllerByPodIdentity"}],"Version":"2012-10-17"}`,
		"IRSA": `{"Version":"2012-10-17","Statement":[{"Sid":"TheControllerByItsServiceAccount","Effect":"Allow",` +
			`"Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/` + provider + `"},"Action":"sts:AssumeRoleWithWebIdentity",` +
			`"Condition":{"StringEquals":{"` + provider + `:aud":"sts.amazonaws.com","` + provider + `:sub":"system:serviceaccount:gpu:s"}}}]}`,
	} {
		s := made(t, map[string]string{"ClusterName": "prod", "Namespace": "gpu", "ServiceAccount": "s", "ControllerIdentity": identity, "OIDCProvider": provider})
		got, err := s.Resources["ControllerRole"].Document("AssumeRolePolicyDocument")
		if err != nil {
			t.Fatal(err)
		}
		tight := regexp.MustCompile(`\s`).ReplaceAllString(string(got), "")
		if diff := cmp.Diff(want, tight); diff != "" {
			t.Errorf("%s (-want +got):\n%s", identity, diff)
		}
	}
}

// TestTemplate_catches plants mistakes in the template that must be found.
func TestTemplate_catches(t *testing.T) {
	text, err := os.ReadFile("../../deploy/cloudformation/slipway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string][2]string{
		"a reference to nothing":       {"!GetAtt ControllerRole.Arn", "!GetAtt ControlerRole.Arn"},
		"a substitution of nothing":    {"instance-profile/slipway-${ClusterName}-", "instance-profile/slipway-${Cluster}-"},
		"what a condition leaves out":  {"!If [MakesNodeRole, !GetAtt NodeRole.Arn, !Ref NodeRoleArn]", "!GetAtt NodeRole.Arn"},
		"an unknown condition":         {"Condition: UsesPodIdentity", "Condition: UsesPods"},
		"an unknown function":          {"!GetAtt ControllerRole.Arn", "!ImportValue ControllerRole"},
		"a key of no section":          {"\nOutputs:", "\nOutput:"},
		"a policy that is not JSON":    {`"Sid": "ReceiveNotices",`, `"Sid": "ReceiveNotices"`},
		"a property that is misspelt":  {"MessageRetentionPeriod:", "MessageRetention:"},
		"a type that is not there":     {"AWS::EKS::PodIdentityAssociation", "AWS::EKS::PodIdentity"},
		"a parameter of another type":  {"  Namespace:\n    Type: String", "  Namespace:\n    Type: Number"},
		"an attribute that it has not": {"InterruptionQueue.QueueName", "InterruptionQueue.Name"},
	} {
		t.Run(name, func(t *testing.T) {
			planted := strings.ReplaceAll(string(text), plant[0], plant[1])
			if planted == string(text) {
				t.Fatal("there is nothing to plant it in")
			}
			if err := examined(planted); err == nil {
				t.Error("it was not found")
			}
		})
	}
}

func examined(text string) error {
	template, err := Parse([]byte(text))
	if err != nil {
		return err
	}
	s, err := template.Make(Fake(), map[string]string{"ClusterName": "prod", "NodeRoleArn": "arn:aws:iam::123456789012:role/nodes"})
	if err != nil {
		return err
	}
	if found := strangers(s); len(found) > 0 {
		return fmt.Errorf("%q", found)
	}
	_, err = s.Policies()
	return err
}
