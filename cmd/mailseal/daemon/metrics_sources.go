package daemon

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"mailseal/cmd/mailseal/assembly"
)

// sourceMetrics shows the counters of the sources in effect. The counters of a source begin again
// when a reload changes its settings.
type sourceMetrics struct {
	sources atomic.Pointer[map[string]*assembly.Source]
}

// sourceOne is one series of each source.
type sourceOne struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*assembly.Source) float64
}

var sourceSeries = []sourceOne{
	sourceCounter("hits_total", "Queries for keys that were answered from the cache.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Hits }),
	sourceCounter("misses_total", "Queries for keys that were not in the cache and went to the source.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Misses }),
	sourceCounter("shared_total", "Queries that shared the answer to a query already in progress.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Shared }),
	sourceCounter("stale_total", "Queries answered with cached answers that had expired, while "+
		"the source was queried again or was unavailable.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Stale }),
	sourceCounter("failures_total",
		"Queries that the source did not answer, or answered with an error or an unusable row.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Failures }),
	sourceCounter("evictions_total",
		"Answers dropped before they expired, because the cache was full.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Evictions }),
	sourceCounter("unusable_total", "Answers that could not be used, such as a row without a key.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Unusable }),
	{sourceDesc("broken", "Rows of the source that could not be used at the last query."),
		prometheus.GaugeValue, func(s *assembly.Source) float64 { return float64(s.Broken()) }},
	{sourceDesc("bytes", "Approximate memory that the cached answers take, in bytes."),
		prometheus.GaugeValue, func(s *assembly.Source) float64 { return float64(s.Bytes()) }},
	{sourceDesc("entries", "Answers in the cache."), prometheus.GaugeValue,
		func(s *assembly.Source) float64 { return float64(s.Len()) }},
	{sourceDesc("away", "1 while the source does not answer, else 0."), prometheus.GaugeValue,
		func(s *assembly.Source) float64 {
			if s.IsAway() {
				return 1
			}
			return 0
		}},
}

func sourceDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("mailseal_source_"+name, help, []string{"source"}, nil)
}

func sourceCounter(name, help string, of func(*assembly.Source) *atomic.Uint64) sourceOne {
	return sourceOne{sourceDesc(name, help), prometheus.CounterValue,
		func(s *assembly.Source) float64 { return float64(of(s).Load()) }}
}

// Describe implements prometheus.Collector.
func (m *sourceMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range sourceSeries {
		ch <- s.desc
	}
}

// Collect implements prometheus.Collector.
func (m *sourceMetrics) Collect(ch chan<- prometheus.Metric) {
	sources := m.sources.Load()
	if sources == nil {
		return
	}
	for name, s := range *sources {
		for _, series := range sourceSeries {
			ch <- prometheus.MustNewConstMetric(series.desc, series.kind, series.value(s), name)
		}
	}
}
