package wire_test

import (
	"testing"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/aws"
	"github.com/slipway-sh/slipway/pkg/cloud/contract"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// adapter answers the real adapter, which believes to speak to AWS.
func adapter(t *testing.T, f fake) *aws.Cloud {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": f.url, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "SECRET",
		"AWS_CONFIG_FILE": t.TempDir() + "/none", "AWS_SHARED_CREDENTIALS_FILE": t.TempDir() + "/none",
	} {
		t.Setenv(name, value)
	}
	c, err := aws.New(t.Context(), aws.Config{ClusterName: "demo", InterruptionQueue: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func nodeClass() cloud.TemplateSpec {
	return cloud.TemplateSpec{
		Name: "default", Images: []cloud.ImageTerm{{Alias: "al2023@latest"}}, Role: sim.NodeRole("demo"),
		Subnets:        []cloud.Selector{{Tags: map[string]string{sim.DiscoveryTag: "demo"}}},
		SecurityGroups: []cloud.Selector{{Tags: map[string]string{sim.DiscoveryTag: "demo"}}},
	}
}

func TestAdapterKeepsTheContract(t *testing.T) {
	contract.Test(t, func(t *testing.T) contract.Env {
		f := open(t, underPolicy(t, nil)) // the adapter needs nothing that the template's policies do not allow
		c := adapter(t, f)
		template, err := c.Templates.Resolve(t.Context(), nodeClass())
		if err != nil {
			t.Fatal(err)
		}
		return contract.Env{
			Fleet: c.Fleet, Template: template,
			Choices: []cloud.Choice{{InstanceType: "g4dn.xlarge", Architecture: "amd64", Zone: "us-east-1a"},
				{InstanceType: "g5.xlarge", Architecture: "amd64", Zone: "us-east-1b"}},
			Fault: func(t *testing.T, line string) { inject(t, f, line) },
			Foreign: func(t *testing.T) string {
				result, err := f.cloud.CreateFleet(sim.FleetRequest{Token: "foreign", Count: 1, Tags: map[string]string{"Name": "web"},
					Choices: []sim.FleetChoice{{Key: cloud.OfferingKey{InstanceType: "g5.xlarge", Zone: "us-east-1b", Market: cloud.OnDemand}}}})
				if err != nil || len(result.Machines) != 1 {
					t.Fatalf("launching a foreign machine: %+v, %v", result, err)
				}
				_ = pause(t.Context(), 100*time.Millisecond, nil)
				return result.Machines[0].ID
			},
			Pass: func() { _ = pause(t.Context(), 10*time.Millisecond, nil) },
		}
	})
}

func TestAdapterLoadsTheCatalog(t *testing.T) {
	f := open(t, nil)
	snapshot, err := adapter(t, f).Catalog.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(snapshot.Degraded) != 0 {
		t.Errorf("degraded: %v", snapshot.Degraded)
	}
	want := map[cloud.OfferingKey]cloud.Offering{}
	for _, o := range f.cloud.Offerings() {
		want[o.OfferingKey] = o
	}
	if len(snapshot.Offerings) != len(want) {
		t.Errorf("%d offerings, want %d", len(snapshot.Offerings), len(want))
	}
	for _, o := range snapshot.Offerings {
		if o != want[o.OfferingKey] {
			t.Errorf("offering %+v, want %+v", o, want[o.OfferingKey])
		}
	}
}

func TestAdapterReceivesNotices(t *testing.T) {
	f := open(t, nil)
	c := adapter(t, f)
	f.cloud.Send("{garbage")
	result, err := f.cloud.CreateFleet(sim.FleetRequest{Count: 1,
		Choices: []sim.FleetChoice{{Key: cloud.OfferingKey{InstanceType: "g5.xlarge", Zone: "us-east-1b", Market: cloud.Spot}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cloud.Interrupt(result.Machines[0].ID); err != nil {
		t.Fatal(err)
	}
	kinds := map[cloud.NoticeKind]string{}
	eventually(t, func() bool {
		notices, err := c.Notices.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range notices {
			kinds[n.Kind] = n.InstanceID
			if err := c.Notices.Done(t.Context(), n); err != nil {
				t.Fatal(err)
			}
		}
		return len(kinds) == 2
	})
	if _, unreadable := kinds[cloud.Unreadable]; !unreadable || kinds[cloud.SpotInterruption] != result.Machines[0].ID {
		t.Errorf("received %v", kinds)
	}
	eventually(t, func() bool { return f.cloud.QueueLength() == 0 })
}
