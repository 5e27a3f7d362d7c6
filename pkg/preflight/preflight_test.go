package preflight_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/slipway-sh/slipway/cmd/fakeaws/policy"
	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/aws"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
	"github.com/slipway-sh/slipway/pkg/preflight"
	"github.com/slipway-sh/slipway/test/stack"
)

// account is an AWS account and a cluster in which all is well, until a test changes something.
type account struct {
	sim   sim.Config
	wire  wire.Config
	aws   aws.Config
	class v1alpha1.EC2NodeClass
	kube  []client.Object
	funcs interceptor.Funcs
	lines []string // faults
	// kubernetes is the version of the API server
	kubernetes string
	// machine is launched first, with these tags
	machine map[string]string
}

func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-timer.C:
	}
	return nil
}

func well(t *testing.T) *account {
	facts := catalogue.Embedded()
	document, err := stack.ControllerPolicies("demo", "demo")
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := policy.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	queue, err := stack.QueuePolicy("demo", "demo")
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{sim.DiscoveryTag: "demo"}
	replicas := int32(2)
	return &account{
		sim: sim.Config{Now: time.Now, Wait: wait, ClusterName: "demo", Types: facts.Types, Offerings: facts.Offerings("us-east-1"), QuietStates: true},
		wire: wire.Config{Log: slog.New(slog.DiscardHandler), QueueName: "demo", Pricing: true, Policy: allowed, QueuePolicy: string(queue),
			Cluster: wire.Cluster{Endpoint: "https://127.0.0.1:6443", CA: []byte("-----BEGIN CERTIFICATE-----")}},
		aws: aws.Config{ClusterName: "demo", InterruptionQueue: "demo"},
		class: v1alpha1.EC2NodeClass{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: v1alpha1.EC2NodeClassSpec{
			AMISelectorTerms: []v1alpha1.AMISelectorTerm{{Alias: "al2023@latest"}}, Role: sim.NodeRole("demo"),
			SubnetSelectorTerms:        []v1alpha1.SubnetSelectorTerm{{Tags: tags}},
			SecurityGroupSelectorTerms: []v1alpha1.SecurityGroupSelectorTerm{{Tags: tags}},
		}},
		kubernetes: "v1.37.2-eks-1",
		kube: []client.Object{
			&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "nvdp", Namespace: "kube-system"}, Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: "nvcr.io/nvidia/k8s-device-plugin:v0.17.0"}}}}}},
			&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "slipway", Namespace: "slipway-system", Labels: map[string]string{"app.kubernetes.io/name": "slipway"}},
				Spec: appsv1.DeploymentSpec{Replicas: &replicas}, Status: appsv1.DeploymentStatus{ReadyReplicas: 2}},
		},
	}
}

// look answers each check's result by its name.
func (a *account) look(t *testing.T) map[string]preflight.Result {
	t.Helper()
	region, err := sim.New(a.sim)
	if err != nil {
		t.Fatal(err)
	}
	a.wire.Cloud = region
	handler, err := wire.New(a.wire)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "SECRET",
		"AWS_CONFIG_FILE": t.TempDir() + "/none", "AWS_SHARED_CREDENTIALS_FILE": t.TempDir() + "/none",
	} {
		t.Setenv(name, value)
	}
	for _, line := range a.lines {
		f, err := sim.ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		region.Inject(f)
	}
	if a.machine != nil {
		if _, err := region.CreateFleet(sim.FleetRequest{Token: "t", Count: 1, Tags: a.machine, Choices: []sim.FleetChoice{
			{Key: cloud.OfferingKey{InstanceType: "g4dn.12xlarge", Zone: "us-east-1b", Market: cloud.Spot}}}}); err != nil {
			t.Fatal(err)
		}
	}
	survey, err := aws.NewSurvey(t.Context(), a.aws)
	if err != nil {
		t.Fatal(err)
	}
	before := handler.Cloud.Journal().Counts
	results := map[string]preflight.Result{}
	config := preflight.Config{AWS: survey, Queue: a.aws.InterruptionQueue, Cluster: a.cluster(t), Version: a.version, Report: func(r preflight.Result) { results[r.Check] = r }}
	if err := preflight.Run(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	after := handler.Cloud.Journal().Counts
	for _, action := range []string{"CreateInstanceProfile", "AddRoleToInstanceProfile", "DeleteMessage"} {
		if after[action] != before[action] {
			t.Errorf("it called %s", action)
		}
	}
	return results
}

