package arc_test

import (
	"slices"
	"strings"
	"testing"

	"mailseal/milter/arc"
)

// What hosts between two sealers do to a header leaves a chain whole (RFC 8617 section 4.1.3: seals
// are relaxed).
func TestHarmlessChanges(t *testing.T) {
	withResults := "Authentication-Results: mx.relay1.example; spf=pass\r\nReceived: from a by b\r\n" + mail
	three := seal(t, seal(t, seal(t, withResults, 1), 2), 3)
	fields := func(raw string) (head []string, body string) {
		top, body, _ := strings.Cut(raw, "\r\n\r\n")
		return strings.Split(strings.ReplaceAll(top, "\r\n\t", "\x00"), "\r\n"), "\r\n\r\n" + body
	}
	for _, c := range []struct {
		name   string
		change func(head []string) []string
	}{
		{"nothing", func(head []string) []string { return head }},
		{"the sets upside down", func(head []string) []string {
			slices.Reverse(head[:9])
			return head
		}},
		{"the sets below the message's own fields",
			func(head []string) []string { return append(head[9:], head[:9]...) }},
		{"names in lower case", func(head []string) []string {
			for i, f := range head[:9] {
				name, value, _ := strings.Cut(f, ":")
				head[i] = strings.ToLower(name) + ":" + value
			}
			return head
		}},
		{"not folded", func(head []string) []string {
			return strings.Split(strings.ReplaceAll(strings.Join(head, "\n"), "\x00", " "), "\n")
		}},
		{"folded again, blanks at the ends", func(head []string) []string {
			return strings.Split(strings.ReplaceAll(strings.Join(head, "\n"), "\x00", "  \x00   "),
				"\n")
		}},
		{"results removed", func(head []string) []string {
			return slices.DeleteFunc(head,
				func(f string) bool { return strings.HasPrefix(f, "Authentication-Results:") })
		}},
		{"results and traces added", func(head []string) []string {
			return append([]string{"Authentication-Results: mx.example; arc=fail",
				"Received: from c by d", "Return-Path: <x@example>"}, head...)
		}},
	} {
		head, body := fields(three)
		raw := strings.ReplaceAll(strings.Join(c.change(head), "\r\n"), "\x00", "\r\n\t") + body
		if got, _ := validate(t, sealers(), raw); got.Value != arc.Pass || got.OldestPass != 0 ||
			len(got.Sets) != 3 {
			t.Errorf("%s: got %s (%s), oldest pass %d, %d sets", c.name, got.Value, got.Reason,
				got.OldestPass, len(got.Sets))
		}
	}
}

// A chain says so where a field stands above those that its newest set covers: it vouches for the
// lower one alone.
func TestAddedFields(t *testing.T) {
	subject := "Subject: hello\r\nTo: a@example.net\r\n" + mail
	for _, c := range []struct{ name, above, want string }{
		{"nothing", "", ""},
		{"Subject", "Subject: pay now\r\n", "not all of the"},
		{"To", "TO: eve@example.org\r\n", "not all of the"},
		{"a field that the set does not name", "Reply-To: eve@example.org\r\n", ""},
		{"a field that is not guarded", "Sender: eve@example.org\r\n", ""},
	} {
		got, _ := validate(t, sealers(), c.above+seal(t, seal(t, subject, 1), 2))
		if got.Value != arc.Pass || !strings.HasPrefix(got.Added, c.want) ||
			(c.want == "") != (got.Added == "") {
			t.Errorf("%s: %s (%s), added %q, want %q", c.name, got.Value, got.Reason, got.Added,
				c.want)
		}
	}
}
