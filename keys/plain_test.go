package keys_test

import (
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailseal/keys"
)

func TestPlain(t *testing.T) {
	text := func(_ any, err error) string { return err.Error() }
	_, noListener := net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	_, noSocket := net.Dial("unix", "/nowhere/control")
	_, noFile := os.Open("nofile")
	tests := []struct{ name, text, want string }{
		{"nothing to do", "mailseal.toml:3: mod: unknown setting", "mailseal.toml:3: mod: unknown setting"},
		{"an address", "--ip: " + text(netip.ParseAddr("1.2.3")), `--ip: "1.2.3" is not an IP address`},
		{"a network", text(netip.ParsePrefix("1.2.3/8")), `"1.2.3/8" is not a network such as 192.0.2.0/24`},
		{"a time", "--now: " + text(time.Parse(time.RFC3339, "yesterday")),
			`--now: "yesterday" is not a time such as 2026-01-31T12:00:00Z`},
		{"a month too many", text(time.Parse(time.RFC3339, "2026-13-01T00:00:00Z")),
			`"2026-13-01T00:00:00Z" is not a time such as 2026-01-31T12:00:00Z`},
		{"a duration", text(time.ParseDuration("5d")), `"5d" is not a duration such as 90s, 10m or 24h`},
		{"a number", text(strconv.Atoi("x")), `"x" is not a whole number`},
		{"too large a number", text(strconv.Atoi("99999999999999999999")),
			`"99999999999999999999" is out of range`},
		{"a flag", `invalid argument "x" for "-n, --count" flag: ` + text(strconv.ParseInt("x", 0, 64)),
			`--count: "x" is not a whole number`},
		{"a connection", noListener.Error(), "127.0.0.1:1: connection refused"},
		{"a socket", "control: no daemon answers at /nowhere/control: " + noSocket.Error(),
			"no daemon answers at /nowhere/control: no such file or directory"},
		{"a file named twice", "nofile: " + noFile.Error(), "nofile: no such file or directory"},
		{"a file with blanks", (&fs.PathError{Op: "stat", Path: "/a b", Err: fs.ErrNotExist}).Error(),
			"/a b: file does not exist"},
		{"a relative file", "key_file: stat k/nofile.pem: no such file or directory",
			"key_file: k/nofile.pem: no such file or directory"},
		{"an answer that did not come", "read udp 127.0.0.1:4->192.0.2.1:53: i/o timeout",
			"192.0.2.1:53: no answer in time"},
		{"a listener", "listen tcp4 127.0.0.1:1: bind: address already in use",
			"127.0.0.1:1: address already in use"},
		{"three packages", "keylife: keydns: dns: lookup failed", "lookup failed"},
		{"a package after others", "sign[0]: keys: no such key: none is active",
			"sign[0]: no such key: none is active"},
		{"a setting that is called as a package", "m.toml:3: domain: is the short way",
			"m.toml:3: domain: is the short way"},
		{"a setting of a file without a line", "m.toml: keys: is empty", "m.toml: keys: is empty"},
		{"lines", "m.toml:3: domain: x\nkeys: y", "m.toml:3: domain: x\ny"},
		{"a key named three times", `key "k": key "k": key "k": /k.pem: permission denied`,
			`key "k": /k.pem: permission denied`},
		{"a flag that names no value", `invalid argument "3d" for "--duration" flag: must be a duration`,
			`--duration: "3d" must be a duration`},
		{"another host's words", `the server said "550 5.7.1 read policy: dkim: failed; dmarc: reject"`,
			`the server said "550 5.7.1 read policy: dkim: failed; dmarc: reject"`},
		{"a quoted name", `rule "a: dkim: b" is wrong`, `rule "a: dkim: b" is wrong`},
		{"words of a sentence", "x; remove sp: it has no effect", "x; remove sp: it has no effect"},
		{"a verb", "store: sync failed: disk full", "sync failed: disk full"},
		{"a removed file", "remove /v/x.db: read-only file system", "/v/x.db: read-only file system"},
		{"a renamed file", "rename /v/a /v/b: permission denied", "/v/a to /v/b: permission denied"},
		{"a sentence", "open the file: it is closed", "open the file: it is closed"},
		{"a host", "dial tcp: lookup db.example on 192.0.2.1:53: no such host",
			"db.example: no such host"},
		{"a program", `exec: "postconf": executable file not found in $PATH`,
			"the program postconf is not installed"},
		{"a time that ran out", "context deadline exceeded", "no answer in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := keys.Plain(tt.text); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestPlainKnowsAllPackages walks through the errors in the sources that begin with the name of
// their package.
func TestPlainKnowsAllPackages(t *testing.T) {
	begin := regexp.MustCompile(`(?:errors\.New|fmt\.Errorf)\(\s*"([a-z0-9]+): `)
	seen := 0
	for _, top := range []string{".", "../milter", "../config", "../cmd"} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			isSource := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
			if err != nil || d.IsDir() || !isSource {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			abs, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			pkg := filepath.Base(filepath.Dir(abs))
			for _, m := range begin.FindAllStringSubmatch(string(source), -1) {
				if m[1] != pkg {
					continue
				}
				seen++
				for _, before := range []string{"", "reports.store: ", "--flag: "} {
					if got := keys.Plain(before + m[1] + ": text"); got != before+"text" {
						t.Errorf("%s: %q is not in the list of packages: got %q", path, m[1], got)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 28 {
		t.Errorf("only %d errors were found", seen)
	}
}