func (a *account) version() (*version.Info, error) {
	return &version.Info{GitVersion: a.kubernetes}, nil
}

func (a *account) cluster(t *testing.T) client.Reader {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(a.kube, &a.class)...).WithInterceptorFuncs(a.funcs).Build()
}

const (
	launchTemplate = "permission ec2:CreateLaunchTemplate for default"
	machine        = "permission ec2:RunInstances for default"
	fleet          = "permission ec2:CreateFleet for default"
	terminate      = "permission ec2:TerminateInstances for default"
)

var ours = map[string]string{"kubernetes.io/cluster/demo": "owned", "eks:eks-cluster-name": "demo", "slipway.sh/claim-uid": "u"}

func TestAllIsWell(t *testing.T) {
	a := well(t)
	a.machine = ours
	a.sim.Quotas = map[sim.QuotaKey]int{{Market: cloud.Spot, Bucket: "G and VT"}: 64}
	results := a.look(t)
	for check, r := range results {
		if r.Status != preflight.OK && !(check == fleet && r.Status == preflight.Skip) {
			t.Errorf("%+v", r)
		}
	}
	for check, part := range map[string]string{
		"credentials": "account 123456789012", "cluster": "1.37", "catalogue": "GPU instance types", "queue": "demo", "queue policy": "may send", "queue rules": "4", "spot role": "ForEC2Spot",
		"quota L-3819A6DF": "48 of 64 vCPUs", "quota L-DB2E81BA": "0 of", "CRDs": "EC2NodeClass", "node class default": "al2023", launchTemplate: "would",
		machine: "would", terminate: "would", "device plugin": "kube-system/nvdp", "controller": "2 of 2", "nominations": "v1.37.2",
	} {
		if !strings.Contains(results[check].Message, part) {
			t.Errorf("%s says %q; want %q in it", check, results[check].Message, part)
		}
	}
}

// TestMessagesStay: a notice that preflight meets in the queue is the controller's a moment later, not after the queue's own half minute.
func TestMessagesStay(t *testing.T) {
	a := well(t)
	now := time.Now()
	a.sim.Now = func() time.Time { return now }
	a.lines = []string{"send a notice"}
	if r := a.look(t)["queue"]; r.Status != preflight.OK {
		t.Fatalf("%+v", r)
	}
	now = now.Add(2 * time.Second)
	if got := a.wire.Cloud.Take(10, time.Second); len(got) != 1 || got[0].Deliveries != 2 {
		t.Errorf("two seconds later the queue gives %+v", got)
	}
}

