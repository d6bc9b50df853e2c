package miltertest

import (
	"slices"
	"strings"
	"testing"

	"mailseal/milter/guard"
)

func fieldsOf(lines ...string) (fields []field) {
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		fields = append(fields, field{name, value})
	}
	return fields
}

func lines(fields []field) (out []string) {
	for _, f := range fields {
		out = append(out, f.name+":"+f.value)
	}
	return out
}

func insert(at int, name, value string) Edit {
	return Edit{Kind: guard.InsertHeader, Index: at, Name: name, Value: value}
}

func change(n int, name, value string) Edit {
	return Edit{Kind: guard.ChangeHeader, Index: n, Name: name, Value: value}
}

func add(name, value string) Edit { return Edit{Kind: guard.AddHeader, Name: name, Value: value} }

// What each MTA does with an index was measured; it is not what the protocol's texts say.
func TestHeaderEdits(t *testing.T) {
	ar := []string{"AR: 1", "AR: 2", "AR: 3"}
	xyz := []string{"From: a", "Date: d", "Message-Id: m", "X: 1"}
	for _, c := range []struct {
		name              string
		header            []string
		edits             []Edit
		postfix, sendmail []string
	}{
		{"delete 1, 2, 3", ar, []Edit{change(1, "AR", ""), change(2, "AR", ""), change(3, "AR", "")},
			[]string{"R:", "AR: 2"}, []string{"R:"}},
		{"delete 3, 2, 1", ar, []Edit{change(3, "AR", ""), change(2, "AR", ""), change(1, "AR", "")},
			[]string{"R:"}, []string{"R:"}},
		{"delete 1, 1, 1", ar, []Edit{change(1, "AR", ""), change(1, "AR", ""), change(1, "AR", "")},
			[]string{"R:"}, []string{"R:", "AR: 2", "AR: 3"}},
		{"delete 0, 1, 2", ar, []Edit{change(0, "AR", ""), change(1, "AR", ""), change(2, "AR", "")},
			[]string{"R:", "AR: 3"}, []string{"R:", "AR: 3"}},
		{"delete past the end", ar, []Edit{change(4, "AR", "")},
			[]string{"R:", "AR: 1", "AR: 2", "AR: 3"}, []string{"R:", "AR: 1", "AR: 2", "AR: 3"}},
		{"delete ignores case", ar, []Edit{change(2, "ar", "")},
			[]string{"R:", "AR: 1", "AR: 3"}, []string{"R:", "AR: 1", "AR: 3"}},
		{"the MTA's own Received is not counted", []string{"Received: x"}, []Edit{change(1, "Received", "")},
			[]string{"R:"}, []string{"R:"}},
		{"insert, then delete 1: the new one goes", ar, []Edit{insert(0, "AR", " new"), change(1, "AR", "")},
			[]string{"R:", "AR: 1", "AR: 2", "AR: 3"}, []string{"R:", "AR: 1", "AR: 2", "AR: 3"}},
		{"change", ar, []Edit{change(2, "AR", " new")},
			[]string{"R:", "AR: 1", "AR: new", "AR: 3"},
			[]string{"R:", "AR: 1", "AR: new", "AR: 3"}},
		{"change past the end adds", ar, []Edit{change(9, "AR", " new")},
			[]string{"R:", "AR: 1", "AR: 2", "AR: 3", "AR: new"},
			[]string{"R:", "AR: new", "AR: 1", "AR: 2", "AR: 3"}},
		{"insert at 0 stacks above Received", xyz, []Edit{insert(0, "A", " 1"), insert(0, "A", " 2")},
			[]string{"A: 2", "A: 1", "R:", "From: a", "Date: d", "Message-Id: m", "X: 1"},
			[]string{"A: 2", "A: 1", "R:", "From: a", "Date: d", "Message-Id: m", "X: 1"}},
		{"insert at 1 is below Received", xyz, []Edit{insert(1, "A", " 1")},
			[]string{"R:", "A: 1", "From: a", "Date: d", "Message-Id: m", "X: 1"},
			[]string{"R:", "A: 1", "From: a", "Date: d", "Message-Id: m", "X: 1"}},
		{"insert at 2: Sendmail counts what is not there", xyz, []Edit{insert(2, "A", " 1")},
			[]string{"R:", "From: a", "A: 1", "Date: d", "Message-Id: m", "X: 1"},
			[]string{"R:", "A: 1", "From: a", "Date: d", "Message-Id: m", "X: 1"}},
		{"insert far away is the end", xyz, []Edit{insert(99, "A", " 1")},
			[]string{"R:", "From: a", "Date: d", "Message-Id: m", "X: 1", "A: 1"},
			[]string{"R:", "From: a", "Date: d", "Message-Id: m", "X: 1", "A: 1"}},
		{"insert at a negative place", xyz, []Edit{insert(-1, "A", " 1")},
			[]string{"A: 1", "R:", "From: a", "Date: d", "Message-Id: m", "X: 1"},
			[]string{"A: 1", "R:", "From: a", "Date: d", "Message-Id: m", "X: 1"}},
		{"add", xyz, []Edit{add("X", " 2"), add("Y", " 1")},
			[]string{"R:", "From: a", "Date: d", "Message-Id: m", "X: 1", "X: 2", "Y: 1"},
			[]string{"R:", "From: a", "Date: d", "Message-Id: m", "X: 2", "X: 1", "Y: 1"}},
		{"add takes the place that Sendmail kept", ar, []Edit{add("Date", " d")},
			[]string{"R:", "AR: 1", "AR: 2", "AR: 3", "Date: d"},
			[]string{"R:", "Date: d", "AR: 1", "AR: 2", "AR: 3"}},
		{"values are folded", xyz[3:], []Edit{add("A", " 1\n2\n\n\t3\n"), add("B", " c\rd")},
			[]string{"R:", "X: 1", "A: 1\n\t2\n\t\n\t3\n\t", "B: cd"},
			[]string{"R:", "X: 1", "A: 1\n 2\n \n\t3\n ", "B: cd"}},
		{"Sendmail drops some late", []string{"Bcc: b", "X: 1"}, nil,
			[]string{"R:", "Bcc: b", "X: 1"}, []string{"R:", "X: 1"}},
	} {
		for _, mta := range []MTA{Postfix, Sendmail} {
			want := map[MTA][]string{Postfix: c.postfix, Sendmail: c.sendmail}[mta]
			h := newHeader(mta, true, field{"R", ""}, fieldsOf(c.header...))
			for _, e := range c.edits {
				h.apply(e)
			}
			got := lines(h.delivered(nil))
			if !slices.Equal(got, want) {
				t.Errorf("%s, %v:\n got %q\nwant %q", c.name, mta, got, want)
			}
		}
	}
}

func TestSendmailAddsWhatIsMissing(t *testing.T) {
	h := newHeader(Sendmail, true, field{"Received", " r"}, fieldsOf("Subject: s"))
	got := lines(h.delivered(map[string]string{"Date": " d", "From": " f", "Message-Id": " m"}))
	want := []string{"Received: r", "Date: d", "From: f", "Message-Id: m", "Subject: s"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWithoutLeadingSpace(t *testing.T) {
	h := newHeader(Postfix, false, field{"R", ""}, nil)
	h.apply(add("A", "v=1"))
	if got := lines(h.delivered(nil)); got[1] != "A: v=1" {
		t.Errorf("got %q", got)
	}
}
