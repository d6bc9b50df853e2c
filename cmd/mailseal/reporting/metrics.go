package reporting

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mailseal/cmd/mailseal/check"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/milter/report/advice"
	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// Bounds of the metrics of reports: 100 domains by 10 receivers, and the rest of each as "other",
// in four results make 4,444 series; by seven classes of sources, 2,828; by four severities, 404.
// The codes of findings are words of ours, about a hundred.
const (
	maxMetricDomains   = 100
	maxMetricReceivers = 10
	metricDays         = 7 // that are summed; full days, ending with yesterday
	metricsEvery       = 10 * time.Minute
	metricsRetry       = time.Minute // after an address that could not be opened
)

// metricOther is the label for the sum of everything beyond the bounds.
const metricOther = "other"

// reportMetrics serves what reports say as metrics, from figures that are gathered on a timer: a
// scrape never asks the database.
type reportMetrics struct {
	read     *web.Stored
	log      *slog.Logger
	now      func() time.Time
	registry *prometheus.Registry
	messages *prometheus.GaugeVec
	sources  *prometheus.GaugeVec
	domains  *prometheus.GaugeVec
	findings *prometheus.GaugeVec
	coded    *prometheus.GaugeVec
	last     *prometheus.GaugeVec
	gathered prometheus.Gauge
	unread   *prometheus.GaugeVec
	arrived  *arrivals

	mu     sync.Mutex
	isOpen bool
	failed bool
}

func newReportMetrics(read *web.Stored, log *slog.Logger, now func() time.Time) *reportMetrics {
	m := &reportMetrics{read: read, log: log, now: now, registry: prometheus.NewRegistry(),
		messages: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mailseal_reports_messages",
			Help: "Messages in the reports on the last 7 full days, by domain, receiver and result."},
			[]string{"domain", "receiver", "result"}),
		sources: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mailseal_reports_source_messages",
			Help: "Messages in the reports on the last 30 full days, by domain, class of the source and result."},
			[]string{"domain", "class", "result"}),
		domains: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mailseal_reports_domains",
			Help: "Domains, by their health on the pages."}, []string{"health"}),
		findings: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mailseal_reports_dns_check_findings",
			Help: "Findings of the last check of a domain's DNS records, by severity."},
			[]string{"domain", "severity"}),
		coded: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mailseal_reports_dns_check_domains",
			Help: "Domains whose last check of DNS records has a finding, by code and severity."},
			[]string{"code", "severity"}),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mailseal_reports_last_received_timestamp_seconds",
			Help: "Time when the last report of a receiver arrived."},
			[]string{"receiver"}),
		unread: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mailseal_reports_unread_mails",
			Help: "Mails and files in the store in which something could not be read, by kind."},
			[]string{"kind"}),
		arrived: &arrivals{},
		gathered: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mailseal_reports_gathered_timestamp_seconds",
			Help: "Time when these numbers were read from the store."}),
	}
	m.registry.MustRegister(m.messages, m.sources, m.domains, m.findings, m.coded, m.last,
		m.gathered, m.unread, m.arrived)
	return m
}

// arrivals are counters of what arrived since the store counts it.
type arrivals struct {
	mu    sync.Mutex
	total map[string]int64
}

var arrivedDesc = prometheus.NewDesc("mailseal_reports_arrivals_total",
	"What arrived since the store was made, or since version 0.2.0 first opened an older store: "+
		"mails and files (mails), their bytes (bytes), those that were already known (known) or "+
		"could not be read (unread), aggregate reports that were stored (reports), already known "+
		"(duplicates) or dropped (dropped), and their messages (messages).",
	[]string{"what"}, nil)

// Describe implements prometheus.Collector.
func (a *arrivals) Describe(out chan<- *prometheus.Desc) { out <- arrivedDesc }

// Collect implements prometheus.Collector.
func (a *arrivals) Collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total == nil {
		return // not gathered yet
	}
	for _, what := range store.CountWords {
		out <- prometheus.MustNewConstMetric(arrivedDesc, prometheus.CounterValue,
			float64(a.total[what]), what)
	}
}

// arrivals sets the figures of what arrived.
func (m *reportMetrics) arrivals(ctx context.Context) error {
	in, err := m.read.Intake(ctx, m.now())
	if err != nil {
		return err
	}
	total, err := m.read.Store.Totals(ctx)
	if err != nil {
		return err
	}
	m.unread.Reset()
	for _, k := range in.Unread {
		m.unread.WithLabelValues(k.Kind).Set(float64(k.N))
	}
	m.arrived.mu.Lock()
	defer m.arrived.mu.Unlock()
	m.arrived.total = total
	if total == nil {
		m.arrived.total = map[string]int64{}
	}
	return nil
}

