package dkim

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/taglist"
)

// maxNames is how many field names an h= may list. The longest honest lists have about sixty.
const maxNames = 10000

// Tags reads the tags of a field of signatures one after another: DKIM-Signature here, ARC's two in
// package arc. It remembers the first fault, after which every method still returns what it can.
type Tags struct {
	field message.Field
	list  taglist.List
	fault string
	// isFinal says of the fault that the field can be read, but that no reader could ever verify
	// it: a tag that must be there is missing, or tags contradict each other.
	isFinal bool
}

// ReadTags reads the list of tags that the value of f is.
func ReadTags(f message.Field) *Tags {
	value := string(f.Value())
	list, err := taglist.Parse(value)
	t := &Tags{field: f, list: list}
	if err != nil {
		t.list, _ = taglist.ParseLenient(value)
		t.Fail("the field is not a list of tags: %s", strings.TrimPrefix(err.Error(), "taglist: "))
	}
	return t
}

// Fault returns the first thing found wrong, a sentence for a postmaster, or "".
func (t *Tags) Fault() string { return t.fault }

// Fail notes a fault of syntax, or something unknown that is asked for, unless there is a fault
// already.
func (t *Tags) Fail(format string, args ...any) {
	if t.fault == "" {
		t.fault = fmt.Sprintf(format, args...)
	}
}

// refuse notes a fault of a field that can be read, unless there is a fault already.
func (t *Tags) refuse(format string, args ...any) {
	if t.fault == "" {
		t.isFinal = true
		t.Fail(format, args...)
	}
}

// Text returns the value of a tag, or "" if the tag is missing.
func (t *Tags) Text(name string) string {
	v, _ := t.list.Value(name)
	return v
}

// Has reports whether the tag is there.
func (t *Tags) Has(name string) bool {
	_, has := t.list.Value(name)
	return has
}

// need returns the value of a tag that may be neither missing nor empty.
func (t *Tags) need(name string) string {
	v, has := t.list.Value(name)
	if !has {
		t.refuse("the tag %s= is missing", name)
	} else if v == "" {
		t.Fail("the tag %s= is empty", name)
	}
	return v
}

// Algorithm reads a=, which must be one that is believed (RFC 8301 section 3.1, RFC 8463 section
// 3).
func (t *Tags) Algorithm() string {
	a := t.need("a")
	switch a {
	case RSASHA256, Ed25519SHA256, "":
	case "rsa-sha1":
		t.refuse("the signature is made with rsa-sha1, which is no longer secure (RFC 8301)")
	default:
		t.Fail("the signature algorithm %q is unknown", clip(a))
	}
	return a
}

// Domain reads d=: a domain name of at least two labels without a final dot, in A- or U-labels (RFC
// 8616).
func (t *Tags) Domain() domain.Name {
	d := t.need("d")
	n, err := domain.Parse(d)
	if d != "" && (err != nil || n.Labels() < 2 || strings.HasSuffix(d, ".")) {
		t.Fail("d=%s is not a domain name", clip(d))
		return ""
	}
	return n
}

// Selector reads s= for a key of d and returns it in A-labels, and the name at which the key is
// published (RFC 6376 section 3.6.2.1). The selector alone need not be a domain name: "20230601" is
// one.
func (t *Tags) Selector(d domain.Name) (selector, keyName string) {
	s := t.need("s")
	if s == "" || d == "" {
		return s, ""
	}
	below := "." + keyPlace + d.String()
	n, err := domain.Parse(s + below)
	if err != nil {
		t.Fail("s=%s is not a selector", clip(s))
		return s, ""
	}
	return strings.TrimSuffix(n.String(), below), n.String()
}

// keyPlace parts selector and domain in the name of a key.
const keyPlace = "_domainkey."

// Canonicalizations reads c=, by default simple/simple (RFC 6376 section 3.5).
func (t *Tags) Canonicalizations() (header, body message.Canonicalization) {
	c, has := t.list.Value("c")
	if !has {
		return message.Simple, message.Simple
	}
	header, body, err := message.ParseCanonicalization(c)
	if err != nil || strings.ToLower(c) != c {
		t.Fail("the canonicalization c=%s is unknown", clip(c))
	}
	return header, body
}

// Names reads h=, a list of field names which may be empty: whether it must not be is up to the
// caller.
func (t *Tags) Names() []string {
	h, has := t.list.Value("h")
	if !has {
		t.refuse("the tag h= is missing")
	}
	h = taglist.Compact(h)
	if h == "" {
		return nil
	}
	if strings.Count(h, ":") >= maxNames {
		t.Fail("h= lists more than %d fields", maxNames)
		return nil
	}
	return strings.Split(h, ":")
}

// Base64 reads a tag of octets: b=, bh=.
func (t *Tags) Base64(name string) []byte {
	raw, err := base64.StdEncoding.DecodeString(taglist.Compact(t.need(name)))
	if err != nil {
		t.Fail("the tag %s= is not base64", name)
		return nil
	}
	return raw
}

// Time reads a tag of seconds since 1970: t=, x=. The zero Time when it is absent. What no clock
// will reach is for ever (RFC 6376 section 3.5).
func (t *Tags) Time(name string) time.Time {
	n, has := t.number(name)
	if !has {
		return time.Time{}
	}
	return time.Unix(min(n, forever), 0)
}

// forever is the last second of the year 9999: everything can print it.
const forever = 253402300799

// Limit reads l=, by default message.Whole.
func (t *Tags) Limit() int64 {
	n, has := t.number("l")
	if !has {
		return message.Whole
	}
	return n
}

// number reads a tag of digits. What is too large for an int64 is the largest one.
func (t *Tags) number(name string) (n int64, has bool) {
	v, has := t.list.Value(name)
	if !has {
		return 0, false
	}
	if v == "" || strings.Trim(v, "0123456789") != "" {
		t.Fail("%s=%s is not a number", name, clip(v))
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}

// Unsigned returns the field as a signature covers it: without the value of its own b= (RFC
// 6376 section 3.7). It uses the position of the tag, since other values may contain "b="
// as well. By the RFC's text the white space around the value is removed, too. Some signers
// keep it, so a field with such white space has a second form; a signature that matches it
// was still made by the owner of the key over this very message.
func (t *Tags) Unsigned() []message.Field {
	for _, tag := range t.list {
		if tag.Name != "b" {
			continue
		}
		forms := []message.Field{t.field.Without(tag.Start, tag.End)}
		if white := bytes.Index(t.field.Value()[tag.Start:], []byte(tag.Value)); white > 0 {
			forms = append(forms, t.field.Without(tag.Start+white, tag.End))
		}
		return forms
	}
	return nil
}

// clip makes what a stranger wrote fit for a sentence of ours: short, and on one line.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
