package dmarc_test

import (
	"fmt"
	"strings"
	"testing"

	"mailseal/milter/dmarc"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/domain"
)

// records makes a zone of policy records from lines "example.com: p=none"; a line "=name" makes a
// name exist, other lines are those of a zone file.
func records(t *testing.T, text string) *dnstest.Zone {
	t.Helper()
	z := &dnstest.Zone{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, record, isRecord := strings.Cut(line, ": ")
		switch {
		case strings.HasPrefix(line, "="):
			z.AddTXT(line[1:], "here")
		case isRecord:
			z.AddTXT("_dmarc."+name, "v=DMARC1; "+record)
		default:
			if err := z.Add(line); err != nil {
				t.Fatal(err)
			}
		}
	}
	return z
}

// ids reads identifiers: "spf example.com, dkim? mail.example.com"; the question mark stands for a
// temperror.
func ids(text string) []dmarc.Identifier {
	var out []dmarc.Identifier
	for item := range strings.SplitSeq(text, ", ") {
		method, name, ok := strings.Cut(item, " ")
		if !ok {
			continue
		}
		method, temporary := strings.CutSuffix(method, "?")
		out = append(out, dmarc.Identifier{Method: dmarc.Method(method), Domain: domain.Name(name),
			Temporary: temporary})
	}
	return out
}

// authors reads author domains: "example.com (aside.example) @route.example"; "-" has no domain.
func authors(t *testing.T, text string) []dmarc.Author {
	t.Helper()
	var out []dmarc.Author
	for word := range strings.FieldsSeq(text) {
		a := dmarc.Author{Aside: word[0] == '(', Route: word[0] == '@'}
		if word != "-" {
			d, err := domain.Parse(strings.Trim(word, "(@)"))
			if err != nil {
				t.Fatal(err)
			}
			a.Domain = d
		}
		out = append(out, a)
	}
	return out
}

// show writes what counts of a result: value, the policy asked for and where it stands, what
// becomes of the message.
func show(r dmarc.Result) string {
	s := string(r.Value)
	if r.Record != nil {
		s += fmt.Sprintf(" %s=%s at %s", r.Tag, r.Requested, r.PolicyDomain)
	}
	if r.Disposition != dmarc.None && r.Disposition != "" {
		s += " -> " + string(r.Disposition)
	}
	if r.Aside {
		s += " aside"
	}
	return s
}

// asked lists the questions without "TXT _dmarc.".
func asked(z *dnstest.Zone) string {
	var names []string
	for _, q := range z.Queries() {
		names = append(names, strings.TrimPrefix(q.Name, "_dmarc."))
	}
	return strings.Join(names, " ")
}

type test struct {
	name    string
	zone    string
	checker dmarc.Checker
	authors string
	ids     string
	want    string
	org     string // the author's organizational domain; "-" for whatever it is
	asked   string // "-" for whatever it is
}

func run(t *testing.T, tests []test) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			z := records(t, tt.zone)
			tt.checker.Resolver = z
			r := tt.checker.Check(t.Context(), authors(t, tt.authors), ids(tt.ids))
			if got := show(r); got != tt.want {
				t.Errorf("got %s (%s), want %s", got, r.Reason, tt.want)
			}
			if r.Reason == "" {
				t.Error("no reason")
			}
			if tt.org != "-" && r.OrganizationalDomain.String() != tt.org {
				t.Errorf("organizational domain: got %s, want %s", r.OrganizationalDomain, tt.org)
			}
			if tt.asked != "-" && asked(z) != tt.asked {
				t.Errorf("asked %s, want %s", asked(z), tt.asked)
			}
			if n := len(z.Queries()); r.Queries != n {
				t.Errorf("%d queries counted, %d made", r.Queries, n)
			}
		})
	}
}

