package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"mailseal/milter/dns"
)

// match evaluates a mechanism (RFC 7208 section 5). The error is an abort.
func (e *evaluation) match(t term, domain string, s *Step) (bool, error) {
	switch t.kind {
	case kindAll:
		return true, nil
	case kindIP4, kindIP6:
		return t.net.Contains(e.ip), nil
	case kindInclude:
		return e.include(t, domain, s)
	}
	if err := e.count(); err != nil {
		return false, err
	}
	target, err := e.target(t.spec, domain, s)
	if err != nil || target == "" {
		return false, err
	}
	switch t.kind {
	case kindA:
		return e.hasAddress(target, t, s)
	case kindMX:
		return e.hasExchange(target, t, s)
	case kindPTR:
		return e.isNamed(target, s)
	}
	return e.exists(target, s)
}

// include matches when the other domain's record passes (section 5.2's table).
func (e *evaluation) include(t term, domain string, s *Step) (bool, error) {
	next, err := e.nested(t, domain, s)
	if err != nil {
		return false, err
	}
	switch next.value {
	case Temperror, Permerror:
		return false, &abort{next.value, next.reason}
	case None:
		return false, permerror("include: %s", next.reason)
	}
	return next.value == Pass, nil
}

// target expands a domain-spec to the name to look up, or "" if the result cannot be a
// name: then nothing matches. Section 4.8 leaves open whether that is permerror; a name is
// often impossible because of the client's input, and the client must not choose the
// domain's result.
func (e *evaluation) target(spec, domain string, s *Step) (string, error) {
	if spec == "" {
		return domain, nil
	}
	if !isASCII(e.local) && usesLocal(spec) {
		e.usedLocal = true
		s.Detail = "a local part that is not ASCII matches nothing (RFC 8616 section 4)"
		return "", nil
	}
	if err := e.prepareName(spec, domain); err != nil {
		return "", err
	}
	text := cutName(string(e.expand(nil, spec, domain, maxExpansion)))
	name, ok := dns.Canonical(text)
	if !ok {
		s.Detail = fmt.Sprintf("%.80q is not a valid DNS name", text)
		return "", nil
	}
	s.Target = name
	return name, nil
}

// maxExpansion is more than maxMacros macros can expand to: one may be the whole sender,
// URL-escaped.
const maxExpansion = 1 << 20

// cutName takes labels from the left until the name is short enough for the DNS (section 7.3).
func cutName(s string) string {
	s = strings.TrimSuffix(s, ".")
	for len(s) > 253 {
		i := strings.IndexByte(s, '.')
		if i < 0 {
			return s
		}
		s = s[i+1:]
	}
	return s
}

// usesLocal reports whether a domain-spec asks for the local part.
func usesLocal(spec string) bool { return usesMacro(spec, "sl") }

// usesMacro reports whether one of the letters is a macro of spec.
func usesMacro(spec, letters string) bool {
	for {
		i := strings.IndexByte(spec, '%')
		if i < 0 {
			return false
		}
		m, n, err := readMacro(spec[i:], explainLetters)
		if err != nil {
			return false
		}
		if strings.IndexByte(letters, m.letter) >= 0 {
			return true
		}
		spec = spec[i+n:]
	}
}

// isASCII reports whether s can be part of a name that the DNS is asked for.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// addressType is the type of the client's address.
func (e *evaluation) addressType() dns.Type {
	if e.ip.Is4() {
		return dns.A
	}
	return dns.AAAA
}

// hasAddress reports whether the client's address is one of name's (section 5.3). Only addresses of
// the client's own family are asked for, so that a name with others is a void lookup.
func (e *evaluation) hasAddress(name string, t term, s *Step) (bool, error) {
	answer, err := e.lookup(name, e.addressType())
	if err != nil {
		return false, asAbort(err)
	}
	bits := t.bits6
	if e.ip.Is4() {
		bits = t.bits4
	}
	if answer.Status != dns.Found {
		s.addDetail(name + ": " + answer.Status.String())
	}
	for _, addr := range answer.Addrs {
		s.addDetail(addr.String())
		if p, err := addr.Unmap().Prefix(bits); err == nil && p.Contains(e.ip) {
			return true, nil
		}
	}
	return false, nil
}

// hasExchange reports whether the client is one of name's mail exchanges (section 5.4).
// There is no implicit one. Their addresses are looked up in the order of the answer until
// one matches: a failing lookup behind it is not an error.
func (e *evaluation) hasExchange(name string, t term, s *Step) (bool, error) {
	answer, err := e.lookup(name, dns.MX)
	if err != nil {
		return false, asAbort(err)
	}
	if answer.Status != dns.Found {
		s.addDetail("MX " + name + ": " + answer.Status.String())
	}
	if len(answer.Exchanges) > maxExchanges {
		return false, permerror("%s has over %d MX records", name, maxExchanges)
	}
	for _, x := range answer.Exchanges {
		if x.Host == "" {
			continue
		}
		if ok, err := e.hasAddress(x.Host, t, s); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// exists reports whether name has an A record, whatever the client's address is (section 5.7).
func (e *evaluation) exists(name string, s *Step) (bool, error) {
	answer, err := e.lookup(name, dns.A)
	if err != nil {
		return false, asAbort(err)
	}
	if answer.Status != dns.Found {
		s.addDetail(answer.Status.String())
	}
	for _, addr := range answer.Addrs {
		s.addDetail(addr.String())
	}
	return len(answer.Addrs) > 0, nil
}

// asAbort makes a failed lookup the temperror that it is to the whole check (section 5).
func asAbort(err error) error {
	var a *abort
	if errors.As(err, &a) {
		return err
	}
	return &abort{Temperror, err.Error()}
}

// addDetail adds to what is shown of the term; enough is enough.
func (s *Step) addDetail(text string) {
	if len(s.Detail) > maxDetail {
		return
	}
	if s.Detail != "" {
		s.Detail += ", "
	}
	s.Detail += text
}

// dotted is the address as the macro i has it: IPv6 as 32 hexadecimal digits with dots between
// (section 7.3), upper case as the RFC 7208 test suite has them.
func dotted(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i, c := range ip.As16() {
		if i > 0 {
			b.WriteByte('.')
		}
		b.Write([]byte{hex[c>>4], '.', hex[c&15]})
	}
	return b.String()
}
