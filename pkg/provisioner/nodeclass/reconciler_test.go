package nodeclass_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/nodeclass"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// bench is a cluster with one reconciler and a cloud that answers what it is told to.
type bench struct {
	client.Client
	t        *testing.T
	now      time.Time
	err      error // of the cloud
	profile  string
	asked    int
	writes   int
	changes  int
	degraded []cloud.Degradation
	events   []string
	released []string
	store    *nodeclass.Store
	r        *nodeclass.Reconciler
}

func (b *bench) Resolve(_ context.Context, spec cloud.TemplateSpec) (cloud.Template, error) {
	b.asked++
	if b.err != nil {
		return cloud.Template{}, fmt.Errorf("resolving node class %s: %w", spec.Name, b.err)
	}
	return cloud.Template{
		Spec: spec, Family: "al2023",
		Images:           []cloud.Image{{ID: "ami-2", Architecture: "arm64"}, {ID: "ami-1", Architecture: "amd64", Variant: "nvidia"}},
		Subnets:          []cloud.Subnet{{ID: "subnet-b", Zone: "us-east-1b"}, {ID: "subnet-a", Zone: "us-east-1a"}, {ID: "subnet-c", Zone: "us-east-1a"}},
		SecurityGroupIDs: []string{"sg-2", "sg-1"}, InstanceProfile: b.profile,
	}, nil
}

func (b *bench) Release(_ context.Context, spec cloud.TemplateSpec) error {
	b.released = append(b.released, spec.Name+" "+spec.Role)
	return b.err
}

func (b *bench) Eventf(_, _ runtime.Object, _, reason, _, note string, args ...any) {
	b.events = append(b.events, reason+": "+fmt.Sprintf(note, args...))
}

func newBench(t *testing.T, objects ...client.Object) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), profile: "nodes"}
	b.Client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.EC2NodeClass{}).
		WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: func(
			ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption,
		) error {
			b.writes++
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		}}).Build()
	b.restart()
	return b
}

