package spf

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/dns"
)

// clientNames holds the names of the client's address, which are looked up once.
type clientNames struct {
	asked bool
	names []string   // of its PTR records, the first ten
	valid []validity // of the name at the same index
}

// validity reports whether a name of the client's address has that address.
type validity uint8

const (
	unasked validity = iota
	valid
	invalid
)

// isNamed reports whether a validated name of the client is target or below it (RFC 7208 section
// 5.5). What cannot be looked up does not match.
func (e *evaluation) isNamed(target string, s *Step) (bool, error) {
	if err := e.askNames(); err != nil {
		return false, err
	}
	s.addDetail(e.describeNames())
	for i, name := range e.names.names {
		if !isWithin(name, target) {
			continue
		}
		if ok, err := e.isValid(i); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (e *evaluation) describeNames() string {
	if len(e.names.names) == 0 {
		return "no name of " + e.ip.String()
	}
	return "PTR " + strings.Join(e.names.names, ", ")
}

// askNames looks up the client's names, unless that is done. It keeps only the first ten:
// the owner of an address may publish any number, and here, unlike with mx, more are not a
// mistake of the domain (section 4.6.4).
func (e *evaluation) askNames() error {
	if e.names.asked {
		return nil
	}
	e.names.asked = true
	answer, err := e.lookup(dns.Reverse(e.ip), dns.PTR)
	var a *abort
	if errors.As(err, &a) {
		return err
	}
	e.names.names = answer.Names[:min(len(answer.Names), maxNames)]
	e.names.valid = make([]validity, len(e.names.names))
	return nil
}

// isValid reports whether the client's name at index i has the client's address. Each name is asked
// for once in a check, and only when it could decide something.
func (e *evaluation) isValid(i int) (bool, error) {
	v := &e.names.valid[i]
	if *v == unasked {
		*v = invalid
		answer, err := e.lookup(e.names.names[i], e.addressType())
		var a *abort
		if errors.As(err, &a) {
			return false, err
		}
		if err == nil && slices.Contains(answer.Addrs, e.ip) {
			*v = valid
		}
	}
	return *v == valid, nil
}

// clientName is the macro p: a validated name, best domain itself, next best one below it, else
// any, else "unknown" (section 7.3).
func (e *evaluation) clientName(domain string) (string, error) {
	if err := e.askNames(); err != nil {
		return "", err
	}
	canonical, _ := dns.Canonical(domain)
	ranks := []func(string) bool{
		func(n string) bool { return n == canonical },
		func(n string) bool { return n != canonical && isWithin(n, canonical) },
		func(n string) bool { return !isWithin(n, canonical) },
	}
	for _, fits := range ranks {
		for i, name := range e.names.names {
			if !fits(name) {
				continue
			}
			if ok, err := e.isValid(i); ok || err != nil {
				return name, err
			}
		}
	}
	return "unknown", nil
}

func isWithin(name, top string) bool {
	return name == top || strings.HasSuffix(name, "."+top)
}

// prepareName asks for what the macro p of a domain-spec needs. The first to ask is counted like a
// term that asks the DNS (section 4.6.4).
func (e *evaluation) prepareName(spec, domain string) error {
	if !usesMacro(spec, "p") {
		return nil
	}
	if !e.names.asked && !e.final {
		if e.lookups++; e.lookups > maxLookups {
			return permerror("more than %d DNS lookups are needed, %%{p} included", maxLookups)
		}
	}
	_, err := e.clientName(domain)
	return err
}

// value returns the value of a macro letter (section 7.2).
func (e *evaluation) value(letter byte, domain string) string {
	switch letter {
	case 's':
		e.usedLocal = true
		return e.local + "@" + e.host
	case 'l':
		e.usedLocal = true
		return e.local
	case 'o':
		return e.host
	case 'd':
		return domain
	case 'i':
		return dotted(e.ip)
	case 'p':
		name, err := e.clientName(domain)
		if err != nil {
			return "unknown"
		}
		return name
	case 'v':
		if e.ip.Is4() {
			return "in-addr"
		}
		return "ip6"
	case 'h':
		return e.helo
	case 'c':
		return e.ip.String()
	case 'r':
		return e.receiver
	}
	return strconv.FormatInt(e.now().Unix(), 10)
}