func TestPolicyDiscovery(t *testing.T) {
	psl := dmarc.Checker{PublicSuffixList: true}
	run(t, []test{
		{"record of the public suffix", "com: p=none; sp=quarantine; psd=y", dmarc.Checker{}, "a.b.example.com", "",
			"fail sp=quarantine at com -> quarantine", "example.com", "-"},
		{"not when the organizational domain has one", "com: p=reject; psd=y\nexample.com: p=none",
			dmarc.Checker{}, "a.b.example.com", "",
			"fail p=none at example.com", "example.com", "-"},
		{"a record in between does not count", "com: p=reject; psd=y\nb.example.com: p=none",
			dmarc.Checker{}, "a.b.example.com", "",
			"fail p=reject at com -> reject", "example.com", "-"},
		{"a top level without psd is organizational", "com: p=none\nexample.com: p=reject",
			dmarc.Checker{}, "a.example.com", "",
			"fail p=none at com", "com", "-"},
		{"psd=y at the author", "com: p=reject\nexample.com: p=quarantine; sp=none; psd=y",
			dmarc.Checker{}, "example.com", "spf a.example.com",
			"fail p=quarantine at example.com -> quarantine", "example.com",
			"example.com a.example.com"},
		{"psd=n at the author", "example.com: p=reject\na.example.com: p=quarantine; psd=n",
			dmarc.Checker{}, "a.example.com", "spf example.com",
			"fail p=quarantine at a.example.com -> quarantine", "a.example.com", "a.example.com"},
		{"public suffix at the shortcut", "g.h.i.j.k.l.m: p=reject; psd=y", dmarc.Checker{},
			"c.d.e.f.g.h.i.j.k.l.m", "dkim x.f.g.h.i.j.k.l.m",
			"pass p=reject at g.h.i.j.k.l.m", "f.g.h.i.j.k.l.m",
			"c.d.e.f.g.h.i.j.k.l.m g.h.i.j.k.l.m x.f.g.h.i.j.k.l.m"},
		{"seven labels: no shortcut", "", dmarc.Checker{}, "1.2.3.4.5.6.test", "", "none", "1.2.3.4.5.6.test",
			"1.2.3.4.5.6.test 2.3.4.5.6.test 3.4.5.6.test 4.5.6.test 5.6.test 6.test test"},
		{"eight labels", "", dmarc.Checker{}, "1.2.3.4.5.6.7.test", "", "none", "1.2.3.4.5.6.7.test",
			"1.2.3.4.5.6.7.test 2.3.4.5.6.7.test 3.4.5.6.7.test 4.5.6.7.test 5.6.7.test 6.7.test 7.test test"},
		{"nine labels", "", dmarc.Checker{}, "0.1.2.3.4.5.6.7.test", "", "none", "0.1.2.3.4.5.6.7.test",
			"0.1.2.3.4.5.6.7.test 2.3.4.5.6.7.test 3.4.5.6.7.test 4.5.6.7.test 5.6.7.test 6.7.test 7.test test"},
		{"one label", "test: p=reject", dmarc.Checker{}, "test", "", "fail p=reject at test -> reject", "", "test"},
		{"other texts do not count", "example.com: p=reject\n_dmarc.example.com TXT " +
			"\"spam\"\n_dmarc.example.com TXT \"v=spf1 -all\"", dmarc.Checker{},
			"example.com", "", "fail p=reject at example.com -> reject", "", "example.com"},
		{"two records do not end the walk", "a.example.com: p=none; psd=n\na.example.com: " +
			"p=none; psd=n\nexample.com: p=reject", dmarc.Checker{},
			"a.example.com", "", "fail p=reject at example.com -> reject", "example.com",
			"a.example.com example.com com"},
		{"strings are joined", `_dmarc.example.com TXT "v=DMA" "RC1; p=rej" "ect"`, dmarc.Checker{}, "example.com", "",
			"fail p=reject at example.com -> reject", "", "example.com"},
		{"alias", "_dmarc.example.com CNAME " +
			"example.org._dmarc.host.test.\nexample.org._dmarc.host.test TXT \"v=DMARC1; p=reject\"", dmarc.Checker{},
			"example.com", "", "fail p=reject at example.com -> reject", "", "example.com"},
		{"a broken record counts for the walk", "example.com: p=rejekt; rua=mailto:r@example.com",
			dmarc.Checker{}, "a.example.com", "spf b.example.com",
			"pass rua=none at example.com", "example.com", "-"},
		{"a failure above the author's own record", "example.com: p=reject\n$SERVFAIL _dmarc.com",
			dmarc.Checker{}, "example.com", "",
			"fail p=reject at example.com -> reject", "", "example.com"},
		{"a failure above the organizational domain", "example.com: p=reject\n$SERVFAIL _dmarc.com",
			dmarc.Checker{}, "a.example.com", "",
			"fail p=reject at example.com -> reject", "", "a.example.com example.com com"},
		{"list: own record", "a.example.co.uk: p=none; sp=reject", psl, "a.example.co.uk", "spf example.co.uk",
			"pass p=none at a.example.co.uk", "example.co.uk", "a.example.co.uk"},
		{"list: two queries", "example.co.uk: p=none; sp=reject\nb.example.co.uk: p=none", psl, "a.b.example.co.uk", "",
			"fail sp=reject at example.co.uk -> reject", "example.co.uk",
			"a.b.example.co.uk example.co.uk"},
		{"list: no psd", "example.co.uk: p=none; psd=y\nco.uk: p=reject; psd=y", psl,
			"a.example.co.uk", "dkim b.example.co.uk",
			"pass p=none at example.co.uk", "example.co.uk", "a.example.co.uk example.co.uk"},
		{"list: a public suffix", "co.uk: p=reject", psl, "co.uk", "dkim a.co.uk",
			"fail p=reject at co.uk -> reject", "co.uk", "co.uk"},
		{"list: nothing above it", "uk: p=reject", psl, "example.co.uk", "", "none", "example.co.uk", "example.co.uk"},
	})
}

