package sim_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

func scriptText(s string) io.Reader { return strings.NewReader(s) }

func TestParseLine(t *testing.T) {
	for line, want := range map[string]sim.Fault{
		"at 30s interrupt oldest":                       {When: sim.At, Wait: 30 * time.Second, Verb: sim.Interrupt, Which: "oldest"},
		"every 1m0s rebalance all g4dn.*":               {When: sim.Every, Wait: time.Minute, Verb: sim.Rebalance, Which: "all", Offering: "g4dn.*"},
		"stockout g4dn.xlarge/us-east-1a/spot for 5m0s": {Verb: sim.Stockout, Offering: "g4dn.xlarge/us-east-1a/spot", For: 5 * time.Minute},
		"after 3 launches throttle for 10s":             {When: sim.AfterLaunches, Launches: 3, Verb: sim.Throttle, For: 10 * time.Second},
		"throttle CreateFleet for 10s":                  {Verb: sim.Throttle, Call: "CreateFleet", For: 10 * time.Second},
		"lose reply of launch 4":                        {Verb: sim.LoseReply, Count: 4},
		"gpu delay 2m0s for p3.8xlarge":                 {Verb: sim.DelayGPU, Delay: 2 * time.Minute, Offering: "p3.8xlarge"},
		"gpu missing 1 of g4dn.12xlarge":                {Verb: sim.MissGPU, Count: 1, Offering: "g4dn.12xlarge"},
		"gpu never":                                     {Verb: sim.DelayGPU, Never: true},
		"join never for g5.xlarge":                      {Verb: sim.DelayJoin, Never: true, Offering: "g5.xlarge"},
		"boot delay 1m0s":                               {Verb: sim.DelayBoot, Delay: time.Minute},
		"quota spot 64 G and VT":                        {Verb: sim.Quota, Market: cloud.Spot, Count: 64, Bucket: "G and VT"},
		"stock */*/spot unlimited":                      {Verb: sim.Stock, Offering: "*/*/spot", Count: sim.Unlimited},
		"price g5.xlarge 0.310000":                      {Verb: sim.Price, Offering: "g5.xlarge", PriceMicroUSD: 310_000},
		"ignore tokens for 1m0s":                        {Verb: sim.IgnoreTokens, For: time.Minute},
		"deny TerminateInstances":                       {Verb: sim.Deny, Call: "TerminateInstances"},
		"fail for 3s":                                   {Verb: sim.Fail, For: 3 * time.Second},
		"duplicate 2 notices":                           {Verb: sim.DuplicateNext, Count: 2},
		"send {not json":                                {Verb: sim.Send, Text: "{not json"},
		"terminate i-0123456789abcdef0":                 {Verb: sim.Terminate, Which: "i-0123456789abcdef0"},
	} {
		t.Run(line, func(t *testing.T) {
			got, err := sim.ParseLine(line)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("fault (-want +got):\n%s", diff)
			}
			if got.String() != line {
				t.Errorf("it is written %q", got.String())
			}
		})
	}
}

