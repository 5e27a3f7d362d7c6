// Package contract is what every cloud.Fleet must keep, as one test.
//
// It decides nothing about how a cloud works; it states what callers of the port rely on, and nothing else may be relied
// on. pkg/cloud/sim passes it in memory, pkg/cloud/aws against cmd/fakeaws. What goes wrong is asked for in the words of
// sim's script, which both understand. Where the port leaves a choice, so does the contract: a launch under a used token
// may answer the machine or ErrTokenReused, but never a second machine.
//
// It is for tests only. It may import the standard library and pkg/cloud.
package contract

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Env is a fresh cloud without machines.
type Env struct {
	Fleet cloud.Fleet
	// Template launches machines of Choices.
	Template cloud.Template
	// Choices are two or more of the same GPU count, the cheapest first, each offered on spot and on demand with stock for
	// at least three machines. They differ in the instance type or the zone.
	Choices []cloud.Choice
	// Fault plays one line of sim's script, at once.
	Fault func(t *testing.T, line string)
	// Foreign launches a machine of another cluster and answers its ID once it could be seen.
	Foreign func(t *testing.T) string
	// Pass lets some time pass, a second or less, on the cloud's clock.
	Pass func()
}

// patience bounds how often Pass is tried before something that must happen eventually is said not to.
const patience = 600

// Test runs the contract. open is called once for each of its parts.
func Test(t *testing.T, open func(t *testing.T) Env) {
	parts := []struct {
		name string
		run  func(*testing.T, Env)
	}{
		{"a launch answers its machine", launchAnswersMachine},
		{"a machine is seen eventually, with all it was launched with", machineIsSeen},
		{"a token stands for one machine", tokenIsIdempotent},
		{"a token stands for one machine at the same moment", tokenIsIdempotentAtOnce},
		{"a token does not serve two requests", tokenServesOneRequest},
		{"a lost reply launches once", lostReplyLaunchesOnce},
		{"the end comes once, however often it is asked for", terminateTwice},
		{"what never was is gone", unknownIsGone},
		{"only ours are listed, by ID", onlyOursAreListed},
		{"a stockout is told by offering", stockoutIsTyped},
		{"another choice serves where the first has no stock", otherChoiceServes},
		{"a quota is told by its bucket", quotaIsTyped},
		{"a refusal is told by its kind", refusalIsTyped},
		{"an ended context ends the call", contextEndsCall},
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) { part.run(t, open(t)) })
	}
}

// Request is a launch request of the Env for a token.
func (e Env) Request(token string, market cloud.Market) cloud.LaunchRequest {
	return cloud.LaunchRequest{
		Token: token, Claim: "gpu-" + token, Provisioner: "gpu", Market: market, Choices: e.Choices, Template: e.Template,
		Node: cloud.NodeConfig{Labels: map[string]string{"slipway.sh/provisioner": "gpu"}},
	}
}

func launch(t *testing.T, e Env, req cloud.LaunchRequest) cloud.LaunchResult {
	t.Helper()
	result, err := e.Fleet.Launch(t.Context(), req)
	if err != nil {
		t.Fatalf("launching %s: %v", req.Token, err)
	}
	return result
}

// eventually passes time until ok says so.
func eventually(t *testing.T, e Env, what string, ok func() bool) {
	t.Helper()
	for range patience {
		if ok() {
			return
		}
		e.Pass()
	}
	t.Fatalf("%s did not come to pass", what)
}

func instances(t *testing.T, e Env) []cloud.Instance {
	t.Helper()
	all, err := e.Fleet.Instances(t.Context())
	if err != nil {
		t.Fatalf("listing instances: %v", err)
	}
	return all
}

// settled passes time until count machines are listed, and then some more, so that a late one shows.
func settled(t *testing.T, e Env, count int) []cloud.Instance {
	t.Helper()
	eventually(t, e, "the listing of the machines", func() bool { return len(instances(t, e)) >= count })
	for range 5 {
		e.Pass()
	}
	all := instances(t, e)
	if len(all) != count {
		t.Fatalf("%d machines are listed, want %d: %v", len(all), count, all)
	}
	return all
}

func launchAnswersMachine(t *testing.T, e Env) {
	for _, market := range []cloud.Market{cloud.Spot, cloud.OnDemand} {
		req := e.Request("answers-"+string(market), market)
		got := launch(t, e, req)
		i := got.Instance
		offered := slices.ContainsFunc(req.Choices, func(c cloud.Choice) bool {
			return c.InstanceType == i.InstanceType && c.Zone == i.Zone
		})
		if i.ID == "" || !offered || i.Market != market || i.Token != req.Token || len(got.Stockouts) != 0 {
			t.Errorf("launching on %s: got %+v; want a machine of one of the choices, its market and token, and no stockout", market, got)
		}
		if want := "aws:///" + i.Zone + "/" + i.ID; i.ProviderID != want {
			t.Errorf("the provider ID is %q, want %q", i.ProviderID, want)
		}
	}
}

func machineIsSeen(t *testing.T, e Env) {
	req := e.Request("seen", cloud.Spot)
	launched := launch(t, e, req).Instance
	var got cloud.Instance
	eventually(t, e, "the machine's running", func() bool {
		var err error
		got, err = e.Fleet.Instance(t.Context(), launched.ID)
		if err != nil && !errors.Is(err, cloud.ErrGone) {
			t.Fatalf("asking for the machine: %v", err)
		}
		return got.State == cloud.InstanceRunning
	})
	if got.Token != req.Token || got.Claim != req.Claim || got.Provisioner != req.Provisioner ||
		got.OfferingKey != launched.OfferingKey || got.ProviderID != launched.ProviderID || got.LaunchedAt.IsZero() {
		t.Errorf("the machine is described as %+v; it was launched as %+v by %+v", got, launched, req)
	}
	if all := settled(t, e, 1); all[0] != got {
		t.Errorf("Instances says %+v, Instance says %+v", all[0], got)
	}
}