func TestPolicyBelow(t *testing.T) {
	const all = "example.com: p=none; sp=quarantine; np=reject\n"
	run(t, []test{
		{"exists with other types", all + "x.example.com MX 10 a.test.", dmarc.Checker{}, "x.example.com", "",
			"fail sp=quarantine at example.com -> quarantine", "-", "-"},
		{"exists because of what is below", all + "=y.x.example.com", dmarc.Checker{}, "x.example.com", "",
			"fail sp=quarantine at example.com -> quarantine", "-", "-"},
		{"nobody knows", all + "$SERVFAIL x.example.com", dmarc.Checker{}, "x.example.com", "",
			"fail sp=quarantine at example.com -> quarantine", "-", "-"},
		{"an alias to nowhere", all + "x.example.com CNAME nowhere.test.", dmarc.Checker{}, "x.example.com", "",
			"fail sp=quarantine at example.com -> quarantine", "-", "-"},
		{"np without sp", "example.com: p=none; np=reject", dmarc.Checker{}, "x.example.com", "",
			"fail np=reject at example.com -> reject", "-", "-"},
		{"sp without np", "example.com: p=none; sp=reject", dmarc.Checker{}, "x.example.com", "",
			"fail sp=reject at example.com -> reject", "-", "x.example.com example.com com"},
		{"p alone", "example.com: p=reject", dmarc.Checker{}, "x.example.com", "",
			"fail p=reject at example.com -> reject", "-", "x.example.com example.com com"},
		{"np says the same as sp: not asked", "example.com: p=none; sp=reject; np=reject",
			dmarc.Checker{}, "x.example.com", "",
			"fail sp=reject at example.com -> reject", "-", "x.example.com example.com com"},
		{"np in test mode", "example.com: p=none; np=reject; t=y", dmarc.Checker{}, "x.example.com", "",
			"fail np=reject at example.com -> quarantine", "-", "-"},
		{"none in test mode", "example.com: p=none; t=y", dmarc.Checker{}, "example.com", "",
			"fail p=none at example.com", "-", "-"},
		{"not for the domain itself", "example.com: p=none; sp=reject; np=reject", dmarc.Checker{}, "example.com", "",
			"fail p=none at example.com", "-", "example.com"},
		{"bad np", "example.com: p=reject; np=x; rua=mailto:a@b.test", dmarc.Checker{}, "example.com", "",
			"fail rua=none at example.com", "-", "-"},
		{"bad np, bad rua", "example.com: p=reject; np=x; rua=b.test", dmarc.Checker{}, "example.com", "",
			"permerror = at example.com", "-", "-"},
	})
}

