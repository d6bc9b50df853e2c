package dns_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	wire "github.com/miekg/dns"

	"mailseal/milter/dns"
)

// stub answers as stub resolvers and the authorities of a single zone do: with the records that
// stand at the name asked for, and nothing about what an alias leads to. It counts the queries.
type stub struct {
	t       *testing.T
	records []string       // zone lines; of a name that has none is said that it does not exist
	rcodes  map[string]int // of the names that are answered with a failure
	// lines that the reply for a name holds beside its own; behind "--" the authority section
	with    map[string]string
	queries atomic.Int64
}

func (s *stub) reply(q *wire.Msg) [][]byte {
	s.queries.Add(1)
	name := q.Question[0].Name
	if code, fails := s.rcodes[name]; fails {
		m := reply(s.t, code, "")
		m.Id, m.Question = q.Id, q.Question
		return [][]byte{pack(m)}
	}
	var lines []string
	code := wire.RcodeNameError
	for _, line := range s.records {
		rr, err := wire.NewRR(line)
		if err != nil {
			s.t.Error(err)
		}
		h := rr.Header()
		isTree := h.Rrtype == wire.TypeDNAME && wire.IsSubDomain(h.Name, name) && h.Name != name
		if h.Name != name && !isTree {
			continue
		}
		code = wire.RcodeSuccess
		if isTree || h.Rrtype == q.Question[0].Qtype || h.Rrtype == wire.TypeCNAME {
			lines = append(lines, line)
		}
	}
	m := reply(s.t, code, strings.Join(lines, "\n")+"\n"+s.with[name])
	m.Id, m.Question = q.Id, q.Question
	return [][]byte{pack(m)}
}

