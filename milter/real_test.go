package milter

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	mtatest "mailseal/contrib/test/rig" // rig is the name of a type here
	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/message/messagetest"
)

// The tests here hold what the other tests believe of MTAs against real ones.

// realFilter does what a subject asks for, and to all others what the daemon does to mail of
// strangers.
func realFilter() *filter {
	return &filter{
		wants: Wants{Hashes: []message.BodyHash{{Limit: message.Whole}}},
		decide: func(_ context.Context, m Mail, whole *message.Message, _ []byte) Outcome {
			edits := message.Edits{
				Remove: ForgedFields(mtatest.Hostname, m, whole.Header),
				Insert: messagetest.Header("Authentication-Results: "+mtatest.Hostname+
					";\n\trole=("+
					m.Role.String()+") none", "X-Second: below"),
			}
			switch subject := whole.Header[whole.Header.Fields(
				"Subject")[0]].Value(); strings.TrimSpace(string(subject)) {
			case "refuse":
				return Outcome{Action: action.Reject,
					Reply: Reply{550, "5.7.1", "100% refused\nsee elsewhere"}}
			case "defer":
				return Outcome{Action: action.Tempfail, Reply: Reply{451, "4.7.5", "50% sure"}}
			case "hold":
				return Outcome{Action: action.Hold, Reason: "as asked", Edits: edits}
			case "panic":
				panic("as asked")
			}
			return Outcome{Action: action.Accept, Edits: edits}
		},
	}
}

func realMTAs(t *testing.T, test func(t *testing.T, m *mtatest.MTA, r *rig, f *filter)) {
	for _, c := range []struct {
		name  string
		start func(testing.TB, mtatest.Options) *mtatest.MTA
	}{{"Postfix", mtatest.Postfix}, {"Sendmail", mtatest.Sendmail}} {
		t.Run(c.name, func(t *testing.T) {
			m := c.start(t, mtatest.Options{})
			f := realFilter()
			test(t, m, serveReal(t, m, f), f)
		})
	}
}

// serveReal serves where the MTA's configuration looks for its milter.
func serveReal(t *testing.T, m *mtatest.MTA, f *filter) *rig {
	t.Helper()
	dir := filepath.Dir(m.MilterSocket())
	m.Directory(dir, 0o755, "root", "root")
	short := filepath.Join(t.TempDir(), "d") // the root's own path is too long for a socket
	if err := os.Symlink(m.Path(dir), short); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, log: &lines{}, counts: &counts{events: map[Event]int{},
		messages: map[string]int{}}, ended: make(chan error, 1)}
	r.path = filepath.Join(short, filepath.Base(m.MilterSocket()))
	l, err := Listen(t.Context(), ListenOptions{Address: "unix:" + r.path, Role: action.RoleAuto,
		Mode: 0o660, Group: groupOf(t, m, "postfix")})
	if err != nil {
		t.Fatal(err)
	}
	r.start(Options{Log: slog.New(slog.NewTextHandler(r.log, nil)), Metrics: r.counts, DrainSoft: 1,
		DrainHard: time.Second},
		Settings{Filter: f, Roles: ours}, l)
	return r
}

// groupOf returns the number of a group of the MTA's root, "" if it has none.
func groupOf(t *testing.T, m *mtatest.MTA, name string) string {
	t.Helper()
	f, err := os.Open(m.Path("/etc/group"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if parts := strings.Split(s.Text(), ":"); parts[0] == name {
			return parts[2]
		}
	}
	return ""
}

func realMail(n int, subject string, fields ...string) mtatest.Mail {
	to := fmt.Sprintf("to%d@home.example", n)
	top := ""
	for _, f := range fields {
		top += f + "\r\n"
	}
	return mtatest.Mail{From: "a@stranger.example", To: []string{to}, Message: top + fmt.Sprintf(
		"From: <a@stranger.example>\r\nTo: <%s>\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 "+
			"05:00:00 +0000\r\nMessage-ID: <%d@stranger.example>\r\n\r\ntext\r\n", to, subject, n)}
}

func TestRealMTAs(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two mail servers")
	}
	realMTAs(t, func(t *testing.T, m *mtatest.MTA, r *rig, f *filter) {
		t.Run("forged fields", func(t *testing.T) { realForged(t, m, f) })
		t.Run("verdicts on one connection", func(t *testing.T) { realVerdicts(t, m, f) })
		t.Run("roles", func(t *testing.T) { realRoles(t, m, f) })
		if r.counts.event(Malformed) > 0 || r.counts.event(Broken) > 0 {
			t.Error("a real MTA was taken for a malformed one")
		}
	})
}