func TestAlignment(t *testing.T) {
	const zone = "example.com: p=reject\nown.example.com: p=none; psd=n\n$SERVFAIL _dmarc.lost.example.com"
	const strict = "example.com: p=reject; adkim=s; aspf=s"
	run(t, []test{
		{"nothing", zone, dmarc.Checker{}, "example.com", "",
			"fail p=reject at example.com -> reject", "", "example.com"},
		{"same", zone, dmarc.Checker{}, "example.com", "dkim example.com",
			"pass p=reject at example.com", "", "example.com"},
		{"above", zone, dmarc.Checker{}, "a.example.com", "spf example.com",
			"pass p=reject at example.com", "example.com", "-"},
		{"beside", zone, dmarc.Checker{}, "a.example.com", "spf b.example.com",
			"pass p=reject at example.com", "example.com", "-"},
		{"elsewhere: no walk", zone, dmarc.Checker{}, "example.com", "spf example.org",
			"fail p=reject at example.com -> reject", "", "example.com"},
		{"under the same top: no walk of its own", zone, dmarc.Checker{}, "example.com", "dkim a.b.c.other.com",
			"fail p=reject at example.com -> reject", "example.com", "example.com com"},
		{"a name that ends alike", zone, dmarc.Checker{}, "example.com", "dkim badexample.com",
			"fail p=reject at example.com -> reject", "example.com", "example.com com"},
		{"below, with a domain of its own", zone, dmarc.Checker{}, "example.com", "dkim a.own.example.com",
			"fail p=reject at example.com -> reject", "example.com",
			"example.com com a.own.example.com own.example.com"},
		{"one of many", zone, dmarc.Checker{}, "example.com",
			"dkim example.org, spf other.com, dkim example.com", "pass p=reject at example.com",
			"example.com", "-"},
		{"strict, same", strict, dmarc.Checker{}, "example.com", "dkim example.com",
			"pass p=reject at example.com", "", "example.com"},
		{"strict, below", strict, dmarc.Checker{}, "example.com",
			"dkim a.example.com, spf a.example.com", "fail p=reject at example.com -> reject", "",
			"example.com"},
		{"adkim is for DKIM", "example.com: p=reject; adkim=s", dmarc.Checker{}, "example.com", "dkim a.example.com",
			"fail p=reject at example.com -> reject", "", "example.com"},
		{"adkim is not for SPF", "example.com: p=reject; adkim=s", dmarc.Checker{}, "example.com", "spf a.example.com",
			"pass p=reject at example.com", "example.com", "-"},
		{"aspf is not for DKIM", "example.com: p=reject; aspf=s", dmarc.Checker{}, "example.com", "dkim a.example.com",
			"pass p=reject at example.com", "example.com", "-"},
		{"empty domain", zone, dmarc.Checker{}, "example.com", "spf ",
			"fail p=reject at example.com -> reject", "", "example.com"},

		{"temperror, aligned", zone, dmarc.Checker{}, "example.com", "dkim? example.com",
			"temperror p=reject at example.com", "", "example.com"},
		{"temperror, aligned by walk", zone, dmarc.Checker{}, "example.com", "dkim? a.example.com",
			"temperror p=reject at example.com", "example.com", "-"},
		{"temperror, not aligned", zone, dmarc.Checker{}, "example.com",
			"dkim? example.org, spf? other.com", "fail p=reject at example.com -> reject",
			"example.com", "-"},
		{"temperror, strict", strict, dmarc.Checker{}, "example.com", "dkim? a.example.com",
			"fail p=reject at example.com -> reject", "", "-"},
		{"temperror and an aligned pass", zone, dmarc.Checker{}, "example.com",
			"dkim? example.com, spf example.com", "pass p=reject at example.com", "", "-"},
		{"the identifier's walk fails", zone, dmarc.Checker{}, "example.com",
			"dkim lost.example.com", "temperror p=reject at example.com", "example.com", "-"},
		{"the identifier's walk fails, another is aligned", zone, dmarc.Checker{}, "example.com",
			"dkim lost.example.com, spf example.com",
			"pass p=reject at example.com", "example.com", "-"},
		{"the author's walk fails", "example.com: p=reject\n$SERVFAIL _dmarc.com", dmarc.Checker{},
			"example.com", "spf a.example.com",
			"pass p=reject at example.com", "", "example.com com a.example.com"},
		{"the author's walk fails, not needed", "example.com: p=reject\n$SERVFAIL _dmarc.com",
			dmarc.Checker{}, "example.com", "spf example.com, dkim example.org",
			"pass p=reject at example.com", "", "example.com"},
	})
}

