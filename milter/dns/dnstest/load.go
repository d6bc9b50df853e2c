package dnstest

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	wire "github.com/miekg/dns"

	"mailseal/milter/dns"
)

// defaultTTL is the time to live, in seconds, of records that state none.
const defaultTTL = 300

// Load reads an RFC 1035 master file: $ORIGIN, $TTL and $GENERATE work, $INCLUDE does not. Names
// without a final dot are below $ORIGIN, which is the root if it is not set, so "example.com A
// 192.0.2.1" is a whole zone. Two lines are ours: "$SERVFAIL name" and "$TIMEOUT name" make every
// lookup of the name fail; with types after the name ("$TIMEOUT name TXT MX") only those. The error
// names the line.
func Load(r io.Reader) (*Zone, error) {
	z := &Zone{}
	if err := z.load(r); err != nil {
		return nil, err
	}
	return z, nil
}

// Must is Load of a literal, for tests: it panics on an error.
func Must(text string) *Zone {
	z, err := Load(strings.NewReader(text))
	if err != nil {
		panic(err)
	}
	return z
}

// FromMap makes a zone of TXT records: each value of a name is one record. The value "!SERVFAIL" or
// "!TIMEOUT" makes every lookup of the name fail. A name without values exists and has no data.
// Names that the DNS cannot hold are left out, as they are from the DNS.
func FromMap(texts map[string][]string) *Zone {
	z := &Zone{}
	for name, values := range texts {
		z.node(name)
		for _, v := range values {
			z.AddTXT(name, v)
		}
	}
	return z
}

// AddTXT adds a TXT record whose strings of 255 octets make up value, or the failure that
// "!SERVFAIL" and "!TIMEOUT" mean. The name is taken as it is, without escapes.
func (z *Zone) AddTXT(name, value string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	n := z.node(name)
	switch {
	case n == nil:
	case value == "!SERVFAIL":
		n.fail(anyType, servfail)
	case value == "!TIMEOUT":
		n.fail(anyType, timeout)
	default:
		hdr := wire.RR_Header{Name: owner(name), Rrtype: wire.TypeTXT, Class: wire.ClassINET,
			Ttl: defaultTTL}
		n.add(&wire.TXT{Hdr: hdr, Txt: split(value)})
	}
}

// Add reads lines as Load does and adds them to the zone.
func (z *Zone) Add(text string) error {
	return z.load(strings.NewReader(text))
}

func (z *Zone) load(r io.Reader) error {
	text, fails, err := directives(r)
	if err != nil {
		return err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	p := wire.NewZoneParser(strings.NewReader(text), ".", "")
	p.SetDefaultTTL(defaultTTL)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		if err := sound(rr); err != nil {
			return err
		}
		z.at(normal(rr.Header().Name)).add(rr)
	}
	for _, f := range fails {
		z.at(f.name).fail(f.typ, f.how)
	}
	if err := p.Err(); err != nil {
		return mistakeIn(text, err)
	}
	return nil
}

// sound refuses what the parser lets through for dynamic updates: a record without data.
func sound(rr wire.RR) error {
	h := rr.Header()
	buf := make([]byte, wire.Len(rr)+1)
	if _, err := wire.PackRR(rr, buf, 0, nil, false); err != nil {
		return fmt.Errorf("%s %s: %w", h.Name, wire.TypeToString[h.Rrtype], err)
	}
	if h.Rdlength == 0 {
		return fmt.Errorf("%s %s has no data", h.Name, wire.TypeToString[h.Rrtype])
	}
	return nil
}

// directive is one type of a $SERVFAIL or $TIMEOUT line.
type directive struct {
	name string
	typ  uint16
	how  failure
}

// directives takes our own lines out of a master file. It leaves empty lines in their place, so
// that the parser's line numbers stay true.
func directives(r io.Reader) (string, []directive, error) {
	var rest strings.Builder
	var found []directive
	origin := "."
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		words := strings.Fields(line)
		if i := strings.IndexByte(line, ';'); i >= 0 && strings.HasPrefix(line, "$") {
			words = strings.Fields(line[:i])
		}
		if len(words) > 1 && words[0] == "$ORIGIN" {
			origin = below(words[1], origin)
		}
		how, ours := failures[first(words)]
		if !ours || !strings.HasPrefix(line, "$") {
			rest.WriteString(line)
			rest.WriteByte('\n')
			continue
		}
		rest.WriteByte('\n')
		ds, err := directiveLine(words, origin, how)
		if err != nil {
			return "", nil, &Mistake{number, err.Error()}
		}
		found = append(found, ds...)
	}
	if err := lines.Err(); err != nil {
		return "", nil, fmt.Errorf("zone file: %w", err)
	}
	return rest.String(), found, nil
}

var failures = map[string]failure{"$SERVFAIL": servfail, "$TIMEOUT": timeout}

func directiveLine(words []string, origin string, how failure) ([]directive, error) {
	if len(words) < 2 {
		return nil, fmt.Errorf("%s without a name", words[0])
	}
	name := below(words[1], origin)
	if _, ok := wire.IsDomainName(name); !ok {
		return nil, fmt.Errorf("%s: %q is not a name", words[0], words[1])
	}
	name = normal(name)
	if len(words) == 2 {
		return []directive{{name, anyType, how}}, nil
	}
	var out []directive
	for _, w := range words[2:] {
		t, ok := wire.StringToType[strings.ToUpper(w)]
		if !ok {
			return nil, fmt.Errorf("%s: %q is not a type", words[0], w)
		}
		out = append(out, directive{name, t, how})
	}
	return out, nil
}

func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// below completes a name of a master file.
func below(name, origin string) string {
	switch {
	case name == "@":
		return origin
	case wire.IsFqdn(name):
		return name
	case origin == ".":
		return name + "."
	}
	return name + "." + origin
}

// node returns the node of a plain name, new if need be; nil if the DNS cannot hold the name.
func (z *Zone) node(name string) *node {
	canonical, ok := dns.Canonical(name)
	if !ok {
		return nil
	}
	return z.at(owner(canonical))
}

// owner writes a plain name as the library does.
func owner(name string) string {
	canonical, _ := dns.Canonical(name)
	return dns.Question(canonical, dns.TXT).Question[0].Name
}

// at returns the node of a normal name and makes it and all names above it if they do not exist
// yet.
func (z *Zone) at(name string) *node {
	if z.names == nil {
		z.names = map[string]*node{}
	}
	for up := name; up != "" && z.names[up] == nil; up = parent(up) {
		z.names[up] = &node{records: map[uint16][]wire.RR{}, fails: map[uint16]failure{}}
	}
	return z.names[name]
}

func (n *node) add(rr wire.RR) {
	t := rr.Header().Rrtype
	n.records[t] = append(n.records[t], rr)
}

func (n *node) fail(t uint16, how failure) { n.fails[t] = how }

// split cuts a value into strings of at most 255 octets, escaped as the library wants them.
func split(value string) []string {
	parts := []string{}
	for len(value) > 255 {
		parts = append(parts, quote(value[:255]))
		value = value[255:]
	}
	return append(parts, quote(value))
}

func quote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
