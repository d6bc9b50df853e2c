package reporting

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"mailseal/config"
	"mailseal/milter/report/web"
)

// TestSecretsReload changes the files of the token and of the passwords: who is taken out, or has
// another password, is out at once, others stay in, and a mistake in a file changes nothing and is
// said once.
func TestSecretsReload(t *testing.T) {
	dir := t.TempDir()
	line := func(name, password string) string {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return name + ":" + string(hash) + "\n"
	}
	anna := line("anna", "one")
	settings := config.ReportsWeb{TokenFile: config.SecretFile(writeFile(t, dir, "token",
		pageToken)),
		Htpasswd: config.SecretFile(writeFile(t, dir, "htpasswd", anna+line("ben", "two")))}
	secrets, access, err := newPageSecrets(settings)
	if err != nil {
		t.Fatal(err)
	}
	access.Wait = nil
	handler, err := web.New(web.Config{Read: &web.Memory{}, Access: access})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	signIn := func(name, password string) *browser {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		to := &http.Transport{Proxy: func(*http.Request) (*url.URL,
			error) {
			return url.Parse(server.URL)
		}}
		b := &browser{t, &http.Client{Jar: jar, Transport: to}}
		_, text := b.get("/login")
		b.post("/login", url.Values{"csrf": {b.token(text)}, "user": {name}, "password": {password},
			"next": {"/"}})
		return b
	}
	isIn := func(b *browser) bool {
		_, text := b.get("/")
		return !strings.Contains(text, "Sign in to see reports")
	}
	var log bytes.Buffer
	renew := func() { secrets.renew(access, slog.New(slog.NewTextHandler(&log, nil))) }
	a, b, c := signIn("anna", "one"), signIn("ben", "two"), signIn("", pageToken)
	if !isIn(a) || !isIn(b) || !isIn(c) {
		t.Fatal("no user gets in")
	}
	renew()
	if !isIn(a) || !isIn(b) || !isIn(c) || log.Len() > 0 {
		t.Errorf("nothing has changed, and a session ended: %s", &log)
	}
	writeFile(t, dir, "htpasswd", anna+"broken\n")
	renew()
	renew()
	if !isIn(b) || strings.Count(log.String(), "htpasswd:2") != 1 {
		t.Errorf("a broken file: %s", &log)
	}
	writeFile(t, dir, "htpasswd", anna+line("carla", "three"))
	renew()
	if !isIn(a) || isIn(b) || !isIn(c) || isIn(signIn("ben", "two")) ||
		!isIn(signIn("carla", "three")) {
		t.Error("ben is taken out, and carla is new")
	}
	writeFile(t, dir, "htpasswd", line("anna", "other"))
	writeFile(t, dir, "token", "another-token-of-20-characters")
	renew()
	if isIn(a) || isIn(c) || isIn(signIn("anna", "one")) || !isIn(signIn("anna", "other")) ||
		isIn(signIn("", pageToken)) {
		t.Error("the password and the token are others")
	}
	writeFile(t, dir, "token", "short")
	if err := os.Remove(string(settings.Htpasswd)); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	renew()
	renew()
	if !isIn(signIn("anna", "other")) || strings.Count(log.String(), "level=WARN") != 1 {
		t.Errorf("a file that is gone: %s", &log)
	}
}