func TestAuthors(t *testing.T) {
	ab := "a.test: p=reject\nb.test: p=quarantine\nn.test: p=none"
	plain := dmarc.Checker{}
	run(t, []test{
		{"none", "", plain, "", "dkim example.com", "permerror", "", ""},
		{"one named twice", "example.com: p=reject", plain, "example.com EXAMPLE.com", "dkim example.com",
			"pass p=reject at example.com", "", "example.com"},
		{"one without a domain", ab, plain, "-", "dkim a.test", "permerror", "", ""},

		{"all pass", ab, plain, "a.test b.test", "dkim a.test, spf b.test", "permerror", "-", "-"},
		{"nothing published", "", plain, "a.test b.test", "", "permerror", "", "a.test test b.test"},
		{"one passes, one has no record", ab, plain, "a.test x.test", "dkim a.test", "permerror", "-", "-"},
		{"one passes, one has no domain", ab, plain, "a.test -", "dkim a.test", "permerror", "-", "-"},
		{"one fails, one has no record", ab, plain, "a.test x.test", "dkim x.test",
			"fail p=reject at a.test -> reject", "-", "-"},
		{"one fails, one has no domain", ab, plain, "- b.test", "",
			"fail p=quarantine at b.test -> quarantine", "-", "-"},
		{"one fails, one passes", ab, plain, "a.test b.test", "dkim b.test",
			"fail p=reject at a.test -> reject", "-", "-"},
		{"the other fails, one passes", ab, plain, "a.test b.test", "dkim a.test",
			"fail p=quarantine at b.test -> quarantine", "-", "-"},
		{"both fail", ab, plain, "b.test a.test", "", "fail p=reject at a.test -> reject", "-", "-"},
		{"the stricter failure", "a.test: p=reject; t=y\nb.test: p=reject\nc.test: p=none", plain,
			"a.test b.test c.test", "",
			"fail p=reject at b.test -> reject", "", "a.test b.test c.test"},
		{"a temperror is worse than none", "$SERVFAIL _dmarc.a.test", plain, "a.test b.test", "",
			"temperror", "", "a.test b.test test"},
		{"a temperror is worse than a pass", "$SERVFAIL _dmarc.a.test\nb.test: p=reject", plain,
			"a.test b.test", "dkim b.test", "temperror", "", "-"},
		{"a failure is worse than a temperror", "$SERVFAIL _dmarc.a.test\nb.test: p=none", plain, "a.test b.test", "",
			"fail p=none at b.test", "", "a.test b.test"},
		{"a broken record", "a.test: p=rejekt\nb.test: p=reject", plain, "a.test b.test",
			"dkim b.test", "permerror", "-", "-"},
		{"four", ab, plain, "a.test b.test n.test x.test", "", "fail p=reject at a.test -> reject", "-", "-"},
		{"five", ab, plain, "a.test b.test n.test x.test y.test", "", "permerror", "", ""},

		{"aside fails", ab, plain, "(a.test) x.test", "", "fail p=reject at a.test -> reject aside", "-", "-"},
		{"aside fails, the other passes", ab, plain, "(a.test) b.test", "dkim b.test",
			"fail p=reject at a.test -> reject aside", "-", "-"},
		{"aside passes, the other fails", ab, plain, "(a.test) b.test", "dkim a.test",
			"fail p=quarantine at b.test -> quarantine", "-", "-"},
		{"aside wants more, the other fails", ab, plain, "(a.test) b.test", "",
			"fail p=quarantine at b.test -> quarantine", "-", "-"},
		{"aside wants more, the other nothing", ab, plain, "(a.test) n.test", "",
			"fail p=reject at a.test -> reject aside", "-", "-"},
		{"aside wants nothing", ab, plain, "(n.test) b.test", "",
			"fail p=quarantine at b.test -> quarantine", "-", "-"},
		{"aside alone wants nothing", ab, plain, "(n.test) b.test", "dkim b.test",
			"fail p=none at n.test aside", "-", "-"},
		{"aside and elsewhere", ab, plain, "(a.test) a.test", "", "fail p=reject at a.test -> reject", "-", "-"},
		{"aside has no record", ab, plain, "(x.test) a.test", "dkim a.test", "permerror", "-", "-"},
		{"temperror aside and elsewhere", "$SERVFAIL _dmarc.a.test\n$SERVFAIL _dmarc.b.test", plain,
			"(a.test) b.test", "", "temperror", "-", "-"},

		{"route without a record", ab, plain, "@x.test a.test", "dkim a.test", "pass p=reject at a.test", "-", "-"},
		{"route without a record, the author fails", ab, plain, "@x.test a.test", "dkim x.test",
			"fail p=reject at a.test -> reject", "-", "-"},
		{"route passes", ab, plain, "@b.test a.test", "dkim a.test, spf b.test", "permerror", "-", "-"},
		{"route fails", ab, plain, "@b.test a.test", "dkim a.test",
			"fail p=quarantine at b.test -> quarantine aside", "-", "-"},
		{"route fails behind", ab, plain, "@c.test b.test", "dkim b.test", "pass p=quarantine at b.test", "-", "-"},
		{"two routes", ab, plain, "@a.test @x.test b.test", "dkim b.test",
			"fail p=reject at a.test -> reject aside", "-", "-"},
	})
}

