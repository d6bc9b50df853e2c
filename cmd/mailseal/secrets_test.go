package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretsAreHidden has commands look at key sources whose addresses hold secrets, and that fail
// in every way: nothing that they print holds one.
func TestSecretsAreHidden(t *testing.T) {
	const secret = "S3CR3T"
	status := http.StatusServiceUnavailable
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(status)
	}))
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	address := func(server string) string {
		return strings.Replace(server, "http://", "http://joe:"+secret+"@", 1) + "/v1?token=" +
			secret
	}
	t.Cleanup(web.Close)
	for name, source := range map[string]string{
		"a service that fails":   fmt.Sprintf("driver = \"http\"\nurl = %q\n", address(web.URL)),
		"a service that is away": fmt.Sprintf("driver = \"http\"\nurl = %q\n", address(gone.URL)),
		"no such scheme": fmt.Sprintf("driver = \"http\"\nurl = %q\n",
			strings.Replace(address(web.URL), "http:", "ftp:", 1)),
		"is not a port": fmt.Sprintf("driver = \"http\"\nurl = "+
			"\"http://joe:%s@host:port/?%[1]s\"\n", secret),
		"an address for a driver": fmt.Sprintf("driver = %q\n", address(web.URL)),
		"a server that is away": "driver = \"postgres\"\ndsn = \"postgres://joe:" + secret +
			"@127.0.0.1:1/mail?sslmode=disable&x=" + secret +
			"\"\nkey_query = \"SELECT $1\"\nsigning_query = \"SELECT $1\"\n",
		"a DSN that is none": "driver = \"mysql\"\ndsn = \"joe:" + secret +
			"@127.0.0.1\"\nkey_query = \"SELECT $1\"\nsigning_query = \"SELECT $1\"\n",
		"a file that is not there": "driver = \"sqlite\"\ndsn = \"file:/nowhere/k.db?key=" +
			secret + "\"\nkey_query = \"SELECT $1\"\nsigning_query = \"SELECT $1\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mailseal.toml")
			text := "authserv_id = \"mx.example.com\"\n[sources.keys]\ntimeout = \"1s\"\n" +
				source + "[[sign]]\nsource = \"keys\"\n"
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range []string{
				"check --no-mta", "check --no-mta --json",
				"check --no-mta --domain example.com --against-running",
				"explain-signing --from a@example.com",
				"explain-signing --from a@example.com --json", "reload",
			} {
				out, code := runCommand(t, append(strings.Fields(args), "--config", path)...)
				if strings.Contains(out, secret) || code == exitGood {
					t.Errorf("%s: exit code %d\n%s", args, code, out)
				}
			}
		})
	}
}
