package evidence

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/milter/spf"
)

func sample(token string) Mail {
	return Mail{Token: token, Time: time.Unix(1_780_000_000, 0).UTC(),
		Client: netip.MustParseAddr("198.51.100.7"),
		Helo:   "h.example", Sender: "x@asks.example", Recipient: "test@example.net",
		DMARC: DMARC{Value: "pass"}}
}

func TestTokens(t *testing.T) {
	a, b := NewToken(), NewToken()
	if a == b || !IsToken(a) || len(a) != 32 {
		t.Errorf("tokens %q and %q", a, b)
	}
	for path, want := range map[string]string{
		"test+" + a + "@example.net":                  a,
		"test+" + strings.ToUpper(a) + "@example.net": a,
		"test+" + a + "0@example.net":                 "",
		"test+" + a[:30] + "@example.net":             "",
		"test+../../etc@example.net":                  "",
		"test@example.net":                            "",
		"test+" + a:                                   "",
	} {
		if got := TokenOf(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// TestBounds holds that no sender chooses how much is kept.
func TestBounds(t *testing.T) {
	m := sample(NewToken())
	m.Helo = strings.Repeat("é", 100_000)
	m.SPF = &spf.Result{Value: spf.Fail, Tree: &spf.Record{Text: strings.Repeat("x", 200_000)}}
	for i := range 3000 {
		m.Fields = append(m.Fields, Field{fmt.Sprint("X-", i), strings.Repeat("v\xff", 500)})
		m.Signatures = append(m.Signatures, Signature{Reason: strings.Repeat("r", 5000)})
		m.DMARC.Walk = append(m.DMARC.Walk, Step{Answer: strings.Repeat("a", 5000)})
	}
	text, err := Encode(m)
	if err != nil || len(text) > MaxBytes || !json.Valid(text) {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	got, err := Decode(text)
	if err != nil || got.Cut != 3000 || got.SPF.Value != spf.Fail || len(got.Helo) > maxValue+3 {
		t.Errorf("got %d fields left out, %d bytes of HELO, %v", got.Cut, len(got.Helo), err)
	}
	if len(m.Fields) != 3000 || len(m.Signatures[0].Reason) != 5000 {
		t.Error("the caller's mail was changed")
	}
}

// TestSpool holds that mails are kept only while someone takes them, and within the bounds of a
// network and of all.
func TestSpool(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	w := NewWriter(dir, slog.New(slog.DiscardHandler), func() time.Time { return now })
	if m := sample(NewToken()); w.Admit(m.Client) || w.Keep(m) {
		t.Fatal("a mail is kept though no page is served")
	}
	if err := Sign(dir, now); err != nil {
		t.Fatal(err)
	}
	w.look()
	token := NewToken()
	keep := func(client string) bool {
		m := sample(token)
		m.Client = netip.MustParseAddr(client)
		ok := w.Admit(m.Client) && w.Keep(m)
		for len(w.queue) > 1 {
			<-w.queue
		}
		return ok
	}
	count := func(format string, n int) (kept int) {
		for i := range n {
			if keep(fmt.Sprintf(format, i%250)) {
				kept++
			}
		}
		return kept
	}
	if got := count("198.51.100.%d", 100); got != maxNetwork {
		t.Errorf("%d of one network, want %d", got, maxNetwork)
	}
	if !keep("198.51.101.1") || !keep("2001:db8::1") {
		t.Error("another network has no room")
	}
	if got := count("2001:db8:0:%x::1", 100); got != maxNetwork-1 {
		t.Errorf("%d of one IPv6 network, want %d", got, maxNetwork-1)
	}
	for i := range 250 {
		count(fmt.Sprintf("10.%d.0.%%d", i), 10)
	}
	if keep("203.0.113.1") || w.all != maxHour || len(w.networks) > maxHour {
		t.Errorf("%d of all, want %d", w.all, maxHour)
	}
	now = now.Add(time.Hour)
	if err := Sign(dir, now); err != nil {
		t.Fatal(err)
	}
	w.look()
	if !keep("203.0.113.1") {
		t.Error("an hour later there is no room")
	}
	w.write(<-w.queue)
	names, err := Waiting(dir)
	if err != nil || len(names) != 1 {
		t.Fatalf("%v %v", names, err)
	}
	path := filepath.Join(dir, names[0])
	if m, err := Read(path); err != nil || m.Token != token {
		t.Errorf("%+v %v", m, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	now = now.Add(2 * servedFor)
	w.look()
	if keep("203.0.113.2") {
		t.Error("a mail is kept though the reader is gone")
	}
}

// TestFullQueue holds that a slow disk delays no mail.
func TestFullQueue(t *testing.T) {
	dir := t.TempDir()
	if err := Sign(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	w := NewWriter(dir, slog.New(slog.DiscardHandler), time.Now)
	kept := 0
	for i := range 2 * maxQueued {
		m := sample(NewToken())
		m.Client = netip.AddrFrom4([4]byte{10, 0, byte(i), 1})
		if w.Keep(m) {
			kept++
		}
	}
	if kept != maxQueued {
		t.Errorf("%d kept, want %d", kept, maxQueued)
	}
	if w.Admit(netip.MustParseAddr("203.0.113.1")) {
		t.Error("a mail is admitted though the queue is full")
	}
}

func FuzzDecode(f *testing.F) {
	text, err := Encode(sample("00112233445566778899aabbccddeeff"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"token":"../../etc/passwd"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Decode(text)
		if err == nil && !IsToken(m.Token) {
			t.Errorf("token %q", m.Token)
		}
	})
}
