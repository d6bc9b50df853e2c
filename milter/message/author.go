package message

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailseal/milter/domain"
)

// ErrNoAuthor means that a header has no author domain: there is no From field, or no From
// field shows a domain name. It is wrapped with the reason, for a log.
var ErrNoAuthor = errors.New("no author")

// ErrManyAuthors means that the From fields of a header show several domains, or that mail
// readers could disagree on the domain. It is wrapped with the reason, for a log.
var ErrManyAuthors = errors.New("more than one author")

const (
	// MaxAuthors is how many addresses of a From field are read.
	MaxAuthors = 100
	// maxCandidates is after how many addresses no further From field is read. A field is read in
	// up to four ways, each of which may find all of its addresses.
	maxCandidates = 4 * MaxAuthors
	// maxFrom is how many octets of From fields are read. A hundred long addresses have 10,000.
	maxFrom = 16 << 10
	// MaxDomains limits the author domains of a message that are distinguished.
	MaxDomains = 4
)

// From is the author information that mail readers may show for the From fields of a
// header. For a field that RFC 5322 allows, it has the addresses in the field. For any
// other field it has every address that some reader could show: those in angle brackets,
// those in a list element without brackets, and those in an unquoted display name.
type From struct {
	// Shown is one address for each domain, in the order of the header. When TooMany, it is some of
	// them.
	Shown   []Shown
	TooMany bool // more than MaxDomains domains, or more addresses than can be read
	// Addresses are all that count as the author's: not those in a display name before the only
	// angle brackets, nor those of a route. At most MaxAuthors are kept of a field.
	Addresses []Address
	Fields    int // how many From fields there are, those in Hidden with them
	// Hidden is how many of them are inside of other fields, behind a bare CR.
	Hidden int
	// Fault is the first violation of RFC 5322, or nil. Several From fields are a violation,
	// too, but not a Fault.
	Fault *Fault
}

// Shown is an address that a mail reader could show as the author's.
type Shown struct {
	// Address has no Domain when it has none that the DNS could hold, such as an address literal.
	Address
	// Aside means that the domain is only in the display name before the only angle brackets.
	Aside bool
	// Route means that the domain is only in a source route, which most readers omit (RFC 5322
	// section 4.4).
	Route bool
}

// Author returns the author of a message, as From.Author does.
func (h Header) Author() (Address, error) {
	return h.From().Author()
}

// From returns what the From fields show. Its cost is linear in the fields.
func (h Header) From() From {
	values, hidden := h.fromValues()
	f := From{Fields: len(values), Hidden: hidden}
	if len(values) == 1 && len(values[0]) <= maxFrom {
		all, err := parseFrom(values[0])
		if err == nil {
			f.accept(all)
			return f
		}
	}
	c := collector{}
	for i, value := range values {
		if c.tooMany = c.tooMany || i == MaxAuthors || len(c.found) > maxCandidates; c.tooMany {
			break
		}
		if fault := c.read(c.cut(value)); fault != nil && f.Fault == nil {
			f.Fault = fault
			f.Fault.Field = i + 1
		}
	}
	f.Shown, f.Addresses = c.shown()
	f.limit(c.tooMany)
	return f
}

// fromValues returns the values of all From fields: a reader that takes a bare CR for a line end
// sees those inside of other fields, too. Those are the last, and hidden is how many there are.
func (h Header) fromValues() (all [][]byte, hidden int) {
	for _, at := range h.Fields("From") {
		all = append(all, h[at].Value())
	}
	for inside := range h.Hidden("From") {
		if hidden == MaxAuthors {
			break
		}
		all = append(all, inside.Field.Value())
		hidden++
	}
	return all, hidden
}

// accept takes the addresses of a field that RFC 5322 allows.
func (f *From) accept(all []Address) {
	f.Shown, f.Addresses = make([]Shown, 0, 1), all
	for _, a := range all {
		if len(f.Shown) <= MaxDomains {
			f.Shown = show(f.Shown, Shown{Address: a})
		}
	}
	f.limit(false)
}

func (f *From) limit(tooMany bool) {
	if tooMany || len(f.Shown) > MaxDomains {
		f.TooMany = true
		f.Shown = f.Shown[:min(len(f.Shown), MaxDomains)]
	}
}

// show adds an address to all, unless its domain is there.
func show(all []Shown, s Shown) []Shown {
	for i := range all {
		have := &all[i]
		if have.Domain != s.Domain {
			continue
		}
		if have.Aside && !s.Aside || have.Route && !s.Route {
			have.Address = s.Address
		}
		have.Aside = have.Aside && s.Aside
		have.Route = have.Route && s.Route
		return all
	}
	return append(all, s)
}