// TestBounds lets a stranger choose all names.
func TestBounds(t *testing.T) {
	zone := "example.com: p=reject"
	var many, elsewhere []dmarc.Identifier
	for i := range 1000 {
		many = append(many, dmarc.Identifier{Method: dmarc.DKIM,
			Domain:    domain.Name(fmt.Sprintf("a%d.b%d.c.d.e.f.own.example.com", i, i)),
			Temporary: true})
		elsewhere = append(elsewhere, dmarc.Identifier{Method: dmarc.DKIM,
			Domain: domain.Name(fmt.Sprintf("a%d.b.c.d.e.f.g.other%d.com", i, i))})
	}
	var authors []dmarc.Author
	for i := range 10_000 {
		authors = append(authors, dmarc.Author{Domain: domain.Name(
			fmt.Sprintf("a%d.b%d.c.d.e.f.g.example%d.com", i, i, i))})
	}
	tests := []struct {
		name    string
		checker dmarc.Checker
		authors []dmarc.Author
		ids     []dmarc.Identifier
		most    int
	}{
		{"identifiers within", dmarc.Checker{}, []dmarc.Author{{Domain: "example.com"}}, many, 2 + 8*dmarc.MaxWalks},
		{"identifiers elsewhere", dmarc.Checker{}, []dmarc.Author{{Domain: "example.com"}}, elsewhere, 2},
		{"authors", dmarc.Checker{}, authors, nil, 0},
		{"as many authors as are judged", dmarc.Checker{}, authors[:dmarc.MaxAuthors], nil, 9 * dmarc.MaxAuthors},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			z := records(t, zone)
			tt.checker.Resolver = z
			r := tt.checker.Check(t.Context(), tt.authors, tt.ids)
			if n := len(z.Queries()); n > tt.most || r.Queries != n {
				t.Errorf("%d queries, %d counted, want %d at most", n, r.Queries, tt.most)
			}
			if len(r.Reason) > 300 {
				t.Errorf("a reason of %d octets", len(r.Reason))
			}
		})
	}
}

