package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

const metricIntro = `# Metrics

What the controller serves at /metrics (--metrics-bind-address) of its own. Beside these there are those of controller-runtime (controller_runtime_*,
workqueue_*, rest_client_*, leader_election_*) and of Go (go_*, process_*). No label has the name of a pod, a node or a claim. Only the leader's are
of interest: the others decide nothing.

`

// labelValues says where the values of a metric's label are declared: the constants of a type, or those under a comment that begins so.
var labelValues = map[string]struct{ dir, of string }{
	"slipway_decisions_total kind":           {"pkg/provisioner/telemetry", "DecisionKind"},
	"slipway_evictions_total outcome":        {"pkg/provisioner/telemetry", "EvictionOutcome"},
	"slipway_notices_total outcome":          {"pkg/provisioner/telemetry", "NoticeOutcome"},
	"slipway_notices_total kind":             {"pkg/cloud", "NoticeKind"},
	"slipway_interruptions_total kind":       {"pkg/cloud", "NoticeKind"},
	"slipway_cloud_operations_total outcome": {"pkg/cloud/observed", "The outcomes of a call"},
	"slipway_cloud_requests_total outcome":   {"pkg/cloud/observed", "The outcomes of a call"},
	"slipway_claim_phase_seconds phase":      {"pkg/provisioner/telemetry", "The phases of a claim's life"},
	"slipway_pods_held reason":               {"pkg/apis/v1alpha1", "Why pods are held"},
}

// collected is a Registerer that only remembers.
type collected []prometheus.Collector

func (c *collected) Register(m prometheus.Collector) error  { *c = append(*c, m); return nil }
func (c *collected) MustRegister(m ...prometheus.Collector) { *c = append(*c, m...) }
func (c *collected) Unregister(prometheus.Collector) bool   { return false }

func metricPage(root string) (string, error) {
	var all collected
	if _, err := telemetry.New(&all); err != nil {
		return "", err
	}
	t := &table{head: []string{"Metric", "Type", "Labels", "What it counts"}}
	explained := 0
	for _, c := range all {
		name, help, labels, err := describe(c)
		if err != nil {
			return "", err
		}
		for i, label := range labels {
			from, known := labelValues[name+" "+label]
			if labels[i] = code(label); !known {
				continue
			}
			values, err := valuesOf(filepath.Join(root, from.dir), from.of)
			if err != nil {
				return "", err
			}
			labels[i] += ": " + values
			explained++
		}
		t.row(code(name), kindOf(c), strings.Join(labels, "<br>"), cell(help))
	}
	if explained != len(labelValues) {
		return "", errors.New("a metric of labelValues has lost its label: correct them")
	}
	slices.SortFunc(t.rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return metricIntro + t.String(), nil
}

// described is how a Desc prints itself, which is all that it tells.
var described = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: "((?:[^"\\]|\\.)+)", (?:unit: "[^"]*", )?constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}`)

// describe takes the description of a collector apart. One without a help text is an error.
func describe(c prometheus.Collector) (name, help string, labels []string, err error) {
	descs := make(chan *prometheus.Desc, 1)
	c.Describe(descs)
	text := (<-descs).String()
	m := described.FindStringSubmatch(text)
	if m == nil {
		return "", "", nil, fmt.Errorf("%s: no help, or described in a new way", text)
	}
	if m[3] != "" {
		labels = strings.Split(m[3], ",")
	}
	return m[1], strings.ReplaceAll(m[2], `\"`, `"`), labels, nil
}

func kindOf(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.GaugeVec, prometheus.Gauge: // before Counter, whose methods a Gauge has too
		return "gauge"
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	}
	return "counter"
}

// valuesOf lists the constants of a package that are of a type, or stand under a comment.
func valuesOf(dir, of string) (string, error) {
	all, err := groups(dir)
	if err != nil {
		return "", err
	}
	var values []string
	for _, g := range all {
		for _, c := range g.constants {
			if c.kind == of || strings.HasPrefix(g.comment, of) {
				values = append(values, code(c.value))
			}
		}
	}
	if len(values) == 0 {
		return "", fmt.Errorf("%s has no constants of %q", dir, of)
	}
	return strings.Join(values, ", "), nil
}
