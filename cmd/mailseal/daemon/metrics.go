package daemon

import (
	"errors"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/filter"
	"mailseal/milter/report/spool"
	"mailseal/milter/sign"
)

// metrics counts the daemon's work for Prometheus. It is the milter.Metrics and the
// filter.Counters of the daemon, outlives every reload, and has a separate registry, so
// that two of them can be in one process.
//
// No label has a value that a sender chooses: a counter for each sender's domain would grow
// without limit.
type metrics struct {
	registry *prometheus.Registry

	messages    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	connections prometheus.Gauge
	events      *prometheus.CounterVec
	fragile     *prometheus.CounterVec
	results     *prometheus.CounterVec
	signatures  *prometheus.CounterVec
	unsigned    *prometheus.CounterVec
	longFields  *prometheus.CounterVec
	keyFailures prometheus.Counter
	selfChecks  *prometheus.CounterVec
	shortages   prometheus.Counter
	ruleErrors  prometheus.Counter
	reloads     *prometheus.CounterVec
	reloaded    prometheus.Gauge
	watched     *prometheus.GaugeVec
	sources     sourceMetrics
	today       *today

	client atomic.Pointer[dns.Client] // in use
	gate   atomic.Pointer[dns.Gate]
}

var (
	_ milter.Metrics  = (*metrics)(nil)
	_ filter.Counters = (*metrics)(nil)
)

// latencies are the buckets of mailseal_message_seconds: a cached verdict takes a millisecond, a
// signature two, a name server that does not answer five seconds, and the deadline is at twenty.
var latencies = []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20,
	40}

// newMetrics makes the counters of the program that version names.
func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		today:    newToday(time.Now),
		messages: counters("messages_total",
			"Messages with a verdict, by role (ours, theirs, relay) and action.", "role", "action"),
		connections: gauge("connections", "Open connections of mail servers."),
		events: counters("events_total", "Problems with connections and messages, and "+
			"exempt messages, by kind.", "event"),
		fragile: counters("fragile_total", "Signed messages whose signatures later mail servers "+
			"will break, or may break, by cause.", "cause"),
		results: counters("results_total", "Results of judging strangers' mail, by method "+
			"and result.", "method", "result"),
		signatures: counters("signatures_total", "DKIM signatures made, by algorithm.", "algorithm"),
		unsigned: counters("unsigned_total", "Our own messages that left without a signature, "+
			"by reason.", "reason"),
		longFields: counters("long_fields_total", "Header fields with lines that the mail server "+
			"would break: folded (refolded), or left out of the signature (left_out).", "done"),
		keyFailures: counter("key_failures_total",
			"Signatures that could not be made because a key could not be loaded or used."),
		selfChecks: counters("self_checks_total",
			"Signatures that the second implementation verified (signing.self_check), by result.",
			"outcome"),
		shortages: counter("shortages_total", "Messages that were deferred because this host was "+
			"too busy to judge them."),
		ruleErrors: counter("rule_failures_total",
			"Messages for which a rule of policy.rules could not be evaluated."),
		reloads: counters("reloads_total", "Reloads of the configuration, by result: good, "+
			"bad (it has mistakes), refused (domains would lose their signatures).", "result"),
		reloaded: gauge("reloaded_timestamp_seconds", "Time when the configuration in effect was read."),
		watched: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "mailseal", Name: "keys_watched",
			Help: "Keys that sign, by the result of their last check in the DNS: good, bad " +
				"(missing or wrong), unknown (no answer)."},
			[]string{"shown"}),
	}
	m.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "mailseal", Name: "message_seconds", Buckets: latencies,
		Help: "Time from the end of a message's header to the verdict, in seconds, by role.",
	}, []string{"role"})
	m.registry.MustRegister(m.messages, m.seconds, m.connections, m.events, m.fragile, m.results,
		m.signatures, m.unsigned, m.longFields,
		m.keyFailures, m.selfChecks, m.shortages, m.ruleErrors, m.reloads, m.reloaded, m.watched,
		&m.sources, buildInfo(version),
		collectors.NewGoCollector(), collectors.NewProcessCollector(
			collectors.ProcessCollectorOpts{}))
	m.begin()
	return m
}