// TestWalkBound tries every depth that a name can have.
func TestWalkBound(t *testing.T) {
	for labels := 1; labels <= 127; labels++ {
		z := &dnstest.Zone{}
		c := dmarc.Checker{Resolver: z}
		name := domain.Name("x" + strings.Repeat(".x", labels-1))
		c.Discover(t.Context(), []dmarc.Author{{Domain: name}})
		if got, want := len(z.Queries()), min(labels, 8); got > want || got < want && labels < 120 {
			t.Errorf("%d labels: %d queries, want %d", labels, got, want)
		}
	}
}

func TestDiscoverWalksToTheEnd(t *testing.T) {
	tests := []struct{ name, author, asked, want, org string }{
		{"strict", "example.com", "example.com com", "fail p=quarantine at example.com -> quarantine", "example.com"},
		{"own record below another", "a.example.com", "a.example.com example.com com",
			"fail p=reject at a.example.com -> reject", "example.com"},
		{"own record, then a failure", "b.lost.example.com", "b.lost.example.com lost.example.com",
			"fail p=reject at b.lost.example.com -> reject", ""},
	}
	const zone = "example.com: p=quarantine; adkim=s; aspf=s\na.example.com: " +
		"p=reject\nb.lost.example.com: p=reject\n$SERVFAIL _dmarc.lost.example.com"
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			z := records(t, zone)
			c := dmarc.Checker{Resolver: z}
			d := c.Discover(t.Context(), authors(t, tt.author))
			if got := asked(z); got != tt.asked {
				t.Errorf("asked %s, want %s", got, tt.asked)
			}
			z.Reset()
			r := d.Weigh(t.Context(), ids("spf example.org"))
			if show(r) != tt.want || r.OrganizationalDomain.String() != tt.org || asked(z) != "" {
				t.Errorf("got %s, organizational domain %s, then asked %s; want %s, %s", show(r),
					r.OrganizationalDomain, asked(z), tt.want, tt.org)
			}
		})
	}
}

// TestExplain holds what an explanation can print.
func TestExplain(t *testing.T) {
	z := records(t, "example.com: p=none; np=reject\nmail.example.com: p=none\nmail.example.com: "+
		"p=none\n_dmarc.com TXT \"spam\"\n$SERVFAIL _dmarc.lost.example.com")
	c := dmarc.Checker{Resolver: z}
	r := c.Check(t.Context(), []dmarc.Author{{Domain: "a.mail.example.com"}},
		ids("dkim example.com, spf other.com, dkim lost.example.com, dkim? a.mail.example.com"))
	var lines []string
	for _, w := range r.Walks {
		lines = append(lines, fmt.Sprintf("walk from %s to %s", w.Start, w.OrganizationalDomain))
		for _, s := range w.Steps {
			lines = append(lines, fmt.Sprintf("%s: %s %v", s.Domain, s.Finding, s.Again))
		}
	}
	for _, a := range r.Alignments {
		lines = append(lines, fmt.Sprintf("%s %s %v: %s", a.Method, a.Domain, a.Aligned, a.Why))
	}
	lines = append(lines, "author "+r.Existence, r.Reason)
	want := []string{
		"walk from a.mail.example.com to example.com",
		"a.mail.example.com: NXDOMAIN false",
		"mail.example.com: 2 policy records: all are ignored false",
		"example.com: v=DMARC1; p=none; np=reject false",
		"com: no policy record among the texts false",
		"walk from example.com to example.com",
		"example.com: v=DMARC1; p=none; np=reject true",
		"com: no policy record among the texts true",
		"walk from lost.example.com to ",
		"lost.example.com: TXT _dmarc.lost.example.com: lookup failed: SERVFAIL false",
		"dkim example.com true: example.com and a.mail.example.com have the organizational domain example.com",
		"spf other.com false: other.com is not within example.com, the organizational domain of a.mail.example.com",
		"dkim lost.example.com false: the organizational domain of lost.example.com is not " +
			"known: TXT _dmarc.lost.example.com: lookup failed: SERVFAIL",
		"dkim a.mail.example.com true: a.mail.example.com is the author domain, but its check failed temporarily",
		"author does not exist",
		"dkim: example.com and a.mail.example.com have the organizational domain example.com",
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