// Two forged fields around a stranger's are removed, that stays, and ours are on top in their
// order.
func realForged(t *testing.T, m *mtatest.MTA, f *filter) {
	c := m.Dial(t, "127.0.0.2")
	defer c.Quit()
	c.Deliver(realMail(1, "forged",
		"Authentication-Results: "+mtatest.Hostname+"; dkim=pass header.d=bank.example",
		"Authentication-Results: elsewhere.example; none",
		"authentication-results: (x) "+strings.ToUpper(mtatest.Hostname)+"/1; spf=pass"))
	d := m.Sink.To(t, "to1@home.example")
	want := []string{mtatest.Hostname + ";\r\n\trole=(theirs) none", "elsewhere.example; none"}
	if got := d.Header("Authentication-Results"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if top := "Authentication-Results: " + want[0] +
		"\r\nX-Second: below\r\nReceived: "; !strings.HasPrefix(string(d.Data), top) {
		t.Errorf("the header begins with %.200q, want %q", d.Data, top)
	}
	if got := f.last(t); got.envelope.Client != addr("127.0.0.2") || got.envelope.QueueID == "" ||
		len(got.Header) < 8 {
		t.Errorf("judged: %+v", got.envelope)
	}
}

func realVerdicts(t *testing.T, m *mtatest.MTA, f *filter) {
	before := len(f.seen)
	c := m.Dial(t, "127.0.0.2")
	defer c.Quit()
	for i, w := range []struct {
		subject string
		code    int
		lines   []string
	}{
		{"accept", 250, nil},
		{"refuse", 550, []string{"5.7.1 100% refused", "5.7.1 see elsewhere"}},
		{"defer", 451, []string{"4.7.5 50% sure"}},
		{"panic", 451, []string{"4.3.0 Temporary internal failure"}},
		{"accept", 250, nil},
		{"hold", 250, nil},
	} {
		r := c.Send(realMail(10+i, w.subject))
		said := fmt.Sprint(r)
		if r.Code != w.code || slices.ContainsFunc(w.lines,
			func(l string) bool { return !strings.Contains(said, l) }) {
			t.Errorf("%s: got %s, want %d %q", w.subject, said, w.code, w.lines)
		}
		c.Do("MAIL FROM:<given-up@stranger.example>")
		c.Do("RSET")
	}
	for _, n := range []int{10, 14} {
		d := m.Sink.To(t, fmt.Sprintf("to%d@home.example", n))
		if got := d.Header("X-Second"); len(got) != 1 {
			t.Errorf("message %d: our field is there %d times", n, len(got))
		}
	}
	if held := m.AwaitHeld(t, "to15@home.example"); held.ID == "" {
		t.Error("nothing is held")
	}
	for _, s := range f.seen[before:] {
		if len(s.Header.Fields("Subject")) != 1 || s.envelope.Sender != "a@stranger.example" ||
			len(s.envelope.Recipients) != 1 {
			t.Errorf("judged: %+v, %d fields", s.envelope, len(s.Header))
		}
	}
}

func realRoles(t *testing.T, m *mtatest.MTA, f *filter) {
	forged := "Authentication-Results: " + mtatest.Hostname + "; dkim=pass"
	for i, c := range []struct {
		name string
		send func(mtatest.Mail)
		role action.Role
		why  Reason
		kept int // fields of ours in what is delivered
	}{
		{"stranger", func(x mtatest.Mail) { c := m.Dial(t, "127.0.0.2"); c.Deliver(x); c.Quit() },
			action.RoleTheirs, ByDefault, 1},
		{"IPv6", func(x mtatest.Mail) {
			if m.SMTP6 == "" {
				t.Skip("no IPv6 on loopback")
			}
			c := mtatest.Dial(t, m.SMTP6, "::1")
			c.Deliver(x)
			c.Quit()
		}, action.RoleTheirs, ByDefault, 1},
		{"authenticated", func(x mtatest.Mail) {
			c := mtatest.Dial(t, m.Submission, "127.0.0.3")
			c.Authenticate(mtatest.User, mtatest.Password)
			c.Deliver(x)
			c.Quit()
		}, action.RoleOurs, ByAuthentication, 1},
		{"local", func(x mtatest.Mail) {
			m.Local(t, strings.ReplaceAll(x.Message, "\r\n", "\n"), x.To...)
		}, action.RoleOurs, ByNetwork, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := realMail(20+i, "role", forged)
			c.send(x)
			d := m.Sink.To(t, x.To[0])
			got := f.last(t)
			if got.Role != c.role || got.Why != c.why {
				t.Errorf("got %s by %s, want %s by %s: %+v", got.Role, got.Why, c.role, c.why,
					got.envelope)
			}
			if n := len(d.Header("Authentication-Results")); n != c.kept {
				t.Errorf("%d fields delivered, want %d", n, c.kept)
			}
		})
	}
}
