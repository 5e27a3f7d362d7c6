package telemetry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

func newMetrics(t *testing.T) (*telemetry.Metrics, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	m, err := telemetry.New(reg)
	if err != nil {
		t.Fatal(err)
	}
	return m, reg
}

// sayAll makes every metric have at least one series.
func sayAll(m *telemetry.Metrics) {
	limit := int64(100)
	m.PodsHeld(map[telemetry.HeldKey]int{{Provisioner: "gpu", Reason: v1alpha1.HeldLimit}: 2})
	m.PodPlanned(time.Second)
	m.Planned(time.Millisecond, 1_052_000)
	m.Expecting(12.5)
	m.Decided(telemetry.DecisionLaunch, 2)
	m.Evicted(telemetry.EvictionBlocked)
	m.OrphanTerminated()
	m.CatalogDegraded([]string{"Pricing"})
	m.CloudOperation("Fleet.Launch", "ok", time.Second)
	m.CloudRequest("EC2", "CreateFleet", "ok", time.Second)
	m.ProvisionerUses("gpu", telemetry.Usage{
		Nodes: map[cloud.Market]int{cloud.Spot: 3}, Blocked: 1, GPULimit: &limit, GPUsUsed: 5, GPUsIdle: 3, CostMicroUSDPerHour: 1_578_000,
	})
	m.ClaimLaunched(time.Second)
	m.ClaimJoined(time.Second)
	m.ClaimReady(time.Second)
	m.ClaimDrained(time.Second)
	m.ClaimTerminated(v1alpha1.RetireIdle, time.Second)
	m.ClaimLaunchFailed(v1alpha1.ReasonStockout)
	m.ClaimNeverJoined(v1alpha1.ReasonWaitingForNode)
	m.ClaimNeverReady(v1alpha1.ReasonWaitingForGPUs)
	m.Noticed(cloud.SpotInterruption, telemetry.NoticeHandled)
	m.NoticeReceiveFailed()
	m.Interrupted("gpu", cloud.SpotInterruption)
	m.FencedAfter(time.Second)
}

func TestMetricsAreNamedAsPrometheusAsks(t *testing.T) {
	m, reg := newMetrics(t)
	sayAll(m)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestMetricsHaveOnlyBoundedLabels(t *testing.T) {
	m, reg := newMetrics(t)
	sayAll(m)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	bounded := []string{"provisioner", "reason", "kind", "event", "phase", "market", "state", "outcome", "source", "service", "operation"}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "slipway_") {
			t.Errorf("%s lacks the prefix slipway_", f.GetName())
		}
		for _, l := range f.GetMetric()[0].GetLabel() {
			if !slices.Contains(bounded, l.GetName()) {
				t.Errorf("%s has the label %s, which has no bound", f.GetName(), l.GetName())
			}
		}
	}
	if want := 24; len(families) != want {
		t.Errorf("%d families have a series; want %d: has sayAll become incomplete?", len(families), want)
	}
}

func TestNewRefusesARegistryWithTheSameNames(t *testing.T) {
	_, reg := newMetrics(t)
	if _, err := telemetry.New(reg); err == nil {
		t.Error("a second New on the same registry succeeded")
	}
}

func TestGaugesForgetWhatIsNotSaidAgain(t *testing.T) {
	m, reg := newMetrics(t)
	held := func(provisioner string, reason v1alpha1.Reason) telemetry.HeldKey {
		return telemetry.HeldKey{Provisioner: provisioner, Reason: reason}
	}
	m.PodsHeld(map[telemetry.HeldKey]int{held("gpu", v1alpha1.HeldLimit): 2, held("", v1alpha1.HeldNoShape): 1})
	m.PodsHeld(map[telemetry.HeldKey]int{held("gpu", v1alpha1.HeldLimit): 7})
	m.CatalogDegraded([]string{"Pricing", "SpotPriceHistory"})
	m.CatalogDegraded(nil)
	m.ProvisionerUses("a", telemetry.Usage{Nodes: map[cloud.Market]int{cloud.Spot: 1, cloud.OnDemand: 1}})
	m.ProvisionerUses("b", telemetry.Usage{Nodes: map[cloud.Market]int{cloud.Spot: 9}})
	m.ProvisionerUses("a", telemetry.Usage{Nodes: map[cloud.Market]int{cloud.Spot: 2}})
	m.ProvisionerUses("c", telemetry.Usage{Nodes: map[cloud.Market]int{cloud.Spot: 4}, CostMicroUSDPerHour: 5})
	m.Interrupted("c", cloud.SpotInterruption)
	m.ProvisionerGone("c")

	want := []string{
		`slipway_cost_dollars_per_hour{provisioner="a"} 0`,
		`slipway_cost_dollars_per_hour{provisioner="b"} 0`,
		`slipway_expected_arrivals_per_hour{} 0`,
		`slipway_gpus{provisioner="a",state="idle"} 0`,
		`slipway_gpus{provisioner="a",state="used"} 0`,
		`slipway_gpus{provisioner="b",state="idle"} 0`,
		`slipway_gpus{provisioner="b",state="used"} 0`,
		`slipway_nodes_blocked{provisioner="a"} 0`,
		`slipway_nodes_blocked{provisioner="b"} 0`,
		`slipway_nodes{market="spot",provisioner="a"} 2`,
		`slipway_nodes{market="spot",provisioner="b"} 9`,
		"slipway_nominations_heeded{} 1",
		`slipway_plan_cost_dollars_per_hour{} 0`,
		`slipway_pods_held{provisioner="gpu",reason="LimitReached"} 7`,
	}
	if diff := cmp.Diff(want, gaugeLines(t, reg)); diff != "" {
		t.Errorf("gauges (-want +got):\n%s", diff)
	}
}

// A rate needs a sample before the first failure: many nodes may fail at one moment.
func TestFailuresBeginAtZero(t *testing.T) {
	m, reg := newMetrics(t)
	before, err := testutil.GatherAndCount(reg, "slipway_claims_total")
	if err != nil {
		t.Fatal(err)
	}
	m.ClaimLaunchFailed(v1alpha1.ReasonDenied)
	m.ClaimNeverJoined(v1alpha1.ReasonWaitingForNode)
	m.ClaimNeverReady(v1alpha1.ReasonWaitingForGPUs)
	if after, err := testutil.GatherAndCount(reg, "slipway_claims_total"); err != nil || after != before {
		t.Errorf("%d series before the first failures, %d after them (%v)", before, after, err)
	}
}

func gaugeLines(t *testing.T, reg *prometheus.Registry) []string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			if metric.GetGauge() == nil {
				continue
			}
			var labels []string
			for _, l := range metric.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			lines = append(lines, fmt.Sprintf("%s{%s} %v", f.GetName(), strings.Join(labels, ","), metric.GetGauge().GetValue()))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestAnUnknownKindOfNoticeIsOther(t *testing.T) {
	m, reg := newMetrics(t)
	for i := range 100 {
		m.Noticed(cloud.NoticeKind(fmt.Sprint("new-", i)), telemetry.NoticeIgnored)
	}
	n, err := testutil.GatherAndCount(reg, "slipway_notices_total")
	if err != nil || n != 1 {
		t.Errorf("notices_total has %d series, %v; want 1", n, err)
	}
}
