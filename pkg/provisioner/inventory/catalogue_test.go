package inventory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
)

// source fails as often as told, then answers one type in one zone.
type source struct {
	began time.Time
	fail  int
	asked []time.Duration
}

// Load notes when it was asked.
func (s *source) Load(context.Context) (cloud.Snapshot, error) {
	s.asked = append(s.asked, time.Since(s.began))
	if len(s.asked) <= s.fail {
		return cloud.Snapshot{}, errors.New("no route to host")
	}
	key := cloud.OfferingKey{InstanceType: "g4dn.xlarge", Zone: "us-east-1a", Market: cloud.Spot}
	return cloud.Snapshot{Types: []cloud.InstanceType{{Name: key.InstanceType}},
		Offerings: []cloud.Offering{{OfferingKey: key, PriceMicroUSDPerHour: 1}}, Degraded: []cloud.Degradation{{Source: "Pricing"}}}, nil
}

// TestCatalogueTriesAgainSoonAndThenRefreshes: 1 s after the first failure, twice as long after each other, at its own pace after a success.
func TestCatalogueTriesAgainSoonAndThenRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{began: time.Now(), fail: 3}
		degraded, changed := 0, 0
		c := inventory.NewCatalogue(s, time.Minute, logr.Discard(), func(d []cloud.Degradation) { degraded += len(d) })
		c.OnChange(func() { changed++ })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Start(ctx) }()
		<-c.Loaded()
		loaded := time.Since(s.began)
		time.Sleep(90 * time.Second)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 67 * time.Second}
		if diff := cmp.Diff(want, s.asked); diff != "" || loaded != 7*time.Second {
			t.Errorf("loaded after %s; asked (-want +got):\n%s", loaded, diff)
		}
		if degraded != 2 || changed != 2 {
			t.Errorf("%d degradations and %d changes told, want 2 and 2", degraded, changed)
		}
		key := c.Snapshot().Offerings[0].OfferingKey
		_, known := c.Type("g4dn.xlarge")
		if o, ok := c.Offering(key); !ok || o.PriceMicroUSDPerHour != 1 || !known {
			t.Errorf("Offering = %+v, Type known %v", o, known)
		}
	})
}
