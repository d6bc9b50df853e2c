package lmtp

import (
	"context"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailseal/contrib/test/rig"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
)

// reportingTaker tells of each mail that was stored.
type reportingTaker struct {
	*intake.Intake
	taken chan *intake.Taken
}

func (t reportingTaker) Take(ctx context.Context, a *store.Arrival) (*intake.Taken, error) {
	out, err := t.Intake.Take(ctx, a)
	t.taken <- out
	return out, err
}

// delivers serves the socket at path, has send send a report, and waits for it to be stored.
func delivers(t *testing.T, path string, send func()) {
	t.Helper()
	taken := make(chan *intake.Taken, 1)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := &Server{
		Intake: reportingTaker{&intake.Intake{Store: newStore(t)}, taken}, Trust: &Trust{}, Name: "reports.example",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now,
	}
	go s.Serve(ctx, l)
	send()
	select {
	case got := <-taken:
		if got == nil || got.Reports != 1 || got.Messages != 7 {
			t.Errorf("got %+v", got)
		}
	case <-time.After(3 * time.Minute):
		t.Fatal("nothing was delivered")
	}
}

// IN-1: a real Postfix delivers by LMTP on a unix socket, as transport_maps says.
func TestPostfix(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real server")
	}
	mta := rig.Postfix(t, rig.Options{Append: "smtpd_milters =\nnon_smtpd_milters =\n" +
		"transport_maps = inline:{ { dmarc@home.example = lmtp:unix:reports.sock } }\n"})
	c := mta.Dial(t, "127.0.0.1")
	delivers(t, mta.Path("/var/spool/postfix/reports.sock"), func() {
		c.Deliver(rig.Mail{From: "a@org.example", To: []string{"dmarc@home.example"},
			Message: mail("", "1")})
	})
}

// TestReadmeTransport runs README's command for the transport of reports: what transport_maps had
// before stays in effect behind it.
func TestReadmeTransport(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs a real program")
	}
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^sudo (postconf -e "transport_maps = .*)$`).FindStringSubmatch(
		string(readme))
	if line == nil {
		t.Fatal("README.md has no command for transport_maps")
	}
	const before = "hash:$config_directory/transport, inline:{ { a.example = smtp:[192.0.2.1] } }"
	mta := rig.Postfix(t, rig.Options{Append: "transport_maps = " + before + "\n"})
	mta.Run(nil, "/bin/sh", "-c", line[1])
	got := strings.TrimSpace(mta.Run(nil, "/usr/sbin/postconf", "-h", "transport_maps"))
	want := "inline:{ { dmarc@example.com = lmtp:unix:/var/lib/mailseal-reports/intake.sock } } " +
		before
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
