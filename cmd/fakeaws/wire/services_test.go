package wire_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
)

func TestSQS(t *testing.T) {
	f := open(t, nil)
	client := sqs.NewFromConfig(f.sdk)
	_, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("other")})
	if missing := (*sqstypes.QueueDoesNotExist)(nil); !errors.As(err, &missing) {
		t.Errorf("got %v; want QueueDoesNotExist", err)
	}
	queue, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("demo")})
	if err != nil {
		t.Fatal(err)
	}
	receive := func(wait, visibility int32) []sqstypes.Message {
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10,
			WaitTimeSeconds: wait, VisibilityTimeout: visibility})
		if err != nil {
			t.Fatal(err)
		}
		return out.Messages
	}
	if got := receive(0, 1); len(got) != 0 {
		t.Errorf("an empty queue answers %+v", got)
	}
	inject(t, f, "at 100ms send late")
	begun := time.Now()
	if got := receive(20, 1); len(got) != 1 || aws.ToString(got[0].Body) != "late" || time.Since(begun) > 10*time.Second {
		t.Errorf("a long poll answers %+v after %s", got, time.Since(begun))
	}
	again := receive(5, 30)
	if len(again) != 1 {
		t.Fatalf("unacknowledged, it comes again as %+v", again)
	}
	if _, err := client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: queue.QueueUrl, ReceiptHandle: again[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	inject(t, f, "duplicate 1 notices")
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: aws.String("{garbage")}); err != nil {
		t.Fatal(err)
	}
	if got := receive(0, 30); len(got) != 2 || aws.ToString(got[1].Body) != "{garbage" {
		t.Errorf("a duplicated message is answered as %+v", got)
	}
}

func TestInterruptionArrives(t *testing.T) {
	f := open(t, nil)
	client := ec2.NewFromConfig(f.sdk)
	makeTemplate(t, client, "slipway-a")
	id := mustFleet(t, client, fleet("a", "slipway-a", "g5.xlarge"))
	response, err := http.Post(f.url+"/_fake/interrupt?instance="+id, "", nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("interrupting: %v, %v", response, err)
	}
	response.Body.Close()
	queue := aws.String("http://anything/123456789012/demo")
	out, err := sqs.NewFromConfig(f.sdk).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 1})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("received %+v, %v", out, err)
	}
	var event struct {
		Source     string            `json:"source"`
		DetailType string            `json:"detail-type"`
		Time       time.Time         `json:"time"`
		Detail     map[string]string `json:"detail"`
	}
	if err := json.Unmarshal([]byte(aws.ToString(out.Messages[0].Body)), &event); err != nil {
		t.Fatal(err)
	}
	if event.Source != "aws.ec2" || event.DetailType != "EC2 Spot Instance Interruption Warning" || event.Detail["instance-id"] != id || event.Time.IsZero() {
		t.Errorf("the event is %+v", event)
	}
	response, err = http.Post(f.url+"/_fake/interrupt?instance=i-0", "", nil)
	if err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("interrupting what is not there: %v, %v", response, err)
	}
	response.Body.Close()
}

func TestSSM(t *testing.T) {
	client := ssm.NewFromConfig(open(t, nil).sdk)
	const name = "/aws/service/eks/optimized-ami/1.37/amazon-linux-2023/x86_64/nvidia/recommended/image_id"
	one, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String(name)})
	if err != nil || !strings.HasPrefix(aws.ToString(one.Parameter.Value), "ami-") {
		t.Errorf("got %+v, %v", one, err)
	}
	_, err = client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/none")})
	if missing := (*ssmtypes.ParameterNotFound)(nil); !errors.As(err, &missing) {
		t.Errorf("got %v; want ParameterNotFound", err)
	}
	several, err := client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{name, "/none"}})
	if err != nil || len(several.Parameters) != 1 || len(several.InvalidParameters) != 1 {
		t.Errorf("got %+v, %v", several, err)
	}
}