// begin makes the counters that alerts are written for exist before they count: "no such series" is
// not zero.
func (m *metrics) begin() {
	for _, e := range milter.Events() {
		m.eventCounter(e)
	}
	for _, outcome := range []string{"agree", "disagree", "left out"} {
		m.selfChecks.WithLabelValues(outcome)
	}
	for _, role := range []action.Role{action.RoleOurs, action.RoleRelay, action.RoleTheirs} {
		for _, done := range []action.Action{action.Accept, action.Hold, action.Reject,
			action.Tempfail} {
			m.messages.WithLabelValues(role.String(), done.String())
		}
	}
	for _, done := range []string{"refolded", "left_out"} {
		m.longFields.WithLabelValues(done)
	}
	m.Watched(nil)
	m.reloads.WithLabelValues("good")
	m.reloads.WithLabelValues("bad")
	m.reloads.WithLabelValues("refused")
	m.reloaded.SetToCurrentTime()
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "mailseal", Name: name,
		Help: help}, labels)
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "mailseal", Name: name,
		Help: help})
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "mailseal", Name: name, Help: help})
}

// buildInfo is 1, and says which program this is.
func buildInfo(version string) prometheus.Collector {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "mailseal", Name: "build_info",
		Help: "Versions of Mailseal and Go, as labels; the value is always 1."},
		[]string{"version", "goversion"})
	g.WithLabelValues(version, runtime.Version()).Set(1)
	return g
}

// Message implements milter.Metrics.
func (m *metrics) Message(role action.Role, done action.Action, took time.Duration) {
	m.messages.WithLabelValues(role.String(), done.String()).Inc()
	m.today.add(countMessages, role.String(), done.String())
	m.seconds.WithLabelValues(role.String()).Observe(took.Seconds())
}

// Connections implements milter.Metrics.
func (m *metrics) Connections(n int) { m.connections.Add(float64(n)) }

// Event implements milter.Metrics.
func (m *metrics) Event(e milter.Event) { m.eventCounter(e).Inc() }

func (m *metrics) eventCounter(e milter.Event) prometheus.Counter {
	if e == milter.LongLine || e == milter.Rewritten || e == milter.EightBit {
		return m.fragile.WithLabelValues(string(e))
	}
	return m.events.WithLabelValues(string(e))
}

// Signed implements filter.Counters.
func (m *metrics) Signed(s sign.Signature) {
	m.signatures.WithLabelValues(s.Algorithm).Inc()
	m.today.add(countSignatures, s.Algorithm, "")
}

// SignedFor implements filter.Counters. The list of package signed has the domains.
func (m *metrics) SignedFor(domain.Name) {}

// Unsigned implements filter.Counters.
func (m *metrics) Unsigned(reason string) {
	m.unsigned.WithLabelValues(reason).Inc()
	m.today.add(countUnsigned, reason, "")
}

// LongFields implements filter.Counters.
func (m *metrics) LongFields(done string, n int) {
	m.longFields.WithLabelValues(done).Add(float64(n))
}

// KeyFailed implements filter.Counters. The log says which key it was.
func (m *metrics) KeyFailed(string, error) { m.keyFailures.Inc() }

// Found implements filter.Counters.
func (m *metrics) Found(method, value string) {
	m.results.WithLabelValues(method, value).Inc()
	m.today.add(countResults, method, value)
}

// SelfChecked implements filter.Counters.
func (m *metrics) SelfChecked(v sign.Verdict) { m.selfChecks.WithLabelValues(string(v)).Inc() }

// Short implements filter.Counters.
func (m *metrics) Short() { m.shortages.Inc() }

// RuleFailed implements filter.Counters.
func (m *metrics) RuleFailed() { m.ruleErrors.Inc() }

// Reloaded counts a reload; err is why the old configuration stays in effect.
func (m *metrics) Reloaded(err error) {
	switch {
	case errors.Is(err, ErrRefused):
		m.reloads.WithLabelValues("refused").Inc()
		return
	case err != nil:
		m.reloads.WithLabelValues("bad").Inc()
		return
	}
	m.reloads.WithLabelValues("good").Inc()
	m.reloaded.SetToCurrentTime()
}

// Watched sets the number of signing keys by the state of their DNS records: "good", "bad"
// and "unknown".
func (m *metrics) Watched(count map[string]int) {
	for _, shown := range []string{"good", "bad", "unknown"} {
		m.watched.WithLabelValues(shown).Set(float64(count[shown]))
	}
}

