package sim_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/contract"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// clock is a hand-moved clock.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{now: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time          { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

func small() ([]cloud.InstanceType, []cloud.Offering) {
	types := []cloud.InstanceType{
		{Name: "g4dn.12xlarge", Architecture: "amd64", VCPUs: 48, MemoryMiB: 196608, GPU: cloud.GPU{Name: "T4", Manufacturer: "NVIDIA", Count: 4}},
		{Name: "g4dn.xlarge", Architecture: "amd64", VCPUs: 4, MemoryMiB: 16384, GPU: cloud.GPU{Name: "T4", Manufacturer: "NVIDIA", Count: 1}},
		{Name: "g5.xlarge", Architecture: "amd64", VCPUs: 4, MemoryMiB: 16384, GPU: cloud.GPU{Name: "A10G", Manufacturer: "NVIDIA", Count: 1}},
		{Name: "p3.8xlarge", Architecture: "amd64", VCPUs: 32, MemoryMiB: 249856, GPU: cloud.GPU{Name: "V100", Manufacturer: "NVIDIA", Count: 4}},
	}
	price := map[string]int64{"g4dn.12xlarge": 3_912_000, "g4dn.xlarge": 526_000, "g5.xlarge": 1_006_000, "p3.8xlarge": 12_240_000}
	var offerings []cloud.Offering
	for _, t := range types {
		for _, zone := range []string{"us-east-1a", "us-east-1b"} {
			offerings = append(offerings,
				cloud.Offering{OfferingKey: key(t.Name, zone, cloud.OnDemand), PriceMicroUSDPerHour: price[t.Name]},
				cloud.Offering{OfferingKey: key(t.Name, zone, cloud.Spot), PriceMicroUSDPerHour: price[t.Name] * 3 / 10})
		}
	}
	return types, offerings
}

func key(instanceType, zone string, market cloud.Market) cloud.OfferingKey {
	return cloud.OfferingKey{InstanceType: instanceType, Zone: zone, Market: market}
}

// open answers a cloud of four types in two zones on a hand-moved clock.
func open(t testing.TB, change func(*sim.Config)) (*sim.Cloud, *clock) {
	t.Helper()
	clock := newClock()
	types, offerings := small()
	config := sim.Config{
		Seed: 7, Now: clock.Now, ClusterName: "demo", Types: types, Offerings: offerings,
		Boot: sim.Delay{Base: 20 * time.Second, Jitter: 10 * time.Second}, Visible: sim.Delay{Base: 2 * time.Second},
		Join: sim.Delay{Base: 10 * time.Second}, GPU: sim.Delay{Base: 15 * time.Second}, ShutDown: sim.Delay{Base: 30 * time.Second},
	}
	if change != nil {
		change(&config)
	}
	c, err := sim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c, clock
}

func template() cloud.TemplateSpec {
	return cloud.TemplateSpec{
		Name: "default", Images: []cloud.ImageTerm{{Alias: "al2023@latest"}}, Role: sim.NodeRole("demo"),
		Subnets:        []cloud.Selector{{Tags: map[string]string{sim.DiscoveryTag: "demo"}}},
		SecurityGroups: []cloud.Selector{{Tags: map[string]string{sim.DiscoveryTag: "*"}}},
	}
}

func request(token string, market cloud.Market, types ...string) cloud.LaunchRequest {
	req := cloud.LaunchRequest{Token: token, Claim: "gpu-" + token, Provisioner: "gpu", Market: market}
	for _, name := range types {
		req.Choices = append(req.Choices, cloud.Choice{InstanceType: name, Architecture: "amd64", Zone: "us-east-1a"})
	}
	return req
}

func mustLaunch(t testing.TB, c *sim.Cloud, req cloud.LaunchRequest) cloud.Instance {
	t.Helper()
	result, err := c.Launch(t.Context(), req)
	if err != nil {
		t.Fatalf("launching %s: %v", req.Token, err)
	}
	return result.Instance
}