// restart begins anew with nothing in memory.
func (b *bench) restart() {
	b.t.Helper()
	now := func() time.Time { return b.now }
	b.store = nodeclass.NewStore()
	r, err := nodeclass.New(nodeclass.Config{
		Client: b, Live: b, Templates: b, Store: b.store, Events: telemetry.NewEvents(b, now), Changed: func() { b.changes++ },
		Degraded: func() []cloud.Degradation { return b.degraded }, Now: now,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.r = r
}

func (b *bench) reconcile() reconcile.Result {
	b.t.Helper()
	result, err := b.r.Reconcile(b.t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "default"}})
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

func (b *bench) class() *v1alpha1.EC2NodeClass {
	b.t.Helper()
	var nc v1alpha1.EC2NodeClass
	if err := b.Get(b.t.Context(), types.NamespacedName{Name: "default"}, &nc); err != nil {
		b.t.Fatal(err)
	}
	return &nc
}

// ready is the condition Ready as "status reason generation: message".
func (b *bench) ready() string {
	b.t.Helper()
	c := meta.FindStatusCondition(b.class().Status.Conditions, v1alpha1.ConditionReady)
	return fmt.Sprintf("%s %s %d: %s", c.Status, c.Reason, c.ObservedGeneration, c.Message)
}

func class() *v1alpha1.EC2NodeClass {
	return &v1alpha1.EC2NodeClass{
		ObjectMeta: metav1.ObjectMeta{Name: "default", UID: "uid-1", Generation: 1},
		Spec:       v1alpha1.EC2NodeClassSpec{Role: "nodes", InstanceStorePolicy: v1alpha1.InstanceStoreRAID0, BlockDeviceMappings: []v1alpha1.BlockDeviceMapping{{DeviceName: "/dev/xvda", VolumeSizeGiB: 4}, {DeviceName: "/dev/xvdb", RootVolume: true, VolumeSizeGiB: 200}}},
	}
}

const found = "2 images (al2023), 3 subnets in 2 zones, 2 security groups, instance profile nodes"

func TestAClassIsLookedUpAndShown(t *testing.T) {
	b := newBench(t, class())
	if _, err := b.store.Template("default"); reason(err) != v1alpha1.ReasonNodeClassNotReady {
		t.Errorf("before it was looked up: %v", err)
	}
	b.reconcile()
	nc := b.class()
	status := nc.Status
	status.Conditions = nil
	want := v1alpha1.EC2NodeClassStatus{
		AMIs:           []v1alpha1.ResolvedAMI{{ID: "ami-2", Architecture: "arm64"}, {ID: "ami-1", Architecture: "amd64", Variant: "nvidia"}},
		Subnets:        []v1alpha1.ResolvedSubnet{{ID: "subnet-a", Zone: "us-east-1a"}, {ID: "subnet-b", Zone: "us-east-1b"}, {ID: "subnet-c", Zone: "us-east-1a"}},
		SecurityGroups: []string{"sg-1", "sg-2"}, InstanceProfile: "nodes",
	}
	if diff := cmp.Diff(want, status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if got, want := b.ready(), "True OK 1: "+found; got != want {
		t.Errorf("Ready is %q; want %q", got, want)
	}
	if diff := cmp.Diff([]string{v1alpha1.FinalizerInUse}, nc.Finalizers); diff != "" || b.changes != 1 {
		t.Errorf("%d changes told; finalizers (-want +got):\n%s", b.changes, diff)
	}
	facts, err := b.store.PlanningFacts("default")
	wantFacts := inventory.NodeClassFacts{Zones: []string{"us-east-1a", "us-east-1b"}, Architectures: []string{"amd64", "arm64"}, Disk: plan.Disk{RootVolumeGiB: 200, InstanceStore: true}}
	if diff := cmp.Diff(wantFacts, facts); diff != "" || err != nil {
		t.Errorf("facts %v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{"Ready: " + found}, b.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func reason(err error) v1alpha1.Reason {
	var e *nodeclass.NotReadyError
	if !errors.As(err, &e) {
		return ""
	}
	return e.Reason
}

func TestWhatAnErrorMeans(t *testing.T) {
	for name, tc := range map[string]struct {
		err      error
		reason   v1alpha1.Reason
		mentions string
		keeps    bool
	}{
		"misconfigured": {&cloud.MisconfiguredError{Field: "spec.subnetSelectorTerms", Message: "no subnet matches: tag one"},
			v1alpha1.ReasonMisconfigured, "spec.subnetSelectorTerms: no subnet matches: tag one", false},
		"denied":    {&cloud.DeniedError{Action: "ec2:DescribeSubnets", Message: "not authorized"}, v1alpha1.ReasonDenied, "ec2:DescribeSubnets", false},
		"throttled": {cloud.ErrThrottled, v1alpha1.ReasonThrottled, "still used", true},
		"outage":    {errors.New("connection refused"), v1alpha1.ReasonOutage, "connection refused", true},
	} {
		t.Run("after it was found: "+name, func(t *testing.T) {
			b := newBench(t, class())
			b.reconcile()
			b.err, b.now = tc.err, b.now.Add(6*time.Minute)
			b.reconcile()
			_, err := b.store.Template("default")
			if kept := err == nil; kept != tc.keeps || !kept && reason(err) != tc.reason {
				t.Errorf("template kept %t, error %v; want %t, %s", kept, err, tc.keeps, tc.reason)
			}
			status := map[bool]string{true: "True", false: "False"}[tc.keeps]
			if got := b.ready(); !strings.HasPrefix(got, status+" "+string(tc.reason)+" 1:") || !strings.Contains(got, tc.mentions) {
				t.Errorf("Ready is %q; want %s %s with %q", got, status, tc.reason, tc.mentions)
			}
			if kept := len(b.class().Status.AMIs) > 0; kept != tc.keeps {
				t.Errorf("status keeps its images: %t; want %t", kept, tc.keeps)
			}
			b.err, b.now = nil, b.now.Add(time.Minute)
			b.reconcile()
			if got := b.ready(); got != "True OK 1: "+found {
				t.Errorf("a minute after it passed, Ready is %q", got)
			}
		})
		t.Run("at first: "+name, func(t *testing.T) {
			b := newBench(t, class())
			b.err = tc.err
			result := b.reconcile()
			if _, err := b.store.Template("default"); reason(err) != tc.reason {
				t.Errorf("error %v; want reason %s", err, tc.reason)
			}
			if got := b.ready(); !strings.HasPrefix(got, "False "+string(tc.reason)) {
				t.Errorf("Ready is %q; want False %s", got, tc.reason)
			}
			if result.RequeueAfter <= 0 || result.RequeueAfter > time.Minute {
				t.Errorf("looked at again after %s; want within a minute", result.RequeueAfter)
			}
		})
	}
}

func TestTheCloudIsAskedSeldom(t *testing.T) {
	b := newBench(t, class())
	b.reconcile()
	for range 4 * 60 { // the status, a claim, a restart of the watch wake it every second
		b.now = b.now.Add(time.Second)
		b.reconcile()
	}
	if b.asked != 1 || b.writes != 1 {
		t.Errorf("in 4 minutes the cloud was asked %d times and the status written %d times; want once each", b.asked, b.writes)
	}
	b.now = b.now.Add(2 * time.Minute)
	b.reconcile()
	if b.asked != 2 || b.writes != 1 {
		t.Errorf("after 6 minutes the cloud was asked %d times and the status written %d times; want 2, 1", b.asked, b.writes)
	}
}

func TestAChangedSpecIsLookedUpAtOnceAndTheOldOneNotUsed(t *testing.T) {
	b := newBench(t, class())
	b.reconcile()
	nc := b.class()
	nc.Generation, nc.Spec.Role = 2, "other"
	if err := b.Update(t.Context(), nc); err != nil {
		t.Fatal(err)
	}
	b.err = cloud.ErrThrottled
	b.reconcile()
	if _, err := b.store.Template("default"); reason(err) != v1alpha1.ReasonThrottled {
		t.Errorf("the template of the old spec is still used: %v", err)
	}
	b.err, b.now = nil, b.now.Add(time.Minute)
	b.reconcile()
	if template, err := b.store.Template("default"); err != nil || template.Spec.Role != "other" {
		t.Errorf("template %+v, %v; want that of the new spec", template.Spec, err)
	}
}

func TestARestartFindsEverythingAgain(t *testing.T) {
	b := newBench(t, class())
	b.reconcile()
	b.restart()
	b.reconcile()
	if _, err := b.store.PlanningFacts("default"); err != nil || b.writes != 1 || len(b.events) != 1 {
		t.Errorf("facts: %v; %d status writes, events %q; want none, 1, 1", err, b.writes, b.events)
	}
}

func TestTemplatesAreCopies(t *testing.T) {
	nc := class()
	nc.Spec.Tags = map[string]string{"team": "ml"}
	nc.Spec.SubnetSelectorTerms = []v1alpha1.SubnetSelectorTerm{{Tags: map[string]string{"a": "b"}}}
	b := newBench(t, nc)
	b.reconcile()
	mine, err := b.store.Template("default")
	if err != nil {
		t.Fatal(err)
	}
	mine.Images[0].ID, mine.Subnets[0].ID, mine.SecurityGroupIDs[0] = "x", "x", "x"
	mine.Spec.Tags["team"], mine.Spec.Subnets[0].Tags["a"], mine.Spec.BlockDevices[0].SizeGiB = "x", "x", 0
	theirs, err := b.store.Template("default")
	if err != nil || theirs.Images[0].ID == "x" || theirs.Subnets[0].ID == "x" || theirs.SecurityGroupIDs[0] == "x" ||
		theirs.Spec.Tags["team"] == "x" || theirs.Spec.Subnets[0].Tags["a"] == "x" || theirs.Spec.BlockDevices[0].SizeGiB == 0 {
		t.Errorf("what one caller changed is seen by another: %+v, %v", theirs, err)
	}
}

func TestADegradedCatalogIsACondition(t *testing.T) {
	b := newBench(t, class())
	fresh := func() string {
		c := meta.FindStatusCondition(b.class().Status.Conditions, v1alpha1.ConditionCatalogFresh)
		return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
	}
	b.degraded = []cloud.Degradation{{Source: "SpotPriceHistory", Message: "timed out"}, {Source: "Pricing", Message: "not reachable"}}
	result := b.reconcile()
	if got, want := fresh(), "False SourceUnavailable: Pricing: not reachable; SpotPriceHistory: timed out"; got != want {
		t.Errorf("CatalogFresh is %q; want %q", got, want)
	}
	b.degraded, b.now = nil, b.now.Add(result.RequeueAfter)
	b.reconcile()
	if got := fresh(); !strings.HasPrefix(got, "True OK") || b.asked != 1 {
		t.Errorf("CatalogFresh is %q after %d look-ups; want True after one", got, b.asked)
	}
}

func TestTemplateSpecIsStrictByDefault(t *testing.T) {
	got := nodeclass.TemplateSpec(class())
	if want := (cloud.MetadataOptions{HTTPEndpoint: "enabled", HopLimit: 1, HTTPTokens: "required", IPv6: "disabled"}); got.Metadata != want {
		t.Errorf("metadata options %+v; want %+v", got.Metadata, want)
	}
	if d := got.BlockDevices[0]; !d.Encrypted || !d.DeleteOnTermination || d.VolumeType != "gp3" {
		t.Errorf("block device %+v; want it encrypted, deleted at the end, gp3", d)
	}
}