// TestEachFaultIsFound changes one thing at a time.
func TestEachFaultIsFound(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*account)
		check  string
		want   preflight.Status
		says   string // in the message or the remedy
	}{
		"no credentials":        {func(a *account) { a.lines = []string{"deny GetCallerIdentity"} }, "credentials", preflight.Fail, "AWS_PROFILE"},
		"another cluster":       {func(a *account) { a.aws.ClusterName = "other"; a.wire.Policy = nil }, "cluster", preflight.Fail, `no cluster "other"`},
		"no queue is named":     {func(a *account) { a.aws.InterruptionQueue = "" }, "queue", preflight.Warn, "without warning"},
		"no such queue":         {func(a *account) { a.aws.InterruptionQueue = "x"; a.wire.Policy = nil }, "queue", preflight.Fail, "create it"},
		"a queue of others":     {func(a *account) { a.aws.InterruptionQueue = "x" }, "queue", preflight.Fail, "see that the name is right"},
		"rules cannot be seen":  {func(a *account) { a.lines = []string{"deny ListRuleNamesByTarget"} }, "queue rules", preflight.Skip, "events:ListRuleNamesByTarget"},
		"never bought spot":     {func(a *account) { a.wire.WithoutSpotRole = true; a.wire.Policy = nil }, "spot role", preflight.Warn, "create-service-linked-role"},
		"quotas cannot be seen": {func(a *account) { a.lines = []string{"deny GetServiceQuota"} }, "quotas", preflight.Skip, "servicequotas:GetServiceQuota"},
		"a queue for nobody": {func(a *account) {
			a.wire.QueuePolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":"sqs:*","Resource":"*"}]}`
		}, "queue policy", preflight.Warn, "events.amazonaws.com"},
		"a rule is missing": {func(a *account) { a.wire.WithoutRule = "SpotInterruptionRule" }, "queue rules", preflight.Warn, "EC2 Spot Instance Interruption Warning"},
		"a new account": {func(a *account) {
			a.sim.Quotas = map[sim.QuotaKey]int{}
			for _, market := range []cloud.Market{cloud.Spot, cloud.OnDemand} {
				for _, bucket := range []string{"G and VT", "P"} {
					a.sim.Quotas[sim.QuotaKey{Market: market, Bucket: bucket}] = 0
				}
			}
		}, "quota L-DB2E81BA", preflight.Fail, "--quota-code L-DB2E81BA"},
		"a quota of nothing": {func(a *account) { a.sim.Quotas = map[sim.QuotaKey]int{{Market: cloud.OnDemand, Bucket: "P"}: 0} }, "quota L-417A185B", preflight.Warn, "request-service-quota-increase"},
		"a quota that is used up": {func(a *account) {
			a.machine = ours
			a.sim.Quotas = map[sim.QuotaKey]int{{Market: cloud.Spot, Bucket: "G and VT"}: 49}
		}, "quota L-3819A6DF", preflight.Warn, "48 of 49 vCPUs are in use; the smallest such machine takes 2"},
		"no subnet": {func(a *account) { a.class.Spec.SubnetSelectorTerms[0].Tags = map[string]string{"a": "b"} }, "node class default", preflight.Fail, "spec.subnetSelectorTerms"},
		"no security group": {func(a *account) {
			a.class.Spec.SecurityGroupSelectorTerms = []v1alpha1.SecurityGroupSelectorTerm{{ID: "sg-0"}}
		}, "node class default", preflight.Fail, "spec.securityGroupSelectorTerms"},
		"no image":            {func(a *account) { a.class.Spec.AMISelectorTerms[0].Alias = "al2023@v1" }, "node class default", preflight.Fail, "spec.amiSelectorTerms"},
		"no role":             {func(a *account) { a.class.Spec.Role = "x"; a.wire.Policy = nil }, "node class default", preflight.Fail, "spec.role"},
		"no profile":          {func(a *account) { a.class.Spec.Role, a.class.Spec.InstanceProfile, a.wire.Policy = "", "x", nil }, "node class default", preflight.Fail, "spec.instanceProfile"},
		"no template":         {func(a *account) { a.wire.Policy = without("ec2:CreateLaunchTemplate") }, launchTemplate, preflight.Fail, "allow ec2:CreateLaunchTemplate"},
		"no machine":          {func(a *account) { a.wire.Policy = without("ec2:RunInstances") }, machine, preflight.Fail, "allow ec2:RunInstances"},
		"no tags":             {func(a *account) { a.wire.Policy = without("ec2:CreateTags") }, machine, preflight.Fail, "ec2:CreateTags"},
		"no end":              {func(a *account) { a.wire.Policy = without("ec2:TerminateInstances"); a.machine = ours }, terminate, preflight.Fail, "allow ec2:TerminateInstances"},
		"nothing to end":      {func(*account) {}, terminate, preflight.Skip, "no machine"},
		"no prices":           {func(a *account) { a.wire.Pricing = false }, "catalogue Pricing", preflight.Warn, "used instead"},
		"no device plugin":    {func(a *account) { a.kube = a.kube[1:] }, "device plugin", preflight.Fail, "nvdp/nvidia-device-plugin"},
		"Bottlerocket has it": {func(a *account) { a.kube = nil; a.class.Spec.AMISelectorTerms[0].Alias = "bottlerocket@latest" }, "device plugin", preflight.OK, "inside"},
		"a plugin that other labels call": {func(a *account) {
			a.kube = append(a.kube, provisioner())
			a.kube[0].(*appsv1.DaemonSet).Spec.Template.Spec.NodeSelector = map[string]string{"feature.node.kubernetes.io/pci-10de.present": "true"}
		}, "device plugin", preflight.Fail, "kube-system/nvdp would not come onto nodes of Provisioner gpu"},
		"what calls it will be found": {func(a *account) {
			a.kube = append(a.kube, provisioner())
			spec := &a.kube[0].(*appsv1.DaemonSet).Spec.Template.Spec
			spec.NodeSelector = map[string]string{"feature.node.kubernetes.io/pci-10de.present": "true"}
			spec.InitContainers = []corev1.Container{{Image: "registry.k8s.io/nfd/node-feature-discovery:v0.18.0"}}
		}, "device plugin", preflight.OK, "kube-system/nvdp"},
		"the label of NVIDIA's chart": {func(a *account) {
			a.kube = append(a.kube, provisioner())
			a.kube[0].(*appsv1.DaemonSet).Spec.Template.Spec.NodeSelector = map[string]string{"nvidia.com/gpu.present": "true", "team": "ml"}
		}, "device plugin", preflight.OK, "kube-system/nvdp"},
		"a taint keeps the plugin off": {func(a *account) {
			a.kube = append(a.kube, provisioner(corev1.Taint{Key: "dedicated", Value: "gpu", Effect: corev1.TaintEffectNoSchedule}))
		}, "device plugin", preflight.Fail, "give it tolerations"},
		"the operator will": {func(a *account) {
			a.kube[0].(*appsv1.DaemonSet).Spec.Template.Spec.Containers[0].Image = "registry.k8s.io/nfd/node-feature-discovery:v0.18.0"
			a.kube[0].SetName("gpu-operator-node-feature-discovery-worker")
		}, "device plugin", preflight.OK, "GPU operator"},
		"the operator is there": {func(a *account) {
			a.kube = a.kube[1:]
			a.kube[0].(*appsv1.Deployment).Spec.Template.Spec.Containers = []corev1.Container{{Image: "nvcr.io/nvidia/gpu-operator:v25.3.0"}}
		}, "device plugin", preflight.OK, "Deployment slipway-system/slipway"},
		"an old cluster":        {func(a *account) { a.kubernetes = "v1.34.1-eks-1" }, "nominations", preflight.Warn, "docs/scheduling.md"},
		"not installed":         {func(a *account) { a.kube = a.kube[:1] }, "controller", preflight.Warn, "helm install"},
		"one of two is ready":   {func(a *account) { a.kube[1].(*appsv1.Deployment).Status.ReadyReplicas = 1 }, "controller", preflight.Warn, "1 of 2"},
		"none is ready":         {func(a *account) { a.kube[1].(*appsv1.Deployment).Status.ReadyReplicas = 0 }, "controller", preflight.Fail, "logs"},
		"no CRDs":               {func(a *account) { a.funcs.List = missing }, "CRDs", preflight.Fail, "slipway-crds"},
		"an API that is broken": {func(a *account) { a.funcs.List = broken }, "device plugin", preflight.Fail, "on fire"},
	} {
		t.Run(name, func(t *testing.T) {
			a := well(t)
			tc.change(a)
			got := a.look(t)[tc.check]
			if got.Status != tc.want || !strings.Contains(got.Message+got.Remedy, tc.says) {
				t.Errorf("got %+v; want %s and %q", got, tc.want, tc.says)
			}
			if got.Status == preflight.Fail && got.Remedy == "" && !strings.Contains(got.Message, ";") && tc.says != "on fire" {
				t.Errorf("%+v has no remedy", got)
			}
		})
	}
}

