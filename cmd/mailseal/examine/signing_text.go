package examine

import (
	"fmt"
	"slices"
	"strings"
)

func (e signingExplained) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Mail from %s is %s (%s%s).\n", e.From, e.Role, e.By, e.assumed)
	for _, r := range e.Rules {
		fmt.Fprintf(&b, "  %-8s %s: %s%s\n", r.Rule, either(r.Signs, "matches", "does not sign"),
			r.Why, bracketed(r.Place))
	}
	for _, c := range e.unrelated {
		fmt.Fprintf(&b, "  %-8s does not match %s: %s\n", c.Rule.Name, e.From, c.Why)
	}
	if more := e.Others - len(e.unrelated); more > 0 {
		fmt.Fprintf(&b, "  Further rules, which have no pattern for the author: %d.\n", more)
	}
	for _, k := range e.Keys {
		fmt.Fprintf(&b, "  key %s%s: %s\n", k.Name, bracketed(k.Source),
			either(k.Error == "", "signs as "+k.Record+" ("+k.Kind+")", "CANNOT SIGN: "+k.Error))
	}
	switch {
	case e.Signed:
		fmt.Fprintln(&b, "The message is signed.")
		e.Addable.write(&b)
	case e.outcome != "":
		fmt.Fprintf(&b, "The message %s: %s.\n", e.outcome, e.why)
	default:
		fmt.Fprintf(&b, "The message is not signed: %s.\n", e.Reason)
	}
	return b.String()
}

// write writes what can be added.
func (a *addable) write(b *strings.Builder) {
	if a == nil {
		return
	}
	fmt.Fprintln(b, "Fields that a host on the way can add on top without breaking the signature:")
	for _, l := range []struct {
		when   string
		fields []string
	}{
		{"if the message has none", a.WhenAbsent},
		{"if it has none, but 8-bit text or another MIME field", a.WhenNotPlain},
		{"always", append(slices.Clone(a.Always), "and any other field that signing.headers does not name")},
	} {
		if len(l.fields) > 0 {
			fmt.Fprintf(b, "  %s: %s\n", l.when, strings.Join(l.fields, ", "))
		}
	}
}

func bracketed(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}
