package shadow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/guard"
	"mailseal/milter/miltertest"
	"mailseal/milter/shadow"
)

// TestSummary holds what the table says after several messages of several connections, and that one
// which a client gave up is none.
func TestSummary(t *testing.T) {
	old := &standIn{asks: modern, says: func(p guard.Packet, count int) []guard.Packet {
		if p.Code == guard.EndOfBody && count == 2 {
			return []guard.Packet{oldSignature, accept}
		}
		return nil
	}}
	old.listen(t)
	r := start(t, old, ours(nil))
	m := miltertest.Message{From: "a@example.com", To: []string{"x@example.net"},
		Raw: []byte(simple)}
	for _, as := range []miltertest.MTA{miltertest.Postfix, miltertest.Sendmail} {
		c := dial(t, r.path, as, miltertest.Options{})
		for range 3 {
			if _, err := c.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Begin(m); err != nil {
			t.Fatal(err)
		}
		c.Drop()
	}
	r.stop()
	var b strings.Builder
	if err := r.recorder.Summary().WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	want := "  6  messages\n  4  same\n  2  differ\n  2  differ in: signed (example.com 2)\n  2  " +
		"more aborted by the client\n"
	if b.String() != want {
		t.Errorf("table:\n%s\nwant:\n%s", b.String(), want)
	}
	var read shadow.Summary
	if err := read.ReadLog(&r.log); err != nil {
		t.Fatal(err)
	}
	if read.First == "" || read.Last < read.First {
		t.Errorf("the log begins at %q and ends at %q", read.First, read.Last)
	}
	if read.First, read.Last = "", ""; !reflect.DeepEqual(read, r.recorder.Summary()) {
		t.Errorf("the log says %+v, the recorder %+v", read, r.recorder.Summary())
	}
}

// TestReadLog holds what is made of lines in each format, of what syslog puts before them, and of
// what is none of ours.
func TestReadLog(t *testing.T) {
	var text, json bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&text, nil),
		slog.NewJSONHandler(&json, nil)} {
		log := slog.New(h)
		log.Info("same", "sender", "a@one.example", "author", "one.example", "verdict", "accept")
		log.Warn("differs", "sender", "in=signed author=forged.example \"a\"@two.example", "author",
			"two.example", "in", "signed,fields")
		log.Warn("differs", "sender", "b@Three.example", "author", "", "in", "signed")
		log.Warn("differs", "sender", "", "author", "", "in", "polizei")
		log.Info("not judged", "sender", "", "author", "", "why", "our filter: EOF")
		log.Info("aborted by the client", "sender", "a@b")
		log.Info("session decided by the old milter", "verdict", "reject")
		log.Warn("old milter unreached", "error", "no")
		log.Warn("lines missing", "lines", 7)
		log.Info("summary", "messages", 1000)
	}
	noise := "\n\nNov 22 12:00:00 mx postfix/smtpd[1]: msg= connect\n{\"a\":\nmsg\n" +
		strings.Repeat("x", 2<<20) + "\n"
	prefixed := ""
	for line := range strings.Lines(text.String()) {
		prefixed += "Nov 22 12:00:00 mx mailseal[7]: " + line
	}
	cut := text.String()[strings.Index(text.String(), "\n")+1:]
	for name, log := range map[string]string{"text": text.String() + noise, "JSON": noise +
		json.String(), "behind a prefix": prefixed} {
		checkLog(t, name, log, "5 1 3 map[other:1 signed:2 fields:1] 1 1 1 1 7")
	}
	checkLog(t, "cut off", "time=2026 level=INFO msg=same sender=\"x\ny z\n"+cut,
		"5 1 3 map[other:1 signed:2 fields:1] 1 1 1 1 7")
}

func checkLog(t *testing.T, name, log, want string) {
	t.Helper()
	var s shadow.Summary
	if err := s.ReadLog(strings.NewReader(log)); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(s.Messages, s.Same, s.Differing, s.Kinds, s.NotJudged["our filter"],
		s.Aborted, s.Sessions, s.Unreached, s.Unlogged)
	if got != strings.ReplaceAll(want, "map[other:1 signed:2 fields:1]",
		fmt.Sprint(map[string]int{"other": 1, "signed": 2, "fields": 1})) {
		t.Errorf("%s: %s, want %s", name, got, want)
	}
	wantDomains := map[string]map[string]int{"signed": {"two.example": 1, "three.example": 1},
		"fields": {"two.example": 1}, "other": {"(none)": 1}}
	if !reflect.DeepEqual(s.Domains, wantDomains) {
		t.Errorf("%s: domains %v, want %v", name, s.Domains, wantDomains)
	}
}

// fullDisk is a log that takes so many lines, then for so many tries none, and then all.
type fullDisk struct {
	slog.Handler
	takes, fails *int
}

func (f fullDisk) Handle(ctx context.Context, r slog.Record) error {
	if *f.takes > 0 {
		*f.takes--
		return f.Handler.Handle(ctx, r)
	}
	if *f.fails > 0 {
		*f.fails--
		return errors.New("no space left on device")
	}
	return f.Handler.Handle(ctx, r)
}

// TestFullDisk holds that the log itself says how many lines are missing in it, in their place, and
// that the report of it agrees with what the recorder counted.
func TestFullDisk(t *testing.T) {
	for _, tc := range []struct {
		name         string
		takes, fails int
		want         []string
	}{
		{"for a while", 2, 3, []string{"same", "same", "lines missing", "same", "same"}},
		{"from the start", 0, 6, []string{"lines missing", "same"}},
		{"until the end", 3, 4, []string{"same", "same", "same", "lines missing"}},
		{"once", 6, 1, []string{"same", "same", "same", "same", "same", "same", "lines missing"}},
	} {
		var log, trouble bytes.Buffer
		recorder := shadow.NewRecorder(slog.New(fullDisk{slog.NewJSONHandler(&log, nil), &tc.takes,
			&tc.fails}), slog.New(slog.NewTextHandler(&trouble, nil)))
		old := &standIn{asks: modern}
		old.listen(t)
		r := start(t, old, ours(nil), func(o *shadow.Options) { o.Recorder = recorder })
		c := dial(t, r.path, miltertest.Postfix, miltertest.Options{})
		for range 7 {
			if _, err := c.Send(miltertest.Message{From: "a@example.com",
				To: []string{"x@example.net"}, Raw: []byte(simple)}); err != nil {
				t.Fatal(err)
			}
		}
		c.Quit()
		r.stop()
		if err := recorder.Close(time.Minute); err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(log.String()) {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatal(err)
			}
			got = append(got, fields["msg"].(string))
		}
		var read shadow.Summary
		if err := read.ReadLog(&log); err != nil {
			t.Fatal(err)
		}
		counted := recorder.Summary()
		if counted.Messages != 7 || read.Messages+read.Unlogged != 7 ||
			read.Unlogged != counted.Unlogged || read.Unlogged == 0 {
			t.Errorf("%s: the report counts %d messages and %d lines missing, the recorder %d and %d",
				tc.name, read.Messages, read.Unlogged, counted.Messages, counted.Unlogged)
		}
		if len(got) < len(tc.want) || !slices.Equal(got[:len(tc.want)], tc.want) &&
			tc.name != "from the start" {
			t.Errorf("%s: the log has %q, want %q", tc.name, got, tc.want)
		}
	}
}
