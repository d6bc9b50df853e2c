package filter

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
)

// TestMalformedFrom holds the treatment of our mail with a From field that RFC 5322 does not
// allow.
func TestMalformedFrom(t *testing.T) {
	const commas = "Doe, Dr. Ann, MD <ann@example.com>"
	const place = "From, byte 4, \",\": unexpected in place of an address"
	for _, tc := range []struct {
		name   string
		from   string
		choice action.MalformedFrom
		action action.Action
		level  slog.Level
		counts string
		says   string // in the details of the log line
	}{
		{"one domain", commas, action.MalformedSign, action.Accept, slog.LevelInfo,
			"signed ed25519-sha256", "from=" + place},
		{"dots", "ann..doe.@example.com", action.MalformedSign, action.Accept, slog.LevelInfo,
			"signed ed25519-sha256", `byte 5, "."`},
		{"final dot and semicolon", "Ann <ann@example.com.>;", action.MalformedSign, action.Accept,
			slog.LevelInfo, "signed ed25519-sha256", `byte 21, "."`},
		{"two fields", "ann@example.com\nFrom: bob@example.com", action.MalformedSign,
			action.Accept, slog.LevelInfo, "signed ed25519-sha256", "from=2 From fields"},
		{"nothing wrong", "Ann <ann@example.com>", action.MalformedReject, action.Accept,
			slog.LevelInfo, "signed ed25519-sha256", ""},

		{"unsigned by setting", commas, action.MalformedUnsigned, action.Accept, slog.LevelWarn,
			"unsigned: malformed from", place},
		{"two fields, unsigned by setting", "ann@example.com\nFrom: bob@example.com",
			action.MalformedUnsigned, action.Accept, slog.LevelWarn, "unsigned: malformed from",
			"2 From fields"},
		{"refused by setting", commas, action.MalformedReject, action.Reject, slog.LevelInfo, "", place},
		{"no author, refused by setting", "Ann", action.MalformedReject, action.Reject,
			slog.LevelInfo, "", "nothing in place of an address"},
		{"several, refused by setting", "ann@example.com; x@other.example", action.MalformedReject,
			action.Reject, slog.LevelInfo, "", "2 domains"},

		{"several in a list", "ann@example.com, x@other.example", action.MalformedSign,
			action.Accept, slog.LevelWarn, "unsigned: several authors",
			"2 domains, example.com and other.example"},
		{"several in a malformed list", "ann@example.com; x@other.example", action.MalformedSign,
			action.Accept, slog.LevelWarn, "unsigned: several authors", `byte 16, ";"`},
		{"several in two fields", "ann@example.com\nFrom: x@other.example", action.MalformedSign,
			action.Accept, slog.LevelWarn, "unsigned: several authors", "2 From fields"},
		{"one in the display name", "x@other.example <ann@example.com>", action.MalformedSign,
			action.Accept, slog.LevelWarn, "unsigned: several authors", "2 domains"},
		{"several are allowed by RFC 5322", "ann@example.com, x@other.example",
			action.MalformedReject, action.Accept, slog.LevelWarn, "unsigned: several authors",
			"2 domains"},
		{"none", "Ann", action.MalformedSign, action.Accept, slog.LevelInfo, "unsigned: no author",
			"nothing in place of an address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, counts := newFilter(t, "good")
			f.Malformed = tc.choice
			o, h := decide(t, f, action.RoleOurs, milter.ByNetwork, local, "From: "+tc.from+
				"\n\nbody\n")
			got := strings.Join(counts.words, " ")
			if o.Action != tc.action || o.Level != tc.level || got != tc.counts {
				t.Errorf("got %s at %s, %q; want %s at %s, %q", o.Action, o.Level, got, tc.action,
					tc.level, tc.counts)
			}
			if isSigned := strings.Contains(names(h),
				"DKIM-Signature"); isSigned != strings.HasPrefix(tc.counts, "signed") {
				t.Errorf("the header has %s", names(h))
			}
			if details := fmt.Sprint(o.Details); !strings.Contains(details, tc.says) ||
				tc.says == "" && len(o.Details) > 0 {
				t.Errorf("details %s, want …%s…", details, tc.says)
			}
			if o.Action == action.Reject && (o.Reply.Code != 550 || !strings.Contains(o.Reply.Text,
				"From, byte ") && !strings.Contains(o.Reply.Text, "From fields")) {
				t.Errorf("reply %+v", o.Reply)
			}
		})
	}
}

// TestForgedFrom holds the treatment of a stranger's mail with a From field that RFC 5322 does not
// allow.
func TestForgedFrom(t *testing.T) {
	for _, tc := range []struct{ name, from, want string }{
		{"dots", "ann..doe.@example.com", "reject"},
		{"final dot", "ann@example.com.", "reject"},
		{"hyphen label", "ann@mail-.example.com", "reject"},
		{"two fields", "x@other.example\nFrom: ann@example.com", "reject"},
		{"list", "x@other.example, ann@example.com", "reject"},
		{"five domains", "a@a.example, b@b.example, c@c.example, d@d.example, ann@example.com", "hold"},
		{"display name", "ann@example.com <x@other.example>", "mark"},
		{"several without a record", "a@a.example, b@b.example", "accept"},
		{"none", "Ann", "tempfail"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, _ := newFilter(t, "good")
			f.Policy.DMARC.Reject, f.Policy.ManyAuthors, f.Policy.NoAuthor = action.Reject,
				action.Hold, action.Tempfail
			o, h := decide(t, f, action.RoleTheirs, milter.ByDefault, fromAway, "From: "+tc.from+
				"\n\nbody\n")
			got := o.Action.String()
			if got == "accept" && strings.Contains(names(h), "X-Mark") {
				got = "mark"
			}
			if details := fmt.Sprint(o.Details); got != tc.want ||
				!strings.Contains(details, "from=") {
				t.Errorf("got %s, %s; want %s", got, details, tc.want)
			}
			if o.Action == action.Reject && o.Reply.Text != "DMARC policy for example.com" &&
				tc.name != "hyphen label" {
				t.Errorf("reply %q", o.Reply.Text)
			}
		})
	}
}

// TestMalformedResign holds that a list's host signs a malformed From only where its own mail is
// signed.
func TestMalformedResign(t *testing.T) {
	for _, choice := range []action.MalformedFrom{action.MalformedSign, action.MalformedUnsigned,
		action.MalformedReject} {
		f, _ := newFilter(t, "good")
		f.Malformed, f.Policy.DMARC.Reject = choice, action.Accept
		f.Signer.Table.Rules()[0].Resign, f.Signer.Table.Rules()[0].Domain = true, "lists.example"
		o, h := decide(t, f, action.RoleTheirs, milter.ByDefault, fromAway,
			"From: Doe, Ann <ann@example.com>\n\nbody\n")
		isSigned := strings.Contains(names(h), "DKIM-Signature")
		if o.Action != action.Accept || isSigned != (choice == action.MalformedSign) {
			t.Errorf("%s: %s, header %s", choice, o.Action, names(h))
		}
	}
}