// metricsJobs are for role intake, of which a host has one: others with the same configuration must
// not compete for the address.
func metricsJobs(p *Process, s *store.Store) []jobs.Job {
	address := p.Config.Reports.Metrics
	if address == "" {
		return nil
	}
	m := newReportMetrics(p.reader(s), p.Log, p.Now)
	soon := func() time.Duration { return time.Second }
	return []jobs.Job{
		{Name: "metrics-figures", Interval: func() time.Duration { return metricsEvery },
			First: soon, Do: m.gather},
		{Name: "metrics", Interval: func() time.Duration { return metricsRetry }, First: soon,
			Do: func(ctx context.Context) error { m.open(ctx, address); return nil }},
	}
}

// open serves the metrics until ctx ends, unless they are served already. An address that cannot be
// opened is logged once, and never stops the process.
func (m *reportMetrics) open(ctx context.Context, address string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isOpen {
		return
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		if !m.failed {
			m.log.Warn("metrics of reports are not served; trying again in a minute", "error",
				fmt.Errorf("reports.metrics: %w", err))
		}
		m.failed = true
		return
	}
	m.isOpen, m.failed = true, false
	m.log.Info("metrics of reports are served", "address", l.Addr().String())
	server := &http.Server{Handler: m.handler(), ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			m.log.Error("metrics of reports are no longer served; trying again within a minute",
				"error", err)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.isOpen = false
	}()
}

func (m *reportMetrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	return mux
}

// gather takes the figures from the store.
func (m *reportMetrics) gather(ctx context.Context) error {
	today := advice.DayOf(m.now())
	f := web.Filter{From: today - metricDays, To: today - 1}
	sums, err := m.read.Sums(ctx, f, web.ByDomain, web.ByReceiver)
	if err != nil {
		return err
	}
	reporters, err := m.read.Receivers(ctx, f)
	if err != nil {
		return err
	}
	domains := most(sums, func(s *web.Sum) string { return s.Domain }, maxMetricDomains)
	receivers := most(sums, func(s *web.Sum) string { return s.Receiver }, maxMetricReceivers)
	m.messages.Reset()
	for i := range sums {
		s := &sums[i]
		domain, receiver := kept(domains, s.Domain), kept(receivers, s.Receiver)
		for result, n := range byResult(s.Counts) {
			m.messages.WithLabelValues(domain, receiver, result).Add(float64(n))
		}
	}
	if err := m.judged(ctx, domains); err != nil {
		return err
	}
	if err := m.checked(ctx, domains); err != nil {
		return err
	}
	if err := m.arrivals(ctx); err != nil {
		return err
	}
	last := map[string]time.Time{}
	for _, r := range reporters {
		if n := kept(receivers, r.Receiver); r.LastReceived.After(last[n]) {
			last[n] = r.LastReceived
		}
	}
	m.last.Reset()
	for n, at := range last {
		m.last.WithLabelValues(n).Set(float64(at.Unix()))
	}
	m.gathered.Set(float64(m.now().Unix()))
	return nil
}

func byResult(c web.Counts) map[string]int64 {
	return map[string]int64{"pass": c.Pass, "delivered": c.Delivered, "held": c.Held,
		"refused": c.Refused}
}

// judged sets the figures by class of source and by health.
func (m *reportMetrics) judged(ctx context.Context, domains map[string]bool) error {
	list, err := m.read.Judged(ctx)
	if err != nil {
		return err
	}
	m.sources.Reset()
	m.domains.Reset()
	for _, w := range web.HealthWords() {
		m.domains.WithLabelValues(strings.ToLower(w))
	}
	for i := range list {
		m.domains.WithLabelValues(strings.ToLower(list[i].Health)).Inc()
		for class, c := range list[i].Classes {
			for result, n := range byResult(c) {
				m.sources.WithLabelValues(kept(domains, list[i].Domain), string(class),
					result).Add(float64(n))
			}
		}
	}
	return nil
}

// checked takes the figures of what role dns found.
func (m *reportMetrics) checked(ctx context.Context, domains map[string]bool) error {
	var states map[string]store.OwnState
	err := m.read.Store.View(ctx, func(tx *store.Tx) (err error) {
		states, err = tx.OwnStates(ctx)
		return err
	})
	if err != nil {
		return err
	}
	m.findings.Reset()
	m.coded.Reset()
	for name, state := range states {
		for _, severity := range []check.Severity{check.Error, check.Warning, check.Unknown,
			check.Note} {
			// 0, where none is found
			m.findings.WithLabelValues(kept(domains, name), string(severity))
		}
		for _, f := range state.Findings {
			m.findings.WithLabelValues(kept(domains, name), f.Severity).Add(float64(f.N))
			m.coded.WithLabelValues(f.Code, f.Severity).Inc()
		}
	}
	return nil
}

// most are the names with most messages, at most so many.
func most(sums []web.Sum, name func(*web.Sum) string, limit int) map[string]bool {
	count := map[string]int64{}
	for i := range sums {
		count[name(&sums[i])] += sums[i].Messages
	}
	var names []string
	for n := range count {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	out := map[string]bool{}
	for _, n := range names[:min(len(names), limit)] {
		out[n] = true
	}
	return out
}

func kept(names map[string]bool, name string) string {
	if names[name] {
		return name
	}
	return metricOther
}