func provisioner(taints ...corev1.Taint) *v1alpha1.Provisioner {
	return &v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}, Spec: v1alpha1.ProvisionerSpec{
		NodeClassRef: v1alpha1.NodeClassRef{Name: "default"}, Template: v1alpha1.NodeTemplate{Taints: taints, Labels: map[string]string{"team": "ml"}}}}
}

// without answers a policy that allows all but one action.
func without(action string) *policy.Set {
	set, err := policy.Parse(fmt.Appendf(nil, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":%q,"Resource":"*"}]}`, action))
	if err != nil {
		panic(err)
	}
	return set
}

func missing(_ context.Context, _ client.WithWatch, list client.ObjectList, _ ...client.ListOption) error {
	return &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: v1alpha1.Group, Kind: "Provisioner"}}
}

func broken(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
	return fmt.Errorf("it is on fire")
}

func TestWorst(t *testing.T) {
	for want, statuses := range map[preflight.Status][]preflight.Status{
		preflight.OK: {preflight.OK, preflight.Skip}, preflight.Warn: {preflight.OK, preflight.Warn, preflight.Skip}, preflight.Fail: {preflight.Fail, preflight.Warn},
	} {
		var results []preflight.Result
		for _, s := range statuses {
			results = append(results, preflight.Result{Status: s})
		}
		if got := preflight.Worst(results); got != want {
			t.Errorf("the worst of %v is %s; want %s", statuses, got, want)
		}
	}
}
