package crosscheck

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailseal/milter/message"
	"mailseal/milter/taglist"
)

// What go-msgauth v0.7.0 is slow with: it reads a folded field in quadratic time, as it does a body of empty lines, and
// looks for every name of h= in every field.
const (
	maxHeader = 64 << 10
	maxLines  = 2000 // of the header
	maxNames  = 1000 // in an h=
	maxName   = 998  // octets of a field's name: what SMTP carries in a line
	maxBody   = 1 << 20
	maxRecord = 3000 // octets; larger keys are larger than ours may be, and it knows no limit
)

// prepare reads the header of a message and completes what go-msgauth cannot do without. The error wraps ErrUnfit: it
// names the first thing in the message that would be judged wrongly.
func prepare(raw []byte) (message.Header, []byte, error) {
	header, body, whole := split(raw)
	if why := unfitLines(header, body); why != "" {
		return nil, nil, fmt.Errorf("%w: %s", ErrUnfit, why)
	}
	h, err := message.ReadHeader(bufio.NewReader(bytes.NewReader(header)), 2*maxHeader)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	if n := len(h.Fields("From")); n != 1 {
		return nil, nil, fmt.Errorf("%w: it does not mind that there are %d From fields", ErrUnfit, n)
	}
	return h, whole, nil
}

// split parts header and body. A header without an empty line after it gets one, which go-msgauth insists on.
func split(raw []byte) (header, body, whole []byte) {
	for _, end := range []string{"\r\n\r\n", "\n\n"} {
		if i := bytes.Index(raw, []byte(end)); i >= 0 {
			return raw[:i+len(end)/2], raw[i+len(end):], raw
		}
	}
	end := "\r\n\r\n"
	if bytes.HasSuffix(raw, []byte("\n")) {
		end = "\r\n"
	}
	return raw, nil, slices.Concat(raw, []byte(end))
}

// unfitLines says what is wrong with the lines of a message.
func unfitLines(header, body []byte) string {
	switch crlf := bytes.Count(header, []byte("\r\n")) + bytes.Count(body, []byte("\r\n")); {
	case len(header) > maxHeader || bytes.Count(header, []byte("\n")) > maxLines || len(body) > maxBody:
		return "it is too slow for a message of this size"
	case bytes.Count(header, []byte("\r"))+bytes.Count(body, []byte("\r")) != crlf:
		return "it takes a bare CR for a line end"
	case crlf > 0 && bytes.Count(header, []byte("\n"))+bytes.Count(body, []byte("\n")) != crlf:
		return "it takes a bare LF for a line end"
	}
	for i, line := range bytes.Split(bytes.TrimSuffix(header, []byte("\n")), []byte("\n")) {
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') && i > 0 {
			continue
		}
		name, _, found := bytes.Cut(line, []byte(":"))
		if name = bytes.TrimRight(name, " \t"); !found || len(name) == 0 || len(name) > maxName || bytes.ContainsFunc(name, isNotName) {
			return "it takes a line for a field that is none"
		}
	}
	return ""
}

func isNotName(r rune) bool { return r <= ' ' || r >= 0x7f }

// unfit says why go-msgauth's opinion of the signature in f, which came to err, means nothing; "" if it does mean
// something.
func unfit(f message.Field, err error, r *resolver) string {
	value := string(f.Value())
	tags, syntax := taglist.Parse(value)
	if syntax != nil {
		return "it reads lists of tags more loosely"
	}
	for _, check := range []func(message.Field, taglist.List) string{unfitB, unfitNames, unfitValues, unfitTimes} {
		if why := check(f, tags); why != "" {
			return why
		}
	}
	if err != nil && strings.Contains(err.Error(), "expired") {
		return "it has a clock of its own"
	}
	s, _ := tags.Value("s")
	d, _ := tags.Value("d")
	return unfitRecords(tags, r.answers[s+"._domainkey."+d].texts)
}

// emptied is what go-msgauth takes for the value of b=: not by the tag's place, so that "sub=x" and "Feb=202026" are
// emptied, too, and the signature fails.
var emptied = regexp.MustCompile(`b\s*=[^;]+`)