func TestIAM(t *testing.T) {
	client := iam.NewFromConfig(open(t, nil).sdk)
	name := aws.String("slipway-demo")
	_, err := client.GetInstanceProfile(t.Context(), &iam.GetInstanceProfileInput{InstanceProfileName: name})
	if missing := (*iamtypes.NoSuchEntityException)(nil); !errors.As(err, &missing) {
		t.Errorf("got %v; want NoSuchEntity", err)
	}
	tags := []iamtypes.Tag{{Key: aws.String("a"), Value: aws.String("b")}}
	if _, err := client.CreateInstanceProfile(t.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: name, Tags: tags}); err != nil {
		t.Fatal(err)
	}
	_, err = client.CreateInstanceProfile(t.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: name})
	if exists := (*iamtypes.EntityAlreadyExistsException)(nil); !errors.As(err, &exists) {
		t.Errorf("got %v; want EntityAlreadyExists", err)
	}
	add := func(role string) error {
		_, err := client.AddRoleToInstanceProfile(t.Context(), &iam.AddRoleToInstanceProfileInput{InstanceProfileName: name, RoleName: aws.String(role)})
		return err
	}
	if missing := (*iamtypes.NoSuchEntityException)(nil); !errors.As(add("none"), &missing) {
		t.Error("a role that does not exist was added")
	}
	if err := add("SlipwayNodeRole-demo"); err != nil {
		t.Fatal(err)
	}
	if full := (*iamtypes.LimitExceededException)(nil); !errors.As(add("SlipwayNodeRole-demo"), &full) {
		t.Error("a second role was added")
	}
	if _, err := client.TagInstanceProfile(t.Context(), &iam.TagInstanceProfileInput{InstanceProfileName: name,
		Tags: []iamtypes.Tag{{Key: aws.String("c"), Value: aws.String("d")}}}); err != nil {
		t.Error(err)
	}
	got, err := client.GetInstanceProfile(t.Context(), &iam.GetInstanceProfileInput{InstanceProfileName: name})
	if err != nil || len(got.InstanceProfile.Roles) != 1 || aws.ToString(got.InstanceProfile.Roles[0].RoleName) != "SlipwayNodeRole-demo" ||
		len(got.InstanceProfile.Tags) != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSTSAndEKS(t *testing.T) {
	f := open(t, nil)
	who, err := sts.NewFromConfig(f.sdk).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || aws.ToString(who.Account) != "123456789012" {
		t.Errorf("identity: %+v, %v", who, err)
	}
	client := eks.NewFromConfig(f.sdk)
	got, err := client.DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: aws.String("demo")})
	if err != nil {
		t.Fatal(err)
	}
	ca, _ := base64.StdEncoding.DecodeString(aws.ToString(got.Cluster.CertificateAuthority.Data))
	if aws.ToString(got.Cluster.Version) != "1.37" || !strings.HasPrefix(string(ca), "-----BEGIN") || got.Cluster.Status != ekstypes.ClusterStatusActive ||
		aws.ToString(got.Cluster.KubernetesNetworkConfig.ServiceIpv4Cidr) != "10.100.0.0/16" {
		t.Errorf("cluster: %+v", got.Cluster)
	}
	_, err = client.DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: aws.String("other")})
	if missing := (*ekstypes.ResourceNotFoundException)(nil); !errors.As(err, &missing) {
		t.Errorf("got %v; want ResourceNotFoundException", err)
	}
}

func TestPricing(t *testing.T) {
	list := func(f fake) ([]string, error) {
		pages := pricing.NewGetProductsPaginator(pricing.NewFromConfig(f.sdk), &pricing.GetProductsInput{ServiceCode: aws.String("AmazonEC2"),
			MaxResults: aws.Int32(10), Filters: []pricingtypes.Filter{{Type: pricingtypes.FilterTypeTermMatch,
				Field: aws.String("regionCode"), Value: aws.String("us-east-1")}}})
		var all []string
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				return nil, err
			}
			all = append(all, page.PriceList...)
		}
		return all, nil
	}
	all, err := list(open(t, nil))
	if err != nil || len(all) < 20 || !strings.Contains(strings.Join(all, ""), `"USD":"0.5260000000"`) {
		t.Errorf("%d prices, %v; want that of g4dn.xlarge among them", len(all), err)
	}
	_, err = list(open(t, func(c *wire.Config) { c.Pricing = false }))
	wantCode(t, err, "UnknownOperationException")
}

func TestJournal(t *testing.T) {
	f := open(t, nil)
	client := ec2.NewFromConfig(f.sdk)
	makeTemplate(t, client, "slipway-a")
	id := mustFleet(t, client, fleet("a", "slipway-a", "g5.xlarge"))
	response, err := http.Get(f.url + "/_fake/journal")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got wire.Journal
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Calls["CreateFleet"] != 1 || got.Calls["CreateLaunchTemplate"] != 1 || len(got.Launches) != 1 || got.Launches[0].Token != "a" ||
		got.Launches[0].Tags["slipway.sh/claim"] != "gpu-a" || got.Launches[0].Result != id || got.Launches[0].At.IsZero() {
		t.Errorf("calls %v, launches %+v", got.Calls, got.Launches)
	}
	if len(got.Instances) != 1 || got.Instances[0].ID != id || got.Instances[0].Market != "spot" || got.Instances[0].MicroUSDPerH <= 0 {
		t.Errorf("instances %+v", got.Instances)
	}
}
