package opendkim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailseal/config/tables"
)

// A second, literal reading of OpenDKIM: it makes the texts that OpenDKIM looks up and compares
// them, one by one, as its manual and its source have it. What the importer makes must give the
// same answers.

var expressions = map[string]*regexp.Regexp{}

// compiled is OpenDKIM's expression for a pattern of a refile.
func compiled(key string) *regexp.Regexp {
	re, ok := expressions[key]
	if !ok {
		re = regexp.MustCompile("(?i)" + tables.Expression(key))
		expressions[key] = re
	}
	return re
}

// find is OpenDKIM's lookup of one text in a data set.
func find(d *tables.Dataset, query string) (tables.Record, bool) {
	for _, r := range d.Records {
		if d.Kind == tables.Refile {
			if compiled(r.Key).MatchString(query) {
				return r, true
			}
		} else if strings.EqualFold(r.Key, query) {
			return r, true
		}
	}
	return tables.Record{}, false
}

func silently(tables.Code, place, ...any) {}

// trusts is OpenDKIM's lookup of an address in a set of hosts.
func trusts(d *tables.Dataset, a netip.Addr) bool {
	ask := func(s string) bool { _, ok := find(d, s); return ok }
	for _, form := range []string{a.String(), "[" + a.String() + "]"} {
		switch {
		case ask("!" + form):
			return false
		case ask(form):
			return true
		}
	}
	for bits := a.BitLen(); bits >= 0; bits-- {
		p, _ := a.Prefix(bits)
		for _, form := range []string{p.String(), fmt.Sprintf("[%s]/%d", p.Addr(), bits)} {
			switch {
			case ask("!" + form):
				return false
			case ask(form):
				return true
			}
		}
	}
	return false
}

// trustsName is OpenDKIM's lookup of a client's name in a set of hosts.
func trustsName(d *tables.Dataset, name string) bool {
	for name != "" {
		if _, ok := find(d, "!"+name); ok {
			return false
		}
		if _, ok := find(d, name); ok {
			return true
		}
		_, up, more := strings.Cut(strings.TrimPrefix(name, "."), ".")
		if name = "." + up; !more {
			return false
		}
	}
	return false
}

// listed is how Mailseal looks a name up in a list of client names.
func listed(names []string, name string) bool {
	d := &tables.Dataset{Spec: tables.Spec{Kind: tables.File}}
	for _, n := range names {
		d.Records = append(d.Records, tables.Record{Place: tables.Place{}, Key: n})
	}
	return trustsName(d, name)
}

func TestHostNamesAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	hosts := []string{"localhost", "example.com", "a.example.com", "b.a.example.com",
		"c.b.a.example.com", "xexample.com", "a.example.net", "example.net"}
	forms := []string{"a.example.com", "b.a.example.com", ".example.com", ".a.example.com", ".com",
		"localhost", "!a.example.com", "!.a.example.com", "!b.a.example.com", "!.com",
		"example.net"}
	wild := append([]string{"*.example.com", "*.a.example.com", "!*.a.example.com",
		"(a|b).example.net"}, forms...)
	for _, k := range []tables.Kind{tables.File, tables.Refile} {
		yes := 0
		for range 400 {
			d := &tables.Dataset{Spec: tables.Spec{Kind: k}}
			of := forms
			if k == tables.Refile {
				of = wild
			}
			for i := range 1 + r.IntN(6) {
				d.Records = append(d.Records, tables.Record{Place: tables.Place{File: "hosts",
					Line: i + 1}, Key: of[r.IntN(len(of))]})
			}
			names := readHosts(d, silently).clientNames()
			for _, h := range hosts {
				want := trustsName(d, h)
				if got := listed(names, h); got != want {
					t.Fatalf("%s: %s: got %v, want %v; set %q; names %q", k, h, got, want, d.Keys(),
						names)
				}
				if want {
					yes++
				}
			}
		}
		if yes < 300 {
			t.Errorf("%s: %d trusted only: the test looks at nothing", k, yes)
		}
	}
}

// An exception for 10.0.2.* is one for the /23 that begins so, and for no network that does not.
func TestWildExceptions(t *testing.T) {
	d := &tables.Dataset{Spec: tables.Spec{Kind: tables.Refile}}
	for _, key := range []string{"10.0.0.0/16", "!10.0.2.*", "10.0.3.7", "192.0.2.0/24"} {
		d.Records = append(d.Records, tables.Record{Place: tables.Place{}, Key: key})
	}
	nets := readHosts(d, silently).networks()
	for text, want := range map[string]bool{"10.0.1.1": true, "10.0.2.1": false, "10.0.3.1": false,
		"10.0.3.7": true, "10.0.4.1": true, "192.0.2.1": true} {
		a := netip.MustParseAddr(text)
		if got := slices.ContainsFunc(nets,
			func(p netip.Prefix) bool { return p.Contains(a) }); got != want ||
			trusts(d, a) != want {
			t.Errorf("%s: %v, OpenDKIM %v, want %v", a, got, trusts(d, a), want)
		}
	}
}

func TestHostsAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	address := func() netip.Addr {
		if r.IntN(3) == 0 {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(r.IntN(2)),
				15: byte(r.IntN(8))})
		}
		return netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.IntN(4)), byte(r.IntN(8))})
	}
	for _, k := range []tables.Kind{tables.File, tables.Refile} {
		yes, no := 0, 0
		for range 150 {
			d := &tables.Dataset{Spec: tables.Spec{Kind: k}}
			for i := range 1 + r.IntN(8) {
				d.Records = append(d.Records, tables.Record{Place: tables.Place{File: "hosts",
					Line: i + 1}, Key: randomHost(r, k, address())})
			}
			nets := readHosts(d, silently).networks()
			for range 40 {
				a := address()
				got := slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a) })
				want := trusts(d, a)
				if got != want {
					t.Fatalf("%s: %s: got %v, want %v; set %+v; networks %v", k, a, got, want,
						d.Keys(), nets)
				}
				if want {
					yes++
				} else {
					no++
				}
			}
		}
		if yes < 200 || no < 200 {
			t.Errorf("%s: %d trusted, %d not: the test looks at one side only", k, yes, no)
		}
	}
}

func randomHost(r *rand.Rand, k tables.Kind, a netip.Addr) string {
	p := netip.PrefixFrom(a, 1+r.IntN(a.BitLen()))
	if a.Is4() {
		p = netip.PrefixFrom(a, 8+r.IntN(25))
	}
	forms := []string{a.String(), "[" + a.String() + "]", p.Masked().String(), p.Masked().String(),
		p.String(), fmt.Sprintf("[%s]/%d", p.Masked().Addr(), p.Bits())}
	if k == tables.Refile {
		forms = append(forms, "10.1.*", "*.example.com", "10.0.3.*")
		switch r.IntN(40) {
		case 0:
			return "*" // says no to everybody
		case 1:
			return "!10.0.2.*" // and to 10.0.3.1, whose /23 begins so
		}
	}
	s := forms[r.IntN(len(forms))]
	if r.IntN(3) == 0 {
		s = "!" + s
	}
	return s
}
