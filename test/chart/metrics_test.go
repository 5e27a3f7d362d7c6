package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/nominate"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(charts, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// named collects the names of what is registered with it.
type named struct {
	prometheus.Registerer
	names []string
}

var fullName = regexp.MustCompile(`fqName: "([a-z_]+)"`)

func (n *named) Register(c prometheus.Collector) error {
	descriptions := make(chan *prometheus.Desc, 10)
	c.Describe(descriptions)
	close(descriptions)
	for d := range descriptions {
		n.names = append(n.names, fullName.FindStringSubmatch(d.String())[1])
	}
	return n.Registerer.Register(c)
}

// expressions answers every PromQL expression of the alerts and the dashboard. Grafana's variable of a window stands for five minutes.
func expressions(t *testing.T) []string {
	t.Helper()
	var alerts struct {
		Groups []struct {
			Rules []struct{ Expr, Alert string }
		}
	}
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	for name, into := range map[string]any{"slipway/files/alerts.yaml": &alerts, "slipway/files/dashboard.json": &dashboard} {
		if err := yaml.Unmarshal([]byte(read(t, name)), into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var all []string
	for _, g := range alerts.Groups {
		for _, r := range g.Rules {
			all = append(all, r.Expr)
		}
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
		}
	}
	return all
}

// labelValues answers what the labels of metrics can be, of those whose values are words of the code's own.
func labelValues() map[string][]string {
	held := []v1alpha1.Reason{v1alpha1.HeldConstraint, v1alpha1.HeldNoShape, v1alpha1.HeldLimit, v1alpha1.HeldDraining, v1alpha1.HeldStockout, v1alpha1.HeldQuota,
		v1alpha1.HeldOutage, v1alpha1.HeldGang, v1alpha1.HeldUnsupported, v1alpha1.HeldNotBound, v1alpha1.HeldNoProvisioner}
	known := map[string][]string{"slipway_pods_bound_total/outcome": {nominate.BoundAsPlanned, nominate.BoundElsewhere, nominate.BoundEarlier}}
	for _, reason := range held {
		known["slipway_pods_held/reason"] = append(known["slipway_pods_held/reason"], string(reason))
	}
	return known
}

// lived has a controller's life counted, so that every metric that has it has a series of each event, state and reason.
func lived(m *telemetry.Metrics) {
	m.ClaimLaunched(0)
	m.ClaimJoined(0)
	m.ClaimReady(0)
	m.ClaimTerminated(v1alpha1.RetireIdle, 0)
	m.ClaimLaunchFailed(v1alpha1.ReasonStockout)
	m.ProvisionerUses("gpu", telemetry.Usage{GPULimit: new(int64), Nodes: map[cloud.Market]int{cloud.Spot: 1, cloud.OnDemand: 1}})
}

// series answers the values that each label of each metric has, as METRIC/LABEL.
func series(t *testing.T, from prometheus.Gatherer) map[string][]string {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	known := labelValues()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				key := f.GetName() + "/" + l.GetName()
				known[key] = append(known[key], l.GetValue())
			}
		}
	}
	return known
}

// unknown answers what an expression matches labels with that no series has.
func unknown(known map[string][]string, s *parser.VectorSelector) (wrong []string) {
	for _, m := range s.LabelMatchers {
		values := known[s.Name+"/"+m.Name]
		if m.Name == "__name__" || s.Name == "up" {
			continue
		}
		if len(values) == 0 {
			wrong = append(wrong, fmt.Sprintf("%s has no label %s with words that are known", s.Name, m.Name))
		}
		for value := range strings.SplitSeq(m.Value, "|") {
			if len(values) > 0 && !slices.Contains(values, value) {
				wrong = append(wrong, fmt.Sprintf("%s of %s is never %q", m.Name, s.Name, value))
			}
		}
	}
	return wrong
}

// TestLabels_catches: an alert for a word that the controller does not say never fires, and is found.
func TestLabels_catches(t *testing.T) {
	known := map[string][]string{"slipway_gpus/state": {"idle", "used"}}
	for text, want := range map[string]int{
		`slipway_gpus{state="idle"}`: 0, `slipway_gpus{state=~"idle|used"}`: 0, `slipway_gpus{state="free"}`: 1, `slipway_gpus{state=~"idle|free"}`: 1,
		`slipway_gpus{status="idle"}`: 1, `slipway_gpus`: 0,
	} {
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		if wrong := unknown(known, parsed.(*parser.VectorSelector)); len(wrong) != want {
			t.Errorf("%s: %q, want %d", text, wrong, want)
		}
	}
}

// TestMetrics: alerts and dashboard are PromQL, and ask for metrics that the controller has, by words that it says.
func TestMetrics(t *testing.T) {
	gathered := prometheus.NewRegistry()
	registry := &named{Registerer: gathered}
	metrics, err := telemetry.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	lived(metrics)
	known := series(t, gathered)
	all := expressions(t)
	if len(all) < 20 {
		t.Fatalf("%d expressions are too few to be all", len(all))
	}
	ofHistograms := regexp.MustCompile(`_(bucket|sum|count)$`)
	for _, e := range all {
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(e)
		if err != nil {
			t.Errorf("%s: %v", e, err)
			continue
		}
		parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
			s, is := node.(*parser.VectorSelector)
			if !is {
				return nil
			}
			if s.Name != "up" && !slices.Contains(registry.names, s.Name) && !slices.Contains(registry.names, ofHistograms.ReplaceAllString(s.Name, "")) {
				t.Errorf("%s: there is no metric %s", e, s.Name)
			}
			for _, wrong := range unknown(known, s) {
				t.Errorf("%s: %s", e, wrong)
			}
			return nil
		})
	}
}
