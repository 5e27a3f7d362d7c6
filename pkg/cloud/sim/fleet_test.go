package sim_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

func fleet(token string, strategy sim.Strategy, count int, keys ...cloud.OfferingKey) sim.FleetRequest {
	req := sim.FleetRequest{Token: token, Fingerprint: token, Strategy: strategy, Count: count}
	for _, k := range keys {
		req.Choices = append(req.Choices, sim.FleetChoice{Key: k})
	}
	return req
}

func TestCreateFleet(t *testing.T) {
	cheap, dear := key("g4dn.xlarge", "us-east-1a", cloud.Spot), key("g5.xlarge", "us-east-1b", cloud.Spot)
	nowhere := key("g5.xlarge", "us-east-1f", cloud.Spot)
	for name, tc := range map[string]struct {
		stock int // of cheap
		req   sim.FleetRequest
		want  []cloud.OfferingKey
		codes []string
	}{
		"prioritized takes the first":        {stock: 9, req: fleet("a", sim.Prioritized, 1, dear, cheap), want: []cloud.OfferingKey{dear}},
		"lowest-price takes the cheapest":    {stock: 1, req: fleet("a", sim.LowestPrice, 1, dear, cheap), want: []cloud.OfferingKey{cheap}},
		"capacity-optimized takes the deep":  {stock: 1, req: fleet("a", sim.PriceCapacityOptimized, 1, cheap, dear), want: []cloud.OfferingKey{dear}},
		"capacity-optimized, both deep":      {stock: 9, req: fleet("a", sim.PriceCapacityOptimized, 1, dear, cheap), want: []cloud.OfferingKey{cheap}},
		"a partial fill":                     {stock: 2, req: fleet("a", sim.LowestPrice, 3, cheap), want: []cloud.OfferingKey{cheap, cheap}, codes: []string{sim.CodeNoCapacity}},
		"what is short comes from elsewhere": {stock: 2, req: fleet("a", sim.LowestPrice, 3, cheap, dear), want: []cloud.OfferingKey{cheap, cheap, dear}, codes: []string{sim.CodeNoCapacity}},
		"what is not offered":                {req: fleet("a", sim.LowestPrice, 1, nowhere), codes: []string{sim.CodeUnsupported}},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := open(t, func(config *sim.Config) { config.Stock = map[cloud.OfferingKey]int{cheap: tc.stock} })
			got, err := c.CreateFleet(tc.req)
			if err != nil {
				t.Fatal(err)
			}
			var bought []cloud.OfferingKey
			for _, m := range got.Machines {
				bought = append(bought, m.Key)
			}
			var codes []string
			for _, e := range got.Errors {
				codes = append(codes, e.Code)
			}
			if diff := cmp.Diff(tc.want, bought); diff != "" {
				t.Errorf("bought (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.codes, codes); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAllOrNothing(t *testing.T) {
	cheap := key("g4dn.xlarge", "us-east-1a", cloud.Spot)
	c, _ := open(t, func(config *sim.Config) { config.Stock = map[cloud.OfferingKey]int{cheap: 2} })
	req := fleet("a", sim.LowestPrice, 3, cheap)
	req.AllOrNothing = true
	got, err := c.CreateFleet(req)
	if err != nil || len(got.Machines) != 0 || len(c.Machines()) != 0 || c.Free(cheap) != 2 {
		t.Errorf("got %+v, %v; %d free of %s", got, err, c.Free(cheap), cheap)
	}
}

func TestFailuresAreRepeatedUnderTheirToken(t *testing.T) {
	cheap := key("g4dn.xlarge", "us-east-1a", cloud.Spot)
	for _, forget := range []bool{false, true} {
		c, _ := open(t, func(config *sim.Config) { config.Stock = map[cloud.OfferingKey]int{cheap: 0} })
		req := fleet("a", sim.LowestPrice, 1, cheap)
		req.ForgetFailures = forget
		if got, _ := c.CreateFleet(req); len(got.Machines) != 0 {
			t.Fatal("bought without stock")
		}
		inject(t, c, "stock */*/* 1")
		if got, _ := c.CreateFleet(req); (len(got.Machines) == 1) != forget {
			t.Errorf("ForgetFailures %t: %d machines under the old token", forget, len(got.Machines))
		}
	}
}

func TestSubnetWithoutAddresses(t *testing.T) {
	c, _ := open(t, func(config *sim.Config) {
		config.Network = sim.DefaultNetwork("demo", config.Offerings)
		for i := range config.Network.Subnets {
			config.Network.Subnets[i].FreeAddresses = 1
		}
	})
	mustLaunch(t, c, request("a", cloud.Spot, "g4dn.xlarge"))
	_, err := c.Launch(t.Context(), request("b", cloud.Spot, "g4dn.xlarge"))
	var bad *cloud.MisconfiguredError
	if !errors.As(err, &bad) || bad.Field != "spec.subnetSelectorTerms" {
		t.Errorf("got %v; want a *MisconfiguredError of the subnets", err)
	}
}

func TestLaunchRefusesWhatThePortForbids(t *testing.T) {
	c, _ := open(t, nil)
	for name, req := range map[string]cloud.LaunchRequest{
		"no token":             request("", cloud.Spot, "g4dn.xlarge"),
		"a token too long":     request(strings.Repeat("x", 65), cloud.Spot, "g4dn.xlarge"),
		"no choice":            request("a", cloud.Spot),
		"different GPU counts": request("a", cloud.Spot, "g4dn.xlarge", "g4dn.12xlarge"),
	} {
		_, err := c.Launch(t.Context(), req)
		var bad *cloud.MisconfiguredError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v; want a *MisconfiguredError", name, err)
		}
	}
}

func TestResolve(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*cloud.TemplateSpec)
		field  string // of the error; empty: none
		family string
		images int
	}{
		"the default":          {change: func(*cloud.TemplateSpec) {}, family: "al2023", images: 2},
		"bottlerocket, pinned": {change: func(s *cloud.TemplateSpec) { s.Images[0].Alias = "bottlerocket@1.50.0" }, family: "bottlerocket", images: 2},
		"an unknown version":   {change: func(s *cloud.TemplateSpec) { s.Images[0].Alias = "al2023@v20200101" }, field: "spec.amiSelectorTerms"},
		"by name": {change: func(s *cloud.TemplateSpec) {
			s.Images = []cloud.ImageTerm{{Name: "bottlerocket-*-nvidia-x86_64-*", Owner: "amazon"}}
		}, family: "custom", images: 1},
		"no subnet": {change: func(s *cloud.TemplateSpec) { s.Subnets = []cloud.Selector{{Tags: map[string]string{"a": "b"}}} },
			field: "spec.subnetSelectorTerms"},
		"no group": {change: func(s *cloud.TemplateSpec) { s.SecurityGroups = []cloud.Selector{{Name: "none"}} },
			field: "spec.securityGroupSelectorTerms"},
		"no role":    {change: func(s *cloud.TemplateSpec) { s.Role = "none" }, field: "spec.role"},
		"no profile": {change: func(s *cloud.TemplateSpec) { s.InstanceProfile = "none" }, field: "spec.instanceProfile"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := open(t, nil)
			spec := template()
			tc.change(&spec)
			got, err := c.Resolve(t.Context(), spec)
			var bad *cloud.MisconfiguredError
			if tc.field != "" {
				if !errors.As(err, &bad) || bad.Field != tc.field {
					t.Errorf("got %v; want a *MisconfiguredError of %s", err, tc.field)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Family != tc.family || len(got.Images) != tc.images || len(got.Subnets) != 2 || len(got.SecurityGroupIDs) != 1 ||
				got.InstanceProfile == "" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestReceiveWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		types, offerings := small()
		c, err := sim.New(sim.Config{
			Now: time.Now, ClusterName: "demo", Types: types, Offerings: offerings, QuietStates: true,
			Wait: func(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
				timer := time.NewTimer(d)
				defer timer.Stop()
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-wake:
				case <-timer.C:
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if got, err := c.Receive(t.Context()); err != nil || len(got) != 0 || time.Since(begun) != sim.DefaultLongPoll {
			t.Errorf("an empty queue answered %v, %v after %s", got, err, time.Since(begun))
		}
		begun = time.Now()
		inject(t, c, "at 3s send late")
		if got, err := c.Receive(t.Context()); err != nil || len(got) != 1 || time.Since(begun) != 3*time.Second {
			t.Errorf("a message due in 3 s was answered as %v, %v after %s", got, err, time.Since(begun))
		}
	})
}

func TestJournal(t *testing.T) {
	c, clock := open(t, nil)
	clock.advance(time.Second)
	i := mustLaunch(t, c, request("a", cloud.Spot, "g4dn.xlarge"))
	inject(t, c, "deny CreateFleet")
	_, _ = c.Launch(t.Context(), request("b", cloud.Spot, "g4dn.xlarge"))
	got := c.Journal()
	if diff := cmp.Diff(map[string]int{"CreateFleet": 2}, got.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if len(got.Calls) != 2 || got.Calls[0].Token != "a" || got.Calls[0].Result != i.ID || !got.Calls[0].At.Equal(clock.now) ||
		got.Calls[0].Tags[sim.TagClaim] != "gpu-a" || !strings.Contains(got.Calls[1].Result, "denied") {
		t.Errorf("calls: %+v", got.Calls)
	}
}

func TestConfigIsChecked(t *testing.T) {
	types, offerings := small()
	good := sim.Config{Now: time.Now, ClusterName: "demo", Types: types, Offerings: offerings}
	for want, change := range map[string]func(*sim.Config){
		"Now is required":                           func(c *sim.Config) { c.Now = nil },
		"ClusterName is required":                   func(c *sim.Config) { c.ClusterName = "" },
		"Boot is negative":                          func(c *sim.Config) { c.Boot.Base = -1 },
		"stock of x/y/z: there is no such offering": func(c *sim.Config) { c.Stock = map[cloud.OfferingKey]int{key("x", "y", "z"): 1} },
		"its instance type is not in Types":         func(c *sim.Config) { c.Types = types[:1] },
		"is listed twice":                           func(c *sim.Config) { c.Types = append(types, types[0]) },
	} {
		config := good
		change(&config)
		if _, err := sim.New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want an error that says %q", err, want)
		}
	}
}