func inject(t testing.TB, c *sim.Cloud, line string) {
	t.Helper()
	f, err := sim.ParseLine(line)
	if err != nil {
		t.Fatal(err)
	}
	c.Inject(f)
}

func machineOf(t testing.TB, c *sim.Cloud, id string) sim.Machine {
	t.Helper()
	m, found := c.Machine(id)
	if !found {
		t.Fatalf("there is no machine %s", id)
	}
	return m
}

func TestContract(t *testing.T) {
	contract.Test(t, func(t *testing.T) contract.Env {
		c, clock := open(t, nil)
		resolved, err := c.Resolve(t.Context(), template())
		if err != nil {
			t.Fatal(err)
		}
		return contract.Env{
			Fleet: c, Template: resolved,
			Choices: []cloud.Choice{{InstanceType: "g4dn.xlarge", Architecture: "amd64", Zone: "us-east-1a"},
				{InstanceType: "g5.xlarge", Architecture: "amd64", Zone: "us-east-1b"}},
			Fault: func(t *testing.T, line string) { inject(t, c, line) },
			Foreign: func(t *testing.T) string {
				result, err := c.CreateFleet(sim.FleetRequest{Token: "foreign", Count: 1, Tags: map[string]string{"Name": "web"},
					Choices: []sim.FleetChoice{{Key: key("g5.xlarge", "us-east-1b", cloud.OnDemand)}}})
				if err != nil || len(result.Machines) != 1 {
					t.Fatalf("launching a foreign machine: %+v, %v", result, err)
				}
				clock.advance(time.Minute)
				return result.Machines[0].ID
			},
			Pass: func() { clock.advance(time.Second) },
		}
	})
}

func TestLife(t *testing.T) {
	c, clock := open(t, nil)
	i := mustLaunch(t, c, request("a", cloud.Spot, "g4dn.xlarge"))
	if _, err := c.Instance(t.Context(), i.ID); !errors.Is(err, cloud.ErrGone) {
		t.Errorf("a machine launched this moment: %v; want ErrGone", err)
	}
	m := machineOf(t, c, i.ID)
	if m.State != cloud.InstancePending || m.PrivateDNS != "ip-10-0-0-4.ec2.internal" || m.ZoneID != "use1-az1" {
		t.Errorf("launched as %+v", m)
	}
	if boot := m.RunningAt.Sub(m.LaunchedAt); boot < 20*time.Second || boot >= 30*time.Second {
		t.Errorf("boots in %s, want 20 to 30 s", boot)
	}
	if m.JoinAt.Sub(m.RunningAt) != 10*time.Second || m.GPUAt.Sub(m.JoinAt) != 15*time.Second || m.GPUs != 1 {
		t.Errorf("joins at %s, shows %d GPUs at %s; it runs at %s", m.JoinAt, m.GPUs, m.GPUAt, m.RunningAt)
	}
	clock.advance(30 * time.Second)
	if m := machineOf(t, c, i.ID); m.State != cloud.InstanceRunning {
		t.Errorf("the machine is %s, want running", m.State)
	}
	if err := c.Terminate(t.Context(), i.ID); err != nil {
		t.Fatal(err)
	}
	clock.advance(29 * time.Second)
	if m := machineOf(t, c, i.ID); m.State != cloud.InstanceShuttingDown || m.StateReason != "Client.UserInitiatedShutdown" {
		t.Errorf("the machine is %s for %s, want shutting-down", m.State, m.StateReason)
	}
	clock.advance(time.Second)
	if m := machineOf(t, c, i.ID); m.State != cloud.InstanceTerminated || !m.TerminatedAt.Equal(clock.now) {
		t.Errorf("the machine is %s since %s, want terminated now", m.State, m.TerminatedAt)
	}
	clock.advance(time.Hour)
	if _, found := c.Machine(i.ID); found {
		t.Error("the machine is remembered for more than an hour")
	}
}

