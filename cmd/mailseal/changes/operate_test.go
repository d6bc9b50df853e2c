package changes

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report/store"
	"mailseal/milter/report/web"
)

// goodReport is a report that any version can read.
func goodReport(id int) []byte {
	return fmt.Appendf(nil, `<feedback><report_metadata><org_name>big.test</org_name><email>a@big.test</email>`+
		`<report_id>%d</report_id><date_range><begin>1700000000</begin><end>1700086399</end></date_range></report_metadata>`+
		`<policy_published><domain>shop.example</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.77</source_ip>`+
		`<count>50</count><policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>`+
		`<identifiers><header_from>shop.example</header_from></identifiers><auth_results><spf><domain>x.test</domain>`+
		`<result>fail</result></spf></auth_results></record></feedback>`, id)
}

// unread stores bytes as a version does that cannot read them, and returns their number.
func unread(t *testing.T, s *store.Store, kind string, data []byte) (id int64) {
	t.Helper()
	_, err := s.Ingest(t.Context(), &store.Arrival{Received: time.Now(), Via: "import",
		Name: "r.xml", Trust: store.ByHand, Data: data},
		func(in *store.Ingest) error { return in.Finish(kind, "not understood") })
	if err != nil {
		t.Fatal(err)
	}
	ids, err := s.UnreadOf(t.Context(), kind)
	if err != nil || len(ids) == 0 {
		t.Fatalf("%v, %v", ids, err)
	}
	return ids[len(ids)-1]
}

// TestReread reads one mail again, then all of a kind, of which one stays unread; the log says who
// asked for it.
func TestReread(t *testing.T) {
	s := newServer(t)
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	c := served(t, s)
	stored := s.Intake.Store
	one := unread(t, stored, "aggregate", goodReport(1))
	text, err := c.Reread(t.Context(), "anna", one, "")
	if err != nil || !strings.Contains(text, "1 new report on 50 messages.") {
		t.Errorf("one: %q, %v", text, err)
	}
	for i := range 3 {
		unread(t, stored, "aggregate", goodReport(2+i))
	}
	unread(t, stored, "aggregate", []byte("<!DOCTYPE x><feedback>"))
	other := unread(t, stored, "tls", goodReport(9))
	text, err = c.Reread(t.Context(), "anna", 0, "aggregate")
	if err != nil || !strings.Contains(text, "3 new reports on 150 messages.") ||
		!strings.Contains(text, "Not read: number ") {
		t.Errorf("all of a kind: %q, %v", text, err)
	}
	if _, err := stored.Unread(t.Context(), other); err != nil {
		t.Errorf("another kind was read: %v", err)
	}
	for _, err := range []error{
		second(c.Reread(t.Context(), "anna", one, "")),
		second(c.Reread(t.Context(), "anna", 0, "none")),
		second(c.Reread(t.Context(), "", other, "")),
		second(c.Discard(t.Context(), "anna", one)),
	} {
		if !errors.Is(err, web.ErrRefused) {
			t.Errorf("%v, want a refusal", err)
		}
	}
	if text, err := c.Discard(t.Context(), "ben", other); err != nil || text != "Deleted." {
		t.Errorf("discard: %q, %v", text, err)
	}
	for _, want := range []string{`stored mail was read again" by=anna mails=4`, "read=3",
		"not_read=1",
		`deleted" by=ben mail=` + fmt.Sprint(other)} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, &log)
		}
	}
}

// TestOneRereadingAtATime holds that a second run is refused and told how far the first one is.
func TestOneRereadingAtATime(t *testing.T) {
	s := newServer(t)
	c := served(t, s)
	id := unread(t, s.Intake.Store, "aggregate", goodReport(1))
	if err := s.rereading.start(1200); err != nil {
		t.Fatal(err)
	}
	s.rereading.add(true)
	_, err := c.Reread(t.Context(), "anna", id, "")
	if !errors.Is(err, web.ErrRefused) || !strings.Contains(err.Error(), "1 of 1200 so far") {
		t.Errorf("%v", err)
	}
	s.rereading.stop()
	if _, err := c.Reread(t.Context(), "anna", id, ""); err != nil {
		t.Error(err)
	}
}

// TestSending suppresses an address, lets it go and sends a report again, by the rules of the
// commands.
func TestSending(t *testing.T) {
	s := newServer(t)
	c := served(t, s)
	tomorrow := time.Now().AddDate(0, 0, 1)
	failed := store.OutReport{ID: "x", Day: store.Day(time.Now()) - 1, Domain: "a.example",
		State: store.Built, Built: time.Now(), Deliveries: []store.OutDelivery{{Report: "x", N: 1,
			Address: "d@a.example", State: store.Failed, Message: []byte("mail")}}}
	if _, err := s.Intake.Store.OutBuilt(t.Context(), store.OutPending{},
		[]store.OutReport{failed}); err != nil {
		t.Fatal(err)
	}
	good := web.Suppression{Address: "D@a.example", Until: tomorrow, Why: "they asked"}
	long := good
	long.Why = strings.Repeat("a", maxWords+1)
	for _, tt := range []struct {
		name, want string
		do         func() error
	}{
		{"suppress", "", func() error { return c.Suppress(t.Context(), "anna", good) }},
		{"no address", "invalid mail address", func() error {
			return c.Suppress(t.Context(), "anna", web.Suppression{Address: "d", Until: tomorrow})
		}},
		{"a line too many", "the address must be one line", func() error {
			return c.Suppress(t.Context(), "anna", web.Suppression{Address: "d@a.example\nx",
				Until: tomorrow})
		}},
		{"the past", "is over", func() error {
			return c.Suppress(t.Context(), "anna", web.Suppression{Address: "d@a.example",
				Until: time.Now().AddDate(0, 0, -1)})
		}},
		{"far ahead", "years ahead", func() error {
			return c.Suppress(t.Context(), "anna", web.Suppression{Address: "d@a.example",
				Until: time.Now().AddDate(101, 0, 0)})
		}},
		{"a long reason", "the reason is longer than", func() error {
			return c.Suppress(t.Context(), "anna", long)
		}},
		{"nobody", "does not name the account", func() error {
			return c.Suppress(t.Context(), "", good)
		}},
		{"resend", "", func() error { return c.Resend(t.Context(), "anna", "x") }},
		{"resend nothing", "there is no report", func() error {
			return c.Resend(t.Context(), "anna", "y")
		}},
		{"release", "", func() error { return c.Release(t.Context(), "anna", "d@a.example") }},
		{"release twice", "is not suppressed", func() error {
			return c.Release(t.Context(), "anna", "d@a.example")
		}},
	} {
		err := tt.do()
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, web.ErrRefused) ||
			!strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if tt.name != "suppress" {
			continue
		}
		list, err := s.Intake.Store.OutSuppressions(t.Context(), "", time.Now())
		if err != nil || len(list) != 1 || list[0].Address != "d@a.example" ||
			list[0].Reason != "they asked, by anna" {
			t.Errorf("%+v, %v", list, err)
		}
	}
	r, err := s.Intake.Store.OutReports(t.Context(), "", "x", 1)
	if err != nil || r[0].Deliveries[0].State != store.Queued {
		t.Errorf("%+v, %v", r, err)
	}
	d := r[0].Deliveries[0]
	if _, err := s.Intake.Store.OutMark(t.Context(), d, store.HandedOver, "", time.Now(),
		time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := c.Resend(t.Context(), "anna", "x"); err == nil ||
		!strings.Contains(err.Error(), "were handed over") {
		t.Errorf("a report that was handed over goes out twice: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
