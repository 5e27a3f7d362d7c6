package app

import (
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// TestDecisionsAreCounted: claims and held demands, each once for a decision; a demand of many pods is one.
func TestDecisionsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := telemetry.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	kube := fake.NewFakeClient()
	o := observer{metrics: metrics, now: time.Now,
		conditions: telemetry.NewPodConditions(telemetry.NewPacer(nil), kube, kube, time.Now, logr.Discard())}
	held := plan.Held{Reason: v1alpha1.HeldLimit, Pods: []demand.Pod{{Namespace: "ml", Name: "a", UID: "a"}, {Namespace: "ml", Name: "b", UID: "b"}}}
	d := plan.Decision{Create: make([]v1alpha1.NodeClaim, 3), Held: []plan.Held{held}}
	o.Planned(plan.View{}, d, time.Second)
	for _, pod := range held.Pods {
		o.HeldPod(pod, held)
	}
	const want = `# HELP slipway_decisions_total Things decided: nodes to launch, demands held.
# TYPE slipway_decisions_total counter
slipway_decisions_total{kind="hold"} 1
slipway_decisions_total{kind="launch"} 3
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "slipway_decisions_total"); err != nil {
		t.Error(err)
	}
}
