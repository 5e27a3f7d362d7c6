package telemetry

import (
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// registrar makes metrics and registers each, keeping the errors for the end.
type registrar struct {
	to   prometheus.Registerer
	errs []error
}

func (r *registrar) add(c prometheus.Collector) {
	if err := r.to.Register(c); err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *registrar) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	r.add(c)
	return c
}

func (r *registrar) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	r.add(c)
	return c
}

func (r *registrar) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	r.add(g)
	return g
}

func (r *registrar) gauges(name, help string, labels ...string) *gauges {
	g := &gauges{
		vec:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels),
		seen: map[string][]string{},
	}
	r.add(g.vec)
	return g
}

func (r *registrar) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	r.add(h)
	return h
}

func (r *registrar) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
	r.add(h)
	return h
}

// gauges are the series of a gauge, which are said anew as a whole. A series that is not said again is removed, and never
// before the others are set: a scrape in between must not find a hole where a value was.
type gauges struct {
	vec  *prometheus.GaugeVec
	mu   sync.Mutex
	seen map[string][]string // label values by themselves, joined
}

// replace says all series.
func (g *gauges) replace(say func(set func(value float64, labels ...string))) {
	g.replaceIf(func([]string) bool { return true }, say)
}

// replaceFor says the series whose first label is given, and leaves the others alone.
func (g *gauges) replaceFor(first string, say func(set func(value float64, labels ...string))) {
	g.replaceIf(func(labels []string) bool { return labels[0] == first }, say)
}

func (g *gauges) replaceIf(mine func([]string) bool, say func(set func(float64, ...string))) {
	g.mu.Lock()
	defer g.mu.Unlock()
	said := map[string]bool{}
	say(func(value float64, labels ...string) {
		key := strings.Join(labels, "\x00")
		said[key] = true
		g.seen[key] = slices.Clone(labels)
		g.vec.WithLabelValues(labels...).Set(value)
	})
	for key, labels := range g.seen {
		if mine(labels) && !said[key] {
			g.vec.DeleteLabelValues(labels...)
			delete(g.seen, key)
		}
	}
}