func TestInterruption(t *testing.T) {
	c, clock := open(t, func(config *sim.Config) { config.QuietStates = true })
	i := mustLaunch(t, c, request("a", cloud.Spot, "g4dn.xlarge"))
	onDemand := mustLaunch(t, c, request("b", cloud.OnDemand, "g4dn.xlarge"))
	clock.advance(time.Minute)
	if err := c.Interrupt(onDemand.ID); err == nil {
		t.Error("an on-demand machine was interrupted")
	}
	if err := c.Interrupt(i.ID); err != nil {
		t.Fatal(err)
	}
	got, err := c.Receive(t.Context())
	if err != nil || len(got) != 1 {
		t.Fatalf("received %v, %v; want one notice", got, err)
	}
	want := cloud.Notice{ID: got[0].ID, Receipt: got[0].Receipt, Kind: cloud.SpotInterruption, InstanceID: i.ID, At: clock.now,
		Deadline: clock.now.Add(2 * time.Minute)}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("the notice (-want +got):\n%s", diff)
	}
	clock.advance(sim.DefaultVisibility)
	again, _ := c.Receive(t.Context())
	if len(again) != 1 || again[0].ID != want.ID {
		t.Errorf("unacknowledged, it comes again as %v", again)
	}
	if err := c.Done(t.Context(), again[0]); err != nil || c.QueueLength() != 0 {
		t.Errorf("acknowledging: %v; %d messages are left", err, c.QueueLength())
	}
	clock.advance(2*time.Minute - sim.DefaultVisibility - 1)
	if m := machineOf(t, c, i.ID); m.State != cloud.InstanceRunning {
		t.Errorf("before its deadline the machine is %s", m.State)
	}
	clock.advance(1)
	if m := machineOf(t, c, i.ID); m.State != cloud.InstanceShuttingDown || m.StateReason != "Server.SpotInstanceTermination" {
		t.Errorf("at its deadline the machine is %s for %q", m.State, m.StateReason)
	}
}

func TestNoticesOfStates(t *testing.T) {
	c, clock := open(t, nil)
	i := mustLaunch(t, c, request("a", cloud.Spot, "g4dn.xlarge"))
	clock.advance(time.Minute)
	c.Settle()
	if err := c.Terminate(t.Context(), i.ID); err != nil {
		t.Fatal(err)
	}
	clock.advance(time.Minute)
	c.Send("{garbage")
	inject(t, c, "duplicate 1 notices")
	c.Send("twice")
	got, err := c.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, n := range got {
		kinds = append(kinds, fmt.Sprint(n.Kind, " ", n.State, " ", n.Detail))
	}
	want := []string{"Irrelevant  " + i.ID + " is pending", "Irrelevant  " + i.ID + " is running", "StateChange shutting-down ",
		"StateChange terminated ", "Unreadable  {garbage", "Unreadable  twice", "Unreadable  twice"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

func TestSameSeedSameCloud(t *testing.T) {
	story := func() []sim.Machine {
		c, clock := open(t, nil)
		for n := range 6 {
			mustLaunch(t, c, request(fmt.Sprint(n), cloud.Spot, "g4dn.xlarge", "g5.xlarge"))
			clock.advance(7 * time.Second)
		}
		return c.Machines()
	}
	if diff := cmp.Diff(story(), story()); diff != "" {
		t.Errorf("two clouds of one seed differ:\n%s", diff)
	}
}

func TestOutcomeDoesNotDependOnHowOftenItIsAsked(t *testing.T) {
	story := func(step time.Duration) []sim.Machine {
		script, err := sim.Parse(scriptText("at 45s interrupt oldest\nat 50s terminate newest"))
		if err != nil {
			t.Fatal(err)
		}
		c, clock := open(t, func(config *sim.Config) { config.Script = script })
		for n := range 3 {
			mustLaunch(t, c, request(fmt.Sprint(n), cloud.Spot, "g4dn.xlarge"))
		}
		for end := clock.now.Add(5 * time.Minute); clock.now.Before(end); {
			clock.advance(step)
			c.Settle()
		}
		return c.Machines()
	}
	if diff := cmp.Diff(story(time.Second), story(5*time.Minute)); diff != "" {
		t.Errorf("one step of five minutes and 300 of a second differ:\n%s", diff)
	}
}
