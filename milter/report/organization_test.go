package report

import (
	"slices"
	"testing"
)

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
		{"gmail.com", "google.com", false},
		{"gmail.com", "gmail.com", false}, // its customers
		{"mail.ru", "corp.mail.ru", false},
		{"alerts.comcast.net", "dmarc@comcast.net", true},
		{"comcast.net", "dmarc@comcast.net", false},
		{"dmarc.gmx.net", "gmx.net", true}, // a host of the provider itself
		{"github.io", "github.io", true},   // the owner of a suffix itself
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

// Two customers of one provider are two reporters, of whom the administrator may accept one.
func TestReporterKey(t *testing.T) {
	for _, tc := range []struct{ email, mail, want string }{
		{"noreply@google.com", "google.com", "google.com"},
		{"Joe <Joe@Gmail.com>", "gmail.com", "joe@gmail.com"},
		{"joe@gmail.com", "", "joe@gmail.com"},
		{"", "gmail.com", "gmail.com"},
		{"", "", "org"},
	} {
		m := Metadata{Org: "Org", Email: tc.email}
		if got := m.ReporterKey(tc.mail); got != tc.want {
			t.Errorf("address %q, mail of %q: got %q, want %q", tc.email, tc.mail, got, tc.want)
		}
	}
	if !slices.IsSorted(mailboxes) {
		t.Error("the domains of mailboxes are not sorted")
	}
}

// A name is believed of any organization that it can be.
func TestPlausibleName(t *testing.T) {
	for _, tc := range []struct{ org, key, want string }{
		{"google.com", "google.com", "google.com"},
		{"Google Inc.", "google.com", "Google Inc."},
		{"google.com", "evil.example", ""},
		{"Google Inc.", "evil.example", ""},
		{"GOOGLE", "google.com.evil.example", ""},
		{"Enterprise Outlook", "microsoft.com", "Enterprise Outlook"},
		{"Outlook.com", "microsoft.com", "Outlook.com"},
		{"Yahoo", "yahooinc.com", "Yahoo"},
		{"Yahoo! Inc.", "evil.example", ""},
		{"other.example", "evil.example", ""},
		{"mail.org.example", "org.example", "mail.org.example"},
		{"Org", "org.example", "Org"},
		{"Some Org, Inc.", "org.example", "Some Org, Inc."},
		{"joe", "joe@gmail.com", "joe"},
		{"", "org.example", ""},
	} {
		if got := PlausibleName(tc.org, tc.key); got != tc.want {
			t.Errorf("%q of %s: got %q, want %q", tc.org, tc.key, got, tc.want)
		}
	}
}