// Author returns the first address of the author domain (RFC 9989 section 4.4), if there is exactly
// one. The domain of a source route is not an author. The error wraps ErrNoAuthor or
// ErrManyAuthors.
//
// Where Doubt is not "", this departs from RFC 6376 section 3.8, which wants a signer to refuse
// what is not RFC 5322.
func (f From) Author() (Address, error) {
	hasField := f.Fields > f.Hidden
	if hasField && len(f.Shown) == 1 && !f.TooMany && !f.Shown[0].Route && f.Shown[0].Domain != "" {
		return f.Shown[0].Address, nil
	}
	authors := slices.DeleteFunc(slices.Clone(f.Shown), func(s Shown) bool { return s.Route })
	switch {
	case f.TooMany && len(f.Shown) < MaxDomains:
		return Address{}, fmt.Errorf("%w: From has more addresses, fields or octets than are read",
			ErrManyAuthors)
	case f.TooMany:
		return Address{}, fmt.Errorf("%w: %s", ErrManyAuthors,
			f.list("more than ", MaxDomains, authors))
	case !hasField:
		return Address{}, fmt.Errorf("%w: no From field", ErrNoAuthor)
	case len(authors) == 0:
		return Address{}, fmt.Errorf("%w: %s", ErrNoAuthor, f.Doubt())
	case len(authors) > 1:
		return Address{}, fmt.Errorf("%w: %s", ErrManyAuthors, f.list("", len(authors), authors))
	case authors[0].Domain == "":
		return Address{}, fmt.Errorf("%w: From has %s%s", ErrNoAuthor, authors[0].place(),
			f.because())
	}
	return authors[0].Address, nil
}

// list names the domains that are shown.
func (f From) list(before string, n int, all []Shown) string {
	var names []string
	for _, s := range all {
		names = append(names, s.place())
	}
	return fmt.Sprintf("From shows %s%d domains, %s%s", before, n, strings.Join(names, " and "),
		f.because())
}

func (f From) because() string {
	if doubt := f.Doubt(); doubt != "" {
		return " (" + doubt + ")"
	}
	return ""
}

// Doubt describes in one line why a mail reader could show another author than Author returns. It
// is "" if From is valid by RFC 5322.
func (f From) Doubt() string {
	switch {
	case f.Hidden > 0:
		return fmt.Sprintf("%d of %d From fields are inside of other fields, behind a bare CR",
			f.Hidden, f.Fields)
	case f.Fields > 1 && f.Fault != nil:
		return fmt.Sprintf("%d From fields; %s", f.Fields, f.Fault.String())
	case f.Fields > 1:
		return fmt.Sprintf("%d From fields", f.Fields)
	case f.Fault != nil:
		return f.Fault.String()
	}
	return ""
}

// place names the domain of a From address in an error.
func (a Address) place() string {
	if a.Domain == "" {
		return "an address without a domain name"
	}
	return a.Domain.String()
}

// collector gathers the candidates of all From fields of a header.
type collector struct {
	found    []candidate
	brackets int
	sound    int
	tooMany  bool
	octets   int // of the fields so far
}

// cut returns as much of a field as is read. What is behind it may show anyone.
func (c *collector) cut(value []byte) string {
	c.octets += len(value)
	if over := c.octets - maxFrom; over > 0 {
		c.tooMany = true
		value = value[:max(len(value)-over, 0)]
	}
	return string(value)
}

// read adds the candidates of one field, and returns what is wrong with it.
func (c *collector) read(value string) *Fault {
	all, err := parseFrom([]byte(value))
	if err == nil {
		c.addresses(all)
		return nil
	}
	if decoded := decodeAll(value); decoded != value {
		c.scanned(decoded, scan(decoded, false))
	}
	raw := scan(value, false)
	c.brackets += raw.brackets
	c.sound += raw.sound
	c.scanned(value, raw)
	fault := (*Fault)(nil)
	errors.As(err, &fault)
	return fault
}

// addresses adds those of a field that RFC 5322 allows.
func (c *collector) addresses(all []Address) {
	for _, a := range all {
		found := candidate{local: a.Local, place: inBracket, last: true}
		found.add(a.Domain)
		c.found = append(c.found, found)
	}
	c.brackets += len(all)
}

// scanned adds what was found in value, and what is found when quotes and comments are taken for
// text: where readers differ on what is quoted, and where there is nothing else.
func (c *collector) scanned(value string, s *scanner) {
	c.add(s)
	if s.doubtful || len(s.found) == 0 {
		c.add(scan(value, true))
	}
}

func (c *collector) add(s *scanner) {
	c.tooMany = c.tooMany || len(s.found) > MaxAuthors
	c.found = append(c.found, s.found...)
}

// shown returns the addresses of each domain, and all those that count as the author's.
func (c *collector) shown() ([]Shown, []Address) {
	all := slices.DeleteFunc(c.found, func(f candidate) bool { return !f.isAddress() })
	least := 2
	for _, f := range all {
		least = min(least, f.weakness())
	}
	isOnlyBracket := c.brackets == 1 && c.sound == 1
	var out []Shown
	var authors []Address
	for _, f := range all {
		if f.weakness() > least {
			continue
		}
		for _, d := range f.readings() {
			s := Shown{Address: Address{Local: f.local, Domain: d}}
			s.Aside = isOnlyBracket && f.place == inName
			s.Route = f.place == inRoute
			if len(out) <= MaxDomains {
				out = show(out, s)
			}
			if !s.Aside && !s.Route {
				authors = append(authors, s.Address)
			}
		}
	}
	return out, authors
}

// Domains returns the domains shown, "" for an address without one.
func (f From) Domains() []domain.Name {
	var out []domain.Name
	for _, s := range f.Shown {
		out = append(out, s.Domain)
	}
	return out
}
