package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/milter/miltertest"
)

const webConfig = `authserv_id = "mx.example.com"
mode = "sign"
listen = [{ address = "unix:%[1]s/s" }]
ours = { authenticated = true }
[sources.web]
driver = "http"
url = "%[2]s/v1/secret/data/dkim"
token_file = "token"
timeout = "2s"
ttl = "0s"
negative_ttl = "0s"
stale = "1h"
[[sign]]
source = "web"
`

// vault is a service that answers as a Vault does, by author's domain and login, to each client
// that has its token.
type vault struct {
	mu    sync.Mutex
	token string
	down  bool
}

func (v *vault) set(token string, down bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.token, v.down = token, down
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1/secret/data/dkim/")
	switch login := r.URL.Query().Get("login"); {
	case v.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Header.Get("Authorization") != "Bearer "+v.token:
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"errors": ["permission denied"]}`)
	case strings.HasPrefix(path, "signing/") && login == "joe":
		fmt.Fprintf(w, `{"data": {"data": {"keys": ["joe.%s"]}, "metadata": {"version": 2}}}`,
			strings.TrimPrefix(path, "signing/"))
	case strings.HasPrefix(path, "keys/joe."):
		fmt.Fprintf(w, `{"data": {"data": {"domain": "%s", "selector": "joe", `+
			`"private_key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}}}`, strings.TrimPrefix(path, "keys/joe."))
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"errors": []}`)
	}
}

// TestWebSource has users send through the daemon whose keys a Vault holds: by login, with a token
// that is renewed while the daemon runs, and while the Vault is away.
func TestWebSource(t *testing.T) {
	v := &vault{token: "first"}
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	dir := rig.Dir(t)
	renew := func(token string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	renew("first\n")
	daemon := rig.MailsealIn(t, dir, fmt.Sprintf(webConfig, dir, server.URL), rig.DaemonOptions{})

	send := func(name, login, domain, want string) {
		t.Helper()
		got := fateOf(t, dir, miltertest.Message{From: "a@" + domain,
			To:   []string{"b@other.example"},
			Auth: login, Raw: []byte("From: a@" + domain + "\n\nbody\n")}, "d="+domain+"; s=joe;")
		if got != want {
			t.Errorf("%s: %s, want %s\n%s", name, got, want, daemon.Output())
		}
	}
	send("joe", "joe", "one.example", "signed")
	send("joe, as another domain", "joe", "two.example", "signed")
	send("jim", "jim", "one.example", "unsigned")
	v.set("second", false)
	send("the token has expired, and the key is remembered", "joe", "one.example", "signed")
	send("it has, and the key is not", "joe", "three.example", "451")
	if !strings.Contains(daemon.Output(), "check token_file") {
		t.Errorf("the log does not speak of the token:\n%s", daemon.Output())
	}
	renew("second\n")
	send("the token is renewed", "joe", "three.example", "signed")
	v.set("second", true)
	send("the service is away, and the key is remembered", "joe", "three.example", "signed")
	send("it is, and nobody signed for jim before", "jim", "one.example", "451")
	v.set("second", false)
	send("it is back", "jim", "one.example", "unsigned")
	if text := daemon.Output(); !strings.Contains(text, "source of keys is available again") ||
		strings.Contains(text, "AQEBAQ") || strings.Contains(text, "Bearer") {
		t.Errorf("the log says too little, or too much:\n%s", text)
	}
}

// fateOf hands a message to the daemon whose socket is in a directory, and returns "signed" where a
// signature has some tags, the code of a refusal, or "unsigned".
func fateOf(t *testing.T, dir string, m miltertest.Message, tags string) string {
	t.Helper()
	c, err := miltertest.Dial(t.Context(), "unix:"+dir+"/s",
		miltertest.Options{Timeout: 3 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := c.Send(m)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case out.Refused():
		return out.Reply.Text[:3]
	case strings.Contains(strings.Join(strings.Fields(string(out.Delivered())), " "), tags):
		return "signed"
	}
	return "unsigned"
}
