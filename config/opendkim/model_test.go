package opendkim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A second, literal reading of OpenDKIM: it makes the texts that OpenDKIM looks up and compares them, one by one, as its
// manual and its source have it. What the importer makes must give the same answers.

var expressions = map[string]*regexp.Regexp{}

// compiled is OpenDKIM's expression for a pattern of a refile.
func compiled(key string) *regexp.Regexp {
	re, ok := expressions[key]
	if !ok {
		re = regexp.MustCompile("(?i)" + translateRegex(key))
		expressions[key] = re
	}
	return re
}

// find is OpenDKIM's look-up of one text in a data set.
func find(d *dataset, query string) (record, bool) {
	for _, r := range d.records {
		if d.kind == refile {
			if compiled(r.key).MatchString(query) {
				return r, true
			}
		} else if strings.EqualFold(r.key, query) {
			return r, true
		}
	}
	return record{}, false
}

// signedBy returns the values of the signing table that OpenDKIM finds for user@domain.
func signedBy(d *dataset, user, domain string, multiple bool) []string {
	var out []string
	if d.kind == refile {
		for _, r := range d.records {
			if _, ok := find(&dataset{spec: d.spec, records: []record{r}}, user+"@"+domain); ok {
				out = append(out, r.value)
			}
		}
	} else {
		queries := []string{user + "@" + domain, domain}
		for rest := domain; strings.Contains(rest, "."); {
			_, rest, _ = strings.Cut(rest, ".")
			queries = append(queries, user+"@."+rest, "."+rest)
		}
		for _, q := range append(queries, user+"@*", "*") {
			if r, ok := find(d, q); ok {
				out = append(out, r.value)
			}
		}
	}
	if !multiple && len(out) > 1 {
		out = out[:1]
	}
	return out
}

// fits tells whether a sender is in a pattern of Mailseal's.
func fits(from, user, domain string) bool {
	if from == "*" {
		return true
	}
	local, name, _ := strings.Cut(from, "@")
	if !compiled(local).MatchString(user) {
		return false
	}
	if top, below := strings.CutPrefix(name, "*."); below {
		return strings.HasSuffix(domain, "."+top)
	}
	return name == "*" || name == domain
}

// signs returns the keys and i= tags of the first rule that fits, as "key i=tag".
func (t *translation) signs(user, domain string) []string {
	for _, r := range t.rules {
		if !slices.ContainsFunc(r.from, func(f string) bool { return fits(f, user, domain) }) {
			continue
		}
		var out []string
		for _, name := range r.keys {
			name, _, alias := strings.Cut(name, " i=")
			i := r.identifier
			if alias {
				i = t.keys[slices.IndexFunc(t.keys, func(k outKey) bool { return k.name == r.keys[len(out)] })].identifier
			}
			out = append(out, strings.ReplaceAll(name+" i="+i, "%", domain))
		}
		return out
	}
	return nil
}

var (
	someUsers   = []string{"u", "v", "w", "uv", "u-w", "vuv"}
	someDomains = []string{"com", "example.com", "a.example.com", "b.a.example.com", "c.b.a.example.com", "other.com", "a.other.com", "org", "example.org"}
	fileForms   = []string{"U@D", "D", "U@.D", ".D", "U@*", "*", "*@D", "U@*.D", "@D"}
	refileForms = []string{"U@D", "*@D", "*@*.D", "U@*", "*", "*@*", "*.D", "U@*.D", "(u|v)@D", "[vw]@*.D", "w?u@D", "D", ".D", "@D", "u*@D", "*V@*.D", "*v*@D", "u*w@*", "*-*@*.D", "V*.D"}
)

// randomTable makes a signing table of n lines with keys that sign for anybody.
func randomTable(r *rand.Rand, k kind, n int) *dataset {
	d := &dataset{spec: spec{kind: k}}
	forms := fileForms
	if k == refile {
		forms = refileForms
	}
	pick := func(of []string) string { return of[r.IntN(len(of))] }
	for i := range n {
		key := strings.NewReplacer("U", pick(someUsers), "D", pick(someDomains)).Replace(pick(forms))
		value := fmt.Sprintf("k%d", r.IntN(5))
		switch r.IntN(6) {
		case 0:
			value = "%"
		case 1:
			value += ":@%"
		case 2:
			value += ":x@example.com"
		}
		d.records = append(d.records, record{place{"table", i + 1}, key, value})
	}
	return d
}

// keyTableOf has k0 and k1 for the author's domain, k2 to k4 for example.com, and one for each domain.
func keyTableOf() *dataset {
	d := &dataset{spec: spec{kind: file}}
	for i := range 5 {
		domain := "%"
		if i > 1 {
			domain = "example.com"
		}
		d.records = append(d.records, record{place{"keys", i + 1}, fmt.Sprintf("k%d", i), fmt.Sprintf("%s:s%d:/k", domain, i)})
	}
	for i, name := range someDomains {
		d.records = append(d.records, record{place{"keys", i + 6}, name, name + ":s:/k"})
	}
	return d
}

func silent(Group, place, string, ...any) {}

func TestSigningTableAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range []kind{file, refile, list} {
		for _, multiple := range []bool{false, true} {
			signed, plain := 0, 0
			for range 600 {
				st := randomTable(r, k, 1+r.IntN(12))
				tr, err := translate(keyTableOf(), st, multiple, "/", nil, silent, silent)
				if err != nil {
					t.Fatal(err)
				}
				for _, user := range someUsers {
					for _, domain := range someDomains {
						values := signedBy(st, user, domain, multiple)
						want, got := signaturesOf(values, domain), tr.signs(user, domain)
						if multiple && !slices.Equal(got, want) { // where i= tags differ that not all senders can have
							want = withoutIdentifiers(values, domain)
							plain++
						}
						if !slices.Equal(got, want) {
							t.Fatalf("%s, multiple %v: %s@%s: got %q, want %q; table %v; rules %+v", k, multiple, user, domain, got, want, st.records, tr.rules)
						}
						signed += len(got)
					}
				}
			}
			if signed < 1000 || plain > signed/4 {
				t.Errorf("%s: %d signatures, %d messages without their i= tags: the test looks at nothing", k, signed, plain)
			}
		}
	}
}

// signaturesOf returns the keys that values of a signing table name and the i= tags, each pair once. OpenDKIM writes only a
// tag that is at or below d=.
func signaturesOf(values []string, domain string) []string {
	var out []string
	for _, v := range values {
		name, signer, _ := strings.Cut(v, ":")
		d := domain
		if slices.Contains([]string{"k2", "k3", "k4"}, name) {
			d = "example.com"
		}
		if name == "%" {
			name = domain
		}
		signer = strings.ReplaceAll(signer, "%", domain)
		if _, of, _ := strings.Cut(signer, "@"); of != d && !strings.HasSuffix(of, "."+d) {
			signer = ""
		}
		if s := name + " i=" + signer; !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// withoutIdentifiers is signaturesOf for the same values without their i= tags.
func withoutIdentifiers(values []string, domain string) []string {
	var plain []string
	for _, v := range values {
		name, _, _ := strings.Cut(v, ":")
		plain = append(plain, name)
	}
	return signaturesOf(plain, domain)
}

// trusts is OpenDKIM's look-up of an address in a set of hosts.
func trusts(d *dataset, a netip.Addr) bool {
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

// trustsName is OpenDKIM's look-up of a client's name in a set of hosts.
func trustsName(d *dataset, name string) bool {
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
	d := &dataset{spec: spec{kind: file}}
	for _, n := range names {
		d.records = append(d.records, record{place{}, n, ""})
	}
	return trustsName(d, name)
}

func TestHostNamesAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	hosts := []string{"localhost", "example.com", "a.example.com", "b.a.example.com", "c.b.a.example.com", "xexample.com", "a.example.net", "example.net"}
	forms := []string{"a.example.com", "b.a.example.com", ".example.com", ".a.example.com", ".com", "localhost", "!a.example.com", "!.a.example.com", "!b.a.example.com", "!.com", "example.net"}
	wild := append([]string{"*.example.com", "*.a.example.com", "!*.a.example.com", "(a|b).example.net"}, forms...)
	for _, k := range []kind{file, refile} {
		yes := 0
		for range 400 {
			d := &dataset{spec: spec{kind: k}}
			of := forms
			if k == refile {
				of = wild
			}
			for i := range 1 + r.IntN(6) {
				d.records = append(d.records, record{place{"hosts", i + 1}, of[r.IntN(len(of))], ""})
			}
			names := readHosts(d, silent).clientNames()
			for _, h := range hosts {
				want := trustsName(d, h)
				if got := listed(names, h); got != want {
					t.Fatalf("%s: %s: got %v, want %v; set %q; names %q", k, h, got, want, keysOf(d), names)
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
	d := &dataset{spec: spec{kind: refile}}
	for _, key := range []string{"10.0.0.0/16", "!10.0.2.*", "10.0.3.7", "192.0.2.0/24"} {
		d.records = append(d.records, record{place{}, key, ""})
	}
	nets := readHosts(d, silent).networks()
	for text, want := range map[string]bool{"10.0.1.1": true, "10.0.2.1": false, "10.0.3.1": false, "10.0.3.7": true, "10.0.4.1": true, "192.0.2.1": true} {
		a := netip.MustParseAddr(text)
		if got := slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a) }); got != want || trusts(d, a) != want {
			t.Errorf("%s: %v, OpenDKIM %v, want %v", a, got, trusts(d, a), want)
		}
	}
}

func TestHostsAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	address := func() netip.Addr {
		if r.IntN(3) == 0 {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(r.IntN(2)), 15: byte(r.IntN(8))})
		}
		return netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.IntN(4)), byte(r.IntN(8))})
	}
	for _, k := range []kind{file, refile} {
		yes, no := 0, 0
		for range 150 {
			d := &dataset{spec: spec{kind: k}}
			for i := range 1 + r.IntN(8) {
				d.records = append(d.records, record{place{"hosts", i + 1}, randomHost(r, k, address()), ""})
			}
			nets := readHosts(d, silent).networks()
			for range 40 {
				a := address()
				got := slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a) })
				want := trusts(d, a)
				if got != want {
					t.Fatalf("%s: %s: got %v, want %v; set %+v; networks %v", k, a, got, want, keysOf(d), nets)
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

func randomHost(r *rand.Rand, k kind, a netip.Addr) string {
	p := netip.PrefixFrom(a, 1+r.IntN(a.BitLen()))
	if a.Is4() {
		p = netip.PrefixFrom(a, 8+r.IntN(25))
	}
	forms := []string{a.String(), "[" + a.String() + "]", p.Masked().String(), p.Masked().String(), p.String(), fmt.Sprintf("[%s]/%d", p.Masked().Addr(), p.Bits())}
	if k == refile {
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