func unfitB(f message.Field, tags taglist.List) string {
	raw, value := f.Raw(), f.Value()
	c, _ := tags.Value("c")
	for _, t := range tags {
		if t.Name != "b" {
			continue
		}
		padded := strings.TrimLeft(string(value[t.Start:t.End]), " \t\r\n") != string(value[t.Start:t.End])
		if padded && !strings.HasPrefix(c, "relaxed") {
			return "white space before the value of b= has two readings"
		}
		equals := len(raw) - len(value) + t.Start - 1
		for _, m := range emptied.FindAllIndex(raw, -1) {
			if equals < m[0] || equals >= m[1] {
				return `it empties every "b=" in the field, not only the tag`
			}
		}
	}
	return ""
}

// unfitNames is about domains: it compares them as octets, and knows no U-labels.
func unfitNames(f message.Field, tags taglist.List) string {
	d, _ := tags.Value("d")
	i, given := tags.Value("i")
	i = taglist.Compact(i)
	switch {
	case bytes.ContainsFunc(f.Raw(), func(r rune) bool { return r >= 0x80 }):
		return "it knows nothing but ASCII"
	case given && !strings.Contains(i, "@"):
		return "it takes i= without an @"
	case given && !strings.HasSuffix(i, "@"+d) && !strings.HasSuffix(i, "."+d) && strings.HasSuffix(strings.ToLower(i), strings.ToLower(d)):
		return "it compares i= with d= by case"
	case !strings.Contains(d, ".") || strings.HasSuffix(d, "."):
		return "it takes any d="
	}
	return ""
}

// unfitValues is about tags that it refuses, or reads with white space inside.
func unfitValues(_ message.Field, tags taglist.List) string {
	for _, t := range tags {
		spaced := strings.ContainsAny(t.Value, " \t\r\n")
		switch t.Name {
		case "l":
			return "it refuses l="
		case "a", "c", "d", "s", "t", "x":
			if spaced {
				return "it takes white space inside " + t.Name + "="
			}
		case "h":
			names := strings.Split(strings.ToLower(taglist.Compact(t.Value)), ":")
			switch {
			case slices.Contains(names, ""):
				return "it takes empty names in h="
			case slices.Contains(names, "dkim-signature"):
				return "it covers the signature's own field when h= names it"
			case len(names) > maxNames:
				return "it is too slow for an h= of this length"
			}
		}
	}
	return ""
}

// unfitTimes: it takes any number for a time, and does not look at t= at all.
func unfitTimes(_ message.Field, tags taglist.List) string {
	t, signed := tags.Value("t")
	x, expires := tags.Value("x")
	for _, v := range []string{t, x} {
		if len(v) > 12 || strings.Trim(v, "0123456789") != "" {
			return "it reads numbers in another way"
		}
	}
	signedAt, _ := strconv.ParseInt(t, 10, 64)
	expiresAt, _ := strconv.ParseInt(x, 10, 64)
	switch {
	case signed && expires && expiresAt <= signedAt:
		return "it does not mind x= before t="
	case signed && signedAt > time.Now().Unix():
		return "it does not mind t= in the future"
	}
	return ""
}

// unfitRecords is about the key.
func unfitRecords(tags taglist.List, records []string) string {
	if len(records) > 1 {
		return "it refuses several key records"
	}
	for _, text := range records {
		record, err := taglist.Parse(text)
		if err != nil {
			return "it reads key records more loosely"
		}
		v, hasVersion := record.Value("v")
		flags, _ := record.Value("t")
		d, _ := tags.Value("d")
		i, given := tags.Value("i")
		strict := slices.Contains(strings.Split(taglist.Compact(flags), ":"), "s")
		switch {
		case len(text) > maxRecord:
			return "it knows no largest key"
		case hasVersion && v == "DKIM1" && record[0].Name != "v":
			return "it takes v= at any place of a key record"
		case strict && given && !strings.HasSuffix(taglist.Compact(i), "@"+d):
			return "it does not know t=s"
		}
	}
	return ""
}
