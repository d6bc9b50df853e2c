package report

import "testing"

// RI-7: whose mail proves a report.
func TestVouches(t *testing.T) {
	for _, tc := range []struct {
		from, reporter string
		want           bool
	}{
		{"google.com", "google.com", true},
		{"corp.mail.ru", "corp.mail.ru", true},
		{"dmarc.yahoo.com", "dmarc.yahoo.com", true},
		{"mail.receiver.co.uk", "receiver.co.uk", true},
		{"receiver.co.uk", "dmarc.receiver.co.uk", true},
		{"dmarc.yahoo.com", "yahooinc.com", true}, // as Yahoo mails today
		{"yahoo.com", "yahooinc.com", false},      // its customers
		{"github.io", "github.io", true},          // the owner of a suffix itself
		{"customer.github.io", "github.io", false},
		{"github.io", "customer.github.io", false},
		{"one.github.io", "two.github.io", false},
		{"evil.co.uk", "receiver.co.uk", false},
		{"evil.co.uk", "co.uk", false},
		{"co.uk", "receiver.co.uk", false},
		{"co.uk", "co.uk", false},
		{"com", "google.com", false},
		{"evilgoogle.com", "google.com", false},
		{"google.com.evil.example", "google.com", false},
		{"localhost", "localhost", false},
		{"", "", false},
		{"google.com", "google inc.", false},
	} {
		if got := Vouches(tc.from, tc.reporter); got != tc.want {
			t.Errorf("mail from %q proves %q: %v, want %v", tc.from, tc.reporter, got, tc.want)
		}
	}
}
