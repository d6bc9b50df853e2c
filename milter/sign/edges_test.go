package sign

import (
	"strings"
	"testing"

	"mailseal/milter/dkim"
)

// TestIdentifierAboveDomain holds that an i= above d=, which no verifier accepts, is left out, and
// that the key signs all the same.
func TestIdentifierAboveDomain(t *testing.T) {
	for _, tc := range []struct{ domain, identifier, want string }{
		{"one.example", "@%", "@one.example"},
		{"mail.one.example", "@%", ""},
		{"one.example", "@mail.%", "@mail.one.example"},
		{"other.example", "@%", ""},
	} {
		rule := Rule{From: patterns("*"), Keys: []string{"one"}, Domain: tc.domain,
			Options: dkim.SignOptions{Identifier: tc.identifier}}
		out, _, err := signed(t, rule, text)
		if err != nil || len(out.Fields) != 1 || len(out.Failed) > 0 {
			t.Errorf("d=%s i=%s: %d signatures, failed %v, %v", tc.domain, tc.identifier,
				len(out.Fields), out.Failed, err)
			continue
		}
		s, fault := dkim.ParseSignature(out.Fields[0])
		if has := dkim.ReadTags(out.Fields[0]).Text("i") != ""; fault != "" ||
			has != (tc.want != "") {
			t.Errorf("d=%s i=%s: has an i= %v, %s", tc.domain, tc.identifier, has, fault)
		}
		if tc.want != "" && s.Identifier != tc.want {
			t.Errorf("d=%s i=%s: got i=%s, want %q", tc.domain, tc.identifier, s.Identifier,
				tc.want)
		}
	}
}

// TestLineAtTheLimit holds that a line of a longer field that is as long as the MTA leaves it stays
// as it is, and that one byte more is folded.
func TestLineAtTheLimit(t *testing.T) {
	const limit = 998
	for _, tc := range []struct {
		length int
		change int
	}{{limit - 1, 0}, {limit, 0}, {limit + 1, 1}} {
		line := strings.Repeat(" x", tc.length/2) + strings.Repeat("y", tc.length%2)
		m := parsed(t, "From: a@one.example\nReferences: <1@one.example>\n"+line+"\n\nbody\n")
		q := Query{Author: address(t, "a@one.example"), Lines: Lines{Limit: limit, MayChange: true}}
		s := &Signer{Table: NewTable([]Rule{{From: patterns("*"), Keys: []string{"one"}}}),
			Keys: newRing(t)}
		out, err := s.Sign(t.Context(), s.Match(q), q, m)
		if err != nil || len(out.Fields) != 1 {
			t.Fatalf("%d signatures, %v", len(out.Fields), err)
		}
		if len(out.Fit.Change) != tc.change || len(out.Fit.Omit) > 0 {
			t.Errorf("%d bytes: %d fields folded, %q left out, want %d and none", tc.length,
				len(out.Fit.Change), out.Fit.Omit, tc.change)
		}
	}
}
