package lmtp

import (
	"os"
	"strings"
	"testing"

	"mailseal/contrib/test/rig"
)

// IN-1: a real Sendmail delivers by LMTP on a unix socket, with the mailer of contrib.
func TestSendmail(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real server")
	}
	mailer, err := os.ReadFile("../../../contrib/sendmail/reports.mc")
	if err != nil {
		t.Fatal(err)
	}
	ours := strings.NewReplacer("example.com", "home.example",
		"/var/lib/mailseal-reports/intake.sock", "/reports.sock").Replace(string(mailer))
	mta := rig.Sendmail(t, rig.Options{Append: "define(`confINPUT_MAIL_FILTERS', `')dnl\n" + ours})
	c := mta.Dial(t, "127.0.0.1")
	delivers(t, mta.Path("/reports.sock"), func() {
		c.Deliver(rig.Mail{From: "a@org.example", To: []string{"dmarc@home.example"},
			Message: mail("", "1")})
	})
}