// watchSpool shows what was written down for DMARC reports.
func (m *metrics) watchSpool(w *spool.Writer) {
	for _, c := range []struct {
		name, help string
		load       func() int64
	}{
		{"report_rows_total", "Records for DMARC reports: messages, and domains that users wrote to.",
			func() int64 { return w.Counts().Recorded }},
		{"report_rows_dropped_total", "Records for DMARC reports that were lost, because the " +
			"disk was too slow, full or not writable.",
			func() int64 { return w.Counts().Dropped }},
		{"report_spool_bytes_total", "Bytes written to the spool of DMARC reports.",
			func() int64 { return w.Counts().Bytes }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Namespace: "mailseal", Name: c.name, Help: c.help},
			func() float64 { return float64(c.load()) },
		))
	}
}

// watchSpoolState shows what waits in a spool for the process that makes reports, as it is when it
// is asked for.
func (m *metrics) watchSpoolState(dir string, now func() time.Time) {
	for _, g := range []struct {
		name, help string
		load       func(spool.State) float64
	}{
		{"report_spool_waiting_bytes", "Bytes in the spool that mailseal reports serve has not read yet.",
			func(s spool.State) float64 { return float64(s.Bytes) }},
		{"report_spool_oldest_seconds", "Age of the oldest file in the spool; 0 if the spool is empty.",
			func(s spool.State) float64 {
				if s.Oldest.IsZero() {
					return 0
				}
				return now().Sub(s.Oldest).Seconds()
			}},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Namespace: "mailseal", Name: g.name, Help: g.help},
			func() float64 {
				s, err := spool.Look(dir)
				if err != nil {
					return math.NaN() // a spool that cannot be read is not an empty one
				}
				return g.load(s)
			},
		))
	}
}

// watchDNS shows the counters of the resolver, from then on those of this one. They begin again
// with each.
func (m *metrics) watchDNS(client *dns.Client, gate *dns.Gate) {
	isFirst := m.client.Swap(client) == nil
	m.gate.Store(gate)
	if !isFirst {
		return
	}
	for _, c := range []struct {
		name, help string
		load       func() uint64
	}{
		{"dns_queries_total", "Queries sent to name servers over UDP.",
			func() uint64 { return m.client.Load().Counters.Queries.Load() }},
		{"dns_resent_total", "Queries that were sent again because no reply had arrived.",
			func() uint64 { return m.client.Load().Counters.Resent.Load() }},
		{"dns_truncated_total", "Truncated replies, for which the query was sent again over TCP.",
			func() uint64 { return m.client.Load().Counters.Truncated.Load() }},
		{"dns_timeouts_total", "Queries that got no reply in time.",
			func() uint64 { return m.client.Load().Counters.Timeouts.Load() }},
		{"dns_cache_hits_total", "Lookups answered from the cache.",
			func() uint64 { return m.gate.Load().Cache().Counters.Hits.Load() }},
		{"dns_cache_misses_total", "Lookups that were not in the cache and went to a name server.",
			func() uint64 { return m.gate.Load().Cache().Counters.Misses.Load() }},
		{"dns_cache_shared_total", "Lookups that shared the answer to a query already in progress.",
			func() uint64 { return m.gate.Load().Cache().Counters.Shared.Load() }},
		{"dns_failures_total", "Lookups that failed.",
			func() uint64 { return m.gate.Load().Cache().Counters.Failures.Load() }},
		{"dns_waited_total", "Lookups that waited because too many were in progress.",
			func() uint64 { return m.gate.Load().Counters.Waited.Load() }},
		{"dns_shortages_total", "Lookups that were not made because too many were in progress; " +
			"their messages were deferred.",
			func() uint64 { return m.gate.Load().Counters.Shortages.Load() }},
		{"dns_cache_evictions_total", "Answers dropped before they expired, because the cache was full.",
			func() uint64 { return m.gate.Load().Cache().Counters.Evictions.Load() }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Namespace: "mailseal", Name: c.name, Help: c.help},
			func() float64 { return float64(c.load()) }))
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "mailseal", Name: "dns_waiting", Help: "Lookups that wait now because too many are in progress.",
	}, func() float64 { return float64(gate.Counters.Waiting.Load()) }))
}