func tokenIsIdempotent(t *testing.T, e Env) {
	req := e.Request("once", cloud.Spot)
	first := launch(t, e, req).Instance
	if second := launch(t, e, req).Instance; second.ID != first.ID {
		t.Errorf("the token answered %s, then %s", first.ID, second.ID)
	}
	settled(t, e, 1)
	if third := launch(t, e, req).Instance; third.ID != first.ID {
		t.Errorf("the token answered %s, and %s later", first.ID, third.ID)
	}
	settled(t, e, 1)
}

func tokenIsIdempotentAtOnce(t *testing.T, e Env) {
	var calls sync.WaitGroup
	ids := make([]string, 4)
	for i := range ids {
		calls.Go(func() {
			result, err := e.Fleet.Launch(t.Context(), e.Request("at-once", cloud.Spot))
			if err != nil {
				t.Errorf("launching: %v", err)
			}
			ids[i] = result.Instance.ID
		})
	}
	calls.Wait()
	if slices.Sort(ids); ids[0] != ids[len(ids)-1] {
		t.Errorf("one token answered %v", ids)
	}
	settled(t, e, 1)
}

func tokenServesOneRequest(t *testing.T, e Env) {
	first := launch(t, e, e.Request("other", cloud.Spot)).Instance
	req := e.Request("other", cloud.Spot)
	req.Choices = req.Choices[1:]
	second, err := e.Fleet.Launch(t.Context(), req)
	switch {
	case err == nil && second.Instance.ID != first.ID:
		t.Errorf("a token launched %s, then %s", first.ID, second.Instance.ID)
	case err != nil && !errors.Is(err, cloud.ErrTokenReused):
		t.Errorf("got %v; want the first machine or ErrTokenReused", err)
	}
	settled(t, e, 1)
}

func lostReplyLaunchesOnce(t *testing.T, e Env) {
	e.Fault(t, "lose reply of launch 1")
	req := e.Request("lost", cloud.Spot)
	_, err := e.Fleet.Launch(t.Context(), req) // an adapter may have asked again by itself
	if errors.Is(err, cloud.ErrThrottled) || errors.Is(err, cloud.ErrTokenReused) {
		t.Errorf("got %v; a lost reply is an outage", err)
	}
	launched := launch(t, e, req).Instance
	if all := settled(t, e, 1); all[0].ID != launched.ID {
		t.Errorf("%s is listed, but the launch answered %s", all[0].ID, launched.ID)
	}
}

func terminateTwice(t *testing.T, e Env) {
	id := launch(t, e, e.Request("ends", cloud.Spot)).Instance.ID
	settled(t, e, 1)
	if err := e.Fleet.Terminate(t.Context(), id); err != nil {
		t.Fatalf("terminating: %v", err)
	}
	if err := e.Fleet.Terminate(t.Context(), id); err != nil && !errors.Is(err, cloud.ErrGone) {
		t.Errorf("terminating again: %v; want nil or ErrGone", err)
	}
	eventually(t, e, "the machine's end", func() bool {
		i, err := e.Fleet.Instance(t.Context(), id)
		if err == nil && i.State == cloud.InstanceTerminated {
			t.Fatal("Instance answers a terminated machine; want ErrTerminated")
		}
		if ended := (*cloud.TerminatedError)(nil); errors.As(err, &ended) && ended.Reason == "" {
			t.Fatal("Instance answers an empty reason for the end; want none, or the cloud's")
		}
		return errors.Is(err, cloud.ErrTerminated)
	})
	eventually(t, e, "the end of the listing", func() bool { return len(instances(t, e)) == 0 })
	if err := e.Fleet.Terminate(t.Context(), id); err != nil && !errors.Is(err, cloud.ErrGone) {
		t.Errorf("terminating what is terminated: %v; want nil or ErrGone", err)
	}
}

func unknownIsGone(t *testing.T, e Env) {
	const id = "i-0fedcba9876543210"
	if _, err := e.Fleet.Instance(t.Context(), id); !errors.Is(err, cloud.ErrGone) {
		t.Errorf("Instance: %v; want ErrGone", err)
	}
	if err := e.Fleet.Terminate(t.Context(), id); !errors.Is(err, cloud.ErrGone) {
		t.Errorf("Terminate: %v; want ErrGone", err)
	}
	if all := instances(t, e); len(all) != 0 {
		t.Errorf("Instances: %v; want none", all)
	}
}

func onlyOursAreListed(t *testing.T, e Env) {
	foreign := e.Foreign(t)
	for _, token := range []string{"a", "b", "c"} {
		launch(t, e, e.Request(token, cloud.OnDemand))
	}
	all := settled(t, e, 3)
	if !slices.IsSortedFunc(all, func(a, b cloud.Instance) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("the machines are not sorted by ID: %v", all)
	}
	if slices.ContainsFunc(all, func(i cloud.Instance) bool { return i.ID == foreign }) {
		t.Errorf("%s of another cluster is listed", foreign)
	}
	if _, err := e.Fleet.Instance(t.Context(), foreign); !errors.Is(err, cloud.ErrGone) {
		t.Errorf("asking for a machine of another cluster: %v; want ErrGone", err)
	}
}

func contextEndsCall(t *testing.T, e Env) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	begun := time.Now()
	if _, err := e.Fleet.Launch(ended, e.Request("ended", cloud.Spot)); !errors.Is(err, context.Canceled) {
		t.Errorf("Launch: %v; want context.Canceled", err)
	}
	if _, err := e.Fleet.Instances(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Instances: %v; want context.Canceled", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the calls took %s after their context had ended", took)
	}
}
