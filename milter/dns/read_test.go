package dns_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"mailseal/milter/dns"
)

// reply builds a reply from its records, the authority section behind a line "--".
func reply(t testing.TB, rcode int, text string) *wire.Msg {
	t.Helper()
	m := &wire.Msg{MsgHdr: wire.MsgHdr{Response: true, RecursionAvailable: true, Rcode: rcode}}
	section := &m.Answer
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "--" {
			section = &m.Ns
			continue
		}
		if line == "" {
			continue
		}
		rr, err := wire.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		*section = append(*section, rr)
	}
	return m
}

func TestRead(t *testing.T) {
	loop := "example.com. 60 CNAME a.example.com.\na.example.com. 60 CNAME example.com."
	chain := func(n int) string {
		s := "example.com. 60 CNAME n1.example.com.\n"
		for i := 1; i < n; i++ {
			s += fmt.Sprintf("n%d.example.com. 60 CNAME n%d.example.com.\n", i, i+1)
		}
		return s + fmt.Sprintf(`n%d.example.com. 60 TXT "end"`, n)
	}
	tests := []struct {
		name  string
		rcode int
		text  string
		want  string
		err   string // what the error says
	}{
		{"records", 0, `example.com. 60 TXT "a" "b"`, `found ["ab"] 1m0s`, ""},
		{"the least TTL counts", 0, "example.com. 60 TXT a\nexample.com. 5 TXT b", `found ["a" "b"] 5s`, ""},
		{"case of the owner", 0, `EXAMPLE.com. 60 TXT "a"`, `found ["a"] 1m0s`, ""},
		{"octets", 0, `example.com. 60 TXT "\000\255\"\\;"`, `found ["\x00\xff\"\\;"] 1m0s`, ""},
		{"empty string", 0, `example.com. 60 TXT ""`, `found [""] 1m0s`, ""},
		{"TTL with the top bit", 0, `example.com. 4294967295 TXT "a"`, `found ["a"] 0s`, ""},
		{"another owner", 0, `other.com. 60 TXT "a"`, `no data [] 0s`, ""},
		{"another class", 0, `example.com. 60 CH TXT "a"`, `no data [] 0s`, ""},
		{"another type", 0, `example.com. 60 A 192.0.2.1`, `no data [] 0s`, ""},
		{"alias", 0, "example.com. 9 CNAME a.com.\na.com. 60 TXT x", `found ["x"] 9s via a.com`, ""},
		{"alias, records first", 0, "a.com. 60 TXT x\nexample.com. 9 CNAME a.com.", `found ["x"] 9s via a.com`, ""},
		{"alias to nowhere", 3, "example.com. 60 CNAME a.com.\n--\ncom. 30 SOA a. b. 1 1 1 1 900",
			`NXDOMAIN [] 30s via a.com`, ""},
		{"alias shorter-lived than the denial", 3, "example.com. 6 CNAME a.com.\n--\ncom. 30 SOA " +
			"a. b. 1 1 1 1 900", `NXDOMAIN [] 6s via a.com`, ""},
		{"16 aliases", 0, chain(16), `found ["end"] 1m0s via `, ""},
		{"17 aliases", 0, chain(17), "", "more than 16 aliases"},
		{"alias loop", 0, loop, "", "more than 16 aliases"},
		{"NXDOMAIN", 3, "--\nexample.com. 60 SOA a. b. 1 1 1 1 30", `NXDOMAIN [] 30s`, ""},
		{"no data", 0, "--\nexample.com. 60 SOA a. b. 1 1 1 1 900", `no data [] 1m0s`, ""},
		{"denial by the root", 3, "--\n. 60 SOA a. b. 1 1 1 1 900", `NXDOMAIN [] 1m0s`, ""},
		{"denial without SOA", 3, "", `NXDOMAIN [] 0s`, ""},
		{"denial with the SOA of another zone", 3, "--\nexample.net. 60 SOA a. b. 1 1 1 1 30", `NXDOMAIN [] 0s`, ""},
		{"SERVFAIL", 2, "", "", "SERVFAIL"},
		{"REFUSED with records", 5, `example.com. 60 TXT "a"`, "", "REFUSED"},
		{"BADVERS, which is BADSIG in signed transactions", 16, "", "", "BADVERS"},
		{"RCODE without a name", 14, "", "", "RCODE 14"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := dns.Read(reply(t, tt.rcode, tt.text), "Example.com.", dns.TXT)
			if tt.err != "" {
				if !errors.Is(err, dns.ErrFailure) || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error: got %v, want %s", err, tt.err)
				}
				return
			}
			got := fmt.Sprintf("%v %q %v", a.Status, a.Texts, a.TTL)
			if len(a.Aliases) > 0 {
				got += " via " + a.Aliases[0]
			}
			if len(a.Aliases) == 16 {
				got = strings.TrimSuffix(got, "n1.example.com")
			}
			if err != nil || got != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestReadLame(t *testing.T) {
	tests := []struct {
		name string
		text string
		ra   bool
		aa   bool
		lame bool
	}{
		{"referral", "--\ncom. 60 NS a.example.", false, false, true},
		{"nothing", "", false, false, true},
		{"nothing from a resolver", "", true, false, false},
		{"nothing from an authority", "", false, true, false},
		{"a denial that says whose", "--\ncom. 60 SOA a. b. 1 1 1 1 1", false, false, false},
		{"records", "example.com. 60 TXT a", false, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := reply(t, 0, tt.text)
			m.RecursionAvailable, m.Authoritative = tt.ra, tt.aa
			if _, err := dns.Read(m, "example.com", dns.TXT); (err != nil) != tt.lame {
				t.Errorf("got %v, want an error: %v", err, tt.lame)
			}
		})
	}
}

func TestReadNames(t *testing.T) {
	// A dot inside a label must not become one between labels: PTR and MX names are compared with
	// others.
	m := reply(t, 0, `1.2.0.192.in-addr.arpa. 60 PTR mail\.example.com.`+
		"\n1.2.0.192.in-addr.arpa. 60 PTR Mail.Example.ORG.")
	a, err := dns.Read(m, "1.2.0.192.in-addr.arpa", dns.PTR)
	if want := `[mail\.example.com mail.example.org]`; err != nil || fmt.Sprint(a.Names) != want {
		t.Errorf("got %v, %v; want %v", a.Names, err, want)
	}
	m = reply(t, 0, "example.com. 60 NS NS1.Example.net.")
	if a, err := dns.Read(m, "example.com", dns.NS); err != nil ||
		fmt.Sprint(a.Names) != "[ns1.example.net]" {
		t.Errorf("name servers: got %v, %v", a.Names, err)
	}
}

func TestCanonical(t *testing.T) {
	label := strings.Repeat("a", 63)
	tests := []struct {
		name, in, want string
		ok             bool
	}{
		{"plain", "example.com", "example.com", true},
		{"case and final dot", "Example.COM.", "example.com", true},
		{"underscore", "_dmarc.example.com", "_dmarc.example.com", true},
		{"odd octets", "a b\\\x01.example.com", "a b\\\x01.example.com", true},
		{"label of 63", label + ".com", label + ".com", true},
		{"label of 64", label + "a.com", "", false},
		{"name of 253", label + "." + label + "." + label + "." + label[:61], label + "." + label +
			"." + label + "." + label[:61], true},
		{"name of 254", label + "." + label + "." + label + "." + label[:62], "", false},
		{"empty", "", "", false},
		{"root", ".", "", false},
		{"empty label", "a..b", "", false},
		{"first label empty", ".a", "", false},
		{"two final dots", "a..", "", false},
		{"not ASCII", "bücher.example", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := dns.Canonical(tt.in); got != tt.want || ok != tt.ok {
				t.Errorf("got %q, %v; want %q, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// FuzzRead reads whatever a server may send. Found means records, and only then; the TTL is never
// negative; a name asked for in another case gets the same.
func FuzzRead(f *testing.F) {
	f.Fuzz(func(t *testing.T, packet []byte, name string, typ uint16) {
		m := new(wire.Msg)
		if m.Unpack(packet) != nil {
			return
		}
		a, err := dns.Read(m, name, dns.Type(typ))
		if err != nil {
			if !errors.Is(err, dns.ErrFailure) {
				t.Errorf("%v wraps no ErrFailure", err)
			}
			return
		}
		records := len(a.Addrs) + len(a.Texts) + len(a.Names) + len(a.Exchanges)
		if a.Status != dns.Found && records > 0 || len(a.Aliases) > 16 || a.TTL < 0 ||
			a.TTL > 1<<31*time.Second {
			t.Errorf("%+v", a)
		}
		b, err := dns.Read(m, strings.ToUpper(name), dns.Type(typ))
		if err != nil || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%+v for %q, %+v, %v in capitals", a, name, b, err)
		}
	})
}
