package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/keys"
)

// qmail is what contrib/qmail/qmail-remote works with: a configuration, a key, and an original that
// tells what it got.
type qmail struct {
	dir     string
	config  string
	wrapper string
}

// newQmail installs Mailseal into a directory of its own, and uses the wrapper that is there, which
// finds program and configuration by itself.
func newQmail(t *testing.T) *qmail {
	t.Helper()
	q := &qmail{dir: t.TempDir()}
	prefix := filepath.Join(q.dir, "usr/local")
	makeInstall(t, "install", "PREFIX="+prefix, "SYSCONFDIR="+q.dir+"/etc")
	q.config, q.wrapper = filepath.Join(q.dir, "etc/mailseal/mailseal.toml"),
		prefix+"/share/mailseal/qmail/qmail-remote"
	key := filepath.Join(q.dir, "mail.pem")
	writeKey(t, key)
	q.write(t, "etc/mailseal/mailseal.toml",
		"domain = \"home.example\"\nselector = \"mail\"\nkey_file = \""+key+"\"\n", 0o600)
	q.write(t, "original", "#!/bin/sh\nprintf '%s\\n' \"$@\" >"+q.dir+"/arguments\ncat >"+q.dir+
		"/got\nprintf 'rgood\\0K\\0'\n", 0o700)
	return q
}

func (q *qmail) write(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(q.dir, name), []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// send runs the wrapper as qmail-send would: its report, and what reached the original ("" when
// nothing did).
func (q *qmail) send(t *testing.T, message string) (report, got string) {
	t.Helper()
	cmd := exec.Command(q.wrapper, "mx.elsewhere.example", "alice@home.example",
		"x@elsewhere.example", "y@elsewhere.example")
	cmd.Env = append(os.Environ(), "QMAIL_REMOTE="+filepath.Join(q.dir, "original"), "TMPDIR="+
		q.dir)
	cmd.Stdin = strings.NewReader(message)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(filepath.Join(q.dir, "got"))
	if left, _ := filepath.Glob(filepath.Join(q.dir, "tmp.*")); len(left) != 0 {
		t.Errorf("the wrapper left %q", left)
	}
	return string(out), string(b)
}

func TestQmailRemote(t *testing.T) {
	dependsOn(t, "contrib/qmail/qmail-remote")
	message := mail("alice@home.example", "x@elsewhere.example").Message
	t.Run("signed", func(t *testing.T) {
		q := newQmail(t)
		report, got := q.send(t, message)
		if report != "rgood\x00K\x00" {
			t.Errorf("report: %q", report)
		}
		head, ok := strings.CutSuffix(got, message)
		if !ok || strings.Count(head, "DKIM-Signature: ") == 0 || strings.Contains(got, "\r") {
			t.Errorf("what was sent:\n%q", got)
		}
		arguments, err := os.ReadFile(filepath.Join(q.dir, "arguments"))
		if err != nil || string(arguments) != "mx.elsewhere.example\nalice@home.example\n"+
			"x@elsewhere.example\ny@elsewhere.example\n" {
			t.Errorf("arguments: %q, %v", arguments, err)
		}
	})
	t.Run("no rule", func(t *testing.T) {
		other := mail("alice@other.example", "x@elsewhere.example").Message
		if report, got := newQmail(t).send(t, other); report != "rgood\x00K\x00" || got != other {
			t.Errorf("report %q, sent:\n%q", report, got)
		}
	})
	for name, spoil := range map[string]func(q *qmail){
		"no key":           func(q *qmail) { os.Remove(filepath.Join(q.dir, "mail.pem")) },
		"no configuration": func(q *qmail) { os.Remove(q.config) },
		"a mistake": func(q *qmail) {
			q.write(t, "etc/mailseal/mailseal.toml", "domian = \"home.example\"\n", 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQmail(t)
			spoil(q)
			if report, got := q.send(t, message); !strings.HasPrefix(report, "Z") ||
				!strings.HasSuffix(report, "\x00") || got != "" {
				t.Errorf("report %q, want Z; sent:\n%q", report, got)
			}
		})
	}
}

// writeKey makes an RSA key in a file.
func writeKey(t *testing.T, file string) {
	t.Helper()
	private := made.key(t, "file", keys.RSA)
	text, err := keys.Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