func TestParseNamesEveryBadLine(t *testing.T) {
	script := `
# comment
at 30s interrupt oldest   # and another
at soon interrupt oldest
explode
stock g4dn.xlarge
stockout g4dn.xlarge for 5m please
price g5.xlarge 0.0000001
interrupt someone
boot never
stock [ 3
`
	_, err := sim.Parse(scriptText(script))
	if err == nil {
		t.Fatal("the script was read")
	}
	want := []string{
		`line 4: "soon" is no duration; want one such as 90s or 2m, at most 8760h0m0s`,
		`line 5: there is no fault "explode"; there are boot, deny, duplicate, fail, gpu, ignore, interrupt, join, lose, price, quota, ` +
			`rebalance, send, stock, stockout, terminate, throttle`,
		`line 6: the line ends where a number is expected`,
		`line 7: nothing is expected after it, but there is "please"`,
		`line 8: "0.0000001" is no price; want dollars above zero with up to six decimals`,
		`line 9: "someone" is no machine; want oldest, newest, all or an instance ID`,
		`line 10: boot cannot be "never"`,
		`line 11: "[" is no offering: syntax error in pattern`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func FuzzParseLine(f *testing.F) {
	for _, seed := range []string{"at 30s interrupt oldest", "quota spot 3 G and VT", "price a 0.1", "gpu missing 1 of x", "send x y",
		"after 1 launches fail for 1s", "join never for a/b/c", "stock * unlimited", "throttle X 1s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		first, err := sim.ParseLine(line)
		if err != nil {
			return
		}
		second, err := sim.ParseLine(first.String())
		if err != nil {
			t.Fatalf("%q is written %q, which cannot be read: %v", line, first.String(), err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("%q is written %q, which means something else:\n%s", line, first.String(), diff)
		}
	})
}

func TestFaults(t *testing.T) {
	t.Run("throttle after launches, for a while", func(t *testing.T) {
		c, clock := open(t, nil)
		inject(t, c, "after 2 launches throttle CreateFleet for 10s")
		mustLaunch(t, c, request("a", cloud.Spot, "g4dn.xlarge"))
		mustLaunch(t, c, request("b", cloud.Spot, "g4dn.xlarge"))
		if _, err := c.Launch(t.Context(), request("c", cloud.Spot, "g4dn.xlarge")); !errors.Is(err, cloud.ErrThrottled) {
			t.Errorf("got %v, want ErrThrottled", err)
		}
		if _, err := c.Instances(t.Context()); err != nil {
			t.Errorf("another call: %v", err)
		}
		clock.advance(10 * time.Second)
		mustLaunch(t, c, request("c", cloud.Spot, "g4dn.xlarge"))
	})
	t.Run("GPUs late, too few, never", func(t *testing.T) {
		c, _ := open(t, nil)
		inject(t, c, "gpu delay 2m for p3.8xlarge")
		inject(t, c, "gpu missing 1 of g4dn.12xlarge")
		inject(t, c, "gpu never for g5.xlarge")
		inject(t, c, "join never for g4dn.xlarge")
		late := machineOf(t, c, mustLaunch(t, c, request("a", cloud.Spot, "p3.8xlarge")).ID)
		if late.GPUAt.Sub(late.JoinAt) != 2*time.Minute || late.GPUs != 4 {
			t.Errorf("late: %d GPUs after %s", late.GPUs, late.GPUAt.Sub(late.JoinAt))
		}
		if few := machineOf(t, c, mustLaunch(t, c, request("b", cloud.Spot, "g4dn.12xlarge")).ID); few.GPUs != 3 {
			t.Errorf("too few: %d GPUs", few.GPUs)
		}
		if none := machineOf(t, c, mustLaunch(t, c, request("c", cloud.Spot, "g5.xlarge")).ID); !none.GPUAt.IsZero() || none.JoinAt.IsZero() {
			t.Errorf("never: joins at %s, GPUs at %s", none.JoinAt, none.GPUAt)
		}
		if absent := machineOf(t, c, mustLaunch(t, c, request("d", cloud.Spot, "g4dn.xlarge")).ID); !absent.JoinAt.IsZero() {
			t.Errorf("it joins at %s", absent.JoinAt)
		}
	})
	t.Run("ignored tokens", func(t *testing.T) {
		c, _ := open(t, func(config *sim.Config) { config.IgnoreTokens = true })
		first := mustLaunch(t, c, request("a", cloud.Spot, "g4dn.xlarge"))
		if second := mustLaunch(t, c, request("a", cloud.Spot, "g4dn.xlarge")); second.ID == first.ID {
			t.Error("the token was honoured")
		}
	})
	t.Run("interrupt every minute", func(t *testing.T) {
		c, clock := open(t, nil)
		inject(t, c, "every 1m interrupt oldest")
		for _, token := range []string{"a", "b", "c"} {
			mustLaunch(t, c, request(token, cloud.Spot, "g4dn.xlarge"))
		}
		clock.advance(2 * time.Minute)
		warned := 0
		for _, m := range c.Machines() {
			if !m.InterruptedAt.IsZero() {
				warned++
			}
		}
		if warned != 2 {
			t.Errorf("%d machines were warned in two minutes, want 2", warned)
		}
	})
	t.Run("price", func(t *testing.T) {
		c, _ := open(t, nil)
		inject(t, c, "price g5.xlarge/us-east-1a/spot 0.9")
		snapshot, err := c.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range snapshot.Offerings {
			if (o.OfferingKey == key("g5.xlarge", "us-east-1a", cloud.Spot)) != (o.PriceMicroUSDPerHour == 900_000) {
				t.Errorf("%s costs %d", o.OfferingKey, o.PriceMicroUSDPerHour)
			}
		}
	})
}
