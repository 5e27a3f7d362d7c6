package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"

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

// TestMetrics: alerts and dashboard are PromQL, and ask for metrics that the controller has.
func TestMetrics(t *testing.T) {
	registry := &named{Registerer: prometheus.NewRegistry()}
	if _, err := telemetry.New(registry); err != nil {
		t.Fatal(err)
	}
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
			if s, is := node.(*parser.VectorSelector); is && s.Name != "up" &&
				!slices.Contains(registry.names, s.Name) && !slices.Contains(registry.names, ofHistograms.ReplaceAllString(s.Name, "")) {
				t.Errorf("%s: there is no metric %s", e, s.Name)
			}
			return nil
		})
	}
}
