package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailseal/cmd/mailseal/control"
)

// statusMetrics shows the numbers of "mailseal status", made from the same value. Its labels are
// names of the configuration, of our keys and of name servers, each list bounded, and words of
// ours.
type statusMetrics struct {
	status func() *control.Running
}

// statusSeries are the series, by their names without the prefix.
var statusSeries = map[string]*prometheus.Desc{}

func init() {
	for _, s := range []struct {
		name, help string
		labels     []string
	}{
		{"started_timestamp_seconds", "Time when the daemon started.", nil},
		{"today_messages", "Messages with a verdict since midnight UTC, by role and action.",
			[]string{"role", "action"}},
		{"today_results", "Results of judging strangers' mail since midnight UTC, by method " +
			"and result.", []string{"method", "result"}},
		{"today_signatures", "DKIM signatures made since midnight UTC, by algorithm.", []string{"algorithm"}},
		{"today_unsigned", "Our own messages that left without a signature since midnight UTC, " +
			"by reason.",
			[]string{"reason"}},
		{"today_log_lines", "Warnings and errors logged since midnight UTC.", []string{"level"}},
		{"listener_connections", "Open connections, by listener.", []string{"listener"}},
		{"key_published", "1 if the DNS showed a key that signs at its last check, 0 if it did not.",
			[]string{"key"}},
		{"key_age_seconds", "Age of a key that signs, if it is known.", []string{"key"}},
		{"keys_asked_timestamp_seconds",
			"Time when all keys that sign were last compared with the DNS; 0 before the first time.", nil},
		{"dns_server_queries_total", "Queries sent to a name server.", []string{"server"}},
		{"dns_server_silent_total", "Queries to a name server that got no reply in time.", []string{"server"}},
		{"dns_server_seconds", "Mean time of a name server's latest replies, in seconds.", []string{"server"}},
		{"dns_server_dead", "1 while a name server does not reply and is therefore queried " +
			"last, else 0.", []string{"server"}},
		{"job_last_timestamp_seconds", "Time when a job last ran; 0 before its first run.", []string{"job"}},
		{"job_next_timestamp_seconds", "Time when a job will run next; 0 if no run is planned.", []string{"job"}},
		{"job_failed", "1 if the last run of a job failed, else 0.", []string{"job"}},
	} {
		statusSeries[s.name] = prometheus.NewDesc("mailseal_"+s.name, s.help, s.labels, nil)
	}
}

// Describe implements prometheus.Collector.
func (m statusMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range statusSeries {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m statusMetrics) Collect(ch chan<- prometheus.Metric) {
	r := m.status()
	gauge := func(name string, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(statusSeries[name], prometheus.GaugeValue, value,
			labels...)
	}
	counter := func(name string, value uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(statusSeries[name], prometheus.CounterValue,
			float64(value), labels...)
	}
	gauge("started_timestamp_seconds", timestamp(r.Started))
	for _, c := range r.Today.Messages {
		gauge("today_messages", float64(c.Count), c.Of, c.Result)
	}
	for _, c := range r.Today.Results {
		gauge("today_results", float64(c.Count), c.Of, c.Result)
	}
	for _, c := range r.Today.Signatures {
		gauge("today_signatures", float64(c.Count), c.Of)
	}
	for _, c := range r.Today.Unsigned {
		gauge("today_unsigned", float64(c.Count), c.Of)
	}
	gauge("today_log_lines", float64(r.Log.Errors), "error")
	gauge("today_log_lines", float64(r.Log.Warnings), "warning")
	for listener, n := range byListener(r) {
		gauge("listener_connections", float64(n), listener)
	}
	gauge("keys_asked_timestamp_seconds", timestamp(r.Keys.Asked))
	for _, k := range r.Keys.List {
		if k.DNS == "good" || k.DNS == "bad" {
			gauge("key_published", boolValue(k.DNS == "good"), k.Name)
		}
		if !k.Made.IsZero() {
			gauge("key_age_seconds", time.Since(k.Made).Seconds(), k.Name)
		}
	}
	for _, s := range distinct(r.NameServers) {
		counter("dns_server_queries_total", s.Queries, s.Address)
		counter("dns_server_silent_total", s.Silent, s.Address)
		gauge("dns_server_seconds", s.MeanMS/1000, s.Address)
		gauge("dns_server_dead", boolValue(s.Dead), s.Address)
	}
	for _, j := range r.Jobs {
		gauge("job_last_timestamp_seconds", timestamp(j.Last), j.Name)
		gauge("job_next_timestamp_seconds", timestamp(j.Next), j.Name)
		gauge("job_failed", boolValue(j.Error != ""), j.Name)
	}
}

// byListener counts the connections of each listener, those without any included.
func byListener(r *control.Running) map[string]int {
	out := map[string]int{}
	for _, l := range r.Listeners {
		out[l] = 0
	}
	for _, m := range r.MTAs {
		out[m.Listener] += m.Connections
	}
	return out
}

// distinct leaves out servers that resolv.conf names twice: a series may come once only.
func distinct(list []control.NameServer) []control.NameServer {
	seen := map[string]bool{}
	var out []control.NameServer
	for _, s := range list {
		if !seen[s.Address] {
			seen[s.Address] = true
			out = append(out, s)
		}
	}
	return out
}

// timestamp is a time as Prometheus has it; 0 for none.
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
