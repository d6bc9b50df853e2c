package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"mailseal/contrib/test/hosted"
	"mailseal/contrib/test/rig"
	"mailseal/keys"
)

// Faults of web services and of SQLite under a stream of messages: each message is signed by its
// own domain's key, or deferred. With memory none is deferred; without, all that the fault
// concerns.

// faultyService holds the keys of hosted, and answers as a fault would have it.
type faultyService struct {
	mu    sync.Mutex
	fault func(w http.ResponseWriter, r *http.Request) // nil: none
	thaw  chan struct{}                                // ends what hangs
}

func (s *faultyService) set(fault func(http.ResponseWriter, *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.thaw != nil {
		close(s.thaw)
	}
	s.fault, s.thaw = fault, make(chan struct{})
}

func (s *faultyService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if fault != nil {
		fault(w, r)
		return
	}
	kind, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	var i int
	if n, err := fmt.Sscanf(name, "d%d.example", &i); n != 1 || err != nil || i >= hosted.Domains {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "{}")
		return
	}
	if kind == "signing" {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []string{name}})
		return
	}
	text, _ := keys.Marshal(hosted.Key(i).Signer)
	_ = json.NewEncoder(w).Encode(map[string]string{"domain": name, "selector": "s",
		"private_key": string(text)})
}

// hang answers when the next fault begins.
func (s *faultyService) hang(http.ResponseWriter, *http.Request) {
	s.mu.Lock()
	thaw := s.thaw
	s.mu.Unlock()
	<-thaw
	panic(http.ErrAbortHandler)
}

func says(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

const faultyConfig = `
authserv_id = "mx.example.com"
mode = ["sign"]
[[listen]]
address = "unix:%s/s"
[sources.hosting]
driver = "http"
url = %q
timeout = "1s"
ttl = "10ms"
negative_ttl = "10ms"
%s
[[sign]]
source = "hosting"
`

func TestFaultsOfWebService(t *testing.T) {
	for _, memory := range []string{`stale = "0s"`, `stale = "1h"`} {
		t.Run(memory, func(t *testing.T) {
			s := &faultyService{}
			server := httptest.NewServer(s)
			t.Cleanup(server.Close)
			dir := rig.Dir(t)
			h := newHosting(t, dir, fmt.Sprintf(faultyConfig, dir, server.URL, memory))
			h.daemon = rig.MailsealIn(t, dir, h.config, rig.DaemonOptions{})
			h.warm()
			stop := h.stream(6)
			h.await("signed at first", &h.Signed, 100)
			h.tally("none")
			for _, f := range []struct {
				name  string
				fault func(http.ResponseWriter, *http.Request)
			}{
				{"503", says(http.StatusServiceUnavailable, "")},
				{"403", says(http.StatusForbidden, `{"errors": ["permission denied"]}`)},
				{"a page of another server, 404", says(http.StatusNotFound, "<html>")},
				{"a page of another server, 200", says(http.StatusOK, "<html>")},
				{"half an answer", says(http.StatusOK, `{"keys": ["d1`)},
				{"an answer without keys", says(http.StatusOK, `{}`)},
				{"reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
				{"frozen", s.hang},
			} {
				s.set(f.fault)
				h.awaitFault(memory)
				h.tally(f.name)
				s.set(nil)
				h.await("signed after "+f.name, &h.Signed, 100)
				h.tally("after " + f.name)
			}
			s.set(nil)
			stop()
			h.noneUnsigned(memory)
		})
	}
}

func TestFaultsOfSQLite(t *testing.T) {
	for _, memory := range []string{`stale = "0s"`, `stale = "1h"`} {
		t.Run(memory, func(t *testing.T) {
			path := hosted.SQLite(t)
			h := startHosting(t, "sqlite", path, "ttl = \"10ms\"\nnegative_ttl = \"10ms\"\n"+memory)
			h.warm()
			stop := h.stream(6)
			h.await("signed at first", &h.Signed, 100)
			h.tally("none")
			for _, f := range []struct{ name, wrong, right string }{
				{"no table of keys", "ALTER TABLE dkim_keys RENAME TO gone", "ALTER TABLE gone RENAME TO dkim_keys"},
				{"no table of senders", "ALTER TABLE dkim_signing RENAME TO gone",
					"ALTER TABLE gone RENAME TO dkim_signing"},
				{"keys that are none", "UPDATE dkim_keys SET private_key = 'x' || private_key",
					"UPDATE dkim_keys SET private_key = substr(private_key, 2)"},
			} {
				execSQLite(t, path, f.wrong)
				h.awaitFault(memory)
				h.tally(f.name)
				execSQLite(t, path, f.right)
				h.await("signed after "+f.name, &h.Signed, 100)
				h.tally("after " + f.name)
			}
			unlock := lockSQLite(t, path)
			h.awaitFault(memory)
			h.tally("locked by another process")
			unlock()
			h.await("signed after the lock", &h.Signed, 100)
			h.tally("after the lock")
			stop()
			h.noneUnsigned(memory)
		})
	}
}

// lockSQLite keeps everybody else from reading.
func lockSQLite(t *testing.T, path string) (unlock func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(30000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := db.Exec("ROLLBACK"); err != nil {
			t.Error(err)
		}
		db.Close()
	}
}

// warm has every domain send once.
func (h *hosting) warm() {
	for i := range hosted.Domains {
		h.Send(fmt.Sprintf("d%d.example", i))
	}
}

// awaitFault waits until a fault has shown: in what is deferred, or that memory signs on.
func (h *hosting) awaitFault(memory string) {
	h.t.Helper()
	if strings.Contains(memory, "0s") {
		h.await("deferred", &h.Deferred, 20)
		return
	}
	h.await("signed from memory", &h.Signed, 200)
}

// noneUnsigned wants no message to have gone out unsigned, and none to be deferred that memory
// could have signed.
func (h *hosting) noneUnsigned(memory string) {
	h.t.Helper()
	if n := h.Unsigned.Load(); n != 0 {
		h.t.Errorf("%d messages went out unsigned", n)
	}
	if n := h.Deferred.Load(); n != 0 && !strings.Contains(memory, "0s") {
		h.t.Errorf("%d messages were deferred that memory could have signed", n)
	}
}
