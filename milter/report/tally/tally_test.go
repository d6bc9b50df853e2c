package tally

import "testing"

// TestOutcomes holds how the messages of a report are counted: a pass counts as one whatever the
// receiver did, the others by what it did.
func TestOutcomes(t *testing.T) {
	row := func(disposition, dkim string, n int) rowXML {
		return rowXML{"192.0.2.1", disposition, dkim, "fail", "shop.example", n,
			"shop.example fail",
			"", ""}
	}
	text := reportOf("a.example", "", row("none", "pass", 1), row("reject", "pass", 2),
		row("none", "fail", 4), row("quarantine", "fail", 8), row("reject", "fail", 16))
	sum := New()
	f, rows := read(t, text)
	for _, r := range rows {
		sum.Add(f, r)
	}
	d := sum.Domains()[0]
	got := [...]int64{d.Messages, d.Pass, d.Delivered, d.Held, d.Refused}
	if want := [...]int64{31, 3, 4, 8, 16}; got != want {
		t.Errorf("messages, pass, delivered, held, refused: got %v, want %v", got, want)
	}
}
