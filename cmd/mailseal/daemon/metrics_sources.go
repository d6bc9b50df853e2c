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
	sourceCounter("hits_total", "Questions about keys answered from memory.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Hits }),
	sourceCounter("misses_total", "Questions that a source was asked.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Misses }),
	sourceCounter("shared_total", "Questions that waited for another one's answer.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Shared }),
	sourceCounter("stale_total", "Queries answered with cached answers that had expired, while "+
		"the source was queried again or was unavailable.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Stale }),
	sourceCounter("failures_total", "Questions that a source did not answer, or not usefully.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Failures }),
	sourceCounter("evictions_total", "Answers forgotten before their time for want of room.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Evictions }),
	sourceCounter("unusable_total", "Answers that could not be used, such as a row without a key.",
		func(s *assembly.Source) *atomic.Uint64 { return &s.Counters.Unusable }),
	{sourceDesc("broken", "Rows that could not be used when they were asked for last."),
		prometheus.GaugeValue, func(s *assembly.Source) float64 { return float64(s.Broken()) }},
	{sourceDesc("bytes", "About how much memory the remembered answers take."),
		prometheus.GaugeValue, func(s *assembly.Source) float64 { return float64(s.Bytes()) }},
	{sourceDesc("entries", "Answers remembered now."), prometheus.GaugeValue,
		func(s *assembly.Source) float64 { return float64(s.Len()) }},
	{sourceDesc("away", "1 while a source does not answer."), prometheus.GaugeValue,
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
