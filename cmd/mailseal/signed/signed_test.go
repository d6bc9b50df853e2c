package signed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mailseal/keys/files"
)

// clock is a time that tests set.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newClock() *clock { return &clock{time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)} }

func names(list []Name) string {
	var out []string
	for _, n := range list {
		role := ""
		if n.Author {
			role += "a"
		}
		if n.Signer {
			role += "s"
		}
		out = append(out, n.Name+":"+role)
	}
	return strings.Join(out, " ")
}

func TestRecent(t *testing.T) {
	c := newClock()
	l := New(c.now)
	l.Author("a.example")
	l.Signer("a.example")
	l.Signer("b.example")
	l.Author("")
	l.Author(strings.Repeat("x", 256))
	c.Time = c.Add(6 * 24 * time.Hour)
	l.Author("c.example")
	if got := names(l.Recent()); got != "a.example:as b.example:s c.example:a" {
		t.Errorf("got %s", got)
	}
	c.Time = c.Add(2 * 24 * time.Hour)
	if got := names(l.Recent()); got != "c.example:a" {
		t.Errorf("after a week: got %s", got)
	}
	c.Time = c.Add(-365 * 24 * time.Hour)
	if got := names(l.Recent()); got != "a.example:as b.example:s c.example:a" {
		t.Errorf("a clock that was a year ahead: got %s", got)
	}
	l.Forget([]string{"a.example", "none.example"})
	if got := names(l.Recent()); got != "b.example:s c.example:a" {
		t.Errorf("forgotten: got %s", got)
	}
}

// TestFile wants the list to come back, to be written only when it has changed, and a file that
// cannot be read to be an error.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "signed.json")
	c := newClock()
	l := New(c.now)
	if err := errors.Join(l.Read(dir), l.Write(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("an empty list is written")
	}
	l.Author("a.example")
	l.Signer("b.example")
	if err := l.Write(dir); err != nil {
		t.Fatal(err)
	}
	before, err := files.Look(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Author("a.example")
	if err := l.Write(dir); err != nil {
		t.Fatal(err)
	}
	if after, err := files.Look(path); err != nil || after.ID != before.ID {
		t.Errorf("written without a change: %v", err)
	}
	again := New(c.now)
	if err := again.Read(dir); err != nil || names(again.Recent()) != "a.example:a b.example:s" {
		t.Errorf("read: %s, %v", names(again.Recent()), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(path + "?*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestFileTruncated cuts the file at every byte.
func TestFileTruncated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "signed.json")
	l := New(newClock().now)
	for i := range 3 {
		l.Author(fmt.Sprintf("d%d.example", i))
	}
	if err := l.Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(text) - 1 { // the last is the end of the line
		if err := os.WriteFile(path, text[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := New(nil).Read(dir); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("cut at %d: got %v", n, err)
		}
	}
	if err := errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := New(nil).Read(dir); !errors.Is(err, files.ErrSpecial) {
		t.Errorf("a pipe: %v", err)
	}
}

// TestWriteFails wants what could not be written to be written the next time.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	l := New(newClock().now)
	l.Author("a.example")
	if err := l.Write(filepath.Join(dir, "none")); err == nil {
		t.Error("no directory, and no error")
	}
	if err := l.Write(dir); err != nil {
		t.Fatal(err)
	}
	again := New(newClock().now)
	if err := again.Read(dir); err != nil || len(again.Recent()) != 1 {
		t.Errorf("%d names, %v", len(again.Recent()), err)
	}
}

// TestBound fills the list with names that one client chooses: those that sign meanwhile stay.
func TestBound(t *testing.T) {
	c := newClock()
	l := New(c.now)
	for i := range 2 * maxNames {
		if i%1000 == 0 {
			c.Time = c.Add(time.Hour / 2)
			l.Author("ours.example")
		}
		l.Author(fmt.Sprintf("d%d.example", i))
	}
	if n := len(l.names); n != maxNames {
		t.Errorf("%d names, want %d", n, maxNames)
	}
	if l.names["ours.example"] == nil {
		t.Error("a domain that signs all the time made room for those that signed once")
	}
}

func TestLoss(t *testing.T) {
	for _, tt := range []struct {
		lost, of int
		share    float64
		tooMuch  bool
	}{
		{0, 0, 0, false},
		{0, 10, 0, false},
		{1, 1, 1, true},
		{1, 10, 1, true},
		{1, 11, 0.3, false},
		{3, 11, 0.3, false},
		{4, 11, 0.3, true},
		{30, 100, 0.3, false}, {31, 100, 0.3, true}, {1, 100, 0, true}, {100, 100, 1, false},
	} {
		var list []Name
		for i := range tt.of {
			list = append(list, Name{Name: fmt.Sprintf("d%d.example", i)})
		}
		left := tt.lost
		l := Compare(list, func(Name) bool { left--; return left >= 0 })
		if got := l.TooMuch(tt.share); got != tt.tooMuch || l.Of != tt.of ||
			len(l.Names) != tt.lost {
			t.Errorf("%d of %d with %v: too much %t, want %t", tt.lost, tt.of, tt.share, got,
				tt.tooMuch)
		}
		if text := l.String(); !strings.HasPrefix(text, fmt.Sprintf("%d of %d domains", tt.lost,
			tt.of)) || len(text) > 1000 {
			t.Errorf("%d of %d: %s", tt.lost, tt.of, text)
		}
	}
}

// FuzzParse wants a file to be refused, or to hold what can be written and read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "{}", `{"version":1,"names":[]}`,
		`{"version":1,"names":[{"name":"a.example","author":true,"last":"2026-03-01T12:00:00Z"}]}`,
		`{"version":2}`, `{"version":1,"names":[{"name":""}]}`,
		`{"version":1,"names":[{"name":"a","last":"x"}]}`, `{"version":1,"names":null}x`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := parse(text)
		if err != nil {
			return
		}
		for _, n := range found {
			if n.Name == "" || len(n.Name) > maxName {
				t.Errorf("%q", n.Name)
			}
		}
	})
}

// Keys of a domain's own are remembered for 30 days, over a restart, while the rest of it is
// forgotten after seven.
func TestHadKeys(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	l := New(c.now)
	l.Author("a.example")
	l.HasKey("a.example", "mail")
	for i := range 2 * maxKeys {
		l.HasKey("many.example", fmt.Sprintf("key%d", i))
	}
	if got := len(l.HadKeys("many.example")); got != maxKeys {
		t.Errorf("%d keys of a domain are remembered, want %d", got, maxKeys)
	}
	for _, tt := range []struct {
		days int
		want string
	}{{0, "mail"}, {29, "mail"}, {31, ""}} {
		c.Time = newClock().Add(time.Duration(tt.days) * 24 * time.Hour)
		if err := l.Write(dir); err != nil {
			t.Fatal(err)
		}
		l = New(c.now)
		if err := l.Read(dir); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(l.HadKeys("a.example"), " "); got != tt.want {
			t.Errorf("after %d days: got %q, want %q", tt.days, got, tt.want)
		}
		if got := names(l.Recent()); tt.days > 7 && got != "" {
			t.Errorf("after %d days %s still counts as signing", tt.days, got)
		}
		l.HasKey("other.example", "mail") // so that it is written
	}
	l.Forget([]string{"other.example"})
	if got := l.WithKeys(); len(got) != 0 {
		t.Errorf("after all is forgotten: %v", got)
	}
}
