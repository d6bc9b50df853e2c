package demo

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailseal/config"
	"mailseal/milter/report/intake"
)

// TestHistory holds that made up reports are ones that the intake reads, and the same when asked
// again, so that a demo that starts again stores nothing twice.
func TestHistory(t *testing.T) {
	now := time.Date(2026, 11, 30, 8, 14, 0, 0, time.UTC)
	var first, again [][]byte
	for _, into := range []*[][]byte{&first, &again} {
		err := history(now, "test", func(name string, received time.Time, text []byte) error {
			*into = append(*into, text)
			if received.After(now) {
				t.Errorf("%s is received at %v, after now", name, received)
			}
			if parts := intake.Look(name, text); len(parts) != 1 ||
				parts[0].Kind != intake.Aggregate {
				t.Errorf("%s is not read as a report: %+v", name, parts)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
	}
	if want := historyDays * len(receivers) * 2; len(first) != want {
		t.Errorf("%d reports, want %d", len(first), want)
	}
	for i := range first {
		if !bytes.Equal(first[i], again[i]) {
			t.Fatalf("report %d differs an hour later", i)
		}
	}
}

// TestPage starts the demo as "make run" does, signs in at the address that it prints, and finds
// there the mail that was made up and the message that the demo itself brought.
func TestPage(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts the daemon and the process of reports")
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := Run(ctx, Options{Dir: t.TempDir(), Serve: true, Out: in, Version: "test",
			Load: config.Load})
		in.CloseWithError(err)
		done <- err
	}()
	var said strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "continues to serve") {
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // what else it says
	today := regexp.MustCompile(`http://[0-9.:]+/(reports\?\S+)`).FindStringSubmatch(said.String())
	found := regexp.MustCompile(`(?s)address +(http://127\.0\.0\.1:\d+/)\n +token +(\S+)`).FindStringSubmatch(
		said.String())
	if found == nil || today == nil {
		t.Fatalf("no address and token in:\n%s", said.String())
	}
	get := func(path, token string) (int, string) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, found[1]+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		body, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.StatusCode, string(body)
	}
	if status, _ := get("", ""); status != http.StatusSeeOther {
		t.Errorf("without a token: status %d", status)
	}
	for path, want := range map[string]string{"": "newsletter.example: not aligned",
		"d/example.com": "google.com", today[1]: "reports.mx.example.com"} {
		if status, body := get(path, found[2]); status != http.StatusOK ||
			!strings.Contains(body, want) {
			t.Errorf("/%s: status %d, or %q is not there", path, status, want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("the demo ends with %v", err)
	}
}
