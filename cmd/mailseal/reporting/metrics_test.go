package reporting

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
	"mailseal/milter/report/web"
)

// aggregate is a report of a receiver on a domain: some messages pass, one fails and is refused.
func aggregate(receiver, domain string, passes int) []byte {
	at := noon.AddDate(0, 0, -2).Unix()
	row := "<record><row><source_ip>192.0.2.1</source_ip><count>%d</count><policy_evaluated>" +
		"<disposition>%s</disposition>" +
		"<dkim>%[3]s</dkim><spf>%[3]s</spf></policy_evaluated></row><identifiers><header_from>" +
		domain +
		"</header_from></identifiers><auth_results><spf><domain>" + domain +
		"</domain><result>%[3]s</result></spf></auth_results></record>"
	return fmt.Appendf(nil, "<feedback><report_metadata><org_name>%s</org_name><email>"+
		"d@%[1]s</email><report_id>%[1]s-%[2]s</report_id>"+
		"<date_range><begin>%[3]d</begin><end>%[4]d</end></date_range></report_metadata><policy_published><domain>%[2]s</domain>"+
		"<p>reject</p></policy_published>%[5]s%[6]s</feedback>", receiver, domain, at, at+3600,
		fmt.Sprintf(row, passes, "none", "pass"), fmt.Sprintf(row, 1, "reject", "fail"))
}

// TestReportMetrics holds that the figures are those of the reports, that domains and receivers
// beyond the bounds are "other" and lost to no sum, and that no scrape asks the store.
func TestReportMetrics(t *testing.T) {
	cfg := &config.Config{}
	cfg.Reports.Store = "sqlite:" + storetest.SQLite(t)
	cfg.Reports.Metrics = "127.0.0.1:0"
	p := &Process{Config: cfg, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return noon }}
	s, err := p.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var domains []string
	for i := range maxMetricDomains + 5 {
		domains = append(domains, fmt.Sprintf("d%03d.example", i))
	}
	taker := &intake.Intake{Store: s, Domains: domains}
	take := func(receiver, domain string, passes int) {
		t.Helper()
		got, err := taker.Take(t.Context(), &store.Arrival{Received: noon, Via: "import",
			Name: receiver + domain, Trust: store.ByHand,
			Data: aggregate(receiver, domain, passes)})
		if err != nil || got.Reports != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	for i, d := range domains {
		take("big.test", d, 1000-i)
	}
	for i := range maxMetricReceivers + 3 {
		take(fmt.Sprintf("r%02d.test", i), domains[0], 50-i)
	}
	list := metricsJobs(p, s)
	if len(list) != 2 {
		t.Fatalf("%d jobs", len(list))
	}
	m := newReportMetrics(&web.Stored{Store: s, Now: p.Now}, p.Log, p.Now)
	if n, err := (&web.Judge{Read: m.read, Now: p.Now}).Run(t.Context()); err != nil ||
		n != len(domains) {
		t.Fatalf("%d domains were judged, %v", n, err)
	}
	for i, d := range []string{domains[0], domains[1], domains[maxMetricDomains+1],
		domains[maxMetricDomains+2]} {
		state := &store.OwnState{Findings: []store.OwnFinding{{Code: "SPF-LOOKUPS",
			Severity: "error", N: i + 1}}}
		if i == 1 {
			state.Findings = nil
		}
		if err := s.SetOwnState(t.Context(), d, state, noon); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.gather(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body := w.Body.String()
	for _, want := range []string{
		`mailseal_reports_messages{domain="d000.example",receiver="big.test",result="pass"} 1000`,
		`mailseal_reports_messages{domain="d000.example",receiver="big.test",result="refused"} 1`,
		`mailseal_reports_messages{domain="d000.example",receiver="r00.test",result="pass"} 50`,
		`mailseal_reports_messages{domain="d000.example",receiver="other",result="pass"} 158`, // 41 + 40 + 39 + 38
		// 900 … 896
		`mailseal_reports_messages{domain="other",receiver="big.test",result="pass"} 4490`,
		`mailseal_reports_source_messages{class="ours",domain="d000.example",result="pass"} 1572`, // and 50 … 38
		`mailseal_reports_source_messages{class="ours",domain="d000.example",result="refused"} 14`,
		`mailseal_reports_source_messages{class="ours",domain="other",result="pass"} 4490`,
		`mailseal_reports_domains{health="quiet"} 0`,
		`mailseal_reports_arrivals_total{what="reports"} 118`, // 105 + 13
		`mailseal_reports_arrivals_total{what="duplicates"} 0`,
		`mailseal_reports_dns_check_findings{domain="d000.example",severity="error"} 1`,
		`mailseal_reports_dns_check_findings{domain="d000.example",severity="warning"} 0`,
		`mailseal_reports_dns_check_findings{domain="d001.example",severity="error"} 0`,
		`mailseal_reports_dns_check_findings{domain="other",severity="error"} 7`, // 3 + 4
		`mailseal_reports_dns_check_domains{code="SPF-LOOKUPS",severity="error"} 3`,
		fmt.Sprintf(`mailseal_reports_last_received_timestamp_seconds{receiver="big.test"} %v`,
			float64(noon.Unix())),
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("the metrics have no %q", want)
		}
	}
	manual := strings.Join(strings.Fields(strings.ReplaceAll(config.Manual(), `\-`, "-")), " ")
	for line := range strings.Lines(body) {
		help, isHelp := strings.CutPrefix(strings.TrimSpace(line), "# HELP ")
		if isHelp && !strings.Contains(manual, help) {
			t.Errorf("METRICS in the manual has no %q", help)
		}
	}
	if n := strings.Count(body, "mailseal_reports_source_messages{"); n > 4*7*(maxMetricDomains+1) {
		t.Errorf("%d series by class", n)
	}
	var judged int
	for line := range strings.Lines(body) {
		if text, ok := strings.CutPrefix(line, "mailseal_reports_domains{"); ok {
			var n int
			_, count, _ := strings.Cut(text, "} ")
			_, _ = fmt.Sscan(count, &n)
			judged += n
		}
	}
	if judged != len(domains) {
		t.Errorf("%d domains have a health word, want %d", judged, len(domains))
	}
	if n := strings.Count(body, "mailseal_reports_messages{"); n > 4*(maxMetricDomains+
		1)*(maxMetricReceivers+1) {
		t.Errorf("%d series", n)
	}
}

// TestReportMetricsAddress holds that an address in use is a warning, once, that the metrics are
// served when it is free, and end with the process.
func TestReportMetricsAddress(t *testing.T) {
	var log bytes.Buffer
	m := newReportMetrics(nil, slog.New(slog.NewTextHandler(&log, nil)), time.Now)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.open(ctx, address)
	m.open(ctx, address)
	if n := strings.Count(log.String(), "metrics of reports are not served"); n != 1 ||
		!strings.Contains(log.String(), "reports.metrics") {
		t.Errorf("%d warnings in %q", n, &log)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	m.open(ctx, address)
	r, err := http.Get("http://" + address + "/healthz") //nolint:noctx // a test's own server
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if string(text) != "ok\n" {
		t.Errorf("health %q", text)
	}
}
