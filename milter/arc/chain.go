package arc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// The names of the three fields of a set (RFC 8617 section 4.1).
const (
	ResultsField   = "ARC-Authentication-Results" // AAR
	SignatureField = "ARC-Message-Signature"      // AMS
	SealField      = "ARC-Seal"                   // AS
)

// kinds are the fields of a set in the order in which seals cover them (RFC 8617 section 5.1.1).
var kinds = [3]string{ResultsField, SignatureField, SealField}

// maxSets is how long a chain may be (RFC 8617 section 4.2.1).
const maxSets = 50

// chain is the sets of a header as far as they can be put in order.
type chain struct {
	links []link // of instance 1 up; incomplete when there is a fault
	fault string // the first thing that keeps them from being a chain
	found bool   // there is at least one field of ARC's
}

// link is a set and what its signatures say.
type link struct {
	Set
	fields        [3]message.Field // by kind
	at            int              // the AMS's index in the header
	message, seal dkim.Signature
	fault         string // of the tags of either
}

// readChain puts the ARC fields of h in order. It costs the same for a chain that is too long as
// for one that is not.
func readChain(h message.Header) *chain {
	c := &chain{}
	for kind, name := range kinds {
		fields := h.Fields(name)
		c.found = c.found || len(fields) > 0
		if len(fields) > maxSets {
			c.fail("there are more than %d %s fields", maxSets, name)
			fields = fields[:maxSets]
		}
		for _, at := range fields {
			c.add(kind, h[at], at)
		}
	}
	c.check()
	return c
}

func (c *chain) fail(format string, args ...any) {
	if c.fault == "" {
		c.fault = fmt.Sprintf(format, args...)
	}
}

// add puts one field into its set.
func (c *chain) add(kind int, f message.Field, at int) {
	tags := dkim.ReadTags(f)
	i, payload := instance(tags.Text("i")), ""
	if kind == 0 {
		i, payload = splitResults(string(f.Value()))
	}
	if i == 0 {
		c.fail("there is an %s field without an instance from 1 to %d", kinds[kind], maxSets)
		return
	}
	for len(c.links) < i {
		c.links = append(c.links, link{Set: Set{Instance: len(c.links) + 1}})
	}
	l := &c.links[i-1]
	if l.fields[kind].Raw() != nil {
		c.fail("instance %d has two %s fields", i, kinds[kind])
		return
	}
	l.fields[kind] = f
	switch kind {
	case 0:
		l.Payload = payload
	case 1:
		l.readSignature(tags, at)
	case 2:
		l.readSeal(tags)
	}
}

// instance returns the value of i=, or 0 if it is invalid (RFC 8617 section 4.2.1).
func instance(s string) int {
	if len(s) > 2 || strings.Trim(s, "0123456789") != "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > maxSets {
		return 0
	}
	return n
}

// splitResults reads the value of an AAR, "i=1; " and a payload that Authentication-Results might
// have (RFC 8617 section 4.1.1).
func splitResults(value string) (i int, payload string) {
	const space = " \t\r\n"
	head, payload, found := strings.Cut(value, ";")
	name, number, _ := strings.Cut(head, "=")
	if !found || strings.Trim(name, space) != "i" {
		return 0, ""
	}
	return instance(strings.Trim(number, space)),
		strings.ReplaceAll(strings.Trim(payload, space), "\r\n", "")
}

// readSignature reads an AMS: a DKIM-Signature whose i= is an instance, whose h= may be empty but
// names no seal (RFC 8617 section 4.1.2).
func (l *link) readSignature(t *dkim.Tags, at int) {
	l.at, l.message = at, t.Signature()
	// RFC 8617 defines no default; this is the one of the test suite in common use
	if !t.Has("c") {
		l.message.Header, l.message.Body = message.Relaxed, message.Relaxed
	}
	if slices.ContainsFunc(l.message.Names, func(n string) bool {
		return strings.EqualFold(n, SealField)
	}) {
		t.Fail("h= names " + SealField)
	}
	l.note(SignatureField, t)
}

// readSeal reads an AS (RFC 8617 section 4.1.3).
func (l *link) readSeal(t *dkim.Tags) {
	s := dkim.Signature{Algorithm: t.Algorithm(), Domain: t.Domain(), Unsigned: t.Unsigned()}
	s.Selector, s.KeyName = t.Selector(s.Domain)
	s.Value, s.Signed = t.Base64("b"), t.Time("t")
	l.seal, l.Sealer, l.Selector, l.Chain = s, s.Domain, s.Selector, Value(t.Text("cv"))
	if t.Has("h") {
		t.Fail("it has an h=, which no seal has")
	}
	if !slices.Contains([]Value{None, Pass, Fail}, l.Chain) {
		t.Fail("cv= is not one of none, pass and fail")
	}
	l.note(SealField, t)
}

func (l *link) note(field string, t *dkim.Tags) {
	if l.fault == "" && t.Fault() != "" {
		l.fault = fmt.Sprintf("the %s of instance %d is wrong: %s", field, l.Instance, t.Fault())
	}
}

// check finds what keeps the sets from being a chain (RFC 8617 section 5.2 step 3).
func (c *chain) check() {
	for _, l := range c.links {
		for kind, f := range l.fields {
			if f.Raw() == nil {
				c.fail("instance %d has no %s", l.Instance, kinds[kind])
			}
		}
		if l.fault != "" {
			c.fail("%s", l.fault)
		}
		if want := chainOf(l.Instance); l.Chain != want {
			c.fail("the seal of instance %d has cv=%s, which must be %s", l.Instance, l.Chain,
				want)
		}
	}
}

// chainOf returns the only cv= that instance i may have in a chain that passes.
func chainOf(i int) Value {
	if i == 1 {
		return None
	}
	return Pass
}

// sealed reports whether the last sealer has given the chain up (RFC 8617 section 5.1.2).
func (c *chain) sealed() bool { return len(c.links) > 0 && c.links[len(c.links)-1].Chain == Fail }

// sets returns what there is to tell.
func (c *chain) sets() []Set {
	sets := make([]Set, len(c.links))
	for i, l := range c.links {
		sets[i] = l.Set
	}
	return sets
}
