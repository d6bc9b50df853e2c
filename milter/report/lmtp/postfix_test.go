package lmtp

import (
	"context"
	"log/slog"
	"net"
	"os"
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
