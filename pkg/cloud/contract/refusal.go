package contract

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

func key(c cloud.Choice, m cloud.Market) cloud.OfferingKey {
	return cloud.OfferingKey{InstanceType: c.InstanceType, Zone: c.Zone, Market: m}
}

func stockoutIsTyped(t *testing.T, e Env) {
	req := e.Request("stockout", cloud.Spot)
	req.Choices = e.Choices[:2]
	want := []cloud.OfferingKey{key(req.Choices[0], cloud.Spot), key(req.Choices[1], cloud.Spot)}
	for _, k := range want {
		e.Fault(t, "stock "+k.String()+" 0")
	}
	if want[1].Compare(want[0]) < 0 {
		want[0], want[1] = want[1], want[0]
	}
	_, err := e.Fleet.Launch(t.Context(), req)
	var stockout *cloud.StockoutError
	if !errors.As(err, &stockout) {
		t.Fatalf("got %v; want a *StockoutError", err)
	}
	if diff := cmp.Diff(want, stockout.Offerings); diff != "" {
		t.Errorf("offerings without stock (-want +got):\n%s", diff)
	}
	for _, k := range want {
		e.Fault(t, "stock "+k.String()+" 3")
	}
	again := e.Request("stockout-over", cloud.Spot)
	launch(t, e, again)
	settled(t, e, 1)
}

func otherChoiceServes(t *testing.T, e Env) {
	for _, market := range []cloud.Market{cloud.Spot, cloud.OnDemand} {
		req := e.Request("other-"+string(market), market)
		req.Choices = e.Choices[:2]
		first, second := key(req.Choices[0], market), key(req.Choices[1], market)
		e.Fault(t, "stockout "+first.String()+" for 1h")
		got := launch(t, e, req)
		if got.Instance.OfferingKey != second {
			t.Errorf("got a machine of %s; want %s", got.Instance.OfferingKey, second)
		}
		for _, k := range got.Stockouts {
			if k != first {
				t.Errorf("%s is said to have no stock; only %s has none", k, first)
			}
		}
	}
}

func quotaIsTyped(t *testing.T, e Env) {
	for _, market := range []cloud.Market{cloud.Spot, cloud.OnDemand} {
		e.Fault(t, "quota "+string(market)+" 0 G and VT")
		_, err := e.Fleet.Launch(t.Context(), e.Request("quota-"+string(market), market))
		var quota *cloud.QuotaError
		if !errors.As(err, &quota) {
			t.Fatalf("got %v; want a *QuotaError", err)
		}
		if quota.Market != market || quota.Bucket != "G and VT" {
			t.Errorf("the quota is %s of %q; want %s of \"G and VT\"", quota.Market, quota.Bucket, market)
		}
	}
	if all := instances(t, e); len(all) != 0 {
		t.Errorf("there are machines although the quota is used up: %v", all)
	}
}

func refusalIsTyped(t *testing.T, e Env) {
	e.Fault(t, "deny CreateFleet for 1h")
	_, err := e.Fleet.Launch(t.Context(), e.Request("denied", cloud.Spot))
	var denied *cloud.DeniedError
	if !errors.As(err, &denied) {
		t.Errorf("got %v; want a *DeniedError", err)
	}
	e.Fault(t, "throttle CreateFleet for 1h")
	if _, err := e.Fleet.Launch(t.Context(), e.Request("throttled", cloud.Spot)); !errors.Is(err, cloud.ErrThrottled) {
		t.Errorf("got %v; want ErrThrottled", err)
	}
	e.Fault(t, "throttle TerminateInstances for 1h")
	if err := e.Fleet.Terminate(t.Context(), "i-0fedcba9876543210"); !errors.Is(err, cloud.ErrThrottled) {
		t.Errorf("got %v; want ErrThrottled", err)
	}
	if all := instances(t, e); len(all) != 0 {
		t.Errorf("there are machines although every launch was refused: %v", all)
	}
}
