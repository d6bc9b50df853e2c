package origin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
	"mailseal/milter/report/store/storetest"
)

var now = time.Unix(1_700_100_000, 0).UTC()

const zone = `
1.2.0.192.in-addr.arpa.    PTR mail.example.com.
mail.example.com.          A   192.0.2.1
2.2.0.192.in-addr.arpa.    PTR mail.example.com.
$SERVFAIL 3.2.0.192.in-addr.arpa.
`

// withSources returns a store in which mail of addresses was reported, and counts unless the
// address begins with "198.".
func withSources(t *testing.T, addresses ...string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(),
		store.Options{Driver: database.SQLite, DSN: storetest.SQLite(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for i, a := range addresses {
		text := fmt.Sprintf(`<feedback><report_metadata><org_name>o</org_name><email>a@o.example</email><report_id>%d</report_id>
<date_range><begin>1700006400</begin><end>1700092799</end></date_range></report_metadata><policy_published><domain>example.com</domain>
</policy_published><record><row><source_ip>%s</source_ip><count>7</count></row></record></feedback>`, i, a)
		trust := store.ByHand
		if strings.HasPrefix(a, "198.51.100.9") {
			trust = store.Unaligned
		}
		in := &intake.Intake{Store: s}
		if _, err := in.Take(t.Context(), &store.Arrival{Received: now, Trust: trust,
			Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestRun(t *testing.T) {
	s := withSources(t, "192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.7", "198.51.100.9",
		"10.0.0.1", "not an address")
	f := &Finder{
		Store: s, Resolver: dnstest.Must(zone), Now: func() time.Time { return now },
		Databases: []string{"testdata/country.mmdb", "testdata/asn.mmdb", "testdata/lite.mmdb"},
	}
	n, err := f.Run(t.Context())
	if err != nil || n != 5 {
		t.Fatalf("%d addresses were looked up: %v; want 5, none of a report that does not count", n,
			err)
	}
	got, err := s.Origins(t.Context(), store.Filter{Domain: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"192.0.2.1":    "mail.example.com 64496 Example Net DE",
		"192.0.2.2":    " 64496 Example Net DE", // its name leads to another address
		"192.0.2.3":    " 64496 Example Net DE",
		"198.51.100.7": " 64511 Lite Net US",
		"198.51.100.9": " 0  ",
		"10.0.0.1":     " 0  ",
	} {
		o := got[address]
		if is := fmt.Sprintf("%s %d %s %s", o.Reverse, o.ASN, o.Network, o.Country); is != want {
			t.Errorf("%s: got %q, want %q", address, is, want)
		}
	}
	again := func(after time.Duration, want int) {
		t.Helper()
		f.Now = func() time.Time { return now.Add(after) }
		if n, err := f.Run(t.Context()); err != nil || n != want {
			t.Errorf("after %v %d addresses were looked up: %v; want %d", after, n, err, want)
		}
	}
	again(time.Hour, 0)
	again(25*time.Hour, 1) // that of the name server that did not answer
	again(31*24*time.Hour, 5)
}

// TestBounds holds that a run looks up no more addresses than it may, and the others in the next
// one.
func TestBounds(t *testing.T) {
	s := withSources(t, "192.0.2.1")
	text := `<feedback><report_metadata><org_name>o</org_name><email>a@o.example</email><report_id>x</report_id>
<date_range><begin>1700006400</begin><end>1700092799</end></date_range></report_metadata><policy_published><domain>example.com</domain>
</policy_published>`
	for i := range maxRun + 4 {
		text += fmt.Sprintf("<record><row><source_ip>203.0.%d.%d</source_ip><count>1</count></row></record>",
			i/256, i%256)
	}
	in := &intake.Intake{Store: s}
	if _, err := in.Take(t.Context(), &store.Arrival{Received: now, Trust: store.ByHand,
		Data: []byte(text + "</feedback>")}); err != nil {
		t.Fatal(err)
	}
	f := &Finder{Store: s, Now: func() time.Time { return now }}
	for _, want := range []int{maxRun, 5, 0} {
		if n, err := f.Run(t.Context()); err != nil || n != want {
			t.Errorf("%d addresses, %v; want %d", n, err, want)
		}
	}
}

func TestFiles(t *testing.T) {
	if err := Check([]string{"testdata/asn.mmdb"}); err != nil {
		t.Error(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.mmdb")
	if err := os.WriteFile(broken, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{broken, "testdata/none.mmdb"} {
		err := Check([]string{"testdata/asn.mmdb", path})
		if file := (*FileError)(nil); !errors.As(err, &file) || file.Path != path ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if _, err := (&Finder{Store: withSources(t, "192.0.2.1"), Databases: []string{broken},
		Now: time.Now}).Run(t.Context()); err != nil {
		t.Errorf("nothing is due, so that no file is opened: got %v", err)
	}
}