func TestHalfAnswers(t *testing.T) {
	const policy = `"v=DMARC1; p=reject"`
	long := strings.Repeat("label.", 38)
	var chain, trap []string
	for i := range 6 {
		chain = append(chain, fmt.Sprintf("n%d.test. 60 CNAME n%d.test.", i, i+1))
	}
	for i := range 12 {
		trap = append(trap, fmt.Sprintf("n%d.test. 60 CNAME n%d.test.", i, i+1))
	}
	tests := []struct {
		name    string
		ask     string
		typ     dns.Type
		stub    stub
		want    string // what is found
		err     string
		queries int64
	}{
		{name: "CNAME", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{"a.test. 60 CNAME b.vendor.", "b.vendor. 60 TXT " +
				policy}}, want: "found via b.vendor", queries: 2},
		{name: "CNAME, MX", ask: "a.test", typ: dns.MX,
			stub: stub{records: []string{"a.test. 60 CNAME b.vendor.",
				"b.vendor. 60 MX 10 mx.vendor."}}, want: "found via b.vendor", queries: 2},
		{name: "CNAME, PTR", ask: "1.2.0.192.in-addr.arpa", typ: dns.PTR,
			stub: stub{records: []string{"1.2.0.192.in-addr.arpa. 60 CNAME 1.0/25.2.0.192.in-addr.arpa.",
				"1.0/25.2.0.192.in-addr.arpa. 60 PTR mx.test."}},
			want: "found via 1.0/25.2.0.192.in-addr.arpa", queries: 2},
		{name: "DNAME alone", ask: "_dmarc.old.test", typ: dns.TXT,
			stub: stub{records: []string{"old.test. 60 DNAME new.test.",
				"_dmarc.new.test. 60 TXT " + policy}}, want: "found via _dmarc.new.test",
			queries: 2},
		{name: "DNAME with its CNAME", ask: "x._domainkey.old.test", typ: dns.TXT,
			stub: stub{records: []string{"old.test. 60 DNAME new.test.", "x._domainkey.new.test. 60 TXT k"},
				with: map[string]string{"x._domainkey.old.test.": "x._domainkey.old.test. 0 " +
					"CNAME x._domainkey.new.test."}},
			want: "found via x._domainkey.new.test", queries: 2},
		{name: "DNAME of the name itself is not for it", ask: "old.test", typ: dns.TXT,
			stub: stub{records: []string{"old.test. 60 DNAME new.test.", "new.test. 60 TXT " + policy},
				with: map[string]string{"old.test.": "old.test. 60 DNAME new.test.\n--\ntest. 60 " +
					"SOA a. b. 1 1 1 1 60"}}, want: "no data", queries: 1},
		{name: "DNAME to the root", ask: "a.test.old", typ: dns.TXT,
			stub: stub{records: []string{"old. 60 DNAME .", "a.test. 60 TXT " + policy}},
			want: "found via a.test", queries: 2},
		{name: "CNAME to DNAME to TXT", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{"a.test. 60 CNAME p.old.test.",
				"old.test. 60 DNAME new.test.", "p.new.test. 60 TXT " + policy}},
			want: "found via p.old.test p.new.test", queries: 3},
		{name: "half of a chain", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{"a.test. 60 CNAME b.test.", "c.test. 60 TXT " + policy},
				with: map[string]string{"a.test.": "b.test. 60 CNAME c.test."}},
			want: "found via b.test c.test", queries: 2},
		{name: "six of them", ask: "n0.test", typ: dns.TXT,
			stub: stub{records: append(chain, "n6.test. 60 TXT "+policy)},
			want: "found via n1.test n2.test n3.test n4.test n5.test n6.test", queries: 7},
		{name: "NXDOMAIN that may be the alias's own", ask: "a.test", typ: dns.TXT,
			stub: stub{rcodes: nil, records: []string{"a.test. 60 CNAME b.vendor.", "b.vendor. 60 TXT " + policy},
				with: map[string]string{"a.test.": "--\ntest. 60 SOA a. b. 1 1 1 1 60"}},
			want: "found via b.vendor", queries: 2},
		{name: "a target that does not exist", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{"a.test. 60 CNAME b.vendor."}},
			want: "NXDOMAIN via b.vendor", queries: 2},
		{name: "a target without the type", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{"a.test. 60 CNAME b.vendor.", "b.vendor. 60 A 192.0.2.1"}},
			want: "no data via b.vendor", queries: 2},
		{name: "a denial of the target is whole", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{"a.test. 60 CNAME b.vendor."},
				with: map[string]string{"a.test.": "--\nvendor. 60 SOA a. b. 1 1 1 1 60"}},
			want: "no data via b.vendor", queries: 1},
		{name: "a denial by the zone of both", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{"a.test. 60 CNAME b.test.", "b.test. 60 TXT " + policy},
				with: map[string]string{"a.test.": "--\ntest. 60 SOA a. b. 1 1 1 1 60"}},
			want: "found via b.test", queries: 2},
		{name: "a denial by the root", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{"a.test. 60 CNAME b.vendor.", "b.vendor. 60 TXT " + policy},
				with: map[string]string{"a.test.": "--\n. 60 SOA a. b. 1 1 1 1 60"}},
			want: "found via b.vendor", queries: 2},
		{name: "a denial by the zone of the last two", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{"a.test. 60 CNAME b.vendor.", "c.vendor. 60 TXT " + policy},
				with: map[string]string{"a.test.": "b.vendor. 60 CNAME c.vendor.\n--\nvendor. 60 " +
					"SOA a. b. 1 1 1 1 60"}}, want: "found via b.vendor c.vendor", queries: 2},
		{name: "a target that fails", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{"a.test. 60 CNAME b.vendor."},
				rcodes: map[string]int{"b.vendor.": wire.RcodeServerFailure}}, err: "TXT b.vendor: ", queries: 2},
		{name: "a loop", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{"a.test. 60 CNAME b.test.", "b.test. 60 CNAME a.test."}},
			err:  "aliases", queries: 8},
		{name: "a trap", ask: "n0.test", typ: dns.TXT, stub: stub{records: trap}, err: "aliases", queries: 8},
		{name: "a DNAME that makes too long a name", ask: long + "old.test", typ: dns.TXT,
			stub: stub{records: []string{"old.test. 60 DNAME a-much-longer-name.example.test."}},
			err:  "YXDOMAIN", queries: 1},
		{name: "a target that holds a dot", ask: "a.test", typ: dns.TXT,
			stub: stub{records: []string{`a.test. 60 CNAME b\.c.vendor.`}}, err: "cannot be looked up", queries: 1},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			tt.stub.t = t
			c := client(t, dns.Options{Servers: []string{serveRaw(t, tt.stub.reply)}, Tries: 1})
			a, err := c.Lookup(t.Context(), tt.ask, tt.typ)
			got := a.Status.String()
			if len(a.Aliases) > 0 {
				got += " via " + strings.Join(a.Aliases, " ")
			}
			if tt.err != "" {
				if !errors.Is(err, dns.ErrFailure) || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %s, %v; want an error with %q", got, err, tt.err)
				}
			} else if err != nil || got != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
			if n := tt.stub.queries.Load(); n != tt.queries {
				t.Errorf("%d queries, want %d", n, tt.queries)
			}
		})
	}
}

// The authority of one zone does not know the zone that its aliases lead to: someone else has to
// be asked.
func TestTargetsAreAskedElsewhere(t *testing.T) {
	authority := &stub{t: t, records: []string{"s._domainkey.a.test. 60 CNAME key.vendor."},
		rcodes: map[string]int{"key.vendor.": wire.RcodeRefused}}
	host := &stub{t: t, records: []string{"key.vendor. 5 TXT k"}}
	targets := client(t, dns.Options{Servers: []string{serveRaw(t, host.reply)}})
	c := client(t, dns.Options{Servers: []string{serveRaw(t, authority.reply)}, Targets: targets})
	a, err := c.Lookup(t.Context(), "s._domainkey.a.test", dns.TXT)
	if err != nil || a.Status != dns.Found || strings.Join(a.Aliases, " ") != "key.vendor" ||
		a.TTL.Seconds() != 5 {
		t.Errorf("got %+v, %v", a, err)
	}
	if n, m := authority.queries.Load(), host.queries.Load(); n != 1 || m != 1 {
		t.Errorf("%d and %d queries, want one each", n, m)
	}
}
