package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"mailseal/milter/shadow"
)

// shadowMetrics shows what a comparison has counted. No label has a value that a stranger chooses:
// domains are for "mailseal shadow report".
type shadowMetrics struct{ recorder *shadow.Recorder }

func shadowDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mailseal_shadow_"+name, help, labels, nil)
}

var (
	shadowMessages = shadowDesc("messages_total", "Messages by result of the comparison: same, "+
		"differs, not compared, not judged, aborted.", "outcome")
	shadowDifferences = shadowDesc("differences_total", "Messages that differ, by kind of "+
		"difference.", "kind")
	shadowSessions = shadowDesc("sessions_total",
		"SMTP sessions on which the old milter decided before the first message.")
	shadowErrors = shadowDesc("upstream_errors_total",
		"Connections to the old milter that failed: unreached (it could not be reached), broken "+
			"(it ended the connection).",
		"error")
	shadowUnlogged = shadowDesc("unlogged_total", "Lines that could not be written to the log.")
)

// Describe implements prometheus.Collector.
func (shadowMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{shadowMessages, shadowDifferences, shadowSessions,
		shadowErrors, shadowUnlogged} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m shadowMetrics) Collect(ch chan<- prometheus.Metric) {
	show := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	s := m.recorder.Summary()
	show(shadowMessages, s.Same, "same")
	show(shadowMessages, s.Differing, "differs")
	show(shadowMessages, s.NotCompared, "not compared")
	show(shadowMessages, s.Messages-s.Same-s.Differing-s.NotCompared, "not judged")
	show(shadowMessages, s.Aborted, "aborted")
	for _, kind := range shadow.Kinds() {
		show(shadowDifferences, s.Kinds[kind], kind)
	}
	show(shadowSessions, s.Sessions)
	show(shadowErrors, s.Unreached, "unreached")
	show(shadowErrors, s.Broken, "broken")
	show(shadowUnlogged, s.Unlogged)
}
