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
	how    map[string]string
	fields []string // h=, in lower case and sorted: their order means nothing to those who verify
}

// readSignature reads a signature's tags, with the defaults of RFC 6376 section 3.5 for those that are not there.
func readSignature(f message.Field) signature {
	t := dkim.ReadTags(f)
	s := signature{name: strings.ToLower(fmt.Sprintf("%s/%s/%s", t.Text("d"), t.Text("s"), t.Text("a")))}
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

// compareSignatures compares how both filters made the signatures that both made, each with the first of its name.
func compareSignatures(theirs, ours []signature, add func(kind, a, b string)) {
	for _, a := range theirs {
		at := slices.IndexFunc(ours, func(b signature) bool { return a.name == b.name })
		if at < 0 {
			continue
		}
		b := ours[at]
		for _, kind := range []string{"identity", "canonicalization", "length", "expiry"} {
			if a.how[kind] != b.how[kind] {
				add(kind, a.how[kind], b.how[kind])
			}
		}
		if only, others := missing(a.fields, b.fields), missing(b.fields, a.fields); len(only)+len(others) > 0 {
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
