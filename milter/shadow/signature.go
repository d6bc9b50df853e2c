package shadow

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mailseal/milter/dkim"
	"mailseal/milter/message"
)

// signature is what is compared of one: who signed, and how, as far as a verifier notices.
type signature struct {
	name   string // d=, s= and a=: "example.com/mail/rsa-sha256"
	kind   string // d= and the kind of key: "example.com/rsa"
	how    map[string]string
	fields []string // h=, in lower case and sorted: their order means nothing to those who verify
}

// readSignature reads a signature's tags, with the defaults of RFC 6376 section 3.5 for those that
// are not there.
func readSignature(f message.Field) signature {
	t := dkim.ReadTags(f)
	s := signature{name: strings.ToLower(fmt.Sprintf("%s/%s/%s", t.Text("d"), t.Text("s"),
		t.Text("a")))}
	key, _, _ := strings.Cut(t.Text("a"), "-")
	s.kind = strings.ToLower(t.Text("d") + "/" + key)
	header, body, _ := strings.Cut(strings.ToLower(t.Text("c")), "/")
	s.how = map[string]string{
		"identity":         strings.ToLower(cmp.Or(t.Text("i"), "@"+t.Text("d"))),
		"canonicalization": cmp.Or(header, "simple") + "/" + cmp.Or(body, "simple"),
		"length":           cmp.Or(t.Text("l"), "-"),
		"expiry":           expiry(t.Text("t"), t.Text("x")),
	}
	for name := range strings.SplitSeq(strings.ToLower(t.Text("h")), ":") {
		s.fields = append(s.fields, strings.TrimSpace(name))
	}
	slices.Sort(s.fields)
	return s
}

// expiry is how long a signature is valid; "-" for ever.
func expiry(t, x string) string {
	from, err1 := strconv.ParseInt(t, 10, 64)
	to, err2 := strconv.ParseInt(x, 10, 64)
	switch {
	case x == "":
		return "-"
	case err1 != nil || err2 != nil:
		return x
	}
	return fmt.Sprintf("%ds", to-from)
}

// pairing is which signatures of both filters are compared with each other.
type pairing struct {
	pairs [][2]signature // theirs and ours
	alone []string       // the names of those that have no counterpart, sorted
}

// pairSignatures pairs signatures of the same name, then those of the same d= and kind of key: with
// another selector, as is usual in a migration, the rest of a signature is to be the same.
func pairSignatures(theirs, ours []signature) pairing {
	var out pairing
	left := slices.Clone(ours)
	take := func(list []signature, same func(a, b signature) bool) (rest []signature) {
		for _, a := range list {
			at := slices.IndexFunc(left, func(b signature) bool { return same(a, b) })
			if at < 0 {
				rest = append(rest, a)
				continue
			}
			out.pairs = append(out.pairs, [2]signature{a, left[at]})
			left = slices.Delete(left, at, at+1)
		}
		return rest
	}
	rest := take(theirs, func(a, b signature) bool { return a.name == b.name })
	rest = take(rest, func(a, b signature) bool { return a.kind == b.kind })
	for _, s := range slices.Concat(rest, left) {
		out.alone = append(out.alone, s.name)
	}
	slices.Sort(out.alone)
	return out
}

// compare reports how the signatures of each pair differ, as far as a verifier notices.
func (p pairing) compare(add func(kind, a, b string)) {
	for _, pair := range p.pairs {
		a, b := pair[0], pair[1]
		for _, kind := range []string{"identity", "canonicalization", "length", "expiry"} {
			if a.how[kind] != b.how[kind] {
				add(kind, a.how[kind], b.how[kind])
			}
		}
		if only, others := missing(a.fields, b.fields),
			missing(b.fields, a.fields); len(only)+len(others) > 0 {
			add("fields", text(only), text(others))
		}
	}
}

// missing returns what a sorted list has and another one has not, or not so often.
func missing(list, in []string) (out []string) {
	for _, name := range list {
		for len(in) > 0 && in[0] < name {
			in = in[1:]
		}
		if len(in) > 0 && in[0] == name {
			in = in[1:]
		} else {
			out = append(out, name)
		}
	}
	return out
}
