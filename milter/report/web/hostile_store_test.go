package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

// hostileReport has the worst of a stranger in each of its fields: order stands for what makes a
// terminal or a browser act, and formula for what a spreadsheet calculates.
func hostileReport(id, text string, day time.Time) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><feedback>` + element("version", text) +
		"<report_metadata>" + element("org_name", text) + element("email", "a@org.example") +
		element("extra_contact_info", text) + element("report_id", id+text) +
		element("error", text) + element("generator", text) +
		fmt.Sprintf("<date_range><begin>%d</begin><end>%d</end></date_range></report_metadata>",
			day.Unix(), day.Unix()+86399))
	b.WriteString("<policy_published>" + element("domain", "shop.example"))
	for _, tag := range []string{"p", "sp", "np", "adkim", "aspf", "fo", "testing",
		"discovery_method"} {
		b.WriteString(element(tag, text))
	}
	b.WriteString("</policy_published>")
	for _, ip := range []string{"203.0.113.5", text} {
		b.WriteString("<record><row>" + element("source_ip", ip) + element("count", "60") +
			"<policy_evaluated>" + element("disposition", text) + element("dkim", text) +
			element("spf", text) + "<reason>" + element("type", text) + element("comment", text) +
			"</reason></policy_evaluated></row><identifiers>" + element("header_from", text) +
			element("envelope_from", text) + element("envelope_to", text) +
			"</identifiers><auth_results><dkim>" + element("domain", text) +
			element("selector", text) + element("result", text) + element("human_result", text) +
			"</dkim><spf>" + element("domain", text) + element("scope", text) +
			element("result", text) + "</spf></auth_results></record>")
	}
	return []byte(b.String() + "</feedback>")
}

// hostileTLS is a TLS report of which all strings are text.
func hostileTLS(text string, day time.Time) []byte {
	raw, _ := json.Marshal(map[string]any{"organization-name": text, "contact-info": text,
		"report-id": text, "date-range": map[string]string{
			"start-datetime": day.Format(time.RFC3339),
			"end-datetime":   day.Add(86399 * time.Second).Format(time.RFC3339)},
		"policies": []any{map[string]any{
			"policy": map[string]any{"policy-type": text, "policy-string": []string{text},
				"policy-domain": "shop.example", "mx-host": []string{text}},
			"summary": map[string]int{"total-successful-session-count": 3,
				"total-failure-session-count": 2},
			"failure-details": []any{map[string]any{"result-type": text, "sending-mta-ip": text,
				"receiving-mx-hostname": text, "receiving-mx-helo": text, "receiving-ip": text,
				"failed-session-count": 2, "additional-information": text,
				"failure-reason-code": text}}}}})
	return raw
}

// hostileFailure is a failure report of which all fields are text.
func hostileFailure(text string) []byte {
	word := "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
	flat := strings.NewReplacer("\r", " ", "\n", " ", "\x07", " ", "\x1b", " ").Replace(text)
	return []byte("From: " + word + " <a@org.example>\r\nSubject: " + word +
		"\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n" +
		"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nVersion: 1\r\n" +
		"User-Agent: " + flat + "\r\nAuth-Failure: " + flat + "\r\nSource-IP: 203.0.113.5\r\n" +
		"Reported-Domain: shop.example\r\nIdentity-Alignment: " + flat +
		"\r\nOriginal-Mail-From: " + flat + "\r\nDKIM-Domain: " + flat +
		"\r\nDelivery-Result: " + flat + "\r\n\r\n--b\r\n" +
		"Content-Type: text/rfc822-headers\r\n\r\nFrom: " + word +
		" <x@shop.example>\r\nSubject: " + word + "\r\n\r\n--b--\r\n")
}

// hostileStore is a store of which every text that is not ours is hostile: what the intake takes
// from reports, names of files and heads of mail, and what the DNS said.
func hostileStore(t *testing.T, text string) *Stored {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Driver: database.SQLite,
		DSN: storetest.SQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	in := &intake.Intake{Store: s, Domains: []string{"shop.example"}}
	day := (today - 3).Time()
	word := "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
	take := func(trust, domain string, data []byte) {
		t.Helper()
		_, err := in.Take(t.Context(), &store.Arrival{Received: day.Add(30 * time.Hour),
			Via: "upload", Name: text, Trust: trust, TrustDomain: domain, Data: data})
		if err != nil {
			t.Fatal(err)
		}
	}
	take(store.ByHand, "", hostileReport("1", text, day))
	take("", "", hostileReport("2", text, day.AddDate(0, 0, -1)))
	foreign := strings.ReplaceAll(string(hostileReport("3", text, day)), "<domain>shop.example",
		"<domain>elsewhere.example")
	take(store.Aligned, "org.example", []byte(foreign))
	take(store.Aligned, "org.example", hostileTLS(text, day))
	take(store.Aligned, "org.example", hostileFailure(text))
	take(store.Aligned, "org.example", []byte("From: "+word+" <a@org.example>\r\nSubject: "+word+
		"\r\nContent-Type: application/xml; name=\""+word+"\"\r\n\r\n<feedback><report_metadata>"+
		text))
	records := func(values ...string) []store.DNSRecord {
		return []store.DNSRecord{{Name: "shop.example", Kind: "TXT", Values: values},
			{Name: "s1._domainkey.shop.example", Kind: "TXT", Values: values}}
	}
	for i, values := range [][]string{{"v=spf1 -all"}, {"v=spf1 " + text}, {"v=spf1 a " + text}} {
		if _, err := s.CompareDNS(t.Context(), "shop.example", records(values...),
			clock.AddDate(0, 0, i-5)); err != nil {
			t.Fatal(err)
		}
	}
	state := &store.OwnState{SPF: text, All: "~all",
		Terms:    []store.OwnTerm{{Text: text, Foreign: true}},
		Selected: []store.OwnSelector{{Name: text, Messages: 5, Missing: true}}}
	if err := s.SetOwnState(t.Context(), "shop.example", state, clock); err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		for _, query := range []string{
			"UPDATE in_source SET ptr = $1, asn = 64500, asn_name = $1, country = $1",
			"UPDATE in_reporter SET org = $1, email = $1", "UPDATE in_report SET generator = $1"} {
			if _, err := tx.ExecContext(context.Background(), query, text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Stored{Store: s, Names: []string{"shop.example"},
		Now: func() time.Time { return clock }}
}

// firstUnread returns the address of the page of a mail that was not read.
func firstUnread(t *testing.T, s http.Handler) string {
	t.Helper()
	return click(t, s, "/ingest", func(u *url.URL) bool {
		return strings.HasPrefix(u.Path, "/ingest/mail/")
	})
}

// TestHostileStore crawls the pages and their exports over such a store: no text of a stranger acts
// anywhere, and it is shown.
func TestHostileStore(t *testing.T) {
	if testing.Short() {
		t.Skip("it crawls the pages")
	}
	for _, text := range []string{hostile, formula, "+1\u2028\u200f\U000e0041\x9b2J|cmd",
		"-2@\x00</td><img src=x onerror=alert(1)>"} {
		s := newServer(t, hostileStore(t, text), fakeCommands{})
		seen, shown := map[string]bool{}, 0
		first := []string{"/tls", "/failures", "/ingest", firstUnread(t, s)}
		queue := append(slices.Clone(first), "/", "/reports", "/messages",
			"/receiver?name=org.example", "/r/1", "/r/1/1", "/?q="+url.QueryEscape(text))
		for len(queue) > 0 && len(seen) < 150 {
			path := queue[0]
			queue = queue[1:]
			if seen[path] {
				continue
			}
			seen[path] = true
			w := get(s, path)
			body := w.Body.String()
			if strings.HasSuffix(path, "raw.xml") || strings.HasSuffix(path, "/raw") {
				head := w.Header()
				if !strings.HasPrefix(head.Get("Content-Disposition"), "attachment") ||
					head.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s: what goes out as it came is no file: %v", path, head)
				}
				continue
			}
			if w.Code != http.StatusOK {
				t.Errorf("%s: status %d", path, w.Code)
			}
			noOrders(t, path, body)
			switch kind := w.Header().Get("Content-Type"); {
			case strings.HasPrefix(kind, "text/csv"):
				noFormulas(t, path, body)
			case strings.HasPrefix(kind, "text/html"):
				n := strings.Count(body, "alert(1)") + strings.Count(body, `class="esc"`) +
					strings.Count(body, "cmd") + strings.Count(body, "&lt;img")
				if n == 0 && slices.Contains(first, path) {
					t.Errorf("%s does not show the text %q", path, text)
				}
				shown += n
				base, _ := url.Parse(path)
				links, _, _ := parse(t, body)
				for _, a := range links {
					u, err := base.Parse(a.href)
					if err != nil || u.Host != "" {
						t.Errorf("%s: link %q", path, a.href)
						continue
					}
					u.Fragment = ""
					queue = append(queue, u.String())
				}
			}
		}
		if len(seen) < 60 || shown < 500 {
			t.Errorf("%q: %d pages, shown %d times: the text does not reach the pages", text,
				len(seen), shown)
		}
	}
}
