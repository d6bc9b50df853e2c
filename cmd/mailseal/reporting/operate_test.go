package reporting

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/report/store"
)

var unreadLink = regexp.MustCompile(`href="/ingest/mail/(\d+)"`)

// operate looks at a mail that an older version could not read, has it read again, and deletes one
// of which no version can make sense; it suppresses an address and lets it go.
func operate(t *testing.T, b *browser, cfg *config.Config, day time.Time) {
	t.Helper()
	before := countedIn(t, cfg)
	inStore(t, cfg, func(s *store.Store) error {
		_, err := s.Ingest(t.Context(), &store.Arrival{Received: time.Now(), Via: "lmtp",
			Name: "<old@big.test>", Trust: store.ByHand, Data: reportOf("big.test", "old", day)},
			func(in *store.Ingest) error { return in.Finish("aggregate", "not understood") })
		return err
	})
	_, text := b.get("/ingest")
	token := b.token(text)
	var ids []string
	for _, m := range unreadLink.FindAllStringSubmatch(text, -1) {
		if len(ids) == 0 || ids[len(ids)-1] != m[1] {
			ids = append(ids, m[1])
		}
	}
	if len(ids) != 2 {
		t.Fatalf("unread are %v, want the hostile upload and the old mail", ids)
	}
	if _, text := b.get("/ingest/mail/" + ids[0]); !strings.Contains(text, "not understood") ||
		!strings.Contains(text, "&lt;feedback&gt;") {
		t.Errorf("the mail that was not read:\n%s", text)
	}
	if code, text := b.get("/ingest/mail/" + ids[0] + "/raw"); code != http.StatusOK ||
		text != string(reportOf("big.test", "old", day)) {
		t.Errorf("status %d, the mail as it came is %q", code, text)
	}
	post := func(path, field, value, more string) (int, string) {
		return b.post(path, url.Values{"csrf": {token}, field: {value}, more: {"yes"}})
	}
	if _, text := post("/ingest", "rereadkind", "aggregate", ""); !strings.Contains(text,
		"Read again. 1 new report on 50 messages.") || countedIn(t, cfg) != before+1 {
		t.Errorf("read again:\n%s", text)
	}
	code, text := post("/ingest/mail/"+ids[1], "discard", "1", "")
	if code != http.StatusForbidden ||
		!strings.Contains(text, `<p class="prose">Tick the box to delete the mail for good. Not`) {
		t.Errorf("deleted without confirmation: status %d\n%s", code, text)
	}
	if _, text := post("/ingest/mail/"+ids[1], "discard", "1", "confirm"); !strings.Contains(text,
		"Deleted.") || strings.Contains(text, "/ingest/mail/") {
		t.Errorf("deleted:\n%s", text)
	}
	if code, _ := b.get("/ingest/mail/" + ids[1]); code != http.StatusNotFound {
		t.Errorf("the mail that was deleted: status %d", code)
	}
	until := time.Now().AddDate(0, 1, 0).UTC().Format(time.DateOnly)
	form := url.Values{"csrf": {token}, "suppress": {"d@a.example"}, "until": {until},
		"reason": {"they <asked>"}}
	if code, text := b.post("/out", form); code != http.StatusOK ||
		!strings.Contains(text, "No report goes to d@a.example until "+until) ||
		!strings.Contains(text, "they &lt;asked&gt;, by token") {
		t.Errorf("suppressed: status %d\n%s", code, text)
	}
	form.Set("until", "soon")
	if code, text := b.post("/out", form); code != http.StatusForbidden ||
		!strings.Contains(text, `<p class="prose">Choose the day until which`) {
		t.Errorf("a day that is not one: status %d\n%s", code, text)
	}
	if _, text := post("/out", "release", url.QueryEscape("d@a.example"), ""); !strings.Contains(
		text, "d@a.example gets reports again.") {
		t.Errorf("released:\n%s", text)
	}
	if code, _ := post("/out", "resend", "none", ""); code != http.StatusUnprocessableEntity {
		t.Errorf("a report that does not exist: status %d", code)
	}
}
